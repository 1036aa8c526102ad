/** Numbers of a table's free rows: those never used in order, then those given back, latest first. */

/** No row. */
export const NONE = -1;

export class FreeList {
  capacity = 0;
  /** Rows in use. */
  count = 0;
  /** Rows from here on were never used; memory behind them was never touched. */
  private fresh = 0;
  private first = NONE;
  /** Of a row given back, the one given back before it. */
  private next: Int32Array = new Int32Array(0);

  /** As many rows as `next` has: a column that a free row does not need, lent by the table. */
  grow(next: Int32Array): void {
    this.next = next;
    this.capacity = next.length;
  }

  /** NONE when all rows are in use. */
  take(): number {
    if (this.first === NONE) {
      if (this.fresh === this.capacity) return NONE;
      this.count++;
      return this.fresh++;
    }
    const row = this.first;
    this.first = this.next[row];
    this.count++;
    return row;
  }

  give(row: number): void {
    this.next[row] = this.first;
    this.first = row;
    this.count--;
  }

  /** Rows 0 .. `end` - 1 have been in use at some time. */
  get end(): number {
    return this.fresh;
  }
}
