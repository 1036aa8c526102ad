/**
 * Longest-prefix match as a search among ranges. Nested prefixes cut the address space into at most 2n + 1 ranges, each
 * with one longest match. They stand in order, each a row of its first address and its set:
 *
 *     10.0.0.0/8 ▶ set 0, 10.1.0.0/16 ▶ set 1
 *
 *     0.0.0.0 none   10.0.0.0 0   10.1.0.0 1   10.2.0.0 0   11.0.0.0 none
 *
 * A trie of 4-bit strides points into the array and stops as soon as few ranges are left to search. It is deep where
 * routes are dense and one node for a table of a few. A trie that went all the way down would need a chain of nodes for
 * every IPv6 route.
 */
import type { Prefix } from '../packet/prefix.ts';
import { readInt32 } from '../packet/word.ts';

/** Set of the addresses in no prefix. */
export const NO_SET = -1;

export interface CompiledRanges {
  /**
   * A row for each range: its first address, 1 or 4 words (IPv4, IPv6), with the sign bits flipped, so that comparing
   * signed words gives the order of unsigned ones, and they stay small integers; then its set, or NO_SET.
   */
  readonly rows: Int32Array;
  /** Origin of each range; see Match. Apart from the rows, which few lines of the processor's cache should hold. */
  readonly origins: Int32Array;
  /**
   * Trie nodes of 16 entries, by the next 4 bits of the address; the root stands first. Positive: offset of the child
   * node. Otherwise -r, where r is the row of the first address with these bits: the match is there or close behind.
   */
  readonly nodes: Int32Array;
}

/** What holds for the addresses of a prefix. */
export interface Match {
  /** NO_SET in no prefix. */
  readonly set: number;
  /** Position in the truth's list of the prefix's first route, which its others follow; -1 for none. */
  readonly origin: number;
}

/** Flips the sign bit of a word. */
export const SIGN = 0x80000000 | 0;

const NO_MATCH: Match = { set: NO_SET, origin: -1 };

/** Goes through the address space once; the prefixes around the current address are a stack. */
export class RangeBuilder {
  readonly #words: number;
  readonly #starts: Int32Array;
  readonly #prefixes: Int32Array;
  #count = 0;
  /** Of each open prefix: its number, the first address behind it, and whether there is none. */
  readonly #open: number[] = [];
  readonly #ends: Int32Array;
  readonly #endless: boolean[] = [];

  /** For at most `prefixes` prefixes of addresses of 1 or 4 words. */
  constructor(words: 1 | 4, prefixes: number) {
    this.#words = words;
    this.#starts = new Int32Array((2 * prefixes + 1) * words);
    this.#prefixes = new Int32Array(2 * prefixes + 1);
    // One row more than the deepest nesting, for the address at hand.
    this.#ends = new Int32Array((32 * words + 2) * words);
    this.#begin(new Int32Array(words).fill(SIGN), 0, NO_SET);
  }

