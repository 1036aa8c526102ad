/**
 * One peer of the data plane: its keys at work, its packet ids in both directions, where it is, and the link its
 * datagrams come and go through. The flow files (from-peers.ts, to-peers.ts) read and advance this state.
 */
import type { Opener, Sealer } from '../crypto/provider.ts';
import { Netmap } from '../nat/netmap.ts';
import type { RowPool } from '../packet/row-pool.ts';
import { Fragmenter } from '../protocol/fragmentation.ts';
import { createFraming, type Framing } from '../protocol/framing.ts';
import { datagramSize, sealedSize } from '../protocol/mtu.ts';
import { PacketIdSender } from '../protocol/packet-id.ts';
import { Reassembler } from '../protocol/reassembly.ts';
import { OwnPackets } from '../protocol/reflection.ts';
import { ReplayWindow } from '../protocol/replay-window.ts';
import type { TransportPort } from '../transport/port.ts';
import type { Now } from './context.ts';
import { Counter, type Counters } from './counters.ts';
import type { Link } from './link.ts';
import { Liveness } from './liveness.ts';
import type { PeerSettings, PeerWay } from './messages.ts';
import type { MtuProbe } from './mtu-probe.ts';
import { OccExchange } from './occ-exchange.ts';
import { PathMtu } from './path-mtu.ts';
import type { PeerEndpoint } from './peer-endpoint.ts';
import { Shaper } from './shaper.ts';
import { Unreachable } from './unreachable.ts';

export interface PeerCrypto {
  readonly sealer: Sealer;
  readonly opener: Opener;
}

/**
 *   idle ──connect──▶ running ──restart──▶ restarting ──connect──▶ running ... ──leave──▶ leaving ──▶ ended
 */
export type PeerState = 'idle' | 'running' | 'restarting' | 'leaving' | 'ended';

export class Peer {
  readonly index: number;
  state: PeerState = 'idle';
  /** Forget it when it has left. */
  removing = false;
  /** Inner bytes moved up to the last tick. */
  movedBytes = 0;
  /** Exit notifications that the end of this connection takes. */
  exitNotify = 0;
  /** Those still to send, and when the next is due, while leaving. */
  exitMessagesLeft = 0;
  exitStepMs = Infinity;
  /** Timed out or gone by its own word, and not heard since. */
  lost = false;
  /** At most one report of a spoofed source in this time. */
  nextSpoofReportMs = 0;
  readonly counters: Counters;
  readonly settings: PeerSettings;
  readonly sealer: Sealer;
  readonly opener: Opener;
  readonly framing: Framing;
  /** Both undefined without `fragment`. */
  readonly fragmenter: Fragmenter | undefined;
  readonly reassembler: Reassembler | undefined;
  readonly packetIds = new PacketIdSender();
  /** Undefined with `no-replay`: there is then no packet id on the wire. Kept over restarts (docs/adr/0008). */
  readonly replay: ReplayWindow | undefined;
  /** Only when both ends share one set of keys and datagrams are recognisable. */
  readonly ownPackets: OwnPackets | undefined;
  /** `client-nat`: stateless translation of the peer's addresses. */
  readonly netmap: Netmap | undefined;
  readonly endpoint: PeerEndpoint;
  readonly liveness: Liveness;
  readonly unreachable: Unreachable;
  readonly occ: OccExchange;
  /** Undefined without `shaper`. */
  readonly shaper: Shaper | undefined;
  /** Undefined while restarting. */
  link: Link | undefined;
  /** What holds on `link`; undefined before the first connect. */
  way: PeerWay | undefined;
  /** Streams that may be its link, oldest first, as long as nobody has proved to be the peer (candidates.ts). */
  readonly candidates: Link[] = [];
  /** What the path carries. */
  readonly path: PathMtu;
  /** A measurement under way. */
  mtuProbe: MtuProbe | undefined;
  /** When the next is due, and when the last began, milliseconds. */
  mtuProbeDueMs = Infinity;
  mtuProbedMs = -Infinity;
  /** The peer has said that it exits; the engine restarts at its next tick. */
  exited = false;
  /** A valid payload has come since the last connect. */
  heard = false;

