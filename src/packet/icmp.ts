/** ICMP (RFC 792) and ICMPv6 (RFC 4443): where the message lies in an IP packet, and its types. */
import { ipVersion, ipv4FragmentOffset, ipv4HeaderLength, ipv4Protocol } from './ipv4.ts';
import { IPV6_HEADER, ipv6NextHeader } from './ipv6.ts';
import { readUint16 } from './word.ts';

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_ICMPV6 = 58;
/** Type, code, checksum and the four bytes that depend on the type. */
export const ICMP_HEADER = 8;
/** Offset of the checksum in the header. */
export const ICMP_CHECKSUM = 2;
/** Offset of the 32 bits that hold the next hop's MTU in an error about a packet too long. */
export const ICMP_MTU = 4;
/** Offset of the identifier in a query. */
export const ICMP_IDENTIFIER = 4;

export const IcmpType = {
  EchoReply: 0,
  Unreachable: 3,
  SourceQuench: 4,
  Redirect: 5,
  Echo: 8,
  RouterAdvertisement: 9,
  TimeExceeded: 11,
  ParameterProblem: 12,
  Timestamp: 13,
  TimestampReply: 14,
} as const;

export const Icmpv6Type = {
  Unreachable: 1,
  PacketTooBig: 2,
  TimeExceeded: 3,
  ParameterProblem: 4,
  /** Types below this one are errors (RFC 4443 2.1). */
  FirstInformational: 128,
  Echo: 128,
  EchoReply: 129,
  RouterAdvertisement: 134,
  Redirect: 137,
} as const;

/** The packet carries something other than ICMP. */
const NOT_ICMP = -1;
/** What the packet carries cannot be told: a fragment without the first bytes, or headers cut short. */
export const UNTOLD = -2;

const ExtensionHeader = {
  HopByHop: 0,
  Routing: 43,
  Fragment: 44,
  Authentication: 51,
  Destination: 60,
} as const;
/** Every extension header has at least 8 bytes, its length is a multiple of 8 (of 4: authentication, RFC 4302 2.2). */
const EXTENSION_UNIT = 8;
const AUTHENTICATION_UNIT = 4;
const FRAGMENT_OFFSET_BITS = 0xfff8;

/**
 * Offset in `bytes` of the ICMP message, at least its type and code, in the packet `bytes[start .. start + length)`;
 * or NOT_ICMP, or UNTOLD. The packet has passed `checkInner`.
 */
export function icmpOffset(bytes: Uint8Array, start: number, length: number): number {
  return ipVersion(bytes, start) === 4
    ? ipv4IcmpOffset(bytes, start, length)
    : ipv6IcmpOffset(bytes, start, length);
}

function ipv4IcmpOffset(bytes: Uint8Array, start: number, length: number): number {
  if (ipv4FragmentOffset(bytes, start) !== 0) return UNTOLD;
  if (ipv4Protocol(bytes, start) !== PROTOCOL_ICMP) return NOT_ICMP;
  return typeIsThere(start + ipv4HeaderLength(bytes, start), start + length);
}

/** Walks the extension headers (RFC 8200 4.1): each is at least 8 bytes long, so the walk ends with the packet. */
function ipv6IcmpOffset(bytes: Uint8Array, start: number, length: number): number {
  const end = start + length;
  let header = ipv6NextHeader(bytes, start);
  let at = start + IPV6_HEADER;
  while (isExtension(header)) {
    if (at + EXTENSION_UNIT > end) return UNTOLD;
    if (header === ExtensionHeader.Fragment && (readUint16(bytes, at + 2) & FRAGMENT_OFFSET_BITS) !== 0)
      return UNTOLD;
    const next = bytes[at];
    at += extensionLength(bytes, at, header);
    header = next;
  }
  return header === PROTOCOL_ICMPV6 ? typeIsThere(at, end) : NOT_ICMP;
}

function typeIsThere(at: number, end: number): number {
  return at + 2 <= end ? at : UNTOLD;
}

function isExtension(header: number): boolean {
  return (
    header === ExtensionHeader.HopByHop ||
    header === ExtensionHeader.Routing ||
    header === ExtensionHeader.Fragment ||
    header === ExtensionHeader.Authentication ||
    header === ExtensionHeader.Destination
  );
}

function extensionLength(bytes: Uint8Array, at: number, header: number): number {
  if (header === ExtensionHeader.Fragment) return EXTENSION_UNIT;
  if (header === ExtensionHeader.Authentication) return (bytes[at + 1] + 2) * AUTHENTICATION_UNIT;
  return (bytes[at + 1] + 1) * EXTENSION_UNIT;
}
