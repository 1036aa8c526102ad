/**
 * What the network answers in the peer's place ("port unreachable", "no route to host"), as long as the peer is silent: how
 * often, and when to tell of it.
 */
import { Counter, type Counters } from './counters.ts';

/** At most one report in this time, milliseconds: a peer that comes and goes does not fill the log. */
const REPORT_MS = 10_000;

export class Unreachable {
  private readonly counters: Counters;
  /** errno that was told of in this silence; 0 for none. */
  private told = 0;
  private nextReportMs = 0;
  private answered = false;

  constructor(counters: Counters) {
    this.counters = counters;
  }

  /** Counts one; true when it is news. */
  note(errno: number, nowMs: number): boolean {
    this.answered = true;
    this.counters.add(Counter.UnreachableTimes, 1);
    this.counters.set(Counter.UnreachableErrno, errno);
    if (errno === this.told || nowMs < this.nextReportMs) return false;
    this.told = errno;
    this.nextReportMs = nowMs + REPORT_MS;
    return true;
  }

  /** The peer has been heard. */
  clear(): void {
    if (!this.answered) return;
    this.answered = false;
    this.told = 0;
    this.counters.set(Counter.UnreachableTimes, 0);
    this.counters.set(Counter.UnreachableErrno, 0);
  }
}
