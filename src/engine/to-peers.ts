/**
 * To the peers: packets become datagrams and leave.
 *
 *   1 cut          super-packets into packets that fit the path, too long packets into fragments (when they may); to a
 *                  peer with `fragment` each of these once more (splitter.ts)
 *   2 encapsulate  framing, packet id, encryption, HMAC; a burst is a run of packets to one peer, without those beyond its
 *                  `shaper` if nobody waits for it
 *   3 send         one system call for each run of datagrams to one link
 *
 * What a socket cannot take: on the only link of a tunnel it waits, and the TUN device is not read meanwhile, so that the
 * kernel's queue is the only one. With several links it is dropped, as a router's full output queue drops: a slow
 * path must not hold up the others.
 */
import { NOT_IP, type Batch } from '../packet/batch.ts';
import { fragment, fragmentCount, mayFragment } from '../packet/fragment.ts';
import { ipVersion } from '../packet/ipv4.ts';
import { segment, segmentCount, segmentLength } from '../packet/segment.ts';
import { outerTrafficClass } from '../packet/traffic-class.ts';
import { CONSUMED, DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import type { Fragmenter } from '../protocol/fragmentation.ts';
import { isPeer } from '../packet/zone.ts';
import { longestLinkHeader, type EngineContext, type Now } from './context.ts';
import { Counter } from './counters.ts';
import { encapsulate } from './encapsulate.ts';
import type { Peer } from './peer.ts';
import type { Shaper } from './shaper.ts';
import { Splitter } from './splitter.ts';

export class ToPeers {
  private readonly context: EngineContext;
  /** Where the packets lie; those with another target than a peer are left alone. */
  private packets: Batch;
  /** First packet not yet cut; equal to the batch's count when nothing waits. */
  private nextPacket = 0;
  /** Pieces of that packet already cut. */
  private nextPiece = 0;
  /** What goes over the wire. */
  private readonly datagrams: Batch;
  /** First datagram not yet sent; equal to the batch's count when nothing waits. */
  private nextDatagram = 0;
  /** The next packet waits for the only link, a stream, to be no longer congested. */
  private stalled = false;
  private readonly splitter: Splitter;
  /** What waits does so for its rate, not for the socket. */
  private shaper: Shaper | undefined;
  /** Waits for a full socket rather than drop. */
  private readonly patient: boolean;

  constructor(context: EngineContext, datagrams: Batch, patient: boolean) {
    this.context = context;
    this.packets = datagrams;
    this.datagrams = datagrams;
    this.splitter = new Splitter(datagrams.arena, datagrams.capacity);
    this.patient = patient;
  }

  /** Arena bytes it needs besides the batch `datagrams` of that capacity. */
  static arenaSize(capacity: number): number {
    return Splitter.arenaSize(capacity);
  }

  /** Datagrams or packets are waiting for the socket to become writable, or for `resumeMs`. */
  get blocked(): boolean {
    return this.stalled || this.nextDatagram < this.datagrams.count;
  }

  /** When what waits may go on at the rate of `shaper`, monotonic milliseconds; Infinity when it waits for the socket. */
  get resumeMs(): number {
    return this.blocked ? (this.shaper?.resumeMs ?? Infinity) : Infinity;
  }

  /** Packets first..count-1 of `packets` are next. Call it only when nothing waits. */
  start(packets: Batch, first = 0): void {
    this.packets = packets;
    this.nextPacket = first;
    this.nextPiece = 0;
  }

  /** Sends what it can; a packet that is done with has the verdict CONSUMED, or says why it was dropped. */
  run(now: Now): void {
    this.stalled = false;
    if (this.blocked) this.send(now);
    while (!this.blocked && this.nextPacket < this.packets.count) {
      this.cut();
      this.encapsulate(now);
      this.send(now);
    }
  }

  /** The peer's link is gone: what waited for it is lost, and counted while the peer is there. */
  abandon(peer: Peer): void {
    const { datagrams, packets } = this;
    for (let slot = this.nextDatagram; slot < datagrams.count; slot++) {
      if (datagrams.target[slot] !== peer.index || datagrams.verdict[slot] === CONSUMED) continue;
      peer.counters.drop((datagrams.verdict[slot] as Verdict) || DropReason.PeerRestarting);
      datagrams.verdict[slot] = CONSUMED;
    }
    for (let slot = this.nextPacket; slot < packets.count; slot++) {
      if (packets.verdict[slot] !== PASS || packets.target[slot] !== peer.index) continue;
      packets.verdict[slot] = CONSUMED;
      const cut = slot === this.nextPacket ? this.nextPiece : 0;
      if (slot === this.nextPacket) this.splitter.abandon();
      for (let i = segmentCount(packets, slot); i > cut; i--) peer.counters.drop(DropReason.PeerRestarting);
    }
  }

  /** Fills the datagram batch. A super-packet of more segments than fit is cut in several rounds. */
  private cut(): void {
    const { packets, datagrams } = this;
    datagrams.count = 0;
    this.nextDatagram = 0;
    while (this.nextPacket < packets.count && datagrams.count < datagrams.slots) {
      const slot = this.nextPacket;
      if (packets.verdict[slot] === PASS && isPeer(packets.target[slot]) && !this.cutOne(slot)) return;
      this.nextPacket++;
      this.nextPiece = 0;
    }
  }

  /** Cuts one packet, as far as there is room; true when it is done with. */
  private cutOne(slot: number): boolean {
    const { packets, datagrams, nextPiece } = this;
    const peer = this.context.peers[packets.target[slot]];
    // Removed while a fragment of its waited for the others.
    if (peer === undefined) {
      this.context.counters.drop(DropReason.PeerDown);
      packets.verdict[slot] = DropReason.PeerDown;
      return true;
    }
    if (peer.link?.full === true) return this.holdBack(peer, slot);
    const mtu = Math.min(this.longestFor(peer, slot), datagrams.capacity);
    const tooLong = segmentLength(packets, slot) > mtu;
    const fragments =
      tooLong && packets.gsoSize[slot] === 0 && mayFragment(packets.bytes, packets.start[slot], mtu);
    // Who could be told was told when the packet was forwarded; what is left are our own messages.
    if (tooLong && !fragments) return this.dropPacket(peer, slot, DropReason.TooBig);
    const pieces = fragments ? fragmentCount(packets, slot, mtu) : segmentCount(packets, slot);
    const first = datagrams.count;
    if (peer.fragmenter === undefined) this.cutInto(datagrams, slot, fragments, mtu);
    else this.cutAndSplit(peer, peer.fragmenter, slot, pieces, fragments, mtu);
    const trafficClass = peer.settings.passTos ? this.trafficClass(slot) : 0;
    for (let datagram = first; datagram < datagrams.count; datagram++) {
      datagrams.target[datagram] = peer.index;
      datagrams.trafficClass[datagram] = trafficClass;
    }
    peer.counters.add(Counter.TunReadPackets, this.nextPiece - nextPiece);
    if (this.nextPiece < pieces || this.splitter.busy) return false;
    peer.counters.add(Counter.TunReadBytes, packets.length[slot]);
    packets.verdict[slot] = CONSUMED;
    return true;
  }

  private trafficClass(slot: number): number {
    const { bytes, start, network } = this.packets;
    return network[slot] === NOT_IP ? 0 : outerTrafficClass(bytes, start[slot] + network[slot]);
  }

  /** Of the packet at `slot`: with its link header, which no MTU counts. */
  private longestFor(peer: Peer, slot: number): number {
    const { settings } = this.context;
    if (settings.deviceType === 'tap') return peer.settings.tunMtu + longestLinkHeader(settings);
    return peer.innerMtu(ipVersion(this.packets.bytes, this.packets.start[slot]));
  }

  private cutInto(to: Batch, slot: number, fragments: boolean, mtu: number): void {
    const { packets, nextPiece } = this;
    this.nextPiece = fragments
      ? fragment(packets, slot, nextPiece, to, mtu)
      : segment(packets, slot, nextPiece, to);
  }

  /** The same for a peer with `fragment`: the next piece is cut when the last fragment of the one before is. */
  private cutAndSplit(
    peer: Peer,
    fragmenter: Fragmenter,
    slot: number,
    pieces: number,
    fragments: boolean,
    mtu: number,
  ): void {
    const { splitter, datagrams } = this;
    while (datagrams.count < datagrams.slots && (splitter.busy || this.nextPiece < pieces)) {
      if (!splitter.busy) {
        splitter.packet.count = 0;
        this.cutInto(splitter.packet, slot, fragments, mtu);
        if (!splitter.begin(peer, fragmenter)) peer.counters.drop(DropReason.TooBig);
      }
      splitter.split(datagrams);
    }
  }

  /** What is sealed for a stream must be sent, in that order: ids have no gap there. */
  private holdBack(peer: Peer, slot: number): boolean {
    if (!this.waits) return this.dropPacket(peer, slot, DropReason.SendBuffer);
    this.stalled = true;
    this.shaper = undefined;
    return false;
  }

  private dropPacket(peer: Peer, slot: number, reason: DropReason): true {
    const { packets } = this;
    // Of a super-packet some may have left already.
    const pieces = Math.max(1, segmentCount(packets, slot) - this.nextPiece);
    peer.counters.add(Counter.TunReadPackets, pieces);
    for (let i = 0; i < pieces; i++) peer.counters.drop(reason);
    packets.verdict[slot] = reason;
    return true;
  }

  private encapsulate(now: Now): void {
    const { datagrams } = this;
    const { target } = datagrams;
    for (let first = 0; first < datagrams.count;) {
      let end = first + 1;
      while (end < datagrams.count && target[end] === target[first]) end++;
      const peer = this.context.peers[target[first]]!;
      if (peer.shaper !== undefined && !this.paces(peer))
        peer.shaper.police(datagrams, first, end, (length) => peer.wireSize(length), now.ms);
      encapsulate(datagrams, first, end, peer, now.sec);
      first = end;
    }
  }

  /** The queue in front of the only link is the kernel's own. */
  private get waits(): boolean {
    return this.patient && this.context.links.size === 1;
  }

  /** What is over the peer's rate waits. */
  private paces({ link }: Peer): boolean {
    return this.waits && link?.peers.length === 1;
  }

  private send(now: Now): void {
    const { datagrams } = this;
    while (this.nextDatagram < datagrams.count) {
      const first = this.nextDatagram;
      const peer = this.context.peers[datagrams.target[first]];
      const end = this.endOfRun(first);
      const waits = peer?.port !== undefined && this.waits;
      const ready = peer === undefined ? end : this.pace(peer, first, end, now);
      const sent = peer?.port === undefined ? first : peer.port.sendBatch(datagrams, first, ready);
      if (sent < ready) this.shaper = undefined;
      if (sent < ready && !waits) this.drop(sent, ready, peer?.port === undefined);
      this.nextDatagram = sent < ready && !waits ? ready : sent;
      if (peer?.link !== undefined) peer.link.waiting = this.nextDatagram < end;
      this.count(first, this.nextDatagram, now);
      if (this.nextDatagram < end) return;
    }
  }

  /** Where the run of datagrams to the link of the one at `first` ends; to a peer with `shaper` it is one of its own. */
  private endOfRun(first: number): number {
    const { count, target } = this.datagrams;
    const { peers } = this.context;
    const peer = peers[target[first]];
    let end = first + 1;
    for (; end < count; end++) {
      if (target[end] === target[end - 1]) continue;
      const other = peers[target[end]];
      if (other?.link !== peer?.link || other?.shaper !== undefined || peer?.shaper !== undefined) break;
    }
    return end;
  }

  /** Applies the peer's `shaper` to datagrams first..end-1; returns the first that is to wait. */
  private pace(peer: Peer, first: number, end: number, now: Now): number {
    this.shaper = this.paces(peer) ? peer.shaper : undefined;
    return this.shaper?.pace(this.datagrams, first, end, peer.endpoint.outerHeaders, now.ms) ?? end;
  }

  private drop(first: number, end: number, unlinked: boolean): void {
    const reason = unlinked ? DropReason.PeerRestarting : DropReason.SendBuffer;
    for (let slot = first; slot < end; slot++) this.datagrams.verdict[slot] ||= reason;
  }

  /** Counts datagrams first..end-1, sent or dropped, each at its peer. */
  private count(first: number, end: number, now: Now): void {
    const { target } = this.datagrams;
    while (first < end) {
      let next = first + 1;
      while (next < end && target[next] === target[first]) next++;
      const peer = this.context.peers[target[first]];
      if (peer !== undefined) this.countOne(peer, first, next, now);
      first = next;
    }
  }

  private countOne(peer: Peer, first: number, end: number, now: Now): void {
    const { verdict, length } = this.datagrams;
    const { counters } = peer;
    let packets = 0;
    let bytes = 0;
    let largest = 0;
    for (let slot = first; slot < end; slot++) {
      if (verdict[slot] === CONSUMED) continue;
      if (verdict[slot] !== PASS) {
        counters.drop(verdict[slot] as Verdict);
        continue;
      }
      packets++;
      bytes += length[slot];
      if (length[slot] > largest) largest = length[slot];
    }
    counters.add(Counter.UdpWritePackets, packets);
    counters.add(Counter.UdpWriteBytes, bytes);
    counters.atLeast(Counter.LargestSent, largest);
    if (packets === 0) return;
    peer.liveness.sent(now.ms);
    if (this.paces(peer)) peer.shaper?.sent(bytes + packets * peer.endpoint.outerHeaders, now.ms);
  }
}
