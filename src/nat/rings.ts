/**
 * Doubly linked rings of rows: each ring has a head, each row stands in at most one ring. Rows of all rings share two
 * columns; the heads lie behind the last row, so that joining and leaving know no special case.
 */
import { NONE } from './free-list.ts';

export class Rings {
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  private readonly heads: number;

  constructor(rows: number, rings: number) {
    this.next = new Int32Array(rows + rings);
    this.previous = new Int32Array(rows + rings);
    this.heads = rows;
  }

  /** Makes the ring an empty one: before its first use, and after rows have been forgotten. */
  clear(ring: number): void {
    const head = this.heads + ring;
    this.next[head] = head;
    this.previous[head] = head;
  }

  /** The row that joined first, or NONE. */
  first(ring: number): number {
    const row = this.next[this.heads + ring];
    return row < this.heads ? row : NONE;
  }

  isEmpty(ring: number): boolean {
    return this.next[this.heads + ring] >= this.heads;
  }

  /** Puts `row` behind all others of the ring. */
  join(ring: number, row: number): void {
    const head = this.heads + ring;
    const last = this.previous[head];
    this.next[last] = row;
    this.previous[row] = last;
    this.next[row] = head;
    this.previous[head] = row;
  }

  leave(row: number): void {
    const next = this.next[row];
    const previous = this.previous[row];
    this.next[previous] = next;
    this.previous[next] = previous;
  }
}
