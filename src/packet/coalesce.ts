/**
 * Coalescing: consecutive TCP segments, or UDP datagrams, of one flow, as they come out of the tunnel, become
 * super-packets that the kernel takes with one write, as its own receive offload (tcp_gro_receive, udp_gro_receive)
 * would merge them. On a TAP device they are Ethernet frames, and have equal headers there as well.
 *
 * Packets merge when the kernel could cut the result into the very same packets again: equal addresses, ports, hop limit
 * and traffic class, equal payload sizes but for a shorter last one; for TCP also equal acknowledgement, window and
 * options, the next sequence number, and no flags besides ACK and PSH, which ends the run. Checksums are verified first:
 * merging must not make a corrupted packet look right.
 *
 * The result is a chain of slots: the first holds headers and payload, the others payload only (packet/batch.ts). Order
 * within a flow is kept: a packet that cannot join starts a new super-packet behind the old one.
 */
import type { Arena } from './arena.ts';
import { MAX_PACKET, NO_SLOT, NOT_IP, type Batch } from './batch.ts';
import { addSums, arenaSum } from './checksum.ts';
import {
  ipVersion,
  IPV4_MIN_HEADER,
  ipv4HeaderLength,
  ipv4Identification,
  ipv4IsFragment,
  ipv4Protocol,
  IPV4_SOURCE,
  setIpv4LengthAndIdentification,
} from './ipv4.ts';
import { innerLength } from './inner.ts';
import { IPV6_HEADER, ipv6NextHeader, IPV6_SOURCE, setIpv6TotalLength } from './ipv6.ts';
import { addressSum } from './pseudo-header.ts';
import {
  PROTOCOL_TCP,
  setTcpChecksum,
  setTcpFlags,
  tcpAcknowledgement,
  tcpFlags,
  TcpFlag,
  tcpHeaderLength,
  tcpSequence,
  tcpWindow,
  TCP_MIN_HEADER,
} from './tcp.ts';
import {
  PROTOCOL_UDP,
  setPartialUdpChecksum,
  setUdpLength,
  UDP_HEADER,
  udpChecksum,
  udpLength,
} from './udp.ts';
import { CONSUMED, PASS } from './verdict.ts';
import { readUint16 } from './word.ts';

/** Flows whose super-packets are open at once; more replace the oldest. */
const MAX_FLOWS = 8;
/** Packets in one super-packet: what one writev gathers, and the kernel's limit for UDP (UDP_MAX_SEGMENTS). */
export const MAX_SEGMENTS = 64;
/** Bytes of both ports, at the start of TCP's and UDP's header. */
const PORTS = 4;
/** IPv4 don't-fragment: identifications of such packets mean nothing (RFC 6864 4.1). */
const DONT_FRAGMENT = 0x4000;

/** Which protocols the receiver of the super-packets takes. */
export interface Coalescible {
  readonly tcp: boolean;
  readonly udp: boolean;
}

/** Super-packets being built, as parallel arrays. */
export class Coalescer {
  private readonly head = new Int32Array(MAX_FLOWS).fill(NO_SLOT);
  private readonly tail = new Int32Array(MAX_FLOWS);
  private readonly segments = new Int32Array(MAX_FLOWS);
  private readonly total = new Int32Array(MAX_FLOWS);
  private readonly payloadSize = new Int32Array(MAX_FLOWS);
  /** TCP: sequence number that comes next, modulo 2^32. */
  private readonly sequence = new Int32Array(MAX_FLOWS);
  private readonly identification = new Int32Array(MAX_FLOWS);
  private oldest = 0;

