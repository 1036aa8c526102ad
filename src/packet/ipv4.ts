/** IPv4 header fields (RFC 791) of the packet at `offset`. Callers have checked that the fixed header is there. */
import { updateChecksum } from './checksum.ts';
import { readUint16, writeUint16 } from './word.ts';

export const IPV4_MIN_HEADER = 20;
export const IPV4_DESTINATION = 16;
const TOTAL_LENGTH = 2;
const IDENTIFICATION = 4;
const FLAGS_AND_FRAGMENT_OFFSET = 6;
const PROTOCOL = 9;
const HEADER_CHECKSUM = 10;
export const IPV4_SOURCE = 12;

/** More-fragments flag and the 13 bits of fragment offset. */
const FRAGMENT_BITS = 0x3fff;

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
