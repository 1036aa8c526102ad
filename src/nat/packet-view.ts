/**
 * What translation needs to know of a packet: a view that is filled anew for each packet and allocates nothing. All
 * positions are offsets in the bytes it was read from, and stay valid while the packet stays where it is.
 */
import type { Family } from '../packet/address.ts';
import type { Batch } from '../packet/batch.ts';
import {
  ICMP_CHECKSUM,
  ICMP_HEADER,
  ICMP_IDENTIFIER,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
} from '../packet/icmp.ts';
import {
  ipVersion,
  IPV4_DESTINATION,
  IPV4_MIN_HEADER,
  IPV4_SOURCE,
  ipv4HeaderLength,
  ipv4Protocol,
  ipv4TotalLength,
} from '../packet/ipv4.ts';
import {
  IPV6_DESTINATION,
  IPV6_HEADER,
  IPV6_SOURCE,
  ipv6NextHeader,
  ipv6TotalLength,
} from '../packet/ipv6.ts';
import { PROTOCOL_TCP, TCP_CHECKSUM, TCP_MIN_HEADER, tcpFlags, tcpHeaderLength } from '../packet/tcp.ts';
import { PROTOCOL_UDP, UDP_CHECKSUM, UDP_HEADER } from '../packet/udp.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { readInt32, readUint16 } from '../packet/word.ts';
import { icmpClass, quoteEnd } from './icmp.ts';

/**
 * - icmp-query: echo or timestamp; the identifier stands for both ports
 * - icmp-error: quotes a packet, see `quoted`
 * - fragment: any but the first, whatever its protocol: payload only, ports unknown
 * - other: addresses only
 */
export type TransportKind = 'tcp' | 'udp' | 'icmp-query' | 'icmp-error' | 'fragment' | 'other';

/** `checksum` of a packet that has none, or not in the bytes at hand. */
export const NO_CHECKSUM = -1;

/** RFC 792: an error quotes the IP header and at least this much of what follows; it holds ports or identifier. */
const LEAST_QUOTED = 8;

const FLAGS_AND_FRAGMENT_OFFSET = 6;
const IDENTIFICATION = 4;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;

/** IPv6 extension headers (RFC 8200 4) that stand in front of the transport header. */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const FRAGMENT_HEADER = 8;
const DESTINATION_OPTIONS = 60;
/** More are legal and never seen; each is work that a sender can ask for. */
const MAX_EXTENSION_HEADERS = 8;
const SEGMENTS_LEFT = 3;

export class PacketView {
  /** The packet an ICMP error quotes; undefined in the view of a quote. */
  readonly quoted: PacketView | undefined;
  family: Family = 4;
  start = 0;
  /** By the packet's own header; of a quote, the bytes that are there. */
  length = 0;
  /** Offsets of the addresses, and their size: 4 or 16. */
  source = 0;
  destination = 0;
  addressSize = 4;
  /** Of the transport header, behind IP options and extension headers. */
  protocol = 0;
  transport = 0;
  /** From there to the packet's end. */
  transportLength = 0;
  kind: TransportKind = 'other';
  /** 0 where the kind has none. */
  sourcePort = 0;
  destinationPort = 0;
  /** Offset of the transport checksum, or NO_CHECKSUM. */
  checksum = NO_CHECKSUM;
  /** Of kind tcp, 0 where a quote ends before them. */
  tcpFlags = 0;
  /** Of protocol ICMP and ICMPv6, but for later fragments. */
  icmpType = 0;
  icmpCode = 0;
  /** True for every fragment, the first included. */
  isFragment = false;
  /** Bytes. */
  fragmentOffset = 0;
  /** Bytes of the packet that the fragment carries. */
  fragmentLength = 0;
  moreFragments = false;
  /** 16 bits, or 32 as a signed number in IPv6. */
  fragmentId = 0;
  /** The transport checksum is computed when it is cut into segments, and means nothing before. */
  superPacket = false;

  constructor(quoted?: PacketView) {
    this.quoted = quoted;
  }

  readSlot(batch: Batch, slot: number): Verdict {
    const verdict = this.read(batch.bytes, batch.start[slot], batch.length[slot]);
    this.superPacket = batch.gsoSize[slot] > 0;
    return verdict;
  }

