/**
 * Coalescing: consecutive TCP segments of one flow, as they come out of the tunnel, become super-packets that the
 * kernel takes with one write, as its own receive offload (tcp_gro_receive) would merge them.
 *
 * Segments merge when the kernel could cut the result into the very same packets again: equal addresses, ports,
 * acknowledgement, window, options, hop limit and traffic class; the next sequence number; equal payload sizes but for a
 * shorter last one; no flags besides ACK and PSH, and PSH ends the run. Checksums of every segment are verified first:
 * merging must not make a corrupted one look right.
 *
 * The result is a chain of slots: the first holds headers and payload, the others payload only (packet/batch.ts). Order
 * within a flow is kept: a segment that cannot join starts a new super-packet behind the old one.
 */
import type { Arena } from './arena.ts';
import { MAX_PACKET, NO_SLOT, type Batch } from './batch.ts';
import { addSums, arenaSum } from './checksum.ts';
import {
  ipVersion,
  IPV4_MIN_HEADER,
  ipv4HeaderLength,
  ipv4Identification,
  ipv4IsFragment,
  ipv4Protocol,
  setIpv4LengthAndIdentification,
} from './ipv4.ts';
import { IPV6_HEADER, ipv6NextHeader, setIpv6TotalLength } from './ipv6.ts';
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
import { CONSUMED, PASS } from './verdict.ts';
import { readUint16 } from './word.ts';

/** Flows whose super-packets are open at once; more replace the oldest. */
const MAX_FLOWS = 8;
/** Segments of one super-packet: what one writev can gather, and the kernel's own limit is 64 KiB anyway. */
export const MAX_SEGMENTS = 64;
/** IPv4 don't-fragment: identifications of such packets mean nothing (RFC 6864 4.1). */
const DONT_FRAGMENT = 0x4000;

/** Super-packets being built, as parallel arrays. */
export class Coalescer {
  private readonly head = new Int32Array(MAX_FLOWS).fill(NO_SLOT);
  private readonly tail = new Int32Array(MAX_FLOWS);
  private readonly segments = new Int32Array(MAX_FLOWS);
  private readonly total = new Int32Array(MAX_FLOWS);
  private readonly payloadSize = new Int32Array(MAX_FLOWS);
  private readonly sequence = new Int32Array(MAX_FLOWS);
  private readonly identification = new Int32Array(MAX_FLOWS);
  private oldest = 0;

