/** Packets that wait for `run`, in columns. All packets of one run lie in one arena. */
import { MAX_BURST } from './codec.ts';

export class BurstQueue {
  readonly offset = new Int32Array(MAX_BURST);
  readonly length = new Int32Array(MAX_BURST);
  /** Where the tag of a packet goes; of no meaning to ciphers. */
  readonly tag = new Int32Array(MAX_BURST);
  count = 0;

  add(offset: number, length: number, tag = 0): void {
    this.offset[this.count] = offset;
    this.length[this.count] = length;
    this.tag[this.count++] = tag;
  }
}