  /**
   * Reads the packet `bytes[start .. start + length)`. InnerVersion, InnerHeader: not an IP packet. NatHeader,
   * NatFragment: its transport header is cut short (by a fragment boundary), or what an ICMP error quotes is; family,
   * addresses and protocol are right even then.
   */
  read(bytes: Uint8Array, start: number, length: number): Verdict {
    this.superPacket = false;
    return readPacket(this, bytes, start, length);
  }
}

/** A view for whole packets, with one for what they quote. */
export function createView(): PacketView {
  return new PacketView(new PacketView());
}

function readPacket(view: PacketView, bytes: Uint8Array, start: number, available: number): Verdict {
  if (available < IPV4_MIN_HEADER) return DropReason.InnerHeader;
  view.start = start;
  view.isFragment = false;
  view.moreFragments = false;
  view.fragmentOffset = 0;
  view.fragmentLength = 0;
  view.fragmentId = 0;
  view.kind = 'other';
  view.checksum = NO_CHECKSUM;
  view.tcpFlags = 0;
  view.sourcePort = 0;
  view.destinationPort = 0;
  const version = ipVersion(bytes, start);
  if (version === 4) return readIpv4(view, bytes, start, available);
  if (version === 6) return readIpv6(view, bytes, start, available);
  return DropReason.InnerVersion;
}

/** Where the packet ends by its own header, or what there is of a quote. Negative: cut off. */
function endOf(view: PacketView, total: number, available: number): number {
  if (total <= available) return view.start + total;
  return view.quoted === undefined ? view.start + available : -1;
}

function readIpv4(view: PacketView, bytes: Uint8Array, start: number, available: number): Verdict {
  const header = ipv4HeaderLength(bytes, start);
  const total = ipv4TotalLength(bytes, start);
  const end = endOf(view, total, available);
  if (header < IPV4_MIN_HEADER || start + header > end) return DropReason.InnerHeader;
  view.length = end - start;
  view.family = 4;
  view.addressSize = 4;
  view.source = start + IPV4_SOURCE;
  view.destination = start + IPV4_DESTINATION;
  view.protocol = ipv4Protocol(bytes, start);
  const bits = readUint16(bytes, start + FLAGS_AND_FRAGMENT_OFFSET);
  if ((bits & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) !== 0) {
    view.isFragment = true;
    view.moreFragments = (bits & MORE_FRAGMENTS) !== 0;
    view.fragmentOffset = (bits & FRAGMENT_OFFSET) * 8;
    view.fragmentLength = end - start - header;
    view.fragmentId = readUint16(bytes, start + IDENTIFICATION);
  }
  return readTransport(view, bytes, start + header, end);
}

function readIpv6(view: PacketView, bytes: Uint8Array, start: number, available: number): Verdict {
  if (available < IPV6_HEADER) return DropReason.InnerHeader;
  const end = endOf(view, ipv6TotalLength(bytes, start), available);
  if (end < 0) return DropReason.InnerHeader;
  view.length = end - start;
  view.family = 6;
  view.addressSize = 16;
  view.source = start + IPV6_SOURCE;
  view.destination = start + IPV6_DESTINATION;
  view.protocol = ipv6NextHeader(bytes, start);
  view.transport = start + IPV6_HEADER;
  view.transportLength = end - view.transport;
  const verdict = skipExtensionHeaders(view, bytes, end);
  return verdict === PASS ? readTransport(view, bytes, view.transport, end) : verdict;
}

/** Moves `protocol` and `transport` behind the extension headers; of a later fragment, behind its fragment header. */
function skipExtensionHeaders(view: PacketView, bytes: Uint8Array, end: number): Verdict {
  for (let count = 0; count <= MAX_EXTENSION_HEADERS; count++) {
    const { protocol, transport } = view;
    const optional = protocol === HOP_BY_HOP || protocol === ROUTING || protocol === DESTINATION_OPTIONS;
    if ((!optional && protocol !== FRAGMENT) || view.fragmentOffset > 0) return PASS;
    if (transport + FRAGMENT_HEADER > end) return cutShort(view);
    // On the way of a source route the checksum covers another destination than the header's (RFC 8200 8.1).
    if (protocol === ROUTING && bytes[transport + SEGMENTS_LEFT] > 0) return DropReason.NatHeader;
    if (protocol === FRAGMENT) readFragmentHeader(view, bytes, transport, end);
    const size = protocol === FRAGMENT ? FRAGMENT_HEADER : 8 * (bytes[transport + 1] + 1);
    if (transport + size > end) return cutShort(view);
    view.protocol = bytes[transport];
    view.transport = transport + size;
  }
  return DropReason.NatHeader;
}

