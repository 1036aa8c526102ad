/**
 * Compression framings: what marks a payload as uncompressed, or as compressed and how. Both ends must agree. tsvpn never
 * compresses; what a peer has compressed it reads where its config says that the peer may.
 *
 *     off                payload
 *     lzo-stub, lzo      FA │ payload                                      comp-lzo no; comp-lzo, compress lzo
 *     stub, lz4          FB │ payload without its first byte │ first byte  compress, compress stub; compress lz4
 *     stub-v2, lz4-v2    payload, or 50 00 │ payload when it starts with 50
 *
 *     lzo                66 │ LZO1X stream
 *     lz4                69 │ LZ4 block without its first byte │ first byte
 *     lz4-v2             50 01 │ LZ4 block
 *
 * All but decompression work in place on a batch slot. An empty payload stays empty and passes.
 */
import type { Annex } from '../packet/annex.ts';
import type { Batch } from '../packet/batch.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { Marker } from './constants.ts';
import { expand } from './decompression.ts';
import { decompressLz4 } from './lz4.ts';
import { decompressLzo } from './lzo.ts';

/** Compression framings that differ on the wire, or in what is accepted from it. */
export type CompressionFraming = 'off' | 'lzo-stub' | 'lzo' | 'stub' | 'lz4' | 'stub-v2' | 'lz4-v2';

export interface Framing {
  /** Adds the framing to the packet in `slot`: at most 2 bytes in front and 1 behind. */
  readonly frame: (batch: Batch, slot: number) => void;
  /**
   * Removes the framing. What was compressed then lies in `annex`, where a row must be free if `decompresses`.
   * Otherwise the verdict is Framing, Compressed or Decompression. Does not set the verdict.
   */
  readonly unframe: (batch: Batch, slot: number, annex: Annex) => Verdict;
  readonly decompresses: boolean;
  /** Bytes that mark a payload as compressed. */
  readonly markerSize: number;
}

/** Bytes a framing adds at most: the escape of version 2. */
export const MAX_FRAMING_SIZE = 2;

/** The version 1 framings always add a byte, version 2 only to payloads that need an escape. */
export function framingSize(kind: CompressionFraming): number {
  return kind === 'off' || kind === 'stub-v2' || kind === 'lz4-v2' ? 0 : 1;
}

function dropFront(batch: Batch, slot: number, bytes: number): void {
  batch.start[slot] += bytes;
  batch.length[slot] -= bytes;
}

const off: Framing = {
  frame() {},
  unframe: () => PASS,
  decompresses: false,
  markerSize: 0,
};

function lzoFraming(decompresses: boolean): Framing {
  return {
    frame(batch, slot) {
      dropFront(batch, slot, -1);
      batch.bytes[batch.start[slot]] = Marker.None;
    },
    unframe(batch, slot, annex) {
      if (batch.length[slot] === 0) return PASS;
      const marker = batch.bytes[batch.start[slot]];
      if (marker !== Marker.None && marker !== Marker.Lzo) return DropReason.Framing;
      dropFront(batch, slot, 1);
      if (marker === Marker.None) return PASS;
      return decompresses ? expand(batch, slot, annex, decompressLzo) : DropReason.Compressed;
    },
    decompresses,
    markerSize: 1,
  };
}

function swappingFraming(decompresses: boolean): Framing {
  return {
    frame(batch, slot) {
      const start = batch.start[slot];
      batch.bytes[start + batch.length[slot]] = batch.bytes[start];
      batch.bytes[start] = Marker.NoneSwapped;
      batch.length[slot] += 1;
    },
    unframe(batch, slot, annex) {
      if (batch.length[slot] === 0) return PASS;
      const start = batch.start[slot];
      const marker = batch.bytes[start];
      if (marker !== Marker.NoneSwapped && marker !== Marker.Lz4Swapped) return DropReason.Framing;
      batch.length[slot] -= 1;
      batch.bytes[start] = batch.bytes[start + batch.length[slot]];
      if (marker === Marker.NoneSwapped) return PASS;
      return decompresses ? expand(batch, slot, annex, decompressLz4) : DropReason.Compressed;
    },
    decompresses,
    markerSize: 1,
  };
}

function escapingFraming(decompresses: boolean): Framing {
  return {
    frame(batch, slot) {
      if (batch.length[slot] === 0 || batch.bytes[batch.start[slot]] !== Marker.V2) return;
      dropFront(batch, slot, -2);
      batch.bytes[batch.start[slot]] = Marker.V2;
      batch.bytes[batch.start[slot] + 1] = Marker.V2None;
    },
    unframe(batch, slot, annex) {
      const start = batch.start[slot];
      if (batch.length[slot] === 0 || batch.bytes[start] !== Marker.V2) return PASS;
      if (batch.length[slot] === 1) return DropReason.Framing;
      const kind = batch.bytes[start + 1];
      if (kind !== Marker.V2None && kind !== Marker.V2Lz4) return DropReason.Framing;
      dropFront(batch, slot, 2);
      if (kind === Marker.V2None) return PASS;
      return decompresses ? expand(batch, slot, annex, decompressLz4) : DropReason.Compressed;
    },
    decompresses,
    markerSize: 2,
  };
}

const framings: Readonly<Record<CompressionFraming, Framing>> = {
  off,
  'lzo-stub': lzoFraming(false),
  lzo: lzoFraming(true),
  stub: swappingFraming(false),
  lz4: swappingFraming(true),
  'stub-v2': escapingFraming(false),
  'lz4-v2': escapingFraming(true),
};

/** The framing of a tunnel, chosen once. */
export function createFraming(kind: CompressionFraming): Framing {
  return framings[kind];
}
