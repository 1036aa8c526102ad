/** A network: an address in network order whose bits behind `length` are zero, and the length. */
import { addressBytes, familyOf, addressSize, formatAddress, type Family } from './address.ts';

export interface Prefix {
  /** 4 or 16 bytes; the family follows from the size. */
  readonly bytes: Uint8Array;
  /** 0..32 or 0..128. */
  readonly length: number;
}

export function prefixFamily({ bytes }: Prefix): Family {
  return familyOf(bytes);
}

/** One address alone. */
export function hostPrefix(bytes: Uint8Array): Prefix {
  return { bytes, length: bytes.length * 8 };
}

/** Every address: the prefix of a default route. */
export function everything(family: Family): Prefix {
  return { bytes: new Uint8Array(addressSize(family)), length: 0 };
}

/** A short text, equal for equal prefixes only: for maps. */
export function prefixKey({ bytes, length }: Prefix): string {
  return bytes.length === 4
    ? String.fromCharCode(length, bytes[0], bytes[1], bytes[2], bytes[3])
    : String.fromCharCode(length, ...bytes);
}

/** `10.1.0.0/16`, `fd00::/64`. */
export function formatPrefix({ bytes, length }: Prefix): string {
  return `${formatAddress(bytes)}/${length}`;
}

/** `10.1.0.0/16` or an address alone; undefined for anything else, host bits included. */
export function parsePrefix(text: string): Prefix | undefined {
  const [address, lengthText, ...more] = text.split('/');
  const bytes = addressBytes(address);
  if (bytes === undefined || more.length > 0 || !/^\d{1,3}$/.test(lengthText ?? '0')) return undefined;
  const most = bytes.length * 8;
  const length = lengthText === undefined ? most : Number(lengthText);
  if (length > most || !isMasked(bytes, length)) return undefined;
  return { bytes, length };
}

/** Are all bits behind the first `length` zero? */
export function isMasked(bytes: Uint8Array, length: number): boolean {
  return bytes.every((byte, i) => (byte & (0xff >>> Math.min(8, Math.max(0, length - 8 * i)))) === 0);
}

/** The address with all bits behind the first `length` cleared. */
export function maskBytes(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => byte & ~(0xff >>> Math.min(8, Math.max(0, length - 8 * i))) & 0xff);
}

/** Is `address` (of the prefix's family) inside? */
export function prefixContains({ bytes, length }: Prefix, address: Uint8Array): boolean {
  if (bytes.length !== address.length) return false;
  const masked = maskBytes(address, length);
  return bytes.every((byte, i) => byte === masked[i]);
}

/** How many bits two prefixes of one family have in common, at most the length of the shorter. */
export function commonLength(a: Prefix, b: Prefix): number {
  const most = Math.min(a.length, b.length);
  for (let i = 0; 8 * i < most; i++) {
    const different = a.bytes[i] ^ b.bytes[i];
    if (different !== 0) return Math.min(most, 8 * i + Math.clz32(different) - 24);
  }
  return most;
}
