/** IPv6 header fields (RFC 8200) of the packet at `offset`. Callers have checked that the header is there. */
import { readUint16, writeUint16 } from './word.ts';

export const IPV6_HEADER = 40;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;
const PAYLOAD_LENGTH = 4;
const NEXT_HEADER = 6;

/** Length of the whole packet. Jumbograms (RFC 2675) do not fit a datagram and count as 40 bytes. */
export function ipv6TotalLength(bytes: Uint8Array, offset: number): number {
  return IPV6_HEADER + readUint16(bytes, offset + PAYLOAD_LENGTH);
}

/** Protocol number of what follows the fixed header, which may be an extension header. */
export function ipv6NextHeader(bytes: Uint8Array, offset: number): number {
  return bytes[offset + NEXT_HEADER];
}

/** Sets the payload length so that the whole packet has `length` bytes. */
export function setIpv6TotalLength(bytes: Uint8Array, offset: number, length: number): void {
  writeUint16(bytes, offset + PAYLOAD_LENGTH, length - IPV6_HEADER);
}
