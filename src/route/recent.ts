/**
 * Answers of late look-ups, by address. A large table does not fit the processor's nearest cache, but the addresses in use
 * at one time mostly do: the way to an answer is then one read, however many routes there are. A compiled table never
 * changes, so that no answer grows old.
 */
import { readInt32 } from '../packet/word.ts';

/** No answer: the address was not asked for lately. */
export const UNKNOWN = -2;

/** A power of two: so many that of a thousand addresses hardly two share a place. */
const PLACES = 16_384;
/** Words of a place, for addresses of 1 or 4 words. A power of two, so that none lies in two lines of the cache. */
const PLACE_SIZE = { 1: 4, 4: 8 } as const;
/** Tables of fewer ranges are as fast without. */
const MANY_RANGES = 1024;

export class RecentAnswers {
  /** Of the answer found last; see Match. */
  origin = -1;
  /** Rows of an address, a set and an origin. */
  private readonly places: Int32Array;
  private readonly words: number;
  private readonly size: number;
  /** Offset of the row for the last address asked for. */
  private place = 0;

  constructor(words: 1 | 4) {
    this.words = words;
    this.size = PLACE_SIZE[words];
    this.places = new Int32Array(PLACES * this.size);
    for (let set = words; set < this.places.length; set += this.size) this.places[set] = UNKNOWN;
  }

  /** Undefined where it is of no use. */
  static forTable(rows: number, words: 1 | 4): RecentAnswers | undefined {
    return rows < MANY_RANGES ? undefined : new RecentAnswers(words);
  }

  /** The set of the address at `bytes[offset..]`, with `origin`; or UNKNOWN: then `learn` it. */
  find(bytes: Uint8Array, offset: number): number {
    const { words, places } = this;
    let mixed = 0;
    for (let i = 0; i < words; i++) mixed = Math.imul(mixed, 31) ^ readInt32(bytes, offset + 4 * i);
    const place = ((mixed ^ (mixed >>> 12) ^ (mixed >>> 21)) & (PLACES - 1)) * this.size;
    this.place = place;
    for (let i = 0; i < words; i++) {
      if (places[place + i] !== readInt32(bytes, offset + 4 * i)) return UNKNOWN;
    }
    this.origin = places[place + words + 1];
    return places[place + words];
  }

  /** Remembers the answer for the address that `find` was asked for last. */
  learn(bytes: Uint8Array, offset: number, set: number, origin: number): void {
    const { words, places, place } = this;
    for (let i = 0; i < words; i++) places[place + i] = readInt32(bytes, offset + 4 * i);
    places[place + words] = set;
    places[place + words + 1] = origin;
  }
}
