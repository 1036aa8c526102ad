/**
 * Replay protection of the receiving side: OpenVPN's window with time backtrack (packet_id.c), or the strict sequence
 * that `replay-window 0` selects.
 *
 * Theory of operation. A sender numbers its packets 1, 2, 3... within an epoch. The receiver keeps the highest epoch
 * seen, the highest id in it (`top`) and, for the ids top, top-1, ... top-window+1, when each was received. An id above
 * `top` or in a newer epoch is new; one inside the window is new unless it was received or has expired; anything else
 * is a replay. An unseen id expires once some higher id was received more than `timeSec` seconds ago; this is looked
 * for at most every 5 seconds. The sender's epoch is never compared with the local clock.
 *
 *     ring      … │ id 97: unseen │ id 98: at 1003 s │ id 99: expired │ id 100 = top: at 1004 s │ …
 *
 * `check` decides, `record` remembers; record only what was checked, authenticated and decrypted.
 */
import { DropReason, PASS } from '../packet/verdict.ts';
import type { Verdict } from '../packet/verdict.ts';

/** Ring entries: a receive time in seconds, or one of these. */
const UNSEEN = -1;
const EXPIRED = -2;

const REAP_INTERVAL_SEC = 5;

export class ReplayWindow {
  /** Ids that may arrive out of order; 0 accepts them only in sequence. */
  private readonly window: number;
  /** Seconds after which older ids expire; 0 never. */
  private readonly timeSec: number;
  /** State of id i at `ring[i & mask]`, for the last `window` ids. */
  private readonly ring: Float64Array;
  private readonly mask: number;
  private currentEpoch = 0;
  private topId = 0;
  private lastReapSec = -Infinity;

  /** `windowIds` 0..65536, `timeSec` 0..600 (`replay-window n t`). */
  constructor(windowIds: number, timeSec: number) {
    this.window = windowIds;
    this.timeSec = timeSec;
    let size = 1;
    while (size < windowIds) size *= 2;
    this.ring = new Float64Array(size).fill(UNSEEN);
    this.mask = size - 1;
  }

  /** Takes over from an earlier process: in that epoch only ids above `top` are new (`replay-persist`). */
  restore(epoch: number, top: number): void {
    this.currentEpoch = epoch;
    this.topId = top;
    this.ring.fill(EXPIRED);
  }

  /** Highest epoch recorded, Unix seconds of the sender; 0 before the first packet. */
  get epoch(): number {
    return this.currentEpoch;
  }

  /** Highest id recorded in the current epoch. */
  get top(): number {
    return this.topId;
  }

  /**
   * May the packet be accepted? `nowSec` is the receiver's clock in seconds; it should be a monotonic one, since only
   * differences count.
   */
  check(id: number, time: number, nowSec: number): Verdict {
    if (nowSec >= this.lastReapSec + REAP_INTERVAL_SEC) this.reap(nowSec);
    if (id === 0) return DropReason.IllegalId;
    if (time < this.currentEpoch) return DropReason.TimeBacktrack;
    if (this.window === 0) return this.checkStrict(id, time);
    if (time > this.currentEpoch || id > this.topId) return PASS;
    if (this.topId - id >= this.entries()) return DropReason.Replay;
    const entry = this.ring[id & this.mask];
    if (entry === UNSEEN) return PASS;
    return entry === EXPIRED ? DropReason.ReplayExpired : DropReason.Replay;
  }

  /** Remembers a packet that `check` let pass. */
  record(id: number, time: number, nowSec: number): void {
    if (this.window === 0) {
      this.currentEpoch = time;
      this.topId = id;
      return;
    }
    if (this.topId === 0 || time > this.currentEpoch || id - this.window > this.topId) {
      this.currentEpoch = time;
      this.ring.fill(UNSEEN);
      this.topId = id;
    }
    while (this.topId < id) {
      this.topId += 1;
      this.ring[this.topId & this.mask] = UNSEEN;
    }
    this.ring[id & this.mask] = nowSec;
  }

  private checkStrict(id: number, time: number): Verdict {
    const firstOfEpoch = time > this.currentEpoch;
    if (firstOfEpoch) return id === 1 ? PASS : DropReason.Replay;
    return this.topId === 0 || id === this.topId + 1 ? PASS : DropReason.Replay;
  }

  /** Ids the ring speaks for: an epoch has none below 1. */
  private entries(): number {
    return Math.min(this.window, this.topId);
  }

  /** Expires everything older than the newest id that was received more than `timeSec` ago. */
  private reap(nowSec: number): void {
    this.lastReapSec = nowSec;
    if (this.timeSec === 0) return;
    const entries = this.entries();
    let expiring = false;
    for (let age = 0; age < entries; age++) {
      const slot = (this.topId - age) & this.mask;
      const entry = this.ring[slot];
      if (entry === EXPIRED) return;
      if (entry >= 0 && entry < nowSec - this.timeSec) expiring = true;
      if (expiring) this.ring[slot] = EXPIRED;
    }
  }
}
