/**
 * OpenVPN's `fragment`: payloads too long for one datagram travel in several. It lies between compression framing and
 * packet id, and with it every payload, pings and OCC messages included, carries a header of 4 bytes:
 *
 *      31 29 28                       15 14        10 9              2 1    0
 *     ├─────┼────────────────────────────┼────────────┼────────────────┼──────┤
 *     │  0  │ size / 4 (last only)       │ index      │ sequence       │ type │     big endian
 *     └─────┴────────────────────────────┴────────────┴────────────────┴──────┘
 *
 * `sequence` counts the payloads that were cut, `size` is the length of every fragment but the last. This file cuts;
 * reassembly.ts puts together.
 */
import type { Batch } from '../packet/batch.ts';
import { writeUint32 } from '../packet/word.ts';

export const FRAGMENT_HEADER_SIZE = 4;
/** The index has 5 bits. */
export const MAX_FRAGMENTS = 32;
/** Lengths of fragments, the last one's aside, are multiples of it. */
const UNIT = 4;

export const FragmentType = {
  Whole: 0,
  /** A fragment, and not the last. */
  NotLast: 1,
  Last: 2,
} as const;

export const TYPE_MASK = 0x3;
export const SEQUENCE_SHIFT = 2;
export const SEQUENCE_MASK = 0xff;
export const INDEX_SHIFT = 10;
export const INDEX_MASK = 0x1f;
export const SIZE_SHIFT = 15;
export const SIZE_MASK = 0x3fff;

function wholeUnits(size: number): number {
  return size - (size % UNIT);
}

/** Longest payload that fragments of at most `maxFragment` bytes can carry. */
export function largestPayload(maxFragment: number): number {
  return MAX_FRAGMENTS * wholeUnits(Math.max(0, maxFragment));
}

/** Cuts the payloads to one peer. */
export class Fragmenter {
  /** Longest payload of a datagram, header not counted, bytes. A change holds from the next `count` on. */
  longest: number;
  /** Of the payload that is being cut. */
  private limit: number;
  private sequence: number;

  /** `firstSequence`, 0 to 255, is best chosen at random: a restart then begins where the receiver waits for nothing. */
  constructor(maxFragment: number, firstSequence: number) {
    this.longest = maxFragment;
    this.limit = maxFragment;
    this.sequence = firstSequence;
  }

  /** Datagrams that a payload of `length` bytes becomes, 1 when it stays whole; 0 when there would be too many. */
  count(length: number): number {
    this.limit = this.longest;
    return this.pieces(length);
  }

  private pieces(length: number): number {
    if (length <= this.limit) return 1;
    if (length > largestPayload(this.limit)) return 0;
    return Math.ceil(length / this.sizeOf(length));
  }

  /**
   * Appends fragments of the payload in `slot` of `from`, headers in front, to `to`, beginning with number `first`, until
   * all `count` are there or `to` is full; returns the number of the next one. `to` lies in the same arena. The payload
   * itself stays as it is; no other may come between its first fragment and its last.
   */
  split(from: Batch, slot: number, first: number, to: Batch): number {
    const length = from.length[slot];
    const count = this.pieces(length);
    if (count > 1 && first === 0) this.sequence = (this.sequence + 1) & SEQUENCE_MASK;
    const size = count > 1 ? this.sizeOf(length) : length;
    let index = first;
    while (index < count && to.count < to.slots) {
      const skipped = index * size;
      const piece = index === count - 1 ? length - skipped : size;
      const start = to.packetOffset(to.count);
      const source = from.start[slot] + skipped;
      to.bytes.copyWithin(start, source, source + piece);
      const header = start - FRAGMENT_HEADER_SIZE;
      writeUint32(to.bytes, header, count > 1 ? this.header(index, index === count - 1, size) : 0);
      to.commitAt(to.count++, header, FRAGMENT_HEADER_SIZE + piece);
      index++;
    }
    return index;
  }

  private header(index: number, last: boolean, size: number): number {
    const place = (index << INDEX_SHIFT) | (this.sequence << SEQUENCE_SHIFT);
    return last ? ((size / UNIT) << SIZE_SHIFT) | place | FragmentType.Last : place | FragmentType.NotLast;
  }

  /**
   * Length of all fragments but the last, as stock chooses it: when the last would be much shorter than the others, all
   * become shorter.
   */
  private sizeOf(length: number): number {
    const { limit } = this;
    const longest = wholeUnits(limit);
    const full = Math.floor(length / longest);
    const rest = length % longest;
    if (full === 0 || rest === 0 || 4 * rest >= 3 * longest) return longest;
    return Math.min(longest, wholeUnits(limit - Math.floor((limit - rest) / (full + 1)) + UNIT - 1));
  }
}
