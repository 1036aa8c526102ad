/**
 * Outbound, from the TUN device to the peer:
 *
 *   1 read      a bounded batch of IP packets from the TUN device
 *   2 inspect   sanity of the inner header, a peer to send to, no tunnel inside itself
 *   3 clamp     the MSS of TCP SYNs
 *   4 encapsulate  framing, packet id, encryption, HMAC (encapsulate.ts)
 *   5 send      one system call for the batch; what the socket cannot take yet waits, and reading stops meanwhile
 *
 * inbound.ts mirrors it.
 */
import type { Batch } from '../packet/batch.ts';
import { checkInner, innerDestinationIs, innerLength } from '../packet/inner.ts';
import { clampMss } from '../packet/mss.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import type { EngineContext, Now } from './context.ts';
import { Counter } from './counters.ts';
import { encapsulate } from './encapsulate.ts';

export class Outbound {
  private readonly context: EngineContext;
  private readonly batch: Batch;
  /** First slot not yet sent; equal to the batch's count when nothing waits. */
  private next = 0;

  constructor(context: EngineContext, batch: Batch) {
    this.context = context;
    this.batch = batch;
  }

  /** Datagrams are waiting for the socket to become writable. */
  get blocked(): boolean {
    return this.next < this.batch.count;
  }

  /** Moves one batch; returns true when more packets may be waiting. */
  run(now: Now): boolean {
    const { batch } = this;
    if (this.blocked) {
      this.send(now);
      return !this.blocked;
    }
    batch.count = 0;
    this.next = 0;
    const read = this.context.tun.readBatch(batch);
    if (read === 0) return false;
    this.inspect(read);
    encapsulate(batch, 0, read, this.context.peer, now.sec);
    this.send(now);
    return read === batch.slots && !this.blocked;
  }

  /** The port is gone: what waited for it is lost. */
  abandon(): void {
    for (let slot = this.next; slot < this.batch.count; slot++)
      this.batch.verdict[slot] ||= DropReason.PeerRestarting;
    this.count(this.next, this.batch.count);
    this.batch.count = 0;
    this.next = 0;
  }

  private inspect(read: number): void {
    const { batch } = this;
    const { peer, counters } = this.context;
    const { bytes } = batch;
    let readBytes = 0;
    for (let slot = 0; slot < read; slot++) {
      readBytes += batch.length[slot];
      const verdict = this.verdict(slot);
      batch.verdict[slot] = verdict;
      if (verdict !== PASS) continue;
      batch.length[slot] = innerLength(bytes, batch.start[slot]);
      if (peer.mss > 0) clampMss(bytes, batch.start[slot], batch.length[slot], peer.mss);
    }
    counters.add(Counter.TunReadPackets, read);
    counters.add(Counter.TunReadBytes, readBytes);
  }

  private verdict(slot: number): Verdict {
    const { batch } = this;
    const { peer } = this.context;
    if (!peer.endpoint.known) return DropReason.NoPeer;
    if (peer.port === undefined) return DropReason.PeerRestarting;
    const inner = checkInner(batch.bytes, batch.start[slot], batch.length[slot]);
    if (inner !== PASS) return inner;
    // OpenVPN's drop_if_recursive_routing: the route to the peer must not lead into the tunnel.
    const recursive =
      !peer.settings.allowRecursiveRouting &&
      innerDestinationIs(batch.bytes, batch.start[slot], peer.endpoint.offset);
    return recursive ? DropReason.Recursive : PASS;
  }

  private send(now: Now): void {
    const { batch, next } = this;
    const { peer } = this.context;
    this.next = peer.port === undefined ? batch.count : peer.port.sendBatch(batch, next, batch.count);
    if (this.count(next, this.next) > 0) peer.liveness.sent(now.ms);
  }

  /** Counts slots first..end-1, sent or dropped; returns how many were sent. */
  private count(first: number, end: number): number {
    const { batch } = this;
    const { counters } = this.context;
    let packets = 0;
    let bytes = 0;
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] === PASS) {
        packets++;
        bytes += batch.length[slot];
        counters.atLeast(Counter.LargestSent, batch.length[slot]);
      } else {
        counters.drop(batch.verdict[slot] as Verdict);
      }
    }
    counters.add(Counter.UdpWritePackets, packets);
    counters.add(Counter.UdpWriteBytes, bytes);
    return packets;
  }
}
