/**
 * Answers of late look-ups, by address. A large table does not fit the processor's nearest cache, but the addresses in use
 * at one time mostly do: the way to an answer is then two reads, however many routes there are. A compiled table never
 * changes, so that no answer grows old.
 */
import { readInt32 } from '../packet/word.ts';

/** No answer: the address was not asked for lately. */
export const UNKNOWN = -2;

/** A power of two. */
const PLACES = 16_384;
/** Tables of fewer ranges are as fast without. */
const MANY_RANGES = 1024;

export class RecentAnswers {
  /** The address at each place, 1 or 4 words, and the set it was answered with. */
  private readonly addresses: Int32Array;
  private readonly sets = new Int32Array(PLACES).fill(UNKNOWN);
  private readonly words: number;
  /** Of the last address asked for. */
  private place = 0;

  constructor(words: 1 | 4) {
    this.words = words;
    this.addresses = new Int32Array(PLACES * words);
  }

  /** Undefined where it is of no use. */
  static forTable(ranges: number, words: 1 | 4): RecentAnswers | undefined {
    return ranges < MANY_RANGES ? undefined : new RecentAnswers(words);
  }

  /** The set of the address at `bytes[offset..]`, or UNKNOWN; then `learn` it. */
  find(bytes: Uint8Array, offset: number): number {
    const { words, addresses } = this;
    let mixed = 0;
    for (let i = 0; i < words; i++) mixed = Math.imul(mixed, 31) ^ readInt32(bytes, offset + 4 * i);
    const place = (mixed ^ (mixed >>> 12) ^ (mixed >>> 21)) & (PLACES - 1);
    this.place = place;
    for (let i = 0; i < words; i++) {
      if (addresses[place * words + i] !== readInt32(bytes, offset + 4 * i)) return UNKNOWN;
    }
    return this.sets[place];
  }

  /** Remembers the answer for the address that `find` was asked for last; returns it. */
  learn(bytes: Uint8Array, offset: number, set: number): number {
    const { words, addresses, place } = this;
    for (let i = 0; i < words; i++) addresses[place * words + i] = readInt32(bytes, offset + 4 * i);
    this.sets[place] = set;
    return set;
  }
}