  /** Merges what can be merged among slots first..end-1 whose verdict is PASS; merged slots become CONSUMED. */
  coalesce(batch: Batch, first: number, end: number): void {
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] === PASS) this.add(batch, slot);
    }
    for (let flow = 0; flow < MAX_FLOWS; flow++) this.close(batch, flow);
  }

  private add(batch: Batch, slot: number): void {
    const transport = transportOffset(batch.bytes, batch.start[slot], batch.length[slot]);
    if (transport === 0) return;
    const tcp = batch.start[slot] + transport;
    const headers = transport + tcpHeaderLength(batch.bytes, tcp);
    const flow = this.find(batch, slot, transport);
    if (!isMergeable(batch, slot, transport, headers)) {
      // What follows it must not join what came before it.
      if (flow >= 0) this.close(batch, flow);
      return;
    }
    if (flow >= 0) {
      if (this.join(batch, flow, slot, transport, headers)) return;
      this.close(batch, flow);
    }
    this.open(batch, flow >= 0 ? flow : this.freeFlow(batch), slot, transport, headers);
  }

  /** The open super-packet with the same addresses and ports, or -1. */
  private find(batch: Batch, slot: number, transport: number): number {
    for (let flow = 0; flow < MAX_FLOWS; flow++) {
      const head = this.head[flow];
      if (head === NO_SLOT || batch.transport[head] !== transport) continue;
      if (sameFlow(batch.bytes, batch.start[head], batch.start[slot], transport)) return flow;
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

  private open(batch: Batch, flow: number, slot: number, transport: number, headers: number): void {
    const payload = batch.length[slot] - headers;
    batch.transport[slot] = transport;
    this.head[flow] = slot;
    this.tail[flow] = slot;
    this.segments[flow] = 1;
    this.total[flow] = batch.length[slot];
    this.payloadSize[flow] = payload;
    this.sequence[flow] = (tcpSequence(batch.bytes, batch.start[slot] + transport) + payload) | 0;
    this.identification[flow] = ipv4Identification(batch.bytes, batch.start[slot]);
    if (tcpFlags(batch.bytes, batch.start[slot] + transport) & TcpFlag.Psh) this.close(batch, flow);
  }

  /** Appends the segment to an open super-packet of its flow, or returns false. */
  private join(batch: Batch, flow: number, slot: number, transport: number, headers: number): boolean {
    const { bytes } = batch;
    const head = this.head[flow];
    const start = batch.start[slot];
    const payload = batch.length[slot] - headers;
    const fits =
      payload <= this.payloadSize[flow] &&
      this.segments[flow] < MAX_SEGMENTS &&
      this.total[flow] + payload <= MAX_PACKET &&
      tcpSequence(bytes, start + transport) === this.sequence[flow] &&
      sameHeaders(bytes, batch.start[head], start, transport, headers) &&
      this.followsIdentification(bytes, flow, start);
    if (!fits) return false;
    batch.next[this.tail[flow]] = slot;
    batch.start[slot] = start + headers;
    batch.length[slot] = payload;
    batch.verdict[slot] = CONSUMED;
    this.tail[flow] = slot;
    this.segments[flow]++;
    this.total[flow] += payload;
    this.sequence[flow] = (this.sequence[flow] + payload) | 0;
    const pushed = (tcpFlags(bytes, start + transport) & TcpFlag.Psh) !== 0;
    if (pushed) setTcpFlags(bytes, batch.start[head] + transport, TcpFlag.Ack | TcpFlag.Psh);
    if (pushed || payload < this.payloadSize[flow]) this.close(batch, flow);
    return true;
  }

  private followsIdentification(bytes: Uint8Array, flow: number, start: number): boolean {
    if (ipVersion(bytes, start) !== 4) return true;
    const identification = ipv4Identification(bytes, start);
    const expected = (this.identification[flow] + 1) & 0xffff;
    const dontFragment = (readUint16(bytes, start + 6) & DONT_FRAGMENT) !== 0;
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
    const total = this.total[flow];
    const transport = batch.transport[head];
    if (ipVersion(bytes, start) === 4) {
      setIpv4LengthAndIdentification(bytes, start, total, ipv4Identification(bytes, start));
    } else {
      setIpv6TotalLength(bytes, start, total);
    }
    setTcpChecksum(
      bytes,
      start + transport,
      addSums(addressSum(arena, start, PROTOCOL_TCP), total - transport),
    );
    batch.gsoSize[head] = this.payloadSize[flow];
  }
}

/** Bytes to the TCP header of a packet that could be merged as far as IP is concerned, else 0. */
function transportOffset(bytes: Uint8Array, start: number, length: number): number {
  const ipv4 = ipVersion(bytes, start) === 4;
  const header = ipv4 ? IPV4_MIN_HEADER : IPV6_HEADER;
  if (length < header + TCP_MIN_HEADER) return 0;
  if (ipv4) {
    const plain = ipv4HeaderLength(bytes, start) === IPV4_MIN_HEADER && !ipv4IsFragment(bytes, start);
    return plain && ipv4Protocol(bytes, start) === PROTOCOL_TCP ? header : 0;
  }
  return ipv6NextHeader(bytes, start) === PROTOCOL_TCP ? header : 0;
}

/** Data with no flags but ACK and PSH, and right checksums. */
function isMergeable(batch: Batch, slot: number, transport: number, headers: number): boolean {
  const { bytes, arena } = batch;
  const start = batch.start[slot];
  const length = batch.length[slot];
  if (headers < transport + TCP_MIN_HEADER || headers >= length) return false;
  if ((tcpFlags(bytes, start + transport) & ~TcpFlag.Psh) !== TcpFlag.Ack) return false;
  return hasRightChecksums(arena, start, length, transport);
}

function hasRightChecksums(arena: Arena, start: number, length: number, transport: number): boolean {
  if (ipVersion(arena.bytes, start) === 4 && arenaSum(arena, start, transport) !== 0xffff) return false;
  const covered = length - transport;
  const pseudo = addSums(addressSum(arena, start, PROTOCOL_TCP), covered);
  return addSums(pseudo, arenaSum(arena, start + transport, covered)) === 0xffff;
}

/** Equal addresses and ports; both packets have their TCP header at `transport`. */
function sameFlow(bytes: Uint8Array, a: number, b: number, transport: number): boolean {
  const addresses = transport === IPV4_MIN_HEADER ? 12 : 8;
  for (let i = addresses; i < transport + 4; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return bytes[a] >>> 4 === bytes[b] >>> 4;
}

/** Equal in all that a super-packet has only once: traffic class, hop limit, acknowledgement, window, options. */
function sameHeaders(bytes: Uint8Array, a: number, b: number, transport: number, headers: number): boolean {
  if (transport === IPV4_MIN_HEADER) {
    if (bytes[a + 1] !== bytes[b + 1] || bytes[a + 8] !== bytes[b + 8]) return false;
    if (readUint16(bytes, a + 6) !== readUint16(bytes, b + 6)) return false;
  } else {
    for (let i = 0; i < 4; i++) if (bytes[a + i] !== bytes[b + i]) return false;
    if (bytes[a + 7] !== bytes[b + 7]) return false;
  }
  const tcpA = a + transport;
  const tcpB = b + transport;
  if (tcpHeaderLength(bytes, tcpA) !== tcpHeaderLength(bytes, tcpB)) return false;
  if (tcpAcknowledgement(bytes, tcpA) !== tcpAcknowledgement(bytes, tcpB)) return false;
  if (tcpWindow(bytes, tcpA) !== tcpWindow(bytes, tcpB)) return false;
  for (let i = transport + TCP_MIN_HEADER; i < headers; i++) if (bytes[a + i] !== bytes[b + i]) return false;
  return true;
}
