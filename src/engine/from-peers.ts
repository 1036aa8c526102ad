/**
 * From the peers: datagrams of one link become packets, which go where they are forwarded to.
 *
 *   1 receive      a bounded batch of datagrams; a connection that may be the peer's has to prove it (candidates.ts)
 *   2 filter       which peer is at the source address, before any cryptography
 *   3 open         HMAC, then decryption; a burst is a run of datagrams from one peer. What fails here or by its packet id
 *                  ends a stream
 *   4 decapsulate  packet id and replay window, reassembly (`fragment`), framing
 *   5 learn        the peer's address; pings and OCC messages end here
 *   6 forward      forward.ts: to the kernel, to another peer, or to nobody
 *   7 send         to-peers.ts, to-kernel.ts
 */
import { Annex, type AnnexShape } from '../packet/annex.ts';
import { NOT_IP, type Batch } from '../packet/batch.ts';
import { isCongested, markCongested } from '../packet/traffic-class.ts';
import { CONSUMED, DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { OccOpcode } from '../protocol/constants.ts';
import { isOcc, occOpcode } from '../protocol/occ.ts';
import { PACKET_ID_SIZE, readEpoch, readPacketId } from '../protocol/packet-id.ts';
import { isPing } from '../protocol/ping.ts';
import { datagramTag } from '../protocol/reflection.ts';
import { formatEndpoint, formatLocal, localInterface } from '../transport/endpoint.ts';
import type { Candidates } from './candidates.ts';
import type { EngineContext, Now } from './context.ts';
import { Counter } from './counters.ts';
import type { Forwarding } from './forward.ts';
import type { Link } from './link.ts';
import { explainPayload } from './mismatch.ts';
import type { MtuWatch } from './mtu-watch.ts';
import type { Peer } from './peer.ts';
import { receiveOcc } from './receive-occ.ts';
import type { ToPeers } from './to-peers.ts';
import type { ToKernel } from './to-kernel.ts';

/** A receive that brought so many datagrams has probably left some. */
const MORE_LIKELY = 64;
/** Datagrams that go on together: half of what the queue of a TUN device holds, should each be answered at once. */
export const PIECE = 256;
/** At most one report of a rejected source in this time, milliseconds. */
const REJECTION_REPORT_MS = 10_000;
const NOBODY = -1;
/** Packets that may outgrow their buffers before all so far go on. */
const ANNEX_ROWS = 128;
/** What one packet may take of them: put together, then decompressed. */
const ROWS_PER_PACKET = 2;

function annexShape(capacity: number): AnnexShape {
  return { rows: ANNEX_ROWS, capacity };
}

export class FromPeers {
  private readonly context: EngineContext;
  private readonly batch: Batch;
  private readonly annex: Annex;
  /** Where the batch came from. */
  private link: Link | undefined;
  /** First slot not yet opened, and first not yet sent on. */
  private opened = 0;
  private flushed = 0;
  /** Index of the peer each datagram came from. */
  private readonly sender: Int16Array;
  private readonly forwarder: Forwarding;
  private readonly toPeers: ToPeers;
  private readonly toKernel: ToKernel;
  private readonly mtuWatch: MtuWatch;
  private readonly candidates: Candidates;

  /** `toPeers` takes its packets from `batch` too. `capacity` is the longest payload put together or decompressed. */
  constructor(
    context: EngineContext,
    batch: Batch,
    capacity: number,
    stages: {
      readonly forwarder: Forwarding;
      readonly toPeers: ToPeers;
      readonly toKernel: ToKernel;
      readonly mtuWatch: MtuWatch;
      readonly candidates: Candidates;
    },
  ) {
    this.context = context;
    this.batch = batch;
    this.annex = new Annex(batch.arena, annexShape(capacity));
    this.sender = new Int16Array(batch.slots);
    this.forwarder = stages.forwarder;
    this.toPeers = stages.toPeers;
    this.toKernel = stages.toKernel;
    this.mtuWatch = stages.mtuWatch;
    this.candidates = stages.candidates;
  }

  /** Arena bytes it needs besides its batch. */
  static arenaSize(capacity: number): number {
    return Annex.arenaSize(annexShape(capacity));
  }

  /** Takes in one batch, for `forward`; returns true when more datagrams may be waiting. */
  receive(link: Link, now: Now): boolean {
    const { batch } = this;
    // A link of one peer's own may bring packets before the peer is connected to it: they wait.
    if (!link.shared && link.peers.length === 0 && link.candidacy === undefined) return false;
    batch.count = 0;
    this.opened = 0;
    this.flushed = 0;
    const received = link.port.recvBatch(batch);
    if (!this.candidates.admit(link, batch, now)) {
      batch.count = 0;
      return false;
    }
    this.link = link;
    if (received > 0) this.filter(link, received, now);
    return received >= MORE_LIKELY;
  }

  /** Datagrams of the batch that are still to be moved. */
  get waiting(): number {
    return this.batch.count - this.opened;
  }

  /** Moves the next piece of the batch; returns how many datagrams that were. */
  forward(now: Now): number {
    const { batch, opened } = this;
    const end = Math.min(batch.count, opened + PIECE);
    while (this.opened < end) this.opened = this.open(this.link!, this.opened, end, now);
    this.flush(end, now);
    return end - opened;
  }

  /** Sends the packets in front of slot `end`, those that are not gone yet. */
  private flush(end: number, now: Now): void {
    const { batch, flushed } = this;
    const { count } = batch;
    batch.count = end;
    this.toPeers.start(batch, flushed);
    this.toPeers.run(now);
    this.toKernel.run(batch, flushed, now);
    batch.count = count;
    this.flushed = end;
    this.annex.clear();
  }

  private filter(link: Link, received: number, now: Now): void {
    const { batch, sender } = this;
    for (let slot = 0; slot < received; slot++) {
      // The datagrams of one run share the row of their address.
      const again = slot > 0 && batch.endpoint[slot] === batch.endpoint[slot - 1];
      if (again) {
        sender[slot] = sender[slot - 1];
      } else {
        sender[slot] = link.peerAt(batch.bytes, batch.endpoint[slot])?.index ?? NOBODY;
      }
      if (sender[slot] === NOBODY) this.reject(link, slot, now);
    }
  }

  private reject(link: Link, slot: number, now: Now): void {
    const { batch } = this;
    const { emit } = this.context;
    // Who knocks at a shared link is none of its peers.
    const { counters } = link.shared ? this.context : (link.peers[0] ?? this.context);
    batch.verdict[slot] = DropReason.Source;
    counters.drop(DropReason.Source);
    counters.add(Counter.UdpReadPackets, 1);
    counters.add(Counter.UdpReadBytes, batch.length[slot]);
    if (now.ms < link.nextRejectionReportMs) return;
    link.nextRejectionReportMs = now.ms + REJECTION_REPORT_MS;
    emit({
      kind: 'rejected-source',
      link: link.id,
      endpoint: formatEndpoint(batch.bytes, batch.endpoint[slot]),
    });
  }

  /** Opens and forwards the run of datagrams from one peer that begins at `first`; returns where the next begins. */
  private open(link: Link, first: number, received: number, now: Now): number {
    const { batch, sender } = this;
    let end = first + 1;
    while (end < received && sender[end] === sender[first]) end++;
    if (sender[first] === NOBODY) return end;
    const peer = this.context.peers[sender[first]]!;
    this.countReceived(peer, first, end);
    peer.opener.open(batch, first, end);
    const outgrows = peer.reassembler !== undefined || peer.framing.decompresses;
    let packets = 0;
    let bytes = 0;
    for (let slot = first; slot < end; slot++) {
      if (outgrows && this.annex.free < ROWS_PER_PACKET) this.flush(slot, now);
      let verdict = this.authenticate(link, peer, slot, now);
      if (verdict === PASS) verdict = this.decapsulate(peer, slot, now);
      if (verdict === PASS) {
        packets++;
        bytes += batch.length[slot];
        verdict = this.forwarder.fromPeer(batch, slot, peer, now);
        if (verdict === DropReason.InnerVersion) verdict = this.explain(verdict, peer, slot);
        if (verdict === PASS && isCongested(batch.trafficClass[slot])) verdict = this.markCongested(slot);
      }
      batch.verdict[slot] = verdict;
      if (verdict !== PASS && verdict !== CONSUMED) peer.counters.drop(verdict);
    }
    peer.counters.add(Counter.TunWritePackets, packets);
    peer.counters.add(Counter.TunWriteBytes, bytes);
    return end;
  }

  private markCongested(slot: number): Verdict {
    const { bytes, start, length, network } = this.batch;
    if (network[slot] === NOT_IP) return PASS;
    return markCongested(bytes, start[slot] + network[slot], length[slot] - network[slot]);
  }

  private countReceived(peer: Peer, first: number, end: number): void {
    const { batch } = this;
    let bytes = 0;
    let largest = 0;
    for (let slot = first; slot < end; slot++) {
      bytes += batch.length[slot];
      if (batch.length[slot] > largest) largest = batch.length[slot];
    }
    peer.counters.add(Counter.UdpReadPackets, end - first);
    peer.counters.add(Counter.UdpReadBytes, bytes);
    peer.counters.atLeast(Counter.LargestReceived, largest);
  }

  /** Was the packet made with the key, and is it new? Over a stream nothing else comes unless somebody meddles. */
  private authenticate(link: Link, peer: Peer, slot: number, now: Now): Verdict {
    if (link.corrupt) return DropReason.PeerRestarting;
    let verdict = this.batch.verdict[slot] as Verdict;
    if (verdict === PASS && peer.replay !== undefined) verdict = this.checkPacketId(peer, slot, now);
    // With one key for both ends and no IV, the two may happen to send the same packet; that is no sign of a forgery.
    const wrong = verdict !== PASS && verdict !== DropReason.Reflected;
    if (wrong && link.port.stream !== undefined) link.corrupt = true;
    return verdict;
  }

  /** Steps 4 and 5 for one authentic packet. */
  private decapsulate(peer: Peer, slot: number, now: Now): Verdict {
    const { batch } = this;
    // A packet that ends here is accepted, moves no timer and teaches no address.
    if (batch.length[slot] === 0) return DropReason.Empty;
    const whole = peer.reassembler?.receive(batch, slot, this.annex, now.ms) ?? PASS;
    if (whole !== PASS) return whole;
    const framed = this.unframe(peer, slot);
    if (framed !== PASS) return framed;
    if (batch.length[slot] === 0) return DropReason.Empty;
    return this.payload(peer, slot, now);
  }

  private unframe(peer: Peer, slot: number): Verdict {
    const { batch, annex } = this;
    const { framing, counters } = peer;
    const length = batch.length[slot];
    const rows = annex.used;
    const verdict = framing.unframe(batch, slot, annex);
    if (verdict === DropReason.Framing) return this.explain(verdict, peer, slot);
    if (annex.used === rows || verdict !== PASS) return verdict;
    counters.add(Counter.PreDecompressBytes, length - framing.markerSize);
    counters.add(Counter.PostDecompressBytes, batch.length[slot]);
    return PASS;
  }

  private explain(verdict: Verdict, peer: Peer, slot: number): Verdict {
    const { bytes, start, length } = this.batch;
    return explainPayload(verdict, bytes, start[slot], length[slot], peer.reassembler !== undefined);
  }

  private checkPacketId(peer: Peer, slot: number, now: Now): Verdict {
    const { batch } = this;
    if (batch.length[slot] < PACKET_ID_SIZE) return DropReason.Header;
    const id = readPacketId(batch.bytes, batch.start[slot]);
    const epoch = readEpoch(batch.bytes, batch.start[slot]);
    if (peer.ownPackets !== undefined && this.isReflected(peer, slot, id, epoch, now))
      return DropReason.Reflected;
    const verdict = peer.replay!.check(id, epoch, now.sec);
    if (verdict !== PASS) return verdict;
    peer.replay!.record(id, epoch, now.sec);
    batch.start[slot] += PACKET_ID_SIZE;
    batch.length[slot] -= PACKET_ID_SIZE;
    return PASS;
  }

  private isReflected(peer: Peer, slot: number, id: number, epoch: number, now: Now): boolean {
    const { packetIds } = peer;
    // Opening a datagram leaves its HMAC and IV where they were received.
    const { cipher, digest } = peer.settings.suite;
    const received = this.batch.start[slot] - cipher.blockSize - digest.size;
    const tag = datagramTag(this.batch.bytes, received);
    if (peer.ownPackets!.isOwn(id, epoch, tag, packetIds.epoch, packetIds.id)) return true;
    peer.leaveSharedEpoch(epoch, tag, now.sec);
    return false;
  }

  private payload(peer: Peer, slot: number, now: Now): Verdict {
    const { batch } = this;
    const { bytes } = batch;
    const start = batch.start[slot];
    const length = batch.length[slot];
    peer.counters.add(Counter.AuthReadBytes, length);
    const occ = isOcc(bytes, start, length);
    // A peer that says goodbye is not one to send to.
    const exits = occ && occOpcode(bytes, start, length) === OccOpcode.Exit;
    if (!exits) this.heardFrom(peer, batch.endpoint[slot], now);
    if (occ) return receiveOcc(this.context, peer, bytes, start, length, batch.fragmented[slot] === 0, now);
    return isPing(bytes, start, length) ? CONSUMED : PASS;
  }

  private heardFrom(peer: Peer, endpoint: number, now: Now): void {
    peer.liveness.lastReceivedMs = now.ms;
    peer.unreachable.clear();
    peer.counters.set(Counter.LastReceiveMs, now.ms);
    const moved = peer.endpoint.learn(this.batch.bytes, endpoint);
    if (!moved && peer.heard) return;
    const first = !peer.heard;
    peer.heard = true;
    this.mtuWatch.elsewhere(peer, now);
    if (first) this.candidates.dismiss(peer);
    if (peer.state === 'running') peer.lost = false;
    this.context.refreshUsable(peer);
    const { bytes } = this.batch;
    const address = formatLocal(bytes, endpoint);
    this.context.emit({
      kind: 'peer',
      peer: peer.index,
      endpoint: formatEndpoint(bytes, endpoint),
      ...(address !== undefined && { via: { address, interfaceIndex: localInterface(bytes, endpoint) } }),
      first,
    });
  }
}
