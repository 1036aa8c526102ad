/**
 * Finds the rows of a table by key: open addressing with linear probing, at most half full. Rows leave by moving later
 * ones back (Knuth 6.4, algorithm R), so that there are no tombstones and a table that lives for months stays fast.
 *
 * The table compares keys itself:
 *
 *     for (let slot = hash & index.mask; index.rows[slot] !== 0; slot = (slot + 1) & index.mask) {
 *       const row = index.rows[slot] - 1;
 *       ...
 *     }
 */

export class HashIndex {
  /** Row + 1, or 0 for an empty slot. */
  readonly rows: Int32Array;
  readonly mask: number;
  private readonly hashOf: (row: number) => number;

  /** For at most `capacity` rows. `hashOf` gives the hash of a row that is in the index. */
  constructor(capacity: number, hashOf: (row: number) => number) {
    let slots = 16;
    while (slots < 2 * capacity) slots *= 2;
    this.rows = new Int32Array(slots);
    this.mask = slots - 1;
    this.hashOf = hashOf;
  }

  insert(hash: number, row: number): void {
    let slot = hash & this.mask;
    while (this.rows[slot] !== 0) slot = (slot + 1) & this.mask;
    this.rows[slot] = row + 1;
  }

  /** The row must be in the index, under this hash. */
  remove(hash: number, row: number): void {
    const { rows, mask } = this;
    let hole = hash & mask;
    while (rows[hole] !== row + 1) hole = (hole + 1) & mask;
    for (let slot = (hole + 1) & mask; rows[slot] !== 0; slot = (slot + 1) & mask) {
      const home = this.hashOf(rows[slot] - 1) & mask;
      // A row may move back to the hole unless its home lies between the two.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      rows[hole] = rows[slot];
      hole = slot;
    }
    rows[hole] = 0;
  }
}
