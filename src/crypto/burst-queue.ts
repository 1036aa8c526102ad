/** Packets that wait for `run`, in columns. All packets of one run lie in one arena. */
import { MAX_BURST } from './codec.ts';

export class BurstQueue {
  readonly offset = new Int32Array(MAX_BURST);
  readonly length = new Int32Array(MAX_BURST);
  /** Where the IV is (ciphers) or the tag goes (HMACs). */
  readonly extra = new Int32Array(MAX_BURST);
  count = 0;

  add(offset: number, length: number, extra: number): void {
    this.offset[this.count] = offset;
    this.length[this.count] = length;
    this.extra[this.count++] = extra;
  }
}
