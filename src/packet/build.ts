/** Builds a packet to ask about: `tsvpn trace` sends it through the data plane's decisions, and nowhere else. */
import { HeapArena, type Arena } from './arena.ts';
import { addSums, arenaSum } from './checksum.ts';
import { ICMP_CHECKSUM, ICMP_HEADER, IcmpType, Icmpv6Type, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from './icmp.ts';
import { DONT_FRAGMENT, IPV4_MIN_HEADER, IPV4_SOURCE, writeIpv4Header } from './ipv4.ts';
import { IPV6_HEADER, IPV6_SOURCE, writeIpv6Header } from './ipv6.ts';
import { addressSum } from './pseudo-header.ts';
import {
  PROTOCOL_TCP,
  setTcpChecksum,
  setTcpFlags,
  setTcpHeaderLength,
  TCP_MIN_HEADER,
  TcpFlag,
} from './tcp.ts';
import { PROTOCOL_UDP, setUdpChecksum, setUdpLength, UDP_HEADER } from './udp.ts';
import { writeUint16 } from './word.ts';

export interface PacketShape {
  /** 4 or 16 bytes, both of one family. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** A TCP SYN, a UDP datagram or an echo request. */
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  /** Of an echo request its identifier. */
  readonly sourcePort: number;
  /** Of an echo request its sequence number. */
  readonly destinationPort: number;
  /** Whole packet, bytes, filled up with zeros; the headers alone unless told. */
  readonly length?: number | undefined;
  /** TTL or hop limit; 64 unless told. */
  readonly ttl?: number | undefined;
  /** IPv4 only: every IPv6 packet is as if it were set. */
  readonly dontFragment?: boolean | undefined;
}

const DEFAULT_TTL = 64;
const MAX_LENGTH = 65535;
const TRANSPORT_HEADER = { tcp: TCP_MIN_HEADER, udp: UDP_HEADER, icmp: ICMP_HEADER } as const;

/** Shortest packet of this family and protocol, bytes. */
export function minPacketLength(addressSize: number, protocol: PacketShape['protocol']): number {
  return (addressSize === 4 ? IPV4_MIN_HEADER : IPV6_HEADER) + TRANSPORT_HEADER[protocol];
}

/** The packet, its checksums right. Throws RangeError for addresses of two families and for an impossible length. */
export function buildPacket(shape: PacketShape): Uint8Array {
  const { source, destination, protocol, ttl = DEFAULT_TTL, dontFragment = false } = shape;
  if (source.length !== destination.length) throw new RangeError('addresses of two families');
  const least = minPacketLength(source.length, protocol);
  const { length = least } = shape;
  if (length < least || length > MAX_LENGTH) throw new RangeError(`no packet of ${length} bytes`);
  const arena = new HeapArena(length);
  const { bytes } = arena;
  const ipv4 = source.length === 4;
  bytes.set(source, ipv4 ? IPV4_SOURCE : IPV6_SOURCE);
  bytes.set(destination, (ipv4 ? IPV4_SOURCE : IPV6_SOURCE) + source.length);
  const number = protocolNumber(protocol, ipv4);
  if (ipv4) writeIpv4Header(bytes, 0, length, 0, 0, dontFragment ? DONT_FRAGMENT : 0, ttl, number);
  else writeIpv6Header(bytes, 0, length, number, ttl);
  writeTransport(arena, ipv4 ? IPV4_MIN_HEADER : IPV6_HEADER, shape, number);
  return bytes;
}

function protocolNumber(protocol: PacketShape['protocol'], ipv4: boolean): number {
  if (protocol === 'tcp') return PROTOCOL_TCP;
  if (protocol === 'udp') return PROTOCOL_UDP;
  return ipv4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
}

function writeTransport(arena: Arena, at: number, shape: PacketShape, number: number): void {
  const { bytes } = arena;
  const covered = bytes.length - at;
  // The ports are the first four bytes of TCP and UDP; identifier and sequence number are the last four of an echo's.
  const ports = shape.protocol === 'icmp' ? at + 4 : at;
  writeUint16(bytes, ports, shape.sourcePort);
  writeUint16(bytes, ports + 2, shape.destinationPort);
  const pseudoSum = addSums(addressSum(arena, 0, number), covered);
  switch (shape.protocol) {
    case 'tcp':
      setTcpHeaderLength(bytes, at, TCP_MIN_HEADER);
      setTcpFlags(bytes, at, TcpFlag.Syn);
      return setTcpChecksum(bytes, at, checksum(arena, at, pseudoSum));
    case 'udp':
      setUdpLength(bytes, at, covered);
      return setUdpChecksum(bytes, at, checksum(arena, at, pseudoSum));
    case 'icmp': {
      const ipv4 = number === PROTOCOL_ICMP;
      bytes[at] = ipv4 ? IcmpType.Echo : Icmpv6Type.Echo;
      return writeUint16(bytes, at + ICMP_CHECKSUM, checksum(arena, at, ipv4 ? 0 : pseudoSum));
    }
  }
}

/** Of the transport header at `at`, whose checksum is still zero, and everything behind it. */
function checksum(arena: Arena, at: number, pseudoSum: number): number {
  return ~addSums(arenaSum(arena, at, arena.bytes.length - at), pseudoSum) & 0xffff;
}
