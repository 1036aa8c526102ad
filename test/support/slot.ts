/** A batch of one slot, filled and read by tests. */
import { NativeArena } from '../../src/ffi/memory.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { Annex } from '../../src/packet/annex.ts';
import { Batch } from '../../src/packet/batch.ts';

export function nativeSlot(): Batch {
  return new Batch(new NativeArena(Batch.arenaSize({ slots: 1 })), { slots: 1 });
}

export function heapSlot(): Batch {
  return new Batch(new HeapArena(Batch.arenaSize({ slots: 1 })), { slots: 1 });
}

/** A slot, and rows beside it for what outgrows it. */
export function slotWithAnnex(capacity = 2048): { batch: Batch; annex: Annex } {
  const shape = { rows: 1, capacity };
  const arena = new HeapArena(Batch.arenaSize({ slots: 1 }) + Annex.arenaSize(shape));
  return { batch: new Batch(arena, { slots: 1 }), annex: new Annex(arena, shape) };
}

/** Puts a packet into slot 0, as freshly read. */
export function fill(batch: Batch, packet: Uint8Array): void {
  batch.bytes.set(packet, batch.packetOffset(0));
  batch.commit(0, packet.length);
}

/** A copy of what slot 0 holds. */
export function contents(batch: Batch): Buffer {
  return Buffer.from(batch.bytes.slice(batch.start[0], batch.start[0] + batch.length[0]));
}

export function contentsHex(batch: Batch): string {
  return contents(batch).toString('hex');
}
