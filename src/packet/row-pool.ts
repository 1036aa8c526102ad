/**
 * Rows of equal size in an arena, taken and given back one by one: memory for what outlives a batch. The number of
 * rows bounds it; rows that were never taken are never touched.
 */
import type { Arena } from './arena.ts';

export interface RowPoolShape {
  readonly rows: number;
  /** Bytes in a row. */
  readonly capacity: number;
}

/** Returned when no row is free. */
export const NO_ROW = -1;

export class RowPool {
  readonly capacity: number;
  /** Offsets of the free rows; the one given back last is taken first. */
  private readonly offsets: Int32Array;
  private count: number;

  constructor(arena: Arena, { rows, capacity }: RowPoolShape) {
    this.capacity = capacity;
    const base = arena.take(rows * capacity);
    this.offsets = Int32Array.from({ length: rows }, (_, row) => base + (rows - 1 - row) * capacity);
    this.count = rows;
  }

  /** Arena bytes a pool of this shape needs. */
  static arenaSize({ rows, capacity }: RowPoolShape): number {
    return rows * capacity + 64;
  }

  get free(): number {
    return this.count;
  }

  /** Offset of a row in the arena, or NO_ROW. */
  take(): number {
    return this.count === 0 ? NO_ROW : this.offsets[--this.count];
  }

  /** `offset` was returned by `take` and is not used any more. */
  release(offset: number): void {
    this.offsets[this.count++] = offset;
  }
}
