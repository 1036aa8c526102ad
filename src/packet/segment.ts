/**
 * Segmentation: super-packets read from the TUN device become packets the path can carry, as a network card with
 * TSO or the kernel's tcp_gso_segment and __udp_gso_segment would cut them.
 *
 * Of a TCP super-packet every segment gets its own sequence number, FIN and PSH are set in the last only and CWR in the
 * first only (RFC 3168 6.1.2), IPv4 identifications count up; all checksums are computed anew.
 */
import type { Batch } from './batch.ts';
import { addSums, arenaSum } from './checksum.ts';
import { ipVersion, ipv4Identification, setIpv4LengthAndIdentification } from './ipv4.ts';
import { setIpv6TotalLength } from './ipv6.ts';
import { addressSum } from './pseudo-header.ts';
import {
  PROTOCOL_TCP,
  setTcpChecksum,
  setTcpFlags,
  setTcpSequence,
  tcpFlags,
  TcpFlag,
  tcpHeaderLength,
  tcpSequence,
} from './tcp.ts';
import { clearUdpChecksum, PROTOCOL_UDP, setUdpChecksum, setUdpLength, UDP_HEADER } from './udp.ts';

/** What the segments of one super-packet have in common; one object, filled anew for each. */
interface Plan {
  tcp: boolean;
  ipv4: boolean;
  /** Bytes from the packet's start to its IP header. */
  network: number;
  /** Bytes from the packet's start to the end of the transport header. */
  headers: number;
  transport: number;
  identification: number;
  sequence: number;
  flags: number;
  addresses: number;
}

const plan: Plan = {
  tcp: true,
  ipv4: true,
  network: 0,
  headers: 0,
  transport: 0,
  identification: 0,
  sequence: 0,
  flags: 0,
  addresses: 0,
};

/** Packets that the packet in `slot` becomes: 1 for an ordinary one. */
export function segmentCount(batch: Batch, slot: number): number {
  const size = batch.gsoSize[slot];
  if (size === 0) return 1;
  const payload = batch.length[slot] - headerLength(batch, slot);
  return Math.max(1, Math.ceil(payload / size));
}

/** Bytes of the longest packet that the one in `slot` becomes. */
export function segmentLength(batch: Batch, slot: number): number {
  const size = batch.gsoSize[slot];
  const { length } = batch;
  return size === 0 ? length[slot] : Math.min(length[slot], headerLength(batch, slot) + size);
}

/**
 * Appends segments of the packet in `slot` of `from` to `to`, beginning with number `first`, until all are there or `to`
 * is full; returns the number of the next one, `segmentCount` when done. `to` lies in the same arena and its buffers are
 * as long as `segmentLength`. The packet itself stays as it is.
 */
export function segment(from: Batch, slot: number, first: number, to: Batch): number {
  if (from.gsoSize[slot] === 0) return copyWhole(from, slot, to);
  fillPlan(from, slot);
  const size = from.gsoSize[slot];
  const source = from.start[slot];
  const end = source + from.length[slot];
  let index = first;
  let payload = source + plan.headers + first * size;
  while (payload < end && to.count < to.slots) {
    const length = Math.min(size, end - payload);
    const start = to.packetOffset(to.count);
    to.bytes.copyWithin(start, source, source + plan.headers);
    to.bytes.copyWithin(start + plan.headers, payload, payload + length);
    finishSegment(to, start, length, index, index * size, payload + length === end);
    to.commit(to.count++, plan.headers + length);
    payload += size;
    index++;
  }
  return index;
}

function headerLength(batch: Batch, slot: number): number {
  const transport = batch.start[slot] + batch.transport[slot];
  const tcp = protocolOf(batch, slot) === PROTOCOL_TCP;
  return batch.transport[slot] + (tcp ? tcpHeaderLength(batch.bytes, transport) : UDP_HEADER);
}

/** The TUN device hands over TCP super-packets and, with USO, UDP ones; only UDP's header has its length there. */
function protocolOf(batch: Batch, slot: number): number {
  return batch.udp[slot] === 1 ? PROTOCOL_UDP : PROTOCOL_TCP;
}

function copyWhole(from: Batch, slot: number, to: Batch): number {
  if (to.count === to.slots) return 0;
  const length = from.length[slot];
  to.bytes.copyWithin(to.packetOffset(to.count), from.start[slot], from.start[slot] + length);
  to.commit(to.count++, length);
  return 1;
}

function fillPlan(batch: Batch, slot: number): void {
  const { bytes } = batch;
  const start = batch.start[slot];
  const packet = start + batch.network[slot];
  plan.tcp = protocolOf(batch, slot) === PROTOCOL_TCP;
  plan.ipv4 = ipVersion(bytes, packet) === 4;
  plan.network = batch.network[slot];
  plan.transport = batch.transport[slot];
  plan.headers = headerLength(batch, slot);
  plan.identification = plan.ipv4 ? ipv4Identification(bytes, packet) : 0;
  plan.sequence = plan.tcp ? tcpSequence(bytes, start + plan.transport) : 0;
  plan.flags = plan.tcp ? tcpFlags(bytes, start + plan.transport) : 0;
  plan.addresses = addressSum(batch.arena, packet, plan.tcp ? PROTOCOL_TCP : PROTOCOL_UDP);
}

function finishSegment(
  batch: Batch,
  start: number,
  payload: number,
  index: number,
  sent: number,
  last: boolean,
): void {
  const { bytes } = batch;
  const length = plan.headers + payload;
  const packet = start + plan.network;
  const total = length - plan.network;
  if (plan.ipv4) setIpv4LengthAndIdentification(bytes, packet, total, (plan.identification + index) & 0xffff);
  else setIpv6TotalLength(bytes, packet, total);
  const transport = start + plan.transport;
  const covered = length - plan.transport;
  if (plan.tcp) {
    setTcpSequence(bytes, transport, (plan.sequence + sent) | 0);
    let { flags } = plan;
    if (!last) flags &= ~(TcpFlag.Fin | TcpFlag.Psh);
    if (index > 0) flags &= ~TcpFlag.Cwr;
    setTcpFlags(bytes, transport, flags);
    setTcpChecksum(bytes, transport, 0);
    setTcpChecksum(bytes, transport, checksumOf(batch, transport, covered));
  } else {
    setUdpLength(bytes, transport, covered);
    clearUdpChecksum(bytes, transport);
    setUdpChecksum(bytes, transport, checksumOf(batch, transport, covered));
  }
}

function checksumOf(batch: Batch, transport: number, covered: number): number {
  const sum = addSums(addSums(plan.addresses, covered), arenaSum(batch.arena, transport, covered));
  return ~sum & 0xffff;
}
