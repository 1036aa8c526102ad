/** An in-memory TUN device, for tests, benches and simulations. */
import { MAX_PACKET, type Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import type { TunDevice } from './device.ts';

/** Writes the next packet of the simulated host to `bytes[offset...]` and returns its length, or 0 for none. */
export type PacketSource = (bytes: Uint8Array, offset: number, capacity: number) => number;

/** Takes a packet for the simulated host; the bytes are valid during the call. Returns false to refuse it. */
export type PacketSink = (bytes: Uint8Array, offset: number, length: number) => boolean;

export class MemoryTun implements TunDevice {
  readonly name: string;
  /** The simulated host takes ordinary packets only. */
  readonly superPackets = { tcp: false, udp: false };
  source: PacketSource;
  sink: PacketSink;

  constructor(name: string, source: PacketSource, sink: PacketSink) {
    this.name = name;
    this.source = source;
    this.sink = sink;
  }

  readBatch(batch: Batch, budgetBytes: number): number {
    const first = batch.count;
    let bytes = 0;
    while (batch.count < batch.slots && bytes < budgetBytes) {
      const length = this.source(batch.bytes, batch.packetOffset(batch.count), MAX_PACKET);
      if (length === 0) break;
      batch.commit(batch.count++, length);
      bytes += length;
    }
    return batch.count - first;
  }

  writeBatch(batch: Batch, first: number, end: number): void {
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      if (!this.sink(batch.bytes, batch.start[slot], batch.length[slot]))
        batch.verdict[slot] = DropReason.TunWrite;
    }
  }

  close(): void {}
}
