/** IPv4 header fields (RFC 791) of the packet at `offset`. Callers have checked that the fixed header is there. */
import { onesComplementSum, updateChecksum } from './checksum.ts';
import { readUint16, writeUint16 } from './word.ts';

export const IPV4_MIN_HEADER = 20;
export const IPV4_DESTINATION = 16;
const TOS = 1;
const TOTAL_LENGTH = 2;
const IDENTIFICATION = 4;
const FLAGS_AND_FRAGMENT_OFFSET = 6;
const TTL = 8;
const PROTOCOL = 9;
const HEADER_CHECKSUM = 10;
export const IPV4_SOURCE = 12;

/** More-fragments flag and the 13 bits of fragment offset. */
const FRAGMENT_BITS = 0x3fff;
const FRAGMENT_OFFSET_BITS = 0x1fff;

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
  return (readUint16(bytes, offset + FLAGS_AND_FRAGMENT_OFFSET) & FRAGMENT_BITS) !== 0;
}

/** Position of the payload in that of the whole datagram, in units of 8 bytes. */
export function ipv4FragmentOffset(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + FLAGS_AND_FRAGMENT_OFFSET) & FRAGMENT_OFFSET_BITS;
}

export function ipv4Ttl(bytes: Uint8Array, offset: number): number {
  return bytes[offset + TTL];
}

/** Takes one off the TTL, which is not 0, and keeps a right header checksum right. */
export function decrementIpv4Ttl(bytes: Uint8Array, offset: number): void {
  const before = readUint16(bytes, offset + TTL);
  const at = offset + HEADER_CHECKSUM;
  bytes[offset + TTL] -= 1;
  writeUint16(bytes, at, updateChecksum(readUint16(bytes, at), before, readUint16(bytes, offset + TTL)));
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
  const at = offset + HEADER_CHECKSUM;
  const checksum = updateChecksum(readUint16(bytes, at), ipv4TotalLength(bytes, offset), length);
  writeUint16(bytes, at, updateChecksum(checksum, ipv4Identification(bytes, offset), identification));
  writeUint16(bytes, offset + TOTAL_LENGTH, length);
  writeUint16(bytes, offset + IDENTIFICATION, identification);
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
  bytes[offset + TTL] = ttl;
  bytes[offset + PROTOCOL] = protocol;
  setIpv4HeaderChecksum(bytes, offset);
}

/** Computes the header checksum anew. */
export function setIpv4HeaderChecksum(bytes: Uint8Array, offset: number): void {
  writeUint16(bytes, offset + HEADER_CHECKSUM, 0);
  const sum = onesComplementSum(bytes, offset, ipv4HeaderLength(bytes, offset));
  writeUint16(bytes, offset + HEADER_CHECKSUM, ~sum & 0xffff);
}
