/**
 * Compression framings without compression: what marks a payload as uncompressed. Both ends must agree; tsvpn never
 * compresses, and drops what a peer compressed.
 *
 *     off       payload
 *     lzo       FA │ payload                                      comp-lzo, compress lzo
 *     stub      FB │ payload without its first byte │ first byte  compress, compress stub, compress lz4
 *     stub-v2   payload, or 50 00 │ payload when it starts with 50
 *
 * All work in place on a batch slot. An empty payload stays empty and passes.
 */
import type { Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import type { Verdict } from '../packet/verdict.ts';
import { Marker } from './constants.ts';

/** Compression framings that differ on the wire. */
export type CompressionFraming = 'off' | 'lzo' | 'stub' | 'stub-v2';

export interface Framing {
  /** Adds the framing to the packet in `slot`: at most 2 bytes in front and 1 behind. */
  readonly frame: (batch: Batch, slot: number) => void;
  /** Removes the framing; Framing or Compressed when it is not the uncompressed form. Does not set the verdict. */
  readonly unframe: (batch: Batch, slot: number) => Verdict;
}

function dropFront(batch: Batch, slot: number, bytes: number): void {
  batch.start[slot] += bytes;
  batch.length[slot] -= bytes;
}

const off: Framing = {
  frame() {},
  unframe: () => PASS,
};

const lzo: Framing = {
  frame(batch, slot) {
    dropFront(batch, slot, -1);
    batch.bytes[batch.start[slot]] = Marker.None;
  },
  unframe(batch, slot) {
    if (batch.length[slot] === 0) return PASS;
    const marker = batch.bytes[batch.start[slot]];
    if (marker !== Marker.None) return marker === Marker.Lzo ? DropReason.Compressed : DropReason.Framing;
    dropFront(batch, slot, 1);
    return PASS;
  },
};

const stub: Framing = {
  frame(batch, slot) {
    const start = batch.start[slot];
    batch.bytes[start + batch.length[slot]] = batch.bytes[start];
    batch.bytes[start] = Marker.NoneSwapped;
    batch.length[slot] += 1;
  },
  unframe(batch, slot) {
    if (batch.length[slot] === 0) return PASS;
    const start = batch.start[slot];
    const marker = batch.bytes[start];
    if (marker !== Marker.NoneSwapped) {
      return marker === Marker.Lz4Swapped ? DropReason.Compressed : DropReason.Framing;
    }
    batch.length[slot] -= 1;
    batch.bytes[start] = batch.bytes[start + batch.length[slot]];
    return PASS;
  },
};

const stubV2: Framing = {
  frame(batch, slot) {
    if (batch.length[slot] === 0 || batch.bytes[batch.start[slot]] !== Marker.V2) return;
    dropFront(batch, slot, -2);
    batch.bytes[batch.start[slot]] = Marker.V2;
    batch.bytes[batch.start[slot] + 1] = Marker.V2None;
  },
  unframe(batch, slot) {
    const start = batch.start[slot];
    if (batch.length[slot] === 0 || batch.bytes[start] !== Marker.V2) return PASS;
    if (batch.length[slot] === 1) return DropReason.Framing;
    const kind = batch.bytes[start + 1];
    if (kind !== Marker.V2None) return kind === Marker.V2Lz4 ? DropReason.Compressed : DropReason.Framing;
    dropFront(batch, slot, 2);
    return PASS;
  },
};

const framings: Readonly<Record<CompressionFraming, Framing>> = { off, lzo, stub, 'stub-v2': stubV2 };

/** The framing of a tunnel, chosen once. */
export function createFraming(kind: CompressionFraming): Framing {
  return framings[kind];
}