  constructor(options: {
    readonly index: number;
    readonly settings: PeerSettings;
    readonly crypto: PeerCrypto;
    readonly counters: Counters;
    readonly endpoint: PeerEndpoint;
    /** Where packets in fragments wait for the rest. */
    readonly reassembly: RowPool;
    /** 0 to 255, at random. */
    readonly firstSequence: number;
  }) {
    const { settings, crypto } = options;
    this.index = options.index;
    this.counters = options.counters;
    this.unreachable = new Unreachable(options.counters);
    this.endpoint = options.endpoint;
    this.settings = settings;
    this.sealer = crypto.sealer;
    this.opener = crypto.opener;
    this.framing = createFraming(settings.framing);
    const { maxFragment } = settings;
    this.fragmenter = maxFragment > 0 ? new Fragmenter(maxFragment, options.firstSequence) : undefined;
    this.path = new PathMtu(settings);
    this.reassembler = maxFragment > 0 ? new Reassembler(options.reassembly) : undefined;
    this.replay = settings.replay.enabled
      ? new ReplayWindow(settings.replay.window, settings.replay.timeSec)
      : undefined;
    const recognisable = settings.suite.digest.size > 0 || settings.suite.cipher.blockSize > 0;
    const reflects = settings.sharedKeys && settings.replay.enabled && recognisable;
    this.ownPackets = reflects ? new OwnPackets() : undefined;
    this.remember(settings.replayMemory);
    this.netmap = settings.netmap.length > 0 ? new Netmap(settings.netmap) : undefined;
    this.liveness = new Liveness(settings);
    this.shaper = settings.shaperBytesPerSec > 0 ? new Shaper(settings.shaperBytesPerSec) : undefined;
    this.occ = new OccExchange(settings.occ);
  }

  private remember(memory: PeerSettings['replayMemory']): void {
    if (memory === undefined) return;
    if (memory.top > 0) this.replay?.restore(memory.epoch, memory.top);
    this.ownPackets?.restore(memory.ownEpochs);
    this.packetIds.start((memory.ownEpochs.at(-1) ?? 0) + 1);
  }

  /** MSS clamp for the current remote and path; 0 is off. */
  get mss(): number {
    return this.path.mss;
  }

  /** Longest packet of that IP version that may be sent to the peer, bytes. */
  innerMtu(version: number): number {
    return version === 6 ? this.path.inner6 : this.path.inner4;
  }

  /** Bytes that a slot of `length` bytes takes on the wire when it is encapsulated, IP and UDP headers counted. */
  wireSize(length: number): number {
    const { shape } = this.path;
    // With `fragment` slots are framed already (splitter.ts).
    const sealed = this.fragmenter === undefined ? datagramSize(shape, length) : sealedSize(shape, length);
    return sealed + this.endpoint.outerHeaders;
  }

  /** After a change of what the path carries. */
  fitPath(): void {
    const { path, counters } = this;
    if (this.fragmenter !== undefined) this.fragmenter.longest = path.fragment;
    counters.set(Counter.PathMtu, path.toPeer === Infinity ? 0 : path.toPeer);
    counters.set(Counter.InnerMtu, path.inner4);
    counters.set(Counter.Mss, path.mss);
    counters.set(Counter.Fragment, path.fragment);
  }

  get port(): TransportPort | undefined {
    return this.link?.port;
  }

  /** Packets can be sent to it and it does not count as lost. */
  get usable(): boolean {
    return this.state === 'running' && this.endpoint.known && !this.lost;
  }

  /** Starts afresh on `link`: new epoch, timers from now. The replay window stays. */
  connect(link: Link, way: PeerWay, now: Now): void {
    this.link = link;
    this.way = way;
    this.exitNotify = link.port.stream === undefined ? way.exitNotify : 0;
    link.attach(this);
    this.state = 'running';
    this.path.start(way.mss);
    this.fitPath();
    this.heard = false;
    this.exited = false;
    this.endpoint.reset(way);
    this.newEpoch(now.sec);
    this.liveness.start(now.ms);
    this.occ.start(way.occOptions, now.ms, this.lost);
  }

  /** Leaves its link; nothing moves until the next connect. */
  disconnect(): void {
    this.reassembler?.reset();
    this.link?.detach(this);
    this.link = undefined;
    if (this.state === 'running') this.state = 'restarting';
  }

  /** Packet ids start again at 1 in an epoch later than any before. */
  newEpoch(nowSec: number): void {
    this.ownPackets?.retire(this.packetIds.epoch, this.packetIds.id);
    this.packetIds.start(this.ownPackets?.laterThan(this.replay?.epoch ?? 0, nowSec) ?? nowSec);
  }

  /** The peer has sent in `peerEpoch` a datagram that starts with `tag`: our ids must not stay in the same epoch. */
  leaveSharedEpoch(peerEpoch: number, tag: number, nowSec: number): void {
    const { ownPackets, packetIds } = this;
    if (ownPackets === undefined) return;
    if (packetIds.id === 0) packetIds.start(ownPackets.laterThan(peerEpoch, nowSec));
    else if (peerEpoch === packetIds.epoch && ownPackets.shouldMove(tag, peerEpoch, nowSec))
      this.newEpoch(nowSec);
  }
}
