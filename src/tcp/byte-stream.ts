/** A connection as bytes in arenas, as the kernel or a memory double offers it. */
import type { Arena } from '../packet/arena.ts';

/** Nothing to read, or no room to write, at the moment. */
export const WAIT = -1;
/** The connection is closed or broken: nothing more will come or go. */
export const ENDED = -2;

export interface ByteStream {
  /** Reads at most `length` bytes (more than 0) to `offset` of `arena`; returns how many, WAIT or ENDED. */
  read(arena: Arena, offset: number, length: number): number;
  /**
   * Writes the pieces 0..count-1 of `arena`, one behind the other, as far as there is room; returns how many bytes that
   * were, WAIT or ENDED.
   */
  write(arena: Arena, offsets: Int32Array, lengths: Int32Array, count: number): number;
  close(): void;
}
