/**
 * Room beside a batch for packets that have outgrown the place they were received at: put together from fragments, or
 * decompressed. Rows are taken one after the other, and all are free again when the batch has gone on.
 */
import type { Arena } from './arena.ts';

export interface AnnexShape {
  readonly rows: number;
  /** Longest packet, bytes. */
  readonly capacity: number;
}

export class Annex {
  readonly capacity: number;
  private readonly rows: number;
  private readonly base: number;
  /** Rows taken since `clear`. */
  used = 0;

  constructor(arena: Arena, { rows, capacity }: AnnexShape) {
    this.rows = rows;
    this.capacity = capacity;
    this.base = arena.take(rows * capacity);
  }

  /** Arena bytes an annex of this shape needs. */
  static arenaSize({ rows, capacity }: AnnexShape): number {
    return rows * capacity + 64;
  }

  get free(): number {
    return this.rows - this.used;
  }

  /** Offset of the next row in the arena. Whoever takes one has seen to it that there is one. */
  take(): number {
    if (this.used === this.rows) throw new RangeError(`annex of ${this.rows} rows is used up`);
    return this.base + this.used++ * this.capacity;
  }

  clear(): void {
    this.used = 0;
  }
}
