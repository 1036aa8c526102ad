/** The Internet checksum (RFC 1071) and its incremental update (RFC 1624). */
import type { Arena } from './arena.ts';

/**
 * One's complement sum of 16-bit big-endian words, folded to 16 bits; an odd last byte counts as the high half of a
 * word. `initial` continues an earlier sum. At most 64 KiB, whose sum fits 32 bits. The checksum field is its complement.
 */
export function onesComplementSum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  let sum = initial;
  const evenEnd = offset + (length & ~1);
  for (let i = offset; i < evenEnd; i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  if ((length & 1) !== 0) sum += bytes[evenEnd] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/**
 * As `onesComplementSum`, over memory of an arena, without continuing an earlier sum: 32 bits at a time where `offset`
 * is a multiple of 4, which that of every header we write is. RFC 1071 2(B): the sum does not depend on the byte order,
 * so words are added as the (little-endian) machine reads them, and the result is swapped.
 */
export function arenaSum(arena: Arena, offset: number, length: number): number {
  if ((offset & 3) !== 0) return onesComplementSum(arena.bytes, offset, length);
  const { words, bytes } = arena;
  const end = (offset >> 2) + (length >> 2);
  let low = 0;
  let high = 0;
  let i = offset >> 2;
  for (; i + 4 <= end; i += 4) {
    const a = words[i];
    const b = words[i + 1];
    const c = words[i + 2];
    const d = words[i + 3];
    low += (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff);
    high += (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16);
  }
  for (; i < end; i++) {
    low += words[i] & 0xffff;
    high += words[i] >>> 16;
  }
  let sum = (low & 0xffff) + (low >>> 16) + (high & 0xffff) + (high >>> 16);
  let tail = offset + (length & ~3);
  if ((length & 2) !== 0) {
    sum += bytes[tail] | (bytes[tail + 1] << 8);
    tail += 2;
  }
  if ((length & 1) !== 0) sum += bytes[tail];
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ((sum & 0xff) << 8) | (sum >>> 8);
}

/** One's complement sum of two 16-bit values. */
export function addSums(a: number, b: number): number {
  const sum = a + b;
  return (sum & 0xffff) + (sum >>> 16);
}

/** New checksum after one 16-bit word changed from `before` to `after`: RFC 1624, equation 3. */
export function updateChecksum(checksum: number, before: number, after: number): number {
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
