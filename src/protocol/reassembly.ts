/**
 * Puts together what the peer's `fragment` has cut (fragmentation.ts), in any order, with duplicates, from several
 * payloads at a time.
 *
 * As in stock, payloads in the making have consecutive sequence numbers, 25 at most: a window that ends at the newest
 * one and moves with it. What falls out of it is given up, and what has got no fragment for 10 s. Each takes one row of a
 * pool that all peers share, so that no peer can make the memory grow.
 */
import type { Annex } from '../packet/annex.ts';
import type { Batch } from '../packet/batch.ts';
import { NO_ROW, type RowPool } from '../packet/row-pool.ts';
import { CONSUMED, DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { readInt32 } from '../packet/word.ts';
import {
  FRAGMENT_HEADER_SIZE,
  FragmentType,
  INDEX_MASK,
  INDEX_SHIFT,
  SEQUENCE_MASK,
  SEQUENCE_SHIFT,
  SIZE_MASK,
  SIZE_SHIFT,
  TYPE_MASK,
} from './fragmentation.ts';

/** Sequence numbers that may be in the making at a time (N_FRAG_BUF of OpenVPN's fragment.h). */
const WINDOW = 25;
/** A power of two that holds the window, so that a sequence number and its place agree across the wrap from 255 to 0. */
const PLACES = 32;
const LIFETIME_MS = 10_000;
/** Stock takes a whole payload for none when one of these bits is set: fields that only fragments use. */
const WHOLE_ZERO_BITS = 0xff;
const NOT_SEEN = -1;

export class Reassembler {
  private readonly pool: RowPool;
  /** By place: the row of the payload in the making there, or NO_ROW. */
  private readonly row = new Int32Array(PLACES).fill(NO_ROW);
  /** Length of every fragment but the last. */
  private readonly size = new Int32Array(PLACES);
  /** Bit i is set when fragment i is there. */
  private readonly present = new Int32Array(PLACES);
  /** Index of the last fragment, and the payload's length, once that has come. */
  private readonly last = new Int32Array(PLACES);
  private readonly length = new Int32Array(PLACES);
  private readonly touchedMs = new Float64Array(PLACES);
  /** Newest sequence number, or NOT_SEEN. */
  private newest = NOT_SEEN;
  /** When the oldest payload in the making may be given up. */
  private expiryMs = Infinity;
  /** Payloads given up since the last tick. */
  private lost = 0;

  /** Payloads longer than a row of the pool are refused. */
  constructor(pool: RowPool) {
    this.pool = pool;
  }

  /**
   * Takes the header off the payload in `slot`. PASS: it is whole, or the last that was missing, and the whole payload
   * now lies in `annex`. CONSUMED: it was kept. Anything else: dropped.
   */
  receive(batch: Batch, slot: number, annex: Annex, nowMs: number): Verdict {
    if (batch.length[slot] < FRAGMENT_HEADER_SIZE) return DropReason.FragmentHeader;
    const header = readInt32(batch.bytes, batch.start[slot]);
    batch.start[slot] += FRAGMENT_HEADER_SIZE;
    batch.length[slot] -= FRAGMENT_HEADER_SIZE;
    const type = header & TYPE_MASK;
    if (type === FragmentType.Whole) {
      return (header & WHOLE_ZERO_BITS) === 0 ? PASS : DropReason.FragmentHeader;
    }
    const length = batch.length[slot];
    const index = (header >> INDEX_SHIFT) & INDEX_MASK;
    const size = type === FragmentType.Last ? ((header >> SIZE_SHIFT) & SIZE_MASK) * 4 : length;
    const malformed =
      type > FragmentType.Last || length === 0 || (size & 3) !== 0 || (size === 0 && index > 0);
    if (malformed) return DropReason.FragmentHeader;
    if (index * size + length > this.pool.capacity) return DropReason.TooLong;
    const place = this.placeOf((header >> SEQUENCE_SHIFT) & SEQUENCE_MASK);
    const lastIndex = type === FragmentType.Last ? index : NOT_SEEN;
    if (!this.open(place, size, lastIndex)) return DropReason.FragmentMemory;
    this.keep(place, batch, slot, index, nowMs);
    if (lastIndex !== NOT_SEEN) {
      this.last[place] = index;
      this.length[place] = index * size + length;
    }
    if (!this.isComplete(place)) return CONSUMED;
    this.deliver(place, batch, slot, annex);
    return PASS;
  }

  /** Milliseconds on the caller's clock when `tick` has something to do, Infinity for never. */
  dueMs(): number {
    return this.lost > 0 ? 0 : this.expiryMs;
  }

  /** Gives up what has waited too long; returns the number of payloads given up since the last call, for any reason. */
  tick(nowMs: number): number {
    if (nowMs >= this.expiryMs) this.expire(nowMs);
    const { lost } = this;
    this.lost = 0;
    return lost;
  }

  /** Forgets everything; what was in the making does not count as given up. */
  reset(): void {
    for (let place = 0; place < PLACES; place++) if (this.row[place] !== NO_ROW) this.close(place);
    this.newest = NOT_SEEN;
    this.expiryMs = Infinity;
    this.lost = 0;
  }

  /** Where the payload of that sequence number is made; moves the window. */
  private placeOf(sequence: number): number {
    // From -128 to 127: how far it is ahead of the newest.
    const ahead = this.newest === NOT_SEEN ? WINDOW : ((sequence - this.newest + 128) & SEQUENCE_MASK) - 128;
    if (ahead >= WINDOW || ahead <= -WINDOW) {
      for (let place = 0; place < PLACES; place++) this.giveUp(place);
    } else {
      for (let i = 1; i <= ahead; i++) this.giveUp((this.newest + i - WINDOW) & (PLACES - 1));
    }
    if (ahead > 0 || ahead <= -WINDOW) this.newest = sequence;
    return sequence & (PLACES - 1);
  }

  /**
   * Makes room for a payload unless there is one that the fragment belongs to; false when the pool is used up. A payload
   * has one last fragment: were two kept, the first would count as a full one, and leave a gap that shows what the row
   * held before.
   */
  private open(place: number, size: number, lastIndex: number): boolean {
    const last = this.last[place];
    const agrees = lastIndex === NOT_SEEN || last === NOT_SEEN || last === lastIndex;
    if (this.row[place] === NO_ROW) this.row[place] = this.pool.take();
    else if (this.size[place] === size && agrees) return true;
    this.size[place] = size;
    this.present[place] = 0;
    this.last[place] = NOT_SEEN;
    return this.row[place] !== NO_ROW;
  }

  private keep(place: number, batch: Batch, slot: number, index: number, nowMs: number): void {
    const start = batch.start[slot];
    batch.bytes.copyWithin(this.row[place] + index * this.size[place], start, start + batch.length[slot]);
    this.present[place] |= 1 << index;
    this.touchedMs[place] = nowMs;
    if (this.expiryMs === Infinity) this.expiryMs = nowMs + LIFETIME_MS;
  }

  private isComplete(place: number): boolean {
    const last = this.last[place];
    if (last === NOT_SEEN) return false;
    const all = ((2 << last) - 1) | 0;
    return (this.present[place] & all) === all;
  }

  private deliver(place: number, batch: Batch, slot: number, annex: Annex): void {
    const row = this.row[place];
    const start = annex.take();
    batch.bytes.copyWithin(start, row, row + this.length[place]);
    batch.start[slot] = start;
    batch.length[slot] = this.length[place];
    this.close(place);
  }

  private close(place: number): void {
    this.pool.release(this.row[place]);
    this.row[place] = NO_ROW;
  }

  private giveUp(place: number): void {
    if (this.row[place] === NO_ROW) return;
    this.close(place);
    this.lost++;
  }

  private expire(nowMs: number): void {
    this.expiryMs = Infinity;
    for (let place = 0; place < PLACES; place++) {
      if (this.row[place] === NO_ROW) continue;
      const due = this.touchedMs[place] + LIFETIME_MS;
      if (due <= nowMs) this.giveUp(place);
      else if (due < this.expiryMs) this.expiryMs = due;
    }
  }
}
