/**
 * UDP datagrams in IP packets that are longer than they need be: what follows the length in the UDP header is surplus,
 * which receivers cut off. RFC 9868 gives it the form of UDP options, and RFC 9869 uses it, as we do, to probe a path with
 * packets of any size that carry any datagram.
 *
 *     IP header │ UDP header │ datagram │ (pad) │ option checksum │ 0 (end of options), 0, 0 ...
 *
 * With the option checksum, the UDP checksum is right both for the datagram alone and for all of the IP payload: Linux's
 * connection tracking and others check the latter, and drop what they find wrong (RFC 9868 section 9).
 */
import type { Arena } from './arena.ts';
import { addSums, arenaSum } from './checksum.ts';
import { DONT_FRAGMENT, IPV4_DESTINATION, IPV4_MIN_HEADER, IPV4_SOURCE, writeIpv4Header } from './ipv4.ts';
import { IPV6_DESTINATION, IPV6_HEADER, IPV6_SOURCE, writeIpv6Header } from './ipv6.ts';
import { addressSum } from './pseudo-header.ts';
import { clearUdpChecksum, PROTOCOL_UDP, setUdpChecksum, setUdpLength, UDP_HEADER } from './udp.ts';
import { writeUint16 } from './word.ts';

const HOPS = 64;
/** A pad to an even offset, and the option checksum: less surplus than that cannot be. */
const MIN_SURPLUS = 3;

/** One end of a datagram: 4 or 16 bytes of address. */
export interface UdpEnd {
  readonly address: Uint8Array;
  readonly port: number;
}

/** Bytes of the headers in front of a datagram between such addresses. */
export function udpHeaders(address: Uint8Array): number {
  return (address.length === 4 ? IPV4_MIN_HEADER : IPV6_HEADER) + UDP_HEADER;
}

/** Can a datagram of `length` bytes be sent in an IP packet of `total` bytes? */
export function fitsSurplus(address: Uint8Array, length: number, total: number): boolean {
  const surplus = total - udpHeaders(address) - length;
  return surplus === 0 || surplus >= MIN_SURPLUS;
}

/**
 * Completes the packet at `offset`, of which `length` bytes of datagram lie behind the room for the headers: writes
 * these, and behind the datagram surplus up to `total` bytes, which `fitsSurplus`. It must not be fragmented.
 */
export function writeSurplusPacket(
  arena: Arena,
  offset: number,
  length: number,
  total: number,
  from: UdpEnd,
  to: UdpEnd,
): void {
  const { bytes } = arena;
  writeIpHeader(bytes, offset, total, from.address, to.address);
  const udp = offset + udpHeaders(to.address) - UDP_HEADER;
  const end = udp + UDP_HEADER + length;
  const surplus = offset + total - end;
  bytes.fill(0, end, offset + total);
  // An option that follows none is zero, and so is what fills up: the sum of the surplus is that of its length.
  if (surplus > 0) writeUint16(bytes, end + (length & 1), ~surplus & 0xffff);
  writeUdpHeader(arena, offset, udp, UDP_HEADER + length, from.port, to.port);
}

function writeUdpHeader(
  arena: Arena,
  ip: number,
  udp: number,
  length: number,
  from: number,
  to: number,
): void {
  const { bytes } = arena;
  writeUint16(bytes, udp, from);
  writeUint16(bytes, udp + 2, to);
  setUdpLength(bytes, udp, length);
  clearUdpChecksum(bytes, udp);
  const sum = addSums(addSums(addressSum(arena, ip, PROTOCOL_UDP), length), arenaSum(arena, udp, length));
  setUdpChecksum(bytes, udp, ~sum & 0xffff);
}

function writeIpHeader(
  bytes: Uint8Array,
  offset: number,
  total: number,
  from: Uint8Array,
  to: Uint8Array,
): void {
  if (to.length === 4) {
    bytes.set(from, offset + IPV4_SOURCE);
    bytes.set(to, offset + IPV4_DESTINATION);
    writeIpv4Header(bytes, offset, total, 0, 0, DONT_FRAGMENT, HOPS, PROTOCOL_UDP);
  } else {
    bytes.set(from, offset + IPV6_SOURCE);
    bytes.set(to, offset + IPV6_DESTINATION);
    writeIpv6Header(bytes, offset, total, PROTOCOL_UDP, HOPS);
  }
}
