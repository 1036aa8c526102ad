/** Sanity of an inner IP packet, as read from the TUN device or opened from a datagram. */
import type { Family } from './address.ts';
import {
  ipVersion,
  IPV4_DESTINATION,
  IPV4_MIN_HEADER,
  IPV4_SOURCE,
  ipv4HeaderLength,
  ipv4TotalLength,
} from './ipv4.ts';
import { IPV6_DESTINATION, IPV6_HEADER, IPV6_SOURCE, ipv6TotalLength } from './ipv6.ts';
import { DropReason, PASS } from './verdict.ts';
import type { Verdict } from './verdict.ts';

/**
 * Is `bytes[offset .. offset + length)` an IP packet whose headers fit? Bytes behind the packet's own length are
 * allowed: link padding (RFC 894); `innerLength` says where the packet ends.
 */
export function checkInner(bytes: Uint8Array, offset: number, length: number): Verdict {
  if (length === 0) return DropReason.Empty;
  const version = ipVersion(bytes, offset);
  if (version === 4) {
    if (length < IPV4_MIN_HEADER) return DropReason.InnerHeader;
    const header = ipv4HeaderLength(bytes, offset);
    const total = ipv4TotalLength(bytes, offset);
    return header >= IPV4_MIN_HEADER && header <= total && total <= length ? PASS : DropReason.InnerHeader;
  }
  if (version !== 6) return DropReason.InnerVersion;
  return length >= IPV6_HEADER && ipv6TotalLength(bytes, offset) <= length ? PASS : DropReason.InnerHeader;
}

/** Length of a packet that `checkInner` let pass, by its own header. */
export function innerLength(bytes: Uint8Array, offset: number): number {
  return ipVersion(bytes, offset) === 4 ? ipv4TotalLength(bytes, offset) : ipv6TotalLength(bytes, offset);
}

/** Where the source address is, of a packet that has passed `checkInner`. */
export function innerSource(bytes: Uint8Array, offset: number): number {
  return offset + (ipVersion(bytes, offset) === 4 ? IPV4_SOURCE : IPV6_SOURCE);
}

/** The same of the destination. */
export function innerDestination(bytes: Uint8Array, offset: number): number {
  return offset + (ipVersion(bytes, offset) === 4 ? IPV4_DESTINATION : IPV6_DESTINATION);
}

export function innerFamily(bytes: Uint8Array, offset: number): Family {
  return ipVersion(bytes, offset) === 4 ? 4 : 6;
}

const AF_INET = 2;
const AF_INET6 = 10;
const SOCKADDR_IN_ADDRESS = 4;
const SOCKADDR_IN6_ADDRESS = 8;
/** Bytes of ::ffff:0:0/96 in front of an IPv4-mapped address (RFC 4291 2.5.5.2). */
const MAPPED_PREFIX = 12;

function sameBytes(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

function isMapped(bytes: Uint8Array, address: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[address + i] !== 0) return false;
  return bytes[address + 10] === 0xff && bytes[address + 11] === 0xff;
}

/**
 * Is the packet at `offset` addressed to the host of the socket address at `endpoint` (sockaddr_in or sockaddr_in6,
 * little-endian family, in the same bytes)? The packet has passed `checkInner`.
 */
export function innerDestinationIs(bytes: Uint8Array, offset: number, endpoint: number): boolean {
  const family = bytes[endpoint] | (bytes[endpoint + 1] << 8);
  const address = endpoint + SOCKADDR_IN6_ADDRESS;
  if (ipVersion(bytes, offset) === 6) {
    return family === AF_INET6 && sameBytes(bytes, offset + IPV6_DESTINATION, address, 16);
  }
  const destination = offset + IPV4_DESTINATION;
  if (family === AF_INET) return sameBytes(bytes, destination, endpoint + SOCKADDR_IN_ADDRESS, 4);
  return (
    family === AF_INET6 &&
    isMapped(bytes, address) &&
    sameBytes(bytes, destination, address + MAPPED_PREFIX, 4)
  );
}
