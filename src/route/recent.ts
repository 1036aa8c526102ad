/**
 * Answers of late look-ups, by address. A large table does not fit the processor's nearest cache, but the addresses in use
 * at one time mostly do: the way to an answer is then one read, however many routes there are. A compiled table never
 * changes, so that no answer grows old.
 */
import { readInt32 } from '../packet/word.ts';

/** No answer: the address was not asked for lately. */
export const UNKNOWN = -2;

/** Sets of the cache, a power of two. */
const SETS = 8192;
/** Addresses whose hash is the same have room for two of them, side by side: of a thousand hardly one is pushed out. */
const WAYS = 2;
/** Words of a way, for addresses of 1 or 4 words. A power of two, so that a set lies in one line of the processor's cache. */
const WAY_SIZE = { 1: 4, 4: 8 } as const;
/** Tables of fewer ranges are as fast without. */
const MANY_RANGES = 1024;

export class RecentAnswers {
  /** Of the answer found last; see Match. */
  origin = -1;
  /** Each way has an address, its set and its origin; the younger stands first. */
  private readonly ways: Int32Array;
  private readonly words: number;
  private readonly size: number;
  /** Offset of the ways for the last address asked for. */
  private first = 0;

  constructor(words: 1 | 4) {
    this.words = words;
    this.size = WAY_SIZE[words];
    this.ways = new Int32Array(SETS * WAYS * this.size);
    for (let set = words; set < this.ways.length; set += this.size) this.ways[set] = UNKNOWN;
  }

  /** Undefined where it is of no use. */
  static forTable(ranges: number, words: 1 | 4): RecentAnswers | undefined {
    return ranges < MANY_RANGES ? undefined : new RecentAnswers(words);
  }

  /** The set of the address at `bytes[offset..]`, with `origin`; or UNKNOWN: then `learn` it. */
  find(bytes: Uint8Array, offset: number): number {
    const { words, ways } = this;
    let mixed = 0;
    for (let i = 0; i < words; i++) mixed = Math.imul(mixed, 31) ^ readInt32(bytes, offset + 4 * i);
    const first = ((mixed ^ (mixed >>> 12) ^ (mixed >>> 21)) & (SETS - 1)) * WAYS * this.size;
    this.first = first;
    let way = first;
    if (!this.isAt(way, bytes, offset)) {
      way += this.size;
      if (!this.isAt(way, bytes, offset)) return UNKNOWN;
    }
    this.origin = ways[way + words + 1];
    return ways[way + words];
  }

  /** Remembers the answer for the address that `find` was asked for last, in place of the older one. */
  learn(bytes: Uint8Array, offset: number, set: number, origin: number): void {
    const { words, ways, first, size } = this;
    for (let i = 0; i < size; i++) ways[first + size + i] = ways[first + i];
    for (let i = 0; i < words; i++) ways[first + i] = readInt32(bytes, offset + 4 * i);
    ways[first + words] = set;
    ways[first + words + 1] = origin;
  }

  private isAt(way: number, bytes: Uint8Array, offset: number): boolean {
    for (let i = 0; i < this.words; i++) {
      if (this.ways[way + i] !== readInt32(bytes, offset + 4 * i)) return false;
    }
    return true;
  }
}
