/** The Internet checksum (RFC 1071) and its incremental update (RFC 1624). */

/**
 * One's complement sum of 16-bit big-endian words, folded to 16 bits; an odd last byte counts as the high half of a
 * word. `initial` continues an earlier sum. The checksum field is its complement.
 */
export function onesComplementSum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  let sum = initial;
  const evenEnd = offset + (length & ~1);
  for (let i = offset; i < evenEnd; i += 2) sum += (bytes[i] << 8) | bytes[i + 1];
  if ((length & 1) !== 0) sum += bytes[evenEnd] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** New checksum after one 16-bit word changed from `before` to `after`: RFC 1624, equation 3. */
export function updateChecksum(checksum: number, before: number, after: number): number {
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
