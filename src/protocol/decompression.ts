/** Decompresses what old peers compress. tsvpn itself never compresses. */
import type { Annex } from '../packet/annex.ts';
import type { Batch } from '../packet/batch.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';

/** In place of a number of bytes. */
export const MALFORMED = -1;

/**
 * Decompresses `bytes[start .. end)` to `bytes[to ...]`, at most `capacity` bytes; returns how many, or MALFORMED. Reads
 * and writes nothing outside of these ranges, whatever the input is. They must not overlap.
 */
export type Decompress = (
  bytes: Uint8Array,
  start: number,
  end: number,
  to: number,
  capacity: number,
) => number;

/** The packet in `slot` becomes what its bytes decompress to, in a row of `annex`. Does not set the verdict. */
export function expand(batch: Batch, slot: number, annex: Annex, decompress: Decompress): Verdict {
  const start = batch.start[slot];
  const to = annex.take();
  const length = decompress(batch.bytes, start, start + batch.length[slot], to, annex.capacity);
  if (length === MALFORMED) return DropReason.Decompression;
  batch.start[slot] = to;
  batch.length[slot] = length;
  return PASS;
}
