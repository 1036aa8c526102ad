/**
 * Finds what has expired: once a second all deadlines are read, in slices, so that packets go on in between. A refresh is
 * a store, and a session needs no place in a queue; a million deadlines, one after the other in memory, take about 1 ms.
 */

/** Deadline of a row that is free. */
export const NEVER = 0x7fffffff;

/** Rows looked at and sessions ended in one call: bound what it costs (about 50 us). */
const SLICE = 16_384;
const EXPIRIES = 512;

export class Sweep {
  /** Where the next slice begins; 0 when all rows have been looked at. */
  private row = 0;
  /** Second in which the last round began. */
  private begun: number;

  constructor(nowSec: number) {
    this.begun = nowSec;
  }

  /** True when the last `advance` left rows for the next. */
  isBehind(nowSec: number): boolean {
    return this.row > 0 || this.begun < nowSec;
  }

  /**
   * Calls `expire`, which has to free the row, for rows below `end` whose deadline is at or before `nowSec`: a slice of the
   * round of this second, or of the last one if that is not through.
   */
  advance(deadlines: Int32Array, end: number, nowSec: number, expire: (row: number) => void): void {
    if (this.row === 0) {
      if (this.begun >= nowSec) return;
      this.begun = nowSec;
    }
    const sliceEnd = Math.min(end, this.row + SLICE);
    let expired = 0;
    while (this.row < sliceEnd && expired < EXPIRIES) {
      if (deadlines[this.row] <= nowSec) {
        expire(this.row);
        expired++;
      }
      this.row++;
    }
    if (this.row >= end) this.row = 0;
  }
}
