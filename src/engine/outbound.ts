/**
 * Outbound, from the TUN device to the peer:
 *
 *   1 read         a bounded batch of packets and super-packets from the TUN device
 *   2 inspect      sanity of the inner header, a peer to send to, no tunnel inside itself; clamp the MSS of TCP SYNs
 *   3 segment      super-packets become packets that fit the path (packet/segment.ts)
 *   4 encapsulate  framing, packet id, encryption, HMAC (encapsulate.ts)
 *   5 send         one system call for the batch; what the socket cannot take yet waits, and reading stops meanwhile
 *
 * Stages 1 and 2 work on whole super-packets, one decision for up to 64 KiB; 3 to 5 on what goes over the wire, as many
 * packets at a time as the second batch holds. inbound.ts mirrors this file.
 */
import type { Batch } from '../packet/batch.ts';
import { checkInner, innerDestinationIs, innerLength } from '../packet/inner.ts';
import { clampMss } from '../packet/mss.ts';
import { segment, segmentCount, segmentsFit } from '../packet/segment.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import type { EngineContext, Now } from './context.ts';
import { Counter } from './counters.ts';
import { encapsulate } from './encapsulate.ts';

/** Bytes read in one breath: some 100 segments, so that the other direction waits well under a millisecond. */
const READ_BUDGET = 128 * 1024;

export class Outbound {
  private readonly context: EngineContext;
  /** Packets as read, super-packets among them. */
  private readonly packets: Batch;
  /** First packet not yet segmented; equal to the batch's count when nothing waits. */
  private nextPacket = 0;
  /** Segments of that packet already cut. */
  private nextSegment = 0;
  /** What goes over the wire. */
  private readonly datagrams: Batch;
  /** First datagram not yet sent; equal to the batch's count when nothing waits. */
  private nextDatagram = 0;
  /** Bytes of the packets read last. */
  private readBytes = 0;

  constructor(context: EngineContext, packets: Batch, datagrams: Batch) {
    this.context = context;
    this.packets = packets;
    this.datagrams = datagrams;
  }

  /** Datagrams are waiting for the socket to become writable. */
  get blocked(): boolean {
    return this.nextDatagram < this.datagrams.count;
  }

  /** Moves one batch; returns true when more packets may be waiting. */
  run(now: Now): boolean {
    if (this.nextPacket === this.packets.count && !this.blocked) this.read();
    const full = this.packets.count === this.packets.slots || this.readBytes >= READ_BUDGET;
    do {
      if (this.blocked) {
        this.send(now);
        if (this.blocked) return false;
      }
      this.segment();
      encapsulate(this.datagrams, 0, this.datagrams.count, this.context.peer, now.sec);
      this.send(now);
    } while (!this.blocked && this.nextPacket < this.packets.count);
    return full && !this.blocked;
  }

  /** The port is gone: what waited for it is lost. */
  abandon(): void {
    const { datagrams, packets } = this;
    for (let slot = this.nextDatagram; slot < datagrams.count; slot++) {
      datagrams.verdict[slot] ||= DropReason.PeerRestarting;
    }
    this.count(this.nextDatagram, datagrams.count);
    for (; this.nextPacket < packets.count; this.nextPacket++) {
      this.context.counters.drop(DropReason.PeerRestarting);
    }
    this.nextDatagram = datagrams.count;
    this.nextSegment = 0;
  }

  private read(): void {
    const { packets } = this;
    const { peer, counters } = this.context;
    packets.count = 0;
    this.nextPacket = 0;
    this.readBytes = 0;
    const read = this.context.tun.readBatch(packets, READ_BUDGET);
    for (let slot = 0; slot < read; slot++) {
      this.readBytes += packets.length[slot];
      if (packets.verdict[slot] === PASS) packets.verdict[slot] = this.verdict(slot);
      if (packets.verdict[slot] !== PASS) {
        counters.drop(packets.verdict[slot] as Verdict);
        continue;
      }
      const start = packets.start[slot];
      packets.length[slot] = innerLength(packets.bytes, start);
      if (peer.mss > 0) clampMss(packets.bytes, start, packets.length[slot], peer.mss);
    }
    counters.add(Counter.TunReadBytes, this.readBytes);
  }

  private verdict(slot: number): Verdict {
    const { packets } = this;
    const { peer } = this.context;
    if (!peer.endpoint.known) return DropReason.NoPeer;
    if (peer.port === undefined) return DropReason.PeerRestarting;
    const inner = checkInner(packets.bytes, packets.start[slot], packets.length[slot]);
    if (inner !== PASS) return inner;
    // OpenVPN's drop_if_recursive_routing: the route to the peer must not lead into the tunnel.
    const recursive =
      !peer.settings.allowRecursiveRouting &&
      innerDestinationIs(packets.bytes, packets.start[slot], peer.endpoint.offset);
    return recursive ? DropReason.Recursive : PASS;
  }

  /**
   * Fills the datagram batch from the packets not yet segmented. A super-packet of more segments than fit (a host may
   * ask for a tiny MSS) is cut in several rounds.
   */
  private segment(): void {
    const { packets, datagrams } = this;
    datagrams.count = 0;
    this.nextDatagram = 0;
    while (this.nextPacket < packets.count && datagrams.count < datagrams.slots) {
      if (this.segmentOne()) {
        this.nextPacket++;
        this.nextSegment = 0;
      }
    }
  }

  /** Cuts the next packet, as far as there is room; true when it is done with. */
  private segmentOne(): boolean {
    const { packets, datagrams, nextPacket, nextSegment } = this;
    const { counters } = this.context;
    if (packets.verdict[nextPacket] !== PASS) {
      counters.add(Counter.TunReadPackets, 1);
      return true;
    }
    const count = segmentCount(packets, nextPacket);
    if (!segmentsFit(packets, nextPacket, datagrams.capacity)) {
      counters.add(Counter.TunReadPackets, count);
      for (let i = 0; i < count; i++) counters.drop(DropReason.TooLong);
      return true;
    }
    this.nextSegment = segment(packets, nextPacket, nextSegment, datagrams);
    counters.add(Counter.TunReadPackets, this.nextSegment - nextSegment);
    return this.nextSegment === count;
  }

  private send(now: Now): void {
    const { datagrams, nextDatagram } = this;
    const { peer } = this.context;
    this.nextDatagram =
      peer.port === undefined
        ? datagrams.count
        : peer.port.sendBatch(datagrams, nextDatagram, datagrams.count);
    if (this.count(nextDatagram, this.nextDatagram) > 0) peer.liveness.sent(now.ms);
  }

  /** Counts datagrams first..end-1, sent or dropped; returns how many were sent. */
  private count(first: number, end: number): number {
    const { datagrams } = this;
    const { counters } = this.context;
    let packets = 0;
    let bytes = 0;
    let largest = 0;
    for (let slot = first; slot < end; slot++) {
      if (datagrams.verdict[slot] === PASS) {
        packets++;
        bytes += datagrams.length[slot];
        largest = Math.max(largest, datagrams.length[slot]);
      } else {
        counters.drop(datagrams.verdict[slot] as Verdict);
      }
    }
    counters.add(Counter.UdpWritePackets, packets);
    counters.add(Counter.UdpWriteBytes, bytes);
    counters.atLeast(Counter.LargestSent, largest);
    return packets;
  }
}
