/**
 * Fragments that came before the first of their packet, copied into a ring: whoever needs room drops the oldest. What
 * is dropped in the middle frees its bytes when those in front of it are gone, two seconds at the latest.
 */
import type { Batch } from '../packet/batch.ts';
import { MAX_PEERS, type Zone } from '../packet/zone.ts';

/** Bytes of all zones together, and of one. */
const CAPACITY = 1 << 20;
const ZONE_CAPACITY = 256 << 10;
/** Fragments of all zones together: more are too small to be anyone's. */
const MAX_HELD = 1024;

/** `takeReady`: nothing is ready. */
export const NO_ZONE = -0x8000;

/** In place of a context: dropped or taken; may go on. */
const GONE = -1;
const READY = -2;

/** Zones begin at ZONE_ICMP, -2. */
const ZONE_BASE = 2;

export class HeldFragments {
  /** Fragments dropped so far, for want of room or of a first fragment. */
  dropped = 0;
  private ready = 0;
  private readonly memory = new Uint8Array(CAPACITY);
  private readonly offset = new Int32Array(MAX_HELD);
  private readonly length = new Int32Array(MAX_HELD);
  private readonly zone = new Int16Array(MAX_HELD);
  /** The context each waits for, or GONE, or READY. */
  private readonly context = new Int16Array(MAX_HELD);
  private readonly zoneBytes = new Int32Array(ZONE_BASE + MAX_PEERS);
  private oldest = 0;
  private count = 0;
  /** Behind the newest fragment. */
  private end = 0;

  /** Copies `bytes[start .. start + length)`; makes room by dropping the oldest of the zone, or of all. */
  hold(bytes: Uint8Array, start: number, length: number, zone: Zone, context: number): void {
    while (this.zoneBytes[ZONE_BASE + zone] + length > ZONE_CAPACITY) this.dropOldest(zone);
    while (this.count === MAX_HELD) this.dropOldest(NO_ZONE);
    let at = this.place(length);
    while (at < 0) {
      this.dropOldest(NO_ZONE);
      at = this.place(length);
    }
    for (let i = 0; i < length; i++) this.memory[at + i] = bytes[start + i];
    this.end = at + length;
    const entry = (this.oldest + this.count++) % MAX_HELD;
    this.offset[entry] = at;
    this.length[entry] = length;
    this.zone[entry] = zone;
    this.context[entry] = context;
    this.zoneBytes[ZONE_BASE + zone] += length;
  }

  /** What waits for `context` may go on. */
  makeReady(context: number): void {
    for (let i = 0; i < this.count; i++) {
      const entry = (this.oldest + i) % MAX_HELD;
      if (this.context[entry] !== context) continue;
      this.context[entry] = READY;
      this.ready++;
    }
  }

  /** Drops what waits for `context`. */
  discard(context: number): void {
    for (let i = 0; i < this.count; i++) {
      const entry = (this.oldest + i) % MAX_HELD;
      if (this.context[entry] === context) this.drop(entry);
    }
    this.forgetGone();
  }

  /** Copies the oldest that may go on to `slot`'s own buffer; its zone, or NO_ZONE. */
  takeReady(batch: Batch, slot: number): Zone {
    if (this.ready === 0) return NO_ZONE;
    let entry = this.oldest;
    while (this.context[entry] !== READY) entry = (entry + 1) % MAX_HELD;
    const { bytes } = batch;
    const from = this.offset[entry];
    const to = batch.packetOffset(slot);
    const length = this.length[entry];
    for (let i = 0; i < length; i++) bytes[to + i] = this.memory[from + i];
    batch.commit(slot, length);
    this.remove(entry);
    this.forgetGone();
    return this.zone[entry];
  }

  /** Offset of `length` free bytes in one piece, or -1. The end never meets the oldest from behind. */
  private place(length: number): number {
    if (this.count === 0) return 0;
    const start = this.offset[this.oldest];
    if (this.end <= start) return this.end + length < start ? this.end : -1;
    if (this.end + length <= CAPACITY) return this.end;
    return length < start ? 0 : -1;
  }

  /** Of `zone`, which has one, or of all. */
  private dropOldest(zone: Zone): void {
    let entry = this.oldest;
    while (this.context[entry] === GONE || (zone !== NO_ZONE && this.zone[entry] !== zone)) {
      entry = (entry + 1) % MAX_HELD;
    }
    this.drop(entry);
    this.forgetGone();
  }

  private drop(entry: number): void {
    this.dropped++;
    this.remove(entry);
  }

  private remove(entry: number): void {
    if (this.context[entry] === READY) this.ready--;
    this.context[entry] = GONE;
    this.zoneBytes[ZONE_BASE + this.zone[entry]] -= this.length[entry];
  }

  private forgetGone(): void {
    while (this.count > 0 && this.context[this.oldest] === GONE) {
      this.oldest = (this.oldest + 1) % MAX_HELD;
      this.count--;
    }
  }
}
