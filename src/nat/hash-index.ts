/**
 * Finds the rows of a table by key: open addressing with linear probing, two thirds full at most. A slot has eight bits of
 * the row's hash beside the row, so that hardly ever a wrong row is looked at. Rows leave by moving later ones back (Knuth
 * 6.4, algorithm R), so that there are no tombstones and a table that lives for months stays fast.
 *
 * The table compares keys itself:
 *
 *     for (let slot = index.first(hash); slot !== NONE; slot = index.next(slot, hash)) {
 *       const row = index.rowAt(slot);
 *       ...
 *     }
 */
import { NONE } from './free-list.ts';

/** Of a slot, the bits that are row + 1; those above are of the hash. */
const ROW_BITS = 24;
const ROW_MASK = (1 << ROW_BITS) - 1;
const HASHES = 2 ** 32;

export class HashIndex {
  /** 0 for an empty slot. */
  private slots = new Int32Array(1);
  /** Slots for each hash there may be. */
  private scale = 0;
  private readonly hashOf: (row: number) => number;

  /** Has no room yet. `hashOf` gives the hash of a row that is in the index. */
  constructor(hashOf: (row: number) => number) {
    this.hashOf = hashOf;
  }

  /** Makes room for `capacity` rows, more than before and below 2^24. */
  grow(capacity: number): void {
    const before = this.slots;
    this.slots = new Int32Array(Math.ceil(1.5 * capacity) + 1);
    this.scale = this.slots.length / HASHES;
    for (const value of before) {
      if (value === 0) continue;
      const row = (value & ROW_MASK) - 1;
      this.insert(this.hashOf(row), row);
    }
  }

  /** The first slot whose row may have this hash, or NONE. */
  first(hash: number): number {
    return this.seek(this.home(hash), hash);
  }

  /** The next such slot, or NONE. */
  next(slot: number, hash: number): number {
    return this.seek(this.after(slot), hash);
  }

  rowAt(slot: number): number {
    return (this.slots[slot] & ROW_MASK) - 1;
  }

  insert(hash: number, row: number): void {
    const { slots } = this;
    let slot = this.home(hash);
    while (slots[slot] !== 0) slot = this.after(slot);
    slots[slot] = (hash << ROW_BITS) | (row + 1);
  }

  /** The row must be in the index, under this hash. */
  remove(hash: number, row: number): void {
    const { slots } = this;
    let hole = this.home(hash);
    while ((slots[hole] & ROW_MASK) !== row + 1) hole = this.after(hole);
    for (let slot = this.after(hole); slots[slot] !== 0; slot = this.after(slot)) {
      const home = this.home(this.hashOf(this.rowAt(slot)));
      // A row may move back to the hole unless its home lies between the two.
      if (this.distance(home, slot) < this.distance(hole, slot)) continue;
      slots[hole] = slots[slot];
      hole = slot;
    }
    slots[hole] = 0;
  }

  private seek(from: number, hash: number): number {
    const { slots } = this;
    let slot = from;
    for (let value = slots[slot]; value !== 0; value = slots[slot]) {
      if ((value ^ (hash << ROW_BITS)) >>> ROW_BITS === 0) return slot;
      slot = this.after(slot);
    }
    return NONE;
  }

  /** Lemire 2019: the upper bits of the hash; those in the slot are the lowest. */
  private home(hash: number): number {
    return ((hash >>> 0) * this.scale) | 0;
  }

  private after(slot: number): number {
    return slot + 1 === this.slots.length ? 0 : slot + 1;
  }

  private distance(from: number, to: number): number {
    return to >= from ? to - from : to - from + this.slots.length;
  }
}