  /** Merges what can be merged among slots first..end-1 whose verdict is PASS; merged slots become CONSUMED. */
  coalesce(batch: Batch, first: number, end: number, { tcp, udp }: Coalescible): void {
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      const protocol = protocolOf(batch, slot);
      if ((protocol === PROTOCOL_TCP && tcp) || (protocol === PROTOCOL_UDP && udp))
        this.add(batch, slot, protocol);
    }
    for (let flow = 0; flow < MAX_FLOWS; flow++) this.close(batch, flow);
  }

  private add(batch: Batch, slot: number, protocol: number): void {
    const start = batch.start[slot];
    const network = batch.network[slot];
    const header = ipVersion(batch.bytes, start + network) === 4 ? IPV4_MIN_HEADER : IPV6_HEADER;
    const transport = network + header;
    batch.transport[slot] = transport;
    batch.udp[slot] = protocol === PROTOCOL_UDP ? 1 : 0;
    const headers =
      transport + (protocol === PROTOCOL_UDP ? UDP_HEADER : tcpHeaderLength(batch.bytes, start + transport));
    const flow = this.find(batch, slot);
    if (!isMergeable(batch, slot, protocol, headers)) {
      // What follows it must not join what came before it.
      if (flow >= 0) this.close(batch, flow);
      return;
    }
    if (flow >= 0) {
      if (this.join(batch, flow, slot, headers)) return;
      this.close(batch, flow);
    }
    this.open(batch, flow >= 0 ? flow : this.freeFlow(batch), slot, headers);
  }

  /** The open super-packet with the same protocol, addresses and ports, or -1. */
  private find(batch: Batch, slot: number): number {
    const transport = batch.transport[slot];
    for (let flow = 0; flow < MAX_FLOWS; flow++) {
      const head = this.head[flow];
      if (head === NO_SLOT || batch.transport[head] !== transport || batch.udp[head] !== batch.udp[slot])
        continue;
      if (sameFlow(batch, head, slot)) return flow;
    }
    return -1;
  }

  private freeFlow(batch: Batch): number {
    for (let flow = 0; flow < MAX_FLOWS; flow++) if (this.head[flow] === NO_SLOT) return flow;
    const flow = this.oldest;
    this.oldest = (this.oldest + 1) % MAX_FLOWS;
    this.close(batch, flow);
    return flow;
  }

  private open(batch: Batch, flow: number, slot: number, headers: number): void {
    const { bytes } = batch;
    const start = batch.start[slot];
    const payload = batch.length[slot] - headers;
    this.head[flow] = slot;
    this.tail[flow] = slot;
    this.segments[flow] = 1;
    this.total[flow] = batch.length[slot];
    this.payloadSize[flow] = payload;
    this.identification[flow] = ipv4Identification(bytes, start + batch.network[slot]);
    if (batch.udp[slot] === 1) return;
    const tcp = start + batch.transport[slot];
    this.sequence[flow] = (tcpSequence(bytes, tcp) + payload) | 0;
    if ((tcpFlags(bytes, tcp) & TcpFlag.Psh) !== 0) this.close(batch, flow);
  }

  /** Appends the packet to an open super-packet of its flow, or returns false. */
  private join(batch: Batch, flow: number, slot: number, headers: number): boolean {
    const { bytes } = batch;
    const head = this.head[flow];
    const start = batch.start[slot];
    const network = batch.network[slot];
    const payload = batch.length[slot] - headers;
    const fits =
      payload <= this.payloadSize[flow] &&
      this.segments[flow] < MAX_SEGMENTS &&
      this.total[flow] - network + payload <= MAX_PACKET &&
      sameBytes(bytes, batch.start[head], start, network) &&
      sameIpHeaders(bytes, batch.start[head] + network, start + network) &&
      (batch.udp[slot] === 1 || this.followsTcp(batch, flow, slot, headers)) &&
      this.followsIdentification(bytes, flow, start + network);
    if (!fits) return false;
    batch.next[this.tail[flow]] = slot;
    batch.start[slot] = start + headers;
    batch.length[slot] = payload;
    batch.verdict[slot] = CONSUMED;
    this.tail[flow] = slot;
    this.segments[flow]++;
    this.total[flow] += payload;
    const pushed =
      batch.udp[slot] === 0 && this.advanceTcp(batch, flow, start + batch.transport[slot], payload);
    if (pushed || payload < this.payloadSize[flow]) this.close(batch, flow);
    return true;
  }

  private followsTcp(batch: Batch, flow: number, slot: number, headers: number): boolean {
    const head = batch.start[this.head[flow]];
    const transport = batch.transport[slot];
    const sequence = tcpSequence(batch.bytes, batch.start[slot] + transport);
    return (
      sequence === this.sequence[flow] &&
      sameTcpHeaders(batch.bytes, head, batch.start[slot], transport, headers)
    );
  }

  /** The segment with its header at `tcp` has joined; true when it ends the run with PSH. */
  private advanceTcp(batch: Batch, flow: number, tcp: number, payload: number): boolean {
    const head = this.head[flow];
    this.sequence[flow] = (this.sequence[flow] + payload) | 0;
    if ((tcpFlags(batch.bytes, tcp) & TcpFlag.Psh) === 0) return false;
    setTcpFlags(batch.bytes, batch.start[head] + batch.transport[head], TcpFlag.Ack | TcpFlag.Psh);
    return true;
  }

  private followsIdentification(bytes: Uint8Array, flow: number, packet: number): boolean {
    if (ipVersion(bytes, packet) !== 4) return true;
    const identification = ipv4Identification(bytes, packet);
    const expected = (this.identification[flow] + 1) & 0xffff;
    const dontFragment = (readUint16(bytes, packet + 6) & DONT_FRAGMENT) !== 0;
    if (identification !== expected && !(dontFragment && identification === this.identification[flow]))
      return false;
    this.identification[flow] = identification;
    return true;
  }

  /** Gives the first slot the headers of the whole: lengths, and the partial checksum that the kernel completes. */
  private close(batch: Batch, flow: number): void {
    const head = this.head[flow];
    this.head[flow] = NO_SLOT;
    if (head === NO_SLOT || this.segments[flow] === 1) return;
    const { bytes, arena } = batch;
    const start = batch.start[head];
    const network = batch.network[head];
    const packet = start + network;
    const total = this.total[flow];
    const transport = batch.transport[head];
    if (ipVersion(bytes, packet) === 4) {
      setIpv4LengthAndIdentification(bytes, packet, total - network, ipv4Identification(bytes, packet));
    } else {
      setIpv6TotalLength(bytes, packet, total - network);
    }
    const covered = total - transport;
    if (batch.udp[head] === 1) {
      setUdpLength(bytes, start + transport, covered);
      setPartialUdpChecksum(
        bytes,
        start + transport,
        addSums(addressSum(arena, packet, PROTOCOL_UDP), covered),
      );
    } else {
      setTcpChecksum(bytes, start + transport, addSums(addressSum(arena, packet, PROTOCOL_TCP), covered));
    }
    batch.gsoSize[head] = this.payloadSize[flow];
  }
}

