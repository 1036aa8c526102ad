/** The door to the kernel's IP stack. Implementations: tun/linux.ts (the real one) and tun/memory.ts. */
import type { Batch } from '../packet/batch.ts';
import type { Coalescible } from '../packet/coalesce.ts';

export interface TunDevice {
  /** Interface name, for example `tun0`. */
  readonly name: string;
  /** Which coalesced super-packets `writeBatch` takes. May become less while running. */
  readonly superPackets: Coalescible;
  /**
   * Appends waiting packets to `batch` until it is full, `budgetBytes` are exceeded or none waits, without blocking.
   * Returns how many were appended. A super-packet is one packet with `gsoSize`, `transport` and `udp` set; checksums of
   * ordinary ones are complete. A packet stays valid until the batch is flushed.
   */
  readBatch(batch: Batch, budgetBytes: number): number;
  /**
   * Hands the packets of slots first..end-1 whose verdict is PASS to the kernel, in order; a slot with `gsoSize` set is
   * the head of a coalesced chain. A packet the kernel refuses, and all of its chain, gets the verdict TunWrite and the
   * others go on.
   */
  writeBatch(batch: Batch, first: number, end: number): void;
  close(): void;
}
