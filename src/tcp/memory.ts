/** An in-memory connection for tests: it may hand over bytes in small pieces, and be full. */
import type { Arena } from '../packet/arena.ts';
import { ENDED, WAIT, type ByteStream } from './byte-stream.ts';

export interface ConnectionLimits {
  /** Bytes on their way in one direction. */
  readonly capacity?: number;
  /** Most bytes that one call reads or writes. */
  readonly mostRead?: number;
  readonly mostWritten?: number;
}

class End implements ByteStream {
  other: End | undefined;
  /** Bytes that this end has not read yet. */
  waiting: number[] = [];
  private closed = false;
  private readonly limits: Required<ConnectionLimits>;

  constructor(limits: Required<ConnectionLimits>) {
    this.limits = limits;
  }

  read(arena: Arena, offset: number, length: number): number {
    const bytes = this.waiting.splice(0, Math.min(length, this.limits.mostRead));
    if (bytes.length === 0) return this.closed || this.other?.closed === true ? ENDED : WAIT;
    arena.bytes.set(bytes, offset);
    return bytes.length;
  }

  write(arena: Arena, offsets: Int32Array, lengths: Int32Array, count: number): number {
    const other = this.other!;
    if (this.closed || other.closed) return ENDED;
    let room = Math.min(this.limits.capacity - other.waiting.length, this.limits.mostWritten);
    let written = 0;
    for (let piece = 0; piece < count && room > 0; piece++) {
      const length = Math.min(room, lengths[piece]);
      other.waiting.push(...arena.bytes.subarray(offsets[piece], offsets[piece] + length));
      written += length;
      room -= length;
    }
    return written === 0 ? WAIT : written;
  }

  /** What was sent can still be read by the other end. */
  close(): void {
    this.closed = true;
  }
}

/** The two ends of a connection. */
export function memoryConnection(limits: ConnectionLimits = {}): readonly [ByteStream, ByteStream] {
  const most = { capacity: Infinity, mostRead: Infinity, mostWritten: Infinity, ...limits };
  const [a, b] = [new End(most), new End(most)];
  a.other = b;
  b.other = a;
  return [a, b];
}
