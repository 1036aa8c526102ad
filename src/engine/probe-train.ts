/** Probes of one search on their way: sent one after the other, then waited for, round after round. */
import type { PathMtuSearch } from '../protocol/path-mtu-search.ts';
import type { SizedSend } from '../transport/port.ts';

/** Between two probes: a peer that answers one at a time answers each. Milliseconds. */
const SPACING_MS = 2;

export class ProbeTrain {
  readonly search: PathMtuSearch;
  /** Probes sent. */
  probes = 0;
  /** This host cannot send such probes. */
  unable = false;
  private readonly send: (size: number) => SizedSend;
  private readonly patienceMs: number;
  private queue: readonly number[] = [];
  private next = 0;
  private nextMs = -Infinity;

  /** `patienceMs`: an answer that takes longer is lost. `send` sends a probe of a size. */
  constructor(search: PathMtuSearch, patienceMs: number, send: (size: number) => SizedSend) {
    this.search = search;
    this.patienceMs = patienceMs;
    this.send = send;
  }

  get done(): boolean {
    return this.unable || this.search.done;
  }

  /** When `step` has something to do, milliseconds. */
  dueMs(): number {
    return this.done ? Infinity : this.nextMs;
  }

  arrived(size: number): void {
    this.search.arrived(size);
    // All that was asked for has come: no need to wait.
    if (this.next === this.queue.length && this.queue.every((asked) => asked <= this.search.passes))
      this.nextMs = -Infinity;
  }

  step(nowMs: number): void {
    if (this.done || nowMs < this.nextMs) return;
    if (this.next === this.queue.length) this.begin();
    if (this.sendNext()) {
      this.probes++;
      this.nextMs = nowMs + (this.next < this.queue.length ? SPACING_MS : this.patienceMs);
    } else {
      this.nextMs = nowMs;
    }
  }

  private begin(): void {
    this.search.endRound();
    this.queue = this.search.round();
    this.next = 0;
  }

  /** Sends one; false when none is left that this host can send. */
  private sendNext(): boolean {
    while (this.next < this.queue.length && !this.unable) {
      const size = this.queue[this.next++];
      const outcome = this.send(size);
      if (outcome === 'sent') return true;
      if (outcome === 'too-big') this.search.refused(size);
      else this.unable = true;
    }
    return false;
  }
}
