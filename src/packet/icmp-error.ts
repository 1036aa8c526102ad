/**
 * The ICMP errors that a gateway sends about packets it does not carry: RFC 1812 4.3.2, RFC 1191 4 and RFC 4443 2.4
 * and 3. The packet is quoted as it lies in memory: of a super-packet its first bytes, the unfinished TCP checksum
 * included, by which no receiver goes.
 */
import type { Arena } from './arena.ts';
import { addSums, arenaSum } from './checksum.ts';
import {
  ICMP_CHECKSUM,
  ICMP_HEADER,
  ICMP_MTU,
  icmpOffset,
  IcmpType,
  Icmpv6Type,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  UNTOLD,
} from './icmp.ts';
import { ipVersion, IPV4_DESTINATION, IPV4_MIN_HEADER, IPV4_SOURCE, writeIpv4Header } from './ipv4.ts';
import { IPV6_DESTINATION, IPV6_HEADER, IPV6_SOURCE, writeIpv6Header } from './ipv6.ts';
import { addressSum } from './pseudo-header.ts';
import { isIpv4Host, isIpv6Host, isIpv6Multicast } from './sanity.ts';
import { writeUint16, writeUint32 } from './word.ts';

/** Why a packet is sent back: type and code of either family. */
export interface IcmpErrorKind {
  readonly type4: number;
  readonly code4: number;
  readonly type6: number;
  readonly code6: number;
}

function unreachable(code4: number, code6: number): IcmpErrorKind {
  return { type4: IcmpType.Unreachable, code4, type6: Icmpv6Type.Unreachable, code6 };
}

export const IcmpError = {
  /** No route. */
  NetUnreachable: unreachable(0, 0),
  /** There is a route, and its end does not answer. */
  HostUnreachable: unreachable(1, 3),
  PortUnreachable: unreachable(3, 4),
  /** Fragmentation needed and don't-fragment set; packet too big. */
  TooBig: { type4: IcmpType.Unreachable, code4: 4, type6: Icmpv6Type.PacketTooBig, code6: 0 },
  AdminProhibited: unreachable(13, 1),
  /** The source may not be used here; ICMPv4 has no code of its own for it. */
  SourcePolicy: unreachable(13, 5),
  TimeExceeded: { type4: IcmpType.TimeExceeded, code4: 0, type6: Icmpv6Type.TimeExceeded, code6: 0 },
} as const satisfies Record<string, IcmpErrorKind>;

/** RFC 1812 4.3.2.3: as much as fits in 576 bytes. RFC 4443 2.4c: in the minimum IPv6 MTU. */
const IPV4_MAX_ERROR = 576;
const IPV6_MAX_ERROR = 1280;
/** Longest ICMP error, bytes: what `writeIcmpError` needs room for. */
export const MAX_ICMP_ERROR = IPV6_MAX_ERROR;

/** RFC 1812 4.3.2.5: precedence 6, internetwork control. */
const TOS_INTERNETWORK_CONTROL = 0xc0;
const TTL = 64;

/**
 * May `error` be sent about the packet `bytes[start .. start + length)` (RFC 1812 4.3.2.7, RFC 4443 2.4e)? Never about
 * an ICMP error or redirect, a fragment other than the first, a multicast or broadcast, or to what is no single host.
 */
export function mayAnswer(bytes: Uint8Array, start: number, length: number, error: IcmpErrorKind): boolean {
  if (ipVersion(bytes, start) === 4) {
    if (!isIpv4Host(bytes, start + IPV4_SOURCE) || !isIpv4Host(bytes, start + IPV4_DESTINATION)) return false;
  } else {
    if (!isIpv6Host(bytes, start + IPV6_SOURCE)) return false;
    const multicast = isIpv6Multicast(bytes, start + IPV6_DESTINATION);
    if (multicast && error.type6 !== Icmpv6Type.PacketTooBig) return false;
  }
  const icmp = icmpOffset(bytes, start, length);
  if (icmp === UNTOLD) return false;
  return icmp < 0 || isQuery(ipVersion(bytes, start), bytes[icmp]);
}

/** Echo, timestamp, information and address mask, with their replies: the ICMPv4 types known not to be errors. */
const ICMPV4_QUERIES = [0, 8, 13, 14, 15, 16, 17, 18].reduce((bits, type) => bits | (1 << type), 0);

function isQuery(version: number, type: number): boolean {
  if (version === 4) return type < 32 && (ICMPV4_QUERIES & (1 << type)) !== 0;
  return type >= Icmpv6Type.FirstInformational && type !== Icmpv6Type.Redirect;
}

/**
 * Writes `error` about the packet at `start` to arena offset `at`, a whole IP packet of its family, from `source` (4 or
 * 16 bytes) to the packet's source; returns its length, MAX_ICMP_ERROR at most. `mtu` is that of the next hop for TooBig,
 * and 0 for the others. `at` may be anywhere, also where the packet is.
 */
export function writeIcmpError(
  arena: Arena,
  at: number,
  start: number,
  length: number,
  error: IcmpErrorKind,
  mtu: number,
  source: Uint8Array,
): number {
  const { bytes } = arena;
  const ipv4 = ipVersion(bytes, start) === 4;
  const icmp = at + (ipv4 ? IPV4_MIN_HEADER : IPV6_HEADER);
  const quote = icmp + ICMP_HEADER;
  const total = Math.min(quote - at + length, ipv4 ? IPV4_MAX_ERROR : IPV6_MAX_ERROR);
  const end = at + total;
  bytes.copyWithin(quote, start, start + end - quote);
  if (ipv4) {
    const checksum = writeMessage(arena, icmp, end, error.type4, error.code4, mtu, 0);
    bytes.set(source, at + IPV4_SOURCE);
    bytes.copyWithin(at + IPV4_DESTINATION, quote + IPV4_SOURCE, quote + IPV4_DESTINATION);
    // Not atomic (RFC 6864): a peer's MTU may be below 576. The checksum tells apart errors that are under way together.
    writeIpv4Header(bytes, at, total, TOS_INTERNETWORK_CONTROL, checksum, 0, TTL, PROTOCOL_ICMP);
  } else {
    bytes.set(source, at + IPV6_SOURCE);
    bytes.copyWithin(at + IPV6_DESTINATION, quote + IPV6_SOURCE, quote + IPV6_DESTINATION);
    writeIpv6Header(bytes, at, total, PROTOCOL_ICMPV6, TTL);
    const pseudo = addSums(addressSum(arena, at, PROTOCOL_ICMPV6), end - icmp);
    writeMessage(arena, icmp, end, error.type6, error.code6, mtu, pseudo);
  }
  return total;
}

/**
 * Puts the header in front of the quote and returns the checksum. The 32 bits behind it end with ICMPv4's 16 bits of
 * next-hop MTU (RFC 1191 4), are ICMPv6's (RFC 4443 3.2), and zero for all else.
 */
function writeMessage(
  arena: Arena,
  icmp: number,
  end: number,
  type: number,
  code: number,
  mtu: number,
  pseudoSum: number,
): number {
  const { bytes } = arena;
  bytes[icmp] = type;
  bytes[icmp + 1] = code;
  writeUint16(bytes, icmp + ICMP_CHECKSUM, 0);
  writeUint32(bytes, icmp + ICMP_MTU, mtu);
  const checksum = ~addSums(arenaSum(arena, icmp, end - icmp), pseudoSum) & 0xffff;
  writeUint16(bytes, icmp + ICMP_CHECKSUM, checksum);
  return checksum;
}
