/**
 * What a router refuses to carry, whatever the routes say: broken or source-routed headers, addresses that never cross
 * a router, and messages that would change the hosts' routing. Packets have passed `checkInner`.
 */
import { onesComplementSum } from './checksum.ts';
import { icmpOffset, IcmpType, Icmpv6Type } from './icmp.ts';
import {
  ipVersion,
  IPV4_DESTINATION,
  IPV4_MIN_HEADER,
  IPV4_SOURCE,
  ipv4HeaderLength,
  Ipv4Option,
  ipv4OptionSize,
} from './ipv4.ts';
import { IPV6_DESTINATION, IPV6_SOURCE } from './ipv6.ts';
import { DropReason, PASS } from './verdict.ts';
import type { Verdict } from './verdict.ts';
import { readInt32, readUint16 } from './word.ts';

/** One's complement sum of bytes that hold their own right checksum. */
const RIGHT = 0xffff;

/**
 * Of a packet from a peer: is the IPv4 header checksum right (RFC 1812 5.2.2), and no route of the sender's choice in
 * it, which would lead around the checks of addresses (RFC 7126 4.3 and 4.4)? IPv6 has neither; its routing headers
 * need a router that is addressed by the packet, which we are not (RFC 8200 4.4).
 */
export function checkIpv4Header(bytes: Uint8Array, start: number): Verdict {
  if (ipVersion(bytes, start) !== 4) return PASS;
  const header = ipv4HeaderLength(bytes, start);
  if (onesComplementSum(bytes, start, header) !== RIGHT) return DropReason.HeaderChecksum;
  return header === IPV4_MIN_HEADER ? PASS : checkOptions(bytes, start + IPV4_MIN_HEADER, start + header);
}

function checkOptions(bytes: Uint8Array, first: number, end: number): Verdict {
  let option = first;
  while (option < end && bytes[option] !== Ipv4Option.End) {
    const kind = bytes[option];
    if (kind === Ipv4Option.LooseSourceRoute || kind === Ipv4Option.StrictSourceRoute)
      return DropReason.SourceRoute;
    const size = ipv4OptionSize(bytes, option, end);
    if (size === 0) return DropReason.InnerHeader;
    option += size;
  }
  return PASS;
}

/**
 * May a packet with these addresses cross a router? Martian: RFC 1812 5.3.7, RFC 4291 2.5.2, 2.5.3 and 2.7.
 * NotForwarded: right on a link, and no further (multicast and limited broadcast here too: nobody routes them).
 */
export function checkAddresses(bytes: Uint8Array, start: number): Verdict {
  return ipVersion(bytes, start) === 4
    ? checkIpv4Addresses(bytes, start + IPV4_SOURCE, start + IPV4_DESTINATION)
    : checkIpv6Addresses(bytes, start + IPV6_SOURCE, start + IPV6_DESTINATION);
}

const ZERO_NETWORK = 0;
const LOOPBACK = 127;
/** First octets: 224 to 239 are multicast, those above class E. */
const MULTICAST = 224;
const CLASS_E = 240;
const LIMITED_BROADCAST = -1;
/** 169.254.0.0/16, RFC 3927. */
const LINK_LOCAL = 0xa9fe;

/** The networks that are no host's: 0/8, 127/8, multicast and class E. */
export function isIpv4Host(bytes: Uint8Array, address: number): boolean {
  const octet = bytes[address];
  return octet !== ZERO_NETWORK && octet !== LOOPBACK && octet < MULTICAST;
}

function isIpv4Multicast(bytes: Uint8Array, address: number): boolean {
  return bytes[address] >= MULTICAST && bytes[address] < CLASS_E;
}

function checkIpv4Addresses(bytes: Uint8Array, source: number, destination: number): Verdict {
  if (!isIpv4Host(bytes, source)) return DropReason.Martian;
  if (!isIpv4Host(bytes, destination)) {
    const onLink = isIpv4Multicast(bytes, destination) || readInt32(bytes, destination) === LIMITED_BROADCAST;
    return onLink ? DropReason.NotForwarded : DropReason.Martian;
  }
  const linkLocal = readUint16(bytes, source) === LINK_LOCAL || readUint16(bytes, destination) === LINK_LOCAL;
  return linkLocal ? DropReason.NotForwarded : PASS;
}

const MULTICAST_V6 = 0xff;
/** fe80::/10, by its first 16 bits. */
const LINK_LOCAL_V6 = 0xfe80;
const LINK_LOCAL_V6_MASK = 0xffc0;
/** Third word of an IPv4-mapped address. */
const MAPPED = 0xffff;

export function isIpv6Multicast(bytes: Uint8Array, address: number): boolean {
  return bytes[address] === MULTICAST_V6;
}

/** Neither ::, ::1, IPv4-mapped nor multicast. */
export function isIpv6Host(bytes: Uint8Array, address: number): boolean {
  return !isIpv6Multicast(bytes, address) && !isIpv6Reserved(bytes, address);
}

/** ::, ::1 and ::ffff:0:0/96. */
function isIpv6Reserved(bytes: Uint8Array, address: number): boolean {
  if (readInt32(bytes, address) !== 0 || readInt32(bytes, address + 4) !== 0) return false;
  const third = readInt32(bytes, address + 8);
  const last = readInt32(bytes, address + 12);
  return third === MAPPED || (third === 0 && (last === 0 || last === 1));
}

function isUnspecified(bytes: Uint8Array, address: number): boolean {
  for (let i = 0; i < 16; i += 4) if (readInt32(bytes, address + i) !== 0) return false;
  return true;
}

function isIpv6LinkLocal(bytes: Uint8Array, address: number): boolean {
  return (readUint16(bytes, address) & LINK_LOCAL_V6_MASK) === LINK_LOCAL_V6;
}

/** Is the packet for a neighbour on the link, by its link-local address (RFC 4291 2.5.6)? IPv6 only. */
export function isToNeighbour(bytes: Uint8Array, start: number): boolean {
  return ipVersion(bytes, start) === 6 && isIpv6LinkLocal(bytes, start + IPV6_DESTINATION);
}

function checkIpv6Addresses(bytes: Uint8Array, source: number, destination: number): Verdict {
  // A host without an address yet asks its neighbours and routers (RFC 4861 4.1, 4.3).
  if (isUnspecified(bytes, source) && isIpv6Multicast(bytes, destination)) return DropReason.NotForwarded;
  if (!isIpv6Host(bytes, source) || isIpv6Reserved(bytes, destination)) return DropReason.Martian;
  const onLink =
    isIpv6Multicast(bytes, destination) ||
    isIpv6LinkLocal(bytes, source) ||
    isIpv6LinkLocal(bytes, destination);
  return onLink ? DropReason.NotForwarded : PASS;
}

/** An ICMP redirect or router advertisement: only the routers of a host's own link may send these. */
export function isRedirect(bytes: Uint8Array, start: number, length: number): boolean {
  const icmp = icmpOffset(bytes, start, length);
  if (icmp < 0) return false;
  const type = bytes[icmp];
  return ipVersion(bytes, start) === 4
    ? type === IcmpType.Redirect || type === IcmpType.RouterAdvertisement
    : type === Icmpv6Type.Redirect || type === Icmpv6Type.RouterAdvertisement;
}
