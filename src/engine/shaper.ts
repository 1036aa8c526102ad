/**
 * `shaper`: how fast datagrams may leave for one peer, their IP and UDP headers counted, as stock counts them. The bucket
 * is kept as the time at which all that was sent would have left at the rate (the theoretical arrival time of GCRA, ITU-T
 * I.371).
 *
 * Two uses. What the kernel sends to the only peer is *paced*: it waits, and the TUN device is not read meanwhile. What must
 * not hold up others, with several peers or from peer to peer, is *policed*: dropped when too much was sent before, for
 * which the bucket is deeper. What waits is sealed; what is dropped is not, so that packet ids have no gap.
 */
import type { Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';

/** How far paced sending may run ahead of the rate, and how far it is when it goes on after a wait; milliseconds. */
const PACE_MS = 10;
const RESUME_MS = 5;
/** The same for policing: so many milliseconds of the rate, or so many bytes, whichever takes longer. */
const BURST_MS = 250;
const BURST_BYTES = 16 * 1024;

export class Shaper {
  private readonly bytesPerMs: number;
  private readonly burstMs: number;
  /** When all that was sent would have left at the rate, milliseconds of the caller's clock. */
  private clearAt = -Infinity;

  constructor(bytesPerSec: number) {
    this.bytesPerMs = bytesPerSec / 1000;
    this.burstMs = Math.max(BURST_MS, BURST_BYTES / this.bytesPerMs);
  }

  /** When paced sending may go on after `pace` has stopped it. */
  get resumeMs(): number {
    return this.clearAt - RESUME_MS;
  }

  /** So many bytes have left, headers included. */
  sent(bytes: number, nowMs: number): void {
    this.clearAt = Math.max(this.clearAt, nowMs) + bytes / this.bytesPerMs;
  }

  /** The first of slots first..end-1 that is to wait, `end` for none. Each takes `headers` bytes besides its own. */
  pace({ length, verdict }: Batch, first: number, end: number, headers: number, nowMs: number): number {
    let ahead = this.ahead(nowMs);
    for (let slot = first; slot < end; slot++) {
      if (verdict[slot] !== PASS) continue;
      if (ahead >= PACE_MS) return slot;
      ahead += (length[slot] + headers) / this.bytesPerMs;
    }
    return end;
  }

  /**
   * Drops of slots first..end-1 those beyond the rate, and counts the rest as sent. A slot of `length` bytes will take
   * `wireSize(length)`.
   */
  police(
    { length, verdict }: Batch,
    first: number,
    end: number,
    wireSize: (length: number) => number,
    nowMs: number,
  ): void {
    for (let slot = first; slot < end; slot++) {
      if (verdict[slot] !== PASS) continue;
      if (this.ahead(nowMs) >= this.burstMs) verdict[slot] = DropReason.Shaped;
      else this.sent(wireSize(length[slot]), nowMs);
    }
  }

  /** Milliseconds that the rate takes for what was sent and would not have left yet. */
  private ahead(nowMs: number): number {
    return Math.max(0, this.clearAt - nowMs);
  }
}