/** TCP or UDP for a packet that could be merged as far as IP is concerned and holds the fixed header, else 0. */
function protocolOf(batch: Batch, slot: number): number {
  const { bytes } = batch;
  const network = batch.network[slot];
  const packet = batch.start[slot] + network;
  const length = batch.length[slot] - network;
  // An Ethernet frame may be padded; the padding has no place between segments.
  if (network === NOT_IP || (network > 0 && innerLength(bytes, packet) !== length)) return 0;
  const ipv4 = ipVersion(bytes, packet) === 4;
  const header = ipv4 ? IPV4_MIN_HEADER : IPV6_HEADER;
  if (length < header + UDP_HEADER) return 0;
  if (ipv4 && (ipv4HeaderLength(bytes, packet) !== IPV4_MIN_HEADER || ipv4IsFragment(bytes, packet)))
    return 0;
  const protocol = ipv4 ? ipv4Protocol(bytes, packet) : ipv6NextHeader(bytes, packet);
  if (protocol === PROTOCOL_TCP) return length < header + TCP_MIN_HEADER ? 0 : protocol;
  return protocol === PROTOCOL_UDP ? protocol : 0;
}

/** Data with no TCP flags but ACK and PSH, and right checksums. */
function isMergeable(batch: Batch, slot: number, protocol: number, headers: number): boolean {
  const { bytes, arena } = batch;
  const start = batch.start[slot];
  const length = batch.length[slot];
  const transport = batch.transport[slot];
  if (headers >= length) return false;
  if (protocol === PROTOCOL_UDP) {
    // A datagram without a checksum (RFC 768) would get one; one with bytes behind its end would lose them.
    if (
      udpChecksum(bytes, start + transport) === 0 ||
      udpLength(bytes, start + transport) !== length - transport
    )
      return false;
  } else {
    if (headers < transport + TCP_MIN_HEADER) return false;
    if ((tcpFlags(bytes, start + transport) & ~TcpFlag.Psh) !== TcpFlag.Ack) return false;
  }
  const network = batch.network[slot];
  return hasRightChecksums(arena, start + network, length - network, transport - network, protocol);
}

/** Of the IP packet at `packet`, whose transport header is `transport` bytes further. */
function hasRightChecksums(
  arena: Arena,
  packet: number,
  length: number,
  transport: number,
  protocol: number,
): boolean {
  if (ipVersion(arena.bytes, packet) === 4 && arenaSum(arena, packet, transport) !== 0xffff) return false;
  const covered = length - transport;
  const pseudo = addSums(addressSum(arena, packet, protocol), covered);
  return addSums(pseudo, arenaSum(arena, packet + transport, covered)) === 0xffff;
}

/** Equal addresses and ports; both packets have their transport header at the same place. */
function sameFlow({ bytes, start, network, transport }: Batch, a: number, b: number): boolean {
  if (network[a] !== network[b]) return false;
  const header = transport[a] - network[a];
  const addresses = header === IPV4_MIN_HEADER ? IPV4_SOURCE : IPV6_SOURCE;
  const at = network[a] + addresses;
  return sameBytes(bytes, start[a] + at, start[b] + at, header + PORTS - addresses);
}

function sameBytes(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}

/** Equal traffic class, flow label, hop limit and don't-fragment. */
function sameIpHeaders(bytes: Uint8Array, a: number, b: number): boolean {
  if (ipVersion(bytes, a) === 4) {
    return (
      bytes[a + 1] === bytes[b + 1] &&
      bytes[a + 8] === bytes[b + 8] &&
      readUint16(bytes, a + 6) === readUint16(bytes, b + 6)
    );
  }
  for (let i = 0; i < 4; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return bytes[a + 7] === bytes[b + 7];
}

/** Equal acknowledgement, window and options. */
function sameTcpHeaders(
  bytes: Uint8Array,
  a: number,
  b: number,
  transport: number,
  headers: number,
): boolean {
  const tcpA = a + transport;
  const tcpB = b + transport;
  if (tcpHeaderLength(bytes, tcpA) !== tcpHeaderLength(bytes, tcpB)) return false;
  if (tcpAcknowledgement(bytes, tcpA) !== tcpAcknowledgement(bytes, tcpB)) return false;
  if (tcpWindow(bytes, tcpA) !== tcpWindow(bytes, tcpB)) return false;
  for (let i = transport + TCP_MIN_HEADER; i < headers; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}