/** RFC 8200 4.5. An atomic fragment (RFC 6946) is a whole packet. */
function readFragmentHeader(view: PacketView, bytes: Uint8Array, header: number, end: number): void {
  const bits = readUint16(bytes, header + 2);
  view.moreFragments = (bits & 1) !== 0;
  view.fragmentOffset = bits & 0xfff8;
  view.isFragment = view.moreFragments || view.fragmentOffset > 0;
  view.fragmentLength = end - header - FRAGMENT_HEADER;
  view.fragmentId = readInt32(bytes, header + 4);
}

function cutShort(view: PacketView): Verdict {
  return view.isFragment ? DropReason.NatFragment : DropReason.NatHeader;
}

function readTransport(view: PacketView, bytes: Uint8Array, transport: number, end: number): Verdict {
  view.transport = transport;
  view.transportLength = end - transport;
  if (view.fragmentOffset > 0) {
    view.kind = 'fragment';
    return PASS;
  }
  switch (view.protocol) {
    case PROTOCOL_TCP:
      return readTcp(view, bytes);
    case PROTOCOL_UDP:
      return readUdp(view, bytes);
    case PROTOCOL_ICMP:
      return view.family === 4 ? readIcmp(view, bytes) : PASS;
    case PROTOCOL_ICMPV6:
      return view.family === 6 ? readIcmp(view, bytes) : PASS;
    default:
      return PASS;
  }
}

function readPorts(view: PacketView, bytes: Uint8Array): void {
  view.sourcePort = readUint16(bytes, view.transport);
  view.destinationPort = readUint16(bytes, view.transport + 2);
}

function readTcp(view: PacketView, bytes: Uint8Array): Verdict {
  const { transport, transportLength: length, quoted } = view;
  if (length < (quoted === undefined ? LEAST_QUOTED : TCP_MIN_HEADER)) return cutShort(view);
  if (quoted !== undefined) {
    const header = tcpHeaderLength(bytes, transport);
    if (header < TCP_MIN_HEADER || header > length) return cutShort(view);
  }
  view.kind = 'tcp';
  if (length >= TCP_CHECKSUM + 2) {
    view.tcpFlags = tcpFlags(bytes, transport);
    view.checksum = transport + TCP_CHECKSUM;
  }
  readPorts(view, bytes);
  return PASS;
}

function readUdp(view: PacketView, bytes: Uint8Array): Verdict {
  if (view.transportLength < UDP_HEADER) return cutShort(view);
  view.kind = 'udp';
  view.checksum = view.transport + UDP_CHECKSUM;
  readPorts(view, bytes);
  return PASS;
}

function readIcmp(view: PacketView, bytes: Uint8Array): Verdict {
  const { transport, quoted } = view;
  if (view.transportLength < ICMP_HEADER) return cutShort(view);
  view.icmpType = bytes[transport];
  view.icmpCode = bytes[transport + 1];
  view.checksum = transport + ICMP_CHECKSUM;
  view.kind = icmpClass(view.family, view.icmpType);
  if (view.kind === 'icmp-query') {
    view.sourcePort = readUint16(bytes, transport + ICMP_IDENTIFIER);
    view.destinationPort = view.sourcePort;
  }
  if (view.kind !== 'icmp-error') return PASS;
  // RFC 1122 3.2.2: there is no error about an error.
  return quoted === undefined ? DropReason.NatHeader : readQuoted(view, quoted, bytes);
}

/** The quote is of the error's own family. */
function readQuoted(view: PacketView, quoted: PacketView, bytes: Uint8Array): Verdict {
  const start = view.transport + ICMP_HEADER;
  const end = quoteEnd(bytes, view.family, view.transport, view.transport + view.transportLength);
  const verdict = readPacket(quoted, bytes, start, end - start);
  if (verdict !== PASS || quoted.family !== view.family) return cutShort(view);
  return PASS;
}
