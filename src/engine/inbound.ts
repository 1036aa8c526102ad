/**
 * Inbound, from the peer to the TUN device, mirroring outbound.ts:
 *
 *   1 receive      a bounded batch of datagrams
 *   2 filter       source address, before any cryptography
 *   3 open         HMAC, then decryption
 *   4 decapsulate  packet id and replay window, framing
 *   5 learn        the peer's address; pings and OCC messages end here
 *   6 inspect      sanity of the inner header; clamp the MSS of TCP SYNs
 *   7 coalesce     segments of one flow become super-packets (packet/coalesce.ts)
 *   8 write        to the TUN device
 */
import type { Batch } from '../packet/batch.ts';
import { Coalescer } from '../packet/coalesce.ts';
import { checkInner, innerLength } from '../packet/inner.ts';
import { clampMss } from '../packet/mss.ts';
import { CONSUMED, DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { OccOpcode } from '../protocol/constants.ts';
import { isOcc, occOpcode } from '../protocol/occ.ts';
import { PACKET_ID_SIZE, readEpoch, readPacketId } from '../protocol/packet-id.ts';
import { isPing } from '../protocol/ping.ts';
import { datagramTag } from '../protocol/reflection.ts';
import { formatEndpoint } from '../udp/endpoint.ts';
import type { UdpPort } from '../udp/port.ts';
import type { EngineContext, Now } from './context.ts';
import { Counter } from './counters.ts';
import { receiveOcc } from './receive-occ.ts';

/** A receive that brought so many datagrams has probably left some. */
const MORE_LIKELY = 64;
/** At most one report of a rejected source in this time, milliseconds. */
const REJECTION_REPORT_MS = 10_000;

export class Inbound {
  private readonly context: EngineContext;
  private readonly batch: Batch;
  private readonly coalescer = new Coalescer();
  private nextRejectionReportMs = 0;

  constructor(context: EngineContext, batch: Batch) {
    this.context = context;
    this.batch = batch;
  }

  /** Moves one batch; returns true when more datagrams may be waiting. */
  run(port: UdpPort, now: Now): boolean {
    const { batch } = this;
    batch.count = 0;
    const received = port.recvBatch(batch);
    if (received === 0) return false;
    this.filter(received, now);
    this.context.peer.opener.open(batch, 0, received);
    for (let slot = 0; slot < received; slot++) {
      if (batch.verdict[slot] === PASS) batch.verdict[slot] = this.decapsulate(slot, now);
    }
    this.count(received);
    this.deliver(received);
    return received >= MORE_LIKELY;
  }

  /** Steps 7 and 8; what the kernel refuses is counted as dropped, not as delivered. */
  private deliver(received: number): void {
    const { batch } = this;
    const { tun, counters } = this.context;
    const { superPackets } = tun;
    if (superPackets.tcp || superPackets.udp) this.coalescer.coalesce(batch, 0, received, superPackets);
    tun.writeBatch(batch, 0, received);
    for (let slot = 0; slot < received; slot++) {
      if (batch.verdict[slot] !== DropReason.TunWrite) continue;
      counters.drop(DropReason.TunWrite);
      counters.add(Counter.TunWritePackets, -1);
      counters.add(Counter.TunWriteBytes, -batch.length[slot]);
    }
  }

  private filter(received: number, now: Now): void {
    const { batch } = this;
    const { peer, counters, emit } = this.context;
    let receivedBytes = 0;
    for (let slot = 0; slot < received; slot++) {
      receivedBytes += batch.length[slot];
      counters.atLeast(Counter.LargestReceived, batch.length[slot]);
      if (peer.endpoint.accepts(batch.bytes, batch.endpoint[slot])) continue;
      batch.verdict[slot] = DropReason.Source;
      if (now.ms < this.nextRejectionReportMs) continue;
      this.nextRejectionReportMs = now.ms + REJECTION_REPORT_MS;
      emit({ kind: 'rejected-source', endpoint: formatEndpoint(batch.bytes, batch.endpoint[slot]) });
    }
    counters.add(Counter.UdpReadPackets, received);
    counters.add(Counter.UdpReadBytes, receivedBytes);
  }

  /** Steps 4 to 6 for one authentic packet. */
  private decapsulate(slot: number, now: Now): Verdict {
    const { batch } = this;
    const { peer } = this.context;
    const fresh = peer.replay === undefined ? PASS : this.checkPacketId(slot, now);
    if (fresh !== PASS) return fresh;
    // A packet that ends here is accepted, moves no timer and teaches no address.
    if (batch.length[slot] === 0) return DropReason.Empty;
    const framed = peer.framing.unframe(batch, slot);
    if (framed !== PASS) return framed;
    if (batch.length[slot] === 0) return DropReason.Empty;
    return this.payload(slot, now);
  }

  private checkPacketId(slot: number, now: Now): Verdict {
    const { batch } = this;
    const { peer } = this.context;
    if (batch.length[slot] < PACKET_ID_SIZE) return DropReason.Header;
    const id = readPacketId(batch.bytes, batch.start[slot]);
    const epoch = readEpoch(batch.bytes, batch.start[slot]);
    if (peer.ownPackets !== undefined && this.isReflected(slot, id, epoch, now)) return DropReason.Reflected;
    const verdict = peer.replay!.check(id, epoch, now.sec);
    if (verdict !== PASS) return verdict;
    peer.replay!.record(id, epoch, now.sec);
    batch.start[slot] += PACKET_ID_SIZE;
    batch.length[slot] -= PACKET_ID_SIZE;
    return PASS;
  }

  private isReflected(slot: number, id: number, epoch: number, now: Now): boolean {
    const { peer } = this.context;
    const { packetIds } = peer;
    // Opening a datagram leaves its HMAC and IV where they were received.
    const { cipher, digest } = peer.settings.suite;
    const received = this.batch.start[slot] - cipher.blockSize - digest.size;
    const tag = datagramTag(this.batch.bytes, received);
    if (peer.ownPackets!.isOwn(id, epoch, tag, packetIds.epoch, packetIds.id)) return true;
    peer.leaveSharedEpoch(epoch, tag, now.sec);
    return false;
  }

  private payload(slot: number, now: Now): Verdict {
    const { batch } = this;
    const { peer, counters } = this.context;
    const { bytes } = batch;
    const start = batch.start[slot];
    const length = batch.length[slot];
    counters.add(Counter.AuthReadBytes, length);
    const occ = isOcc(bytes, start, length);
    // A peer that says goodbye is not one to send to.
    const exits = occ && occOpcode(bytes, start, length) === OccOpcode.Exit;
    if (!exits) this.heardFrom(batch.endpoint[slot], now);
    if (occ) return receiveOcc(this.context, bytes, start, length, now);
    if (isPing(bytes, start, length)) return CONSUMED;
    const verdict = checkInner(bytes, start, length);
    if (verdict !== PASS) return verdict;
    batch.length[slot] = innerLength(bytes, start);
    if (peer.mss > 0) clampMss(bytes, start, batch.length[slot], peer.mss);
    return PASS;
  }

  private heardFrom(endpoint: number, now: Now): void {
    const { peer, counters, emit } = this.context;
    peer.liveness.lastReceivedMs = now.ms;
    counters.set(Counter.LastReceiveMs, now.ms);
    const moved = peer.endpoint.learn(this.batch.bytes, endpoint);
    if (!moved && peer.heard) return;
    emit({ kind: 'peer', endpoint: formatEndpoint(this.batch.bytes, endpoint), first: !peer.heard });
    peer.heard = true;
  }

  private count(received: number): void {
    const { batch } = this;
    const { counters } = this.context;
    let packets = 0;
    let bytes = 0;
    for (let slot = 0; slot < received; slot++) {
      const verdict = batch.verdict[slot];
      if (verdict === PASS) {
        packets++;
        bytes += batch.length[slot];
      } else if (verdict !== CONSUMED) {
        counters.drop(verdict as Verdict);
      }
    }
    counters.add(Counter.TunWritePackets, packets);
    counters.add(Counter.TunWriteBytes, bytes);
  }
}
