/** IPv6 header fields (RFC 8200) of the packet at `offset`. Callers have checked that the header is there. */
import { readUint16, writeUint16, writeUint32 } from './word.ts';

export const IPV6_HEADER = 40;
/** Every link carries packets of this size (RFC 8200 5). */
export const IPV6_MIN_MTU = 1280;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;
const PAYLOAD_LENGTH = 4;
const NEXT_HEADER = 6;
const HOP_LIMIT = 7;

/** Length of the whole packet. Jumbograms (RFC 2675) do not fit a datagram and count as 40 bytes. */
export function ipv6TotalLength(bytes: Uint8Array, offset: number): number {
  return IPV6_HEADER + readUint16(bytes, offset + PAYLOAD_LENGTH);
}

/** Protocol number of what follows the fixed header, which may be an extension header. */
export function ipv6NextHeader(bytes: Uint8Array, offset: number): number {
  return bytes[offset + NEXT_HEADER];
}

/** 4 bits in the first byte, 4 in the second. */
export function ipv6TrafficClass(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] & 15) << 4) | (bytes[offset + 1] >>> 4);
}

export function setIpv6TrafficClass(bytes: Uint8Array, offset: number, trafficClass: number): void {
  bytes[offset] = (bytes[offset] & 0xf0) | (trafficClass >>> 4);
  bytes[offset + 1] = ((trafficClass & 15) << 4) | (bytes[offset + 1] & 15);
}

export function ipv6HopLimit(bytes: Uint8Array, offset: number): number {
  return bytes[offset + HOP_LIMIT];
}

/** Takes one off the hop limit, which is not 0. */
export function decrementIpv6HopLimit(bytes: Uint8Array, offset: number): void {
  bytes[offset + HOP_LIMIT] -= 1;
}

/** Sets the payload length so that the whole packet has `length` bytes. */
export function setIpv6TotalLength(bytes: Uint8Array, offset: number, length: number): void {
  writeUint16(bytes, offset + PAYLOAD_LENGTH, length - IPV6_HEADER);
}

/** Writes a header to stand before addresses that are there already; traffic class and flow label are zero. */
export function writeIpv6Header(
  bytes: Uint8Array,
  offset: number,
  length: number,
  nextHeader: number,
  hopLimit: number,
): void {
  writeUint32(bytes, offset, 0x60000000);
  setIpv6TotalLength(bytes, offset, length);
  bytes[offset + NEXT_HEADER] = nextHeader;
  bytes[offset + HOP_LIMIT] = hopLimit;
}
