/** The door to the kernel's IP stack. Implementations: tun/linux.ts (the real one) and tun/memory.ts. */
import type { Batch } from '../packet/batch.ts';

export interface TunDevice {
  /** Interface name, for example `tun0`. */
  readonly name: string;
  /**
   * Appends waiting packets to `batch` until it is full or none waits, without blocking. Returns how many were
   * appended; a packet stays valid until the batch is flushed.
   */
  readBatch(batch: Batch): number;
  /**
   * Hands the packets of slots first..end-1 whose verdict is PASS to the kernel, in order. A packet the kernel
   * refuses gets the verdict TunWrite and the others go on.
   */
  writeBatch(batch: Batch, first: number, end: number): void;
  close(): void;
}
