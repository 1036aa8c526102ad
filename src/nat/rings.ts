/**
 * Doubly linked rings of rows: a row stands in at most one, and each ring knows its first. Rows of all rings share two
 * columns.
 */
import { lengthened } from './columns.ts';

export class Rings {
  private next = new Int32Array(0);
  private previous = new Int32Array(0);
  /** By ring: its first row + 1, or 0. */
  private head = new Int32Array(0);

  constructor(rows: number, rings: number) {
    this.grow(rows, rings);
  }

  /** Makes room for more rows and more rings, empty ones. */
  grow(rows: number, rings: number): void {
    this.next = lengthened(this.next, rows);
    this.previous = lengthened(this.previous, rows);
    this.head = lengthened(this.head, rings);
  }

  /** The row that joined first, or NONE. */
  first(ring: number): number {
    return this.head[ring] - 1;
  }

  /** Puts `row` behind all others of the ring. */
  join(ring: number, row: number): void {
    const first = this.first(ring);
    if (first < 0) {
      this.head[ring] = row + 1;
      this.next[row] = row;
      this.previous[row] = row;
      return;
    }
    const last = this.previous[first];
    this.next[last] = row;
    this.previous[row] = last;
    this.next[row] = first;
    this.previous[first] = row;
  }

  /** The row must stand in the ring. */
  leave(ring: number, row: number): void {
    const next = this.next[row];
    const previous = this.previous[row];
    this.next[previous] = next;
    this.previous[next] = previous;
    if (this.head[ring] === row + 1) this.head[ring] = next === row ? 0 : next + 1;
  }
}
