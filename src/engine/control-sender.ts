/** Sends a peer what is not a tunnelled packet: pings, OCC messages, exit notifications. */
import { type Arena } from '../packet/arena.ts';
import { Batch, MAX_PACKET } from '../packet/batch.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import type { SizedSend, TransportPort } from '../transport/port.ts';
import type { Now } from './context.ts';
import { Counter } from './counters.ts';
import { encapsulate } from './encapsulate.ts';
import type { Peer } from './peer.ts';
import { Splitter } from './splitter.ts';

/** Writes a payload at `bytes[offset...]` and returns its length. */
export type PayloadWriter = (bytes: Uint8Array, offset: number) => number;

export class ControlSender {
  private readonly batch: Batch;
  private readonly splitter: Splitter;

  constructor(arena: Arena) {
    this.batch = new Batch(arena, { slots: 1 });
    this.splitter = new Splitter(arena, MAX_PACKET);
  }

  static arenaSize(): number {
    return Batch.arenaSize({ slots: 1 }) + Splitter.arenaSize(MAX_PACKET);
  }

  /**
   * Sends one payload, or nothing while no peer address is known (no packet id is spent then). A full socket buffer
   * drops it: a later timer sends the next one. On a full stream so much is under way that nothing is sent.
   */
  send(peer: Peer, write: PayloadWriter, now: Now): void {
    const { batch, splitter } = this;
    const { fragmenter } = peer;
    if (peer.port === undefined || !peer.endpoint.known) return;
    if (peer.link?.full === true) return peer.liveness.sent(now.ms);
    if (fragmenter === undefined) {
      batch.commit(0, write(batch.bytes, batch.packetOffset(0)));
      return this.transmit(peer, peer.port, now);
    }
    const { packet } = splitter;
    packet.commit(0, write(packet.bytes, packet.packetOffset(0)));
    if (!splitter.begin(peer, fragmenter)) peer.counters.drop(DropReason.TooBig);
    while (splitter.busy) {
      batch.count = 0;
      splitter.split(batch);
      this.transmit(peer, peer.port, now);
    }
  }

  /** As `send`, but in an IP packet of `total` bytes that must not be cut. */
  sendSized(peer: Peer, write: PayloadWriter, total: number, now: Now): SizedSend {
    if (!this.prepare(peer, write, now)) return 'unable';
    return this.probed(peer, peer.port?.sendSized?.(this.batch, 0, total), now);
  }

  /** As `send`, but in two IP fragments. */
  sendFragments(peer: Peer, write: PayloadWriter, identification: number, now: Now): SizedSend {
    if (!this.prepare(peer, write, now)) return 'unable';
    return this.probed(peer, peer.port?.sendFragments?.(this.batch, 0, identification), now);
  }

  /** A payload becomes a datagram in slot 0 of the batch; false when it would be several, or there is nowhere to send it. */
  private prepare(peer: Peer, write: PayloadWriter, now: Now): boolean {
    const { batch, splitter } = this;
    const { port, fragmenter } = peer;
    if (port === undefined || !peer.endpoint.known) return false;
    const { packet } = fragmenter === undefined ? { packet: batch } : splitter;
    packet.commit(0, write(packet.bytes, packet.packetOffset(0)));
    if (fragmenter !== undefined) {
      batch.count = 0;
      if (splitter.begin(peer, fragmenter)) splitter.split(batch);
      if (batch.count !== 1 || splitter.busy) return false;
    }
    encapsulate(batch, 0, 1, peer, now.sec);
    return batch.verdict[0] === PASS;
  }

  private probed(peer: Peer, outcome: SizedSend | undefined, now: Now): SizedSend {
    if (outcome === 'sent') this.sent(peer, now);
    return outcome ?? 'unable';
  }

  private sent(peer: Peer, now: Now): void {
    peer.liveness.sent(now.ms);
    peer.counters.add(Counter.UdpWritePackets, 1);
    peer.counters.add(Counter.UdpWriteBytes, this.batch.length[0]);
  }

  /** Slot 0 of the batch. */
  private transmit(peer: Peer, port: TransportPort, now: Now): void {
    const { batch } = this;
    const { counters } = peer;
    encapsulate(batch, 0, 1, peer, now.sec);
    peer.liveness.sent(now.ms);
    const sent = port.sendBatch(batch, 0, 1) === 1;
    if (sent && batch.verdict[0] === PASS) {
      this.sent(peer, now);
      counters.atLeast(Counter.LargestSent, batch.length[0]);
      peer.shaper?.sent(batch.length[0] + peer.endpoint.outerHeaders, now.ms);
    } else {
      counters.drop(sent ? (batch.verdict[0] as Verdict) : DropReason.SendBuffer);
    }
  }
}
