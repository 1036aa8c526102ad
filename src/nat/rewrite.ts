/**
 * Translation in place: one end of a packet, its address and its port (of ICMP queries the identifier), is replaced and
 * every checksum that covers it is updated by the difference (RFC 1624), never computed anew: an error in the packet
 * stays visible to its receiver.
 *
 * A change is the one's complement sum of ~before + after over all replaced 16-bit words. It depends on a session only,
 * so that a session can keep it: `addressChange` once, `portChange` once, then `replaceSource` for every packet.
 */
import { addSums, onesComplementSum, updateChecksum } from '../packet/checksum.ts';
import { ICMP_IDENTIFIER, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from '../packet/icmp.ts';
import { IPV4_CHECKSUM, ipv4HeaderLength } from '../packet/ipv4.ts';
import { TCP_MIN_HEADER } from '../packet/tcp.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { readUint16, writeUint16 } from '../packet/word.ts';
import { NO_CHECKSUM, type PacketView } from './packet-view.ts';

/** Instead of a port: only the address is replaced. */
export const KEEP_PORT = -1;

const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
/** The right one's complement sum over data and its checksum. */
const VERIFIED = 0xffff;

/** Change from the address at `before` of `bytes` to the one at `after` of `address`, both of `size` bytes. */
export function addressChange(
  bytes: Uint8Array,
  before: number,
  address: Uint8Array,
  after: number,
  size: number,
): number {
  let sum = 0;
  for (let i = 0; i < size; i += 2) {
    sum += 0xffff - readUint16(bytes, before + i) + readUint16(address, after + i);
  }
  return addSums(sum & 0xffff, sum >>> 16);
}

/** Change from port `before` to port `after`; none for KEEP_PORT. */
export function portChange(before: number, after: number): number {
  return after === KEEP_PORT ? 0 : addSums(0xffff - before, after);
}

/**
 * Replaces the source of the packet in `view` by the address at `at` of `address` and by `port` or KEEP_PORT; a later
 * fragment and a protocol without ports keep theirs. NatHeader, and nothing replaced: UDP over IPv6 without checksum.
 */
export function rewriteSource(
  bytes: Uint8Array,
  view: PacketView,
  address: Uint8Array,
  at: number,
  port: number,
): Verdict {
  const change = addressChange(bytes, view.source, address, at, view.addressSize);
  return replaceSource(bytes, view, address, at, port, change, portChange(view.sourcePort, port));
}

/** As `rewriteSource`, of the destination. */
export function rewriteDestination(
  bytes: Uint8Array,
  view: PacketView,
  address: Uint8Array,
  at: number,
  port: number,
): Verdict {
  const change = addressChange(bytes, view.destination, address, at, view.addressSize);
  return replaceDestination(bytes, view, address, at, port, change, portChange(view.destinationPort, port));
}

/** As `rewriteSource`, with the changes known. */
export function replaceSource(
  bytes: Uint8Array,
  view: PacketView,
  address: Uint8Array,
  at: number,
  port: number,
  ofAddress: number,
  ofPort: number,
): Verdict {
  if (lacksChecksum(bytes, view)) return DropReason.NatHeader;
  replaceAddress(bytes, view, view.source, address, at, ofAddress);
  const newPort = replacePort(bytes, view, SOURCE_PORT, port);
  updateTransport(bytes, view, ofAddress, newPort ? ofPort : 0);
  return PASS;
}

/** As `rewriteDestination`, with the changes known. */
export function replaceDestination(
  bytes: Uint8Array,
  view: PacketView,
  address: Uint8Array,
  at: number,
  port: number,
  ofAddress: number,
  ofPort: number,
): Verdict {
  if (lacksChecksum(bytes, view)) return DropReason.NatHeader;
  replaceAddress(bytes, view, view.destination, address, at, ofAddress);
  const newPort = replacePort(bytes, view, DESTINATION_PORT, port);
  updateTransport(bytes, view, ofAddress, newPort ? ofPort : 0);
  return PASS;
}

/**
 * May the ICMP error in `view` be translated (RFC 5508 REQ-3)? Its own checksum and that of the IP header it quotes
 * must be right; of the transport header it quotes, the checksum covers what is not there. A fragment has no checksum
 * of its own.
 */
export function verifyIcmpError(bytes: Uint8Array, view: PacketView): Verdict {
  const quoted = view.quoted!;
  if (!view.isFragment && icmpSum(bytes, view) !== VERIFIED) return DropReason.IcmpChecksum;
  if (quoted.family === 6) return PASS;
  const header = onesComplementSum(bytes, quoted.start, ipv4HeaderLength(bytes, quoted.start));
  return header === VERIFIED ? PASS : DropReason.IcmpChecksum;
}

/** Replaces the source of the packet that the ICMP error in `view` quotes, and updates the error's checksum. */
export function rewriteQuotedSource(
  bytes: Uint8Array,
  view: PacketView,
  address: Uint8Array,
  at: number,
  port: number,
): void {
  const before = quotedSum(bytes, view);
  rewriteSource(bytes, view.quoted!, address, at, port);
  updateErrorChecksum(bytes, view, before);
}

/** As `rewriteQuotedSource`, of the destination. */
export function rewriteQuotedDestination(
  bytes: Uint8Array,
  view: PacketView,
  address: Uint8Array,
  at: number,
  port: number,
): void {
  const before = quotedSum(bytes, view);
  rewriteDestination(bytes, view.quoted!, address, at, port);
  updateErrorChecksum(bytes, view, before);
}

/**
 * Sum over all of the quote that translation may change; the quote begins at an even distance from the ICMP header.
 * Taken before the change, for `updateErrorChecksum` after it.
 */
export function quotedSum(bytes: Uint8Array, view: PacketView): number {
  const { start, length, transport } = view.quoted!;
  return onesComplementSum(bytes, start, Math.min(length, transport + TCP_MIN_HEADER - start));
}

/** Makes the checksum of the error in `view` cover what its quote has become. */
export function updateErrorChecksum(bytes: Uint8Array, view: PacketView, before: number): void {
  const checksum = readUint16(bytes, view.checksum);
  writeUint16(bytes, view.checksum, updateChecksum(checksum, before, quotedSum(bytes, view)));
}

/** RFC 8200 8.1: only UDP over IPv4 may go without. What a quote lacks is not ours to judge. */
function lacksChecksum(bytes: Uint8Array, view: PacketView): boolean {
  return (
    view.family === 6 &&
    view.kind === 'udp' &&
    view.quoted !== undefined &&
    !view.superPacket &&
    readUint16(bytes, view.checksum) === 0
  );
}

function replaceAddress(
  bytes: Uint8Array,
  view: PacketView,
  offset: number,
  address: Uint8Array,
  at: number,
  change: number,
): void {
  for (let i = 0; i < view.addressSize; i++) bytes[offset + i] = address[at + i];
  if (view.family === 4) applyChange(bytes, view.start + IPV4_CHECKSUM, change);
}

/** Did the packet have a port to replace? */
function replacePort(bytes: Uint8Array, view: PacketView, end: number, port: number): boolean {
  if (port === KEEP_PORT) return false;
  if (view.kind === 'tcp' || view.kind === 'udp') {
    writeUint16(bytes, view.transport + end, port);
    if (end === SOURCE_PORT) view.sourcePort = port;
    else view.destinationPort = port;
    return true;
  }
  if (view.kind !== 'icmp-query') return false;
  writeUint16(bytes, view.transport + ICMP_IDENTIFIER, port);
  view.sourcePort = port;
  view.destinationPort = port;
  return true;
}

function updateTransport(bytes: Uint8Array, view: PacketView, ofAddress: number, ofPort: number): void {
  const { checksum } = view;
  if (checksum === NO_CHECKSUM || view.superPacket) return;
  // ICMPv4 has no pseudo-header (RFC 792).
  const change = view.protocol === PROTOCOL_ICMP ? ofPort : addSums(ofAddress, ofPort);
  if (view.kind !== 'udp') {
    applyChange(bytes, checksum, change);
  } else if (readUint16(bytes, checksum) !== 0) {
    applyChange(bytes, checksum, change);
    // RFC 768: zero means none, a computed zero is sent as all ones.
    if (readUint16(bytes, checksum) === 0) writeUint16(bytes, checksum, 0xffff);
  }
}

/** RFC 1624, equation 3, for a whole change at once. */
function applyChange(bytes: Uint8Array, checksum: number, change: number): void {
  writeUint16(bytes, checksum, 0xffff - addSums(0xffff - readUint16(bytes, checksum), change));
}

function icmpSum(bytes: Uint8Array, view: PacketView): number {
  const { transport, transportLength: length } = view;
  if (view.family === 4) return onesComplementSum(bytes, transport, length);
  const pseudoHeader = onesComplementSum(bytes, view.source, 32, PROTOCOL_ICMPV6 + length);
  return onesComplementSum(bytes, transport, length, pseudoHeader);
}