  /** Prefixes must come in the order of comparePrefixes. Returns the number of the next shorter prefix around this one. */
  add({ bytes, length }: Prefix, number: number): number {
    const words = this.#words;
    const ends = this.#ends;
    const address = ends.length - words;
    for (let i = 0; i < words; i++) ends[address + i] = readInt32(bytes, 4 * i) ^ SIGN;
    while (this.#open.length > 0 && this.#endsBy(address)) this.#close();
    this.#begin(ends, address, number);
    const at = this.#open.length * words;
    for (let i = 0; i < words; i++) ends[at + i] = ends[address + i];
    this.#endless.push(addBit(ends, at, length));
    return this.#open[this.#open.push(number) - 2] ?? NO_SET;
  }

  /** `matches`: of each prefix, by its number. */
  finish(matches: readonly Match[]): CompiledRanges {
    while (this.#open.length > 0) this.#close();
    const words = this.#words;
    const rows = new Int32Array(this.#count * (words + 1));
    const origins = new Int32Array(this.#count);
    for (let range = 0; range < this.#count; range++) {
      const row = range * (words + 1);
      for (let i = 0; i < words; i++) rows[row + i] = this.#starts[range * words + i];
      const { set, origin } = matches[this.#prefixes[range]] ?? NO_MATCH;
      rows[row + words] = set;
      origins[range] = origin;
    }
    return { rows, origins, nodes: buildNodes(this.#starts, this.#count, words) };
  }

  /** Does the innermost open prefix end at or before the address at `ends[address..]`? */
  #endsBy(address: number): boolean {
    const innermost = this.#open.length - 1;
    if (this.#endless[innermost]) return false;
    return compareWords(this.#ends, innermost * this.#words, this.#ends, address, this.#words) <= 0;
  }

  #close(): void {
    this.#open.pop();
    if (this.#endless.pop()!) return;
    this.#begin(this.#ends, this.#open.length * this.#words, this.#open.at(-1) ?? NO_SET);
  }

  /** Starts a range at the address `from[at..]`; one that starts at the same address is replaced. */
  #begin(from: Int32Array, at: number, number: number): void {
    const words = this.#words;
    const last = this.#count - 1;
    const replaces = last >= 0 && compareWords(this.#starts, last * words, from, at, words) === 0;
    const range = replaces ? last : this.#count;
    for (let i = 0; i < words; i++) this.#starts[range * words + i] = from[at + i];
    this.#prefixes[range] = number;
    this.#count = range + 1;
  }
}

function compareWords(a: Int32Array, atA: number, b: Int32Array, atB: number, words: number): number {
  for (let i = 0; i < words; i++) {
    if (a[atA + i] !== b[atB + i]) return a[atA + i] < b[atB + i] ? -1 : 1;
  }
  return 0;
}

/** Adds one at bit `length - 1` (0 is the topmost) of the address at `ends[at..]`; true when that overflows. */
function addBit(ends: Int32Array, at: number, length: number): boolean {
  if (length === 0) return true;
  let carry = 1 << (31 - ((length - 1) & 31));
  for (let i = at + ((length - 1) >>> 5); i >= at; i--) {
    // A flipped sign bit is 2^31 added: sums are the same modulo 2^32, and one that wrapped around is smaller.
    const before = ends[i];
    ends[i] = before + carry;
    if (ends[i] > before) return false;
    carry = 1;
  }
  return true;
}

/** Entries in one node: one for each value of the next 4 bits. */
const NODE_SIZE = 16;
/** So many ranges behind one entry are searched faster than a node is read. */
const FEW = 8;
/** More than so many get a node even if it does not tell them apart: that keeps the nodes of deep clusters few. */
const MANY = 64;

function buildNodes(starts: Int32Array, count: number, words: number): Int32Array {
  const nodes: number[] = [];
  addNode(0, count, 0);
  return new Int32Array(nodes);

  /** Adds the node for ranges `from` to `to` - 1, whose first addresses have the same first `depth` * 4 bits. */
  function addNode(from: number, to: number, depth: number): number {
    const node = nodes.length;
    for (let i = 0; i < NODE_SIZE; i++) nodes.push(0);
    let next = from;
    for (let bits = 0; bits < NODE_SIZE; bits++) {
      const first = next;
      while (next < to && bitsOf(next, depth) === bits) next++;
      if (isWorthNode(first, next, depth + 1)) nodes[node + bits] = addNode(first, next, depth + 1);
      else
        nodes[node + bits] = (words + 1) * (first < next && isZeroBehind(first, depth) ? -first : 1 - first);
    }
    return node;
  }

  function isWorthNode(from: number, to: number, depth: number): boolean {
    return to - from > FEW && (to - from > MANY || bitsOf(from, depth) !== bitsOf(to - 1, depth));
  }

  function bitsOf(range: number, depth: number): number {
    return ((starts[range * words + (depth >>> 3)] ^ SIGN) >>> (28 - 4 * (depth & 7))) & 15;
  }

  /** Are all bits of the range's first address behind those of `depth` zero? */
  function isZeroBehind(range: number, depth: number): boolean {
    const word = depth >>> 3;
    if ((starts[range * words + word] << (4 * (depth & 7))) << 4 !== 0) return false;
    for (let i = word + 1; i < words; i++) if (starts[range * words + i] !== SIGN) return false;
    return true;
  }
}
