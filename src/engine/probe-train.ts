/**
 * Probes of one search on their way: sent one after the other, then waited for, round after round. Each round ends with
 * witnesses, packets that fit every path. Without an answer to one of them it was not the size of the others that was too
 * much, but the path was down, or answers took longer than expected: the round does not count, and the next one is waited
 * for longer.
 */
import type { PathMtuSearch } from '../protocol/path-mtu-search.ts';
import type { SizedSend } from '../transport/port.ts';

/** Between two probes: a peer that answers one at a time answers each. Milliseconds. */
const SPACING_MS = 2;
/** Some are lost like any packet. */
const WITNESSES = 2;
const MAX_PATIENCE_MS = 700;

export interface ProbeSender {
  /** Sends a probe of a size. */
  readonly probe: (size: number) => SizedSend;
  /** Sends a witness of a round. */
  readonly witness: (round: number) => void;
}

export class ProbeTrain {
  readonly search: PathMtuSearch;
  /** Probes sent. */
  probes = 0;
  /** This host cannot send such probes. */
  unable = false;
  private readonly sender: ProbeSender;
  private patienceMs: number;
  private queue: readonly number[] = [];
  /** Of the queue, and of the witnesses behind it. */
  private next = WITNESSES;
  private nextMs = -Infinity;
  private round = 0;
  private witnessed = true;

  /** `patienceMs`: an answer that takes longer is late. */
  constructor(search: PathMtuSearch, patienceMs: number, sender: ProbeSender) {
    this.search = search;
    this.patienceMs = Math.min(patienceMs, MAX_PATIENCE_MS);
    this.sender = sender;
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
    if (this.next < this.queue.length || this.queue.some((asked) => asked > this.search.passes)) return;
    this.next = this.queue.length + WITNESSES;
    this.witnessed = true;
    this.nextMs = -Infinity;
  }

  /** A witness of `round` was answered. */
  testified(round: number): void {
    if (round === this.round) this.witnessed = true;
  }

  step(nowMs: number): void {
    if (this.done || nowMs < this.nextMs) return;
    if (this.next === this.queue.length + WITNESSES) this.begin();
    if (this.sendNext()) {
      this.probes++;
      const more = this.next < this.queue.length + WITNESSES;
      this.nextMs = nowMs + (more ? SPACING_MS : this.patienceMs);
    } else {
      this.nextMs = nowMs;
    }
  }

  private begin(): void {
    if (this.witnessed) {
      this.search.endRound();
    } else {
      this.search.discardRound();
      this.patienceMs = Math.min(2 * this.patienceMs, MAX_PATIENCE_MS);
    }
    this.queue = this.search.round();
    this.next = 0;
    this.round++;
    this.witnessed = false;
  }

  /** Sends one; false when this host can send no probe. */
  private sendNext(): boolean {
    while (this.next < this.queue.length && !this.unable) {
      const size = this.queue[this.next++];
      const outcome = this.sender.probe(size);
      if (outcome === 'sent') return true;
      if (outcome === 'too-big') this.search.refused(size);
      else this.unable = true;
    }
    if (this.done) return false;
    this.next++;
    this.sender.witness(this.round);
    return true;
  }
}
