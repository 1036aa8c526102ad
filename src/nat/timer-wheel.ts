/**
 * When to look at which session: a ring for each of the next seconds. A session stands in the ring of its deadline, or
 * in the farthest one; a refresh moves nothing, the deadline is looked at again when the second comes (Varghese and
 * Lauck 1987, scheme 4, rescheduling lazily). Per packet that is no work at all.
 */
import { NONE } from './free-list.ts';
import { Rings } from './rings.ts';

/** Seconds ahead; a power of two. */
const SECONDS = 256;
const MASK = SECONDS - 1;

export class TimerWheel {
  private readonly rings: Rings;
  /** Second whose ring is being worked off; all before it are done. */
  private current: number;

  constructor(capacity: number, nowSec: number) {
    this.rings = new Rings(capacity, SECONDS);
    for (let second = 0; second < SECONDS; second++) this.rings.clear(second);
    this.current = nowSec;
  }

  /** True when the last `advance` used up its budget. */
  isBehind(nowSec: number): boolean {
    return this.current <= nowSec;
  }

  add(row: number, deadline: number): void {
    const second = Math.min(Math.max(deadline, this.current), this.current + MASK);
    this.rings.join(second & MASK, row);
  }

  remove(row: number): void {
    this.rings.leave(row);
  }

  /** For a deadline that came nearer; one that moved away needs no call. */
  reschedule(row: number, deadline: number): void {
    this.remove(row);
    this.add(row, deadline);
  }

  /**
   * Calls `expire` for the rows whose deadline (by `deadlines`) is at or before `nowSec`; it has to remove them. After
   * `budget` visits the rest waits for the next call.
   */
  advance(deadlines: Int32Array, nowSec: number, budget: number, expire: (row: number) => void): void {
    // After a long sleep once round is enough.
    if (nowSec - this.current > MASK) this.current = nowSec - MASK;
    let visits = 0;
    while (this.current <= nowSec) {
      const row = this.rings.first(this.current & MASK);
      if (row === NONE) {
        this.current++;
      } else if (visits++ === budget) {
        return;
      } else if (deadlines[row] <= nowSec) {
        expire(row);
      } else {
        this.reschedule(row, Math.max(deadlines[row], this.current + 1));
      }
    }
  }
}
