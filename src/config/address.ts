/** Addresses, masks and prefixes as a config writes them, checked strictly: text in, plain values out. */
import { parseIpv4 } from '../packet/address.ts';

/** Prefix length of a contiguous mask given as a number, or undefined. */
export function maskLength(mask: number): number | undefined {
  const inverted = ~mask >>> 0;
  // A contiguous mask inverted is 2^k - 1, so adding one leaves no bit in common.
  if ((inverted & (inverted + 1)) !== 0) return undefined;
  return 32 - Math.round(Math.log2(inverted + 1));
}

/** Whether `text` could only be meant as a netmask (255.x.x.x), as stock's "looks like a netmask" test. */
export function looksLikeNetmask(text: string): boolean {
  const value = parseIpv4(text);
  return value !== undefined && value >>> 24 === 255;
}

/** Splits `address/length`; the length is undefined when absent. Returns undefined when it is not a number. */
export function splitPrefix(text: string): { address: string; length: number | undefined } | undefined {
  const [address, length, ...more] = text.split('/');
  if (more.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) return undefined;
  return { address, length: length === undefined ? undefined : Number(length) };
}

/** Whether any bit after the first `length` is set. */
export function hasHostBits(bytes: Uint8Array, length: number): boolean {
  return bytes.some((byte, i) => {
    const bits = Math.min(8, Math.max(0, length - 8 * i));
    return (byte & (0xff >>> bits)) !== 0;
  });
}

/** Keeps the first `bits` bits of a byte. */
function clearTail(byte: number, bits: number): number {
  return bits >= 8 ? byte : byte & ~(0xff >>> Math.max(0, bits));
}

/** The address with all bits after the first `length` cleared, as text for a fix. */
export function clearHostBits(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => clearTail(byte, length - 8 * i));
}

/** Whether two addresses of one family agree in their first `length` bits. */
export function samePrefix(a: Uint8Array, b: Uint8Array, length: number): boolean {
  return a.length === b.length && Buffer.compare(clearHostBits(a, length), clearHostBits(b, length)) === 0;
}
