/** IPv4 header fields (RFC 791) of the packet at `offset`. Callers have checked that the fixed header is there. */
import { onesComplementSum, updateChecksum } from './checksum.ts';
import { readUint16, writeUint16 } from './word.ts';

export const IPV4_MIN_HEADER = 20;
export const IPV4_DESTINATION = 16;
const TOS = 1;
const TOTAL_LENGTH = 2;
const IDENTIFICATION = 4;
const FLAGS_AND_FRAGMENT_OFFSET = 6;
export const IPV4_TTL = 8;
const PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;

export const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET_BITS = 0x1fff;
/** The fragment offset counts units of 8 bytes. */
export const FRAGMENT_UNIT = 8;

/** Option kinds (RFC 791 3.1), all but the first two followed by a length that counts kind and length. */
export const Ipv4Option = { End: 0, NoOperation: 1, LooseSourceRoute: 131, StrictSourceRoute: 137 } as const;

/** Version of the IP packet at `offset`: 4, 6, or what else the first byte says. */
export function ipVersion(bytes: Uint8Array, offset: number): number {
  return bytes[offset] >>> 4;
}

/** Header length with options, bytes: 0..60, valid from 20 on. */
export function ipv4HeaderLength(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] & 15) * 4;
}

export function ipv4TotalLength(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + TOTAL_LENGTH);
}

/** True for every fragment, the first included. */
export function ipv4IsFragment(bytes: Uint8Array, offset: number): boolean {
  const field = readUint16(bytes, offset + FLAGS_AND_FRAGMENT_OFFSET);
  return (field & (MORE_FRAGMENTS | FRAGMENT_OFFSET_BITS)) !== 0;
}

export function ipv4DontFragment(bytes: Uint8Array, offset: number): boolean {
  return (readUint16(bytes, offset + FLAGS_AND_FRAGMENT_OFFSET) & DONT_FRAGMENT) !== 0;
}

/** Position of the payload in that of the whole datagram, in units of FRAGMENT_UNIT bytes. */
export function ipv4FragmentOffset(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + FLAGS_AND_FRAGMENT_OFFSET) & FRAGMENT_OFFSET_BITS;
}

export function ipv4Ttl(bytes: Uint8Array, offset: number): number {
  return bytes[offset + IPV4_TTL];
}

export function ipv4Tos(bytes: Uint8Array, offset: number): number {
  return bytes[offset + TOS];
}

/** Keeps a right header checksum right. */
export function setIpv4Tos(bytes: Uint8Array, offset: number, tos: number): void {
  const before = readUint16(bytes, offset);
  const at = offset + IPV4_CHECKSUM;
  bytes[offset + TOS] = tos;
  writeUint16(bytes, at, updateChecksum(readUint16(bytes, at), before, readUint16(bytes, offset)));
}

/** Takes one off the TTL, which is not 0, and keeps a right header checksum right. */
export function decrementIpv4Ttl(bytes: Uint8Array, offset: number): void {
  const before = readUint16(bytes, offset + IPV4_TTL);
  const at = offset + IPV4_CHECKSUM;
  bytes[offset + IPV4_TTL] -= 1;
  writeUint16(bytes, at, updateChecksum(readUint16(bytes, at), before, readUint16(bytes, offset + IPV4_TTL)));
}

export function ipv4Protocol(bytes: Uint8Array, offset: number): number {
  return bytes[offset + PROTOCOL];
}

export function ipv4Identification(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + IDENTIFICATION);
}

/** Sets total length and identification and keeps a right header checksum right (RFC 1624). */
export function setIpv4LengthAndIdentification(
  bytes: Uint8Array,
  offset: number,
  length: number,
  identification: number,
): void {
  const at = offset + IPV4_CHECKSUM;
  const checksum = updateChecksum(readUint16(bytes, at), ipv4TotalLength(bytes, offset), length);
  writeUint16(bytes, at, updateChecksum(checksum, ipv4Identification(bytes, offset), identification));
  writeUint16(bytes, offset + TOTAL_LENGTH, length);
  writeUint16(bytes, offset + IDENTIFICATION, identification);
}

/** Bytes of the option at `option`, 1 for NoOperation; 0 when its length is impossible or reaches beyond `end`. */
export function ipv4OptionSize(bytes: Uint8Array, option: number, end: number): number {
  if (bytes[option] === Ipv4Option.NoOperation) return 1;
  const size = option + 1 < end ? bytes[option + 1] : 0;
  return size >= 2 && option + size <= end ? size : 0;
}

/**
 * Makes the header that of a fragment: `headerLength` and `length` in bytes, the payload `advance` units further on in
 * the datagram, and more behind it where `more` says so or the flag was set. The checksum is computed anew.
 */
export function setIpv4Fragment(
  bytes: Uint8Array,
  offset: number,
  headerLength: number,
  length: number,
  advance: number,
  more: boolean,
): void {
  const field = readUint16(bytes, offset + FLAGS_AND_FRAGMENT_OFFSET) + advance;
  bytes[offset] = 0x40 | (headerLength / 4);
  writeUint16(bytes, offset + TOTAL_LENGTH, length);
  writeUint16(bytes, offset + FLAGS_AND_FRAGMENT_OFFSET, more ? field | MORE_FRAGMENTS : field);
  setIpv4HeaderChecksum(bytes, offset);
}

/** Writes a header without options to stand before addresses that are there already, its checksum included. */
export function writeIpv4Header(
  bytes: Uint8Array,
  offset: number,
  length: number,
  tos: number,
  identification: number,
  flags: number,
  ttl: number,
  protocol: number,
): void {
  bytes[offset] = 0x40 | (IPV4_MIN_HEADER / 4);
  bytes[offset + TOS] = tos;
  writeUint16(bytes, offset + TOTAL_LENGTH, length);
  writeUint16(bytes, offset + IDENTIFICATION, identification);
  writeUint16(bytes, offset + FLAGS_AND_FRAGMENT_OFFSET, flags);
  bytes[offset + IPV4_TTL] = ttl;
  bytes[offset + PROTOCOL] = protocol;
  setIpv4HeaderChecksum(bytes, offset);
}

/** Computes the header checksum anew. */
export function setIpv4HeaderChecksum(bytes: Uint8Array, offset: number): void {
  writeUint16(bytes, offset + IPV4_CHECKSUM, 0);
  const sum = onesComplementSum(bytes, offset, ipv4HeaderLength(bytes, offset));
  writeUint16(bytes, offset + IPV4_CHECKSUM, ~sum & 0xffff);
}
