/** Which parts of fragmented packets have been seen, in units of 8 bytes (RFC 791), one bit each. */

/** 65536 bytes of packet. */
const UNITS = 8192;
const WORDS = UNITS / 32;
const UNKNOWN = -1;

/**
 * - part: new, and more is missing; complete: nothing is missing any more
 * - duplicate: all of it came before
 * - overlap: part of it came before, or it contradicts where the packet ends
 */
export type Fit = 'part' | 'complete' | 'duplicate' | 'overlap';

export class Coverage {
  private readonly bits: Int32Array;
  /** Units seen, and the end of the farthest one. */
  private readonly seen: Int32Array;
  private readonly farthest: Int32Array;
  /** Length of the packet in units, UNKNOWN until its last fragment came. */
  private readonly total: Int32Array;

  /** For packets 0 to `packets` - 1. */
  constructor(packets: number) {
    this.bits = new Int32Array(packets * WORDS);
    this.seen = new Int32Array(packets);
    this.farthest = new Int32Array(packets);
    this.total = new Int32Array(packets);
  }

  /** Nothing has been seen of `packet`. */
  clear(packet: number): void {
    this.bits.fill(0, packet * WORDS, (packet + 1) * WORDS);
    this.seen[packet] = 0;
    this.farthest[packet] = 0;
    this.total[packet] = UNKNOWN;
  }

  /** Adds `length` bytes from `offset` on. */
  add(packet: number, offset: number, length: number, last: boolean): Fit {
    const first = offset >> 3;
    const end = (offset + length + 7) >> 3;
    const before = this.countSeen(packet, first, end);
    const total = last ? end : this.total[packet];
    const contradicts =
      total !== UNKNOWN &&
      (end > total || this.farthest[packet] > total || this.endsElsewhere(packet, total));
    if (contradicts) return 'overlap';
    if (before > 0) return before === end - first ? 'duplicate' : 'overlap';
    this.mark(packet, first, end);
    this.total[packet] = total;
    this.seen[packet] += end - first;
    this.farthest[packet] = Math.max(this.farthest[packet], end);
    return this.seen[packet] === total ? 'complete' : 'part';
  }

  private endsElsewhere(packet: number, total: number): boolean {
    return this.total[packet] !== UNKNOWN && this.total[packet] !== total;
  }

  private countSeen(packet: number, first: number, end: number): number {
    let count = 0;
    for (let unit = first; unit < end; unit++) {
      count += (this.bits[packet * WORDS + (unit >> 5)] >>> (unit & 31)) & 1;
    }
    return count;
  }

  private mark(packet: number, first: number, end: number): void {
    for (let unit = first; unit < end; unit++) this.bits[packet * WORDS + (unit >> 5)] |= 1 << (unit & 31);
  }
}
