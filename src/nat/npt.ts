/**
 * IPv6-to-IPv6 network prefix translation (RFC 6296): the prefix is replaced and one further word takes up the
 * difference, so that the address's contribution to every checksum stays the same.
 */
import { addSums, onesComplementSum } from '../packet/checksum.ts';
import type { Prefix } from '../packet/prefix.ts';
import { readUint16, writeUint16 } from '../packet/word.ts';

/** Byte offset of bits 48 to 63, the subnet (RFC 6296 3.4), and of bits 64 to 79, the first of the interface (3.5). */
const SUBNET = 6;
const INTERFACE = 8;
const ADDRESS_SIZE = 16;
const SUBNET_MAX_LENGTH = 48;

/** What to add, in one's complement, to the adjusted word of an address that goes from prefix `from` to `to`. */
export function nptAdjustment(from: Prefix, to: Prefix): number {
  return addSums(prefixSum(from), 0xffff - prefixSum(to));
}

/**
 * Translates the address at `at` to prefix `to`; false, and nothing changed, when it has no counterpart: the subnet, or
 * every word of the interface, is all ones (RFC 6296 3.4, 3.5).
 */
export function nptTranslate(bytes: Uint8Array, at: number, to: Prefix, adjustment: number): boolean {
  const word = adjustedWord(bytes, at, to.length);
  if (word === ADDRESS_SIZE) return false;
  replacePrefix(bytes, at, to);
  const sum = addSums(readUint16(bytes, at + word), adjustment);
  // All ones is zero in one's complement, and not a subnet that could come back.
  writeUint16(bytes, at + word, sum === 0xffff ? 0 : sum);
  return true;
}

/** Byte offset of the word to adjust; ADDRESS_SIZE when there is none, as always behind more than 112 bits of prefix. */
function adjustedWord(bytes: Uint8Array, at: number, length: number): number {
  if (length <= SUBNET_MAX_LENGTH) return readUint16(bytes, at + SUBNET) === 0xffff ? ADDRESS_SIZE : SUBNET;
  let word = Math.max(INTERFACE, 2 * Math.ceil(length / 16));
  while (word < ADDRESS_SIZE && readUint16(bytes, at + word) === 0xffff) word += 2;
  return word;
}

/** Replaces the first `length` bits of the address at `at` by the prefix's. */
export function replacePrefix(bytes: Uint8Array, at: number, { bytes: prefix, length }: Prefix): void {
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) bytes[at + i] = prefix[i];
  const host = 0xff >> (length & 7);
  if (host !== 0xff) bytes[at + whole] = prefix[whole] | (bytes[at + whole] & host);
}

function prefixSum({ bytes }: Prefix): number {
  return onesComplementSum(bytes, 0, ADDRESS_SIZE);
}
