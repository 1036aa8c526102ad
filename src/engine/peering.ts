/**
 * Peers and links come and go: which peer talks over which link, what becomes of both when it restarts or ends, and the
 * timers of each (upkeep.ts) in between.
 */
import type { RandomFill } from '../crypto/provider.ts';
import type { Arena } from '../packet/arena.ts';
import { ENDPOINT_SIZE } from '../packet/batch.ts';
import { RowPool, type RowPoolShape } from '../packet/row-pool.ts';
import { DropReason } from '../packet/verdict.ts';
import { MAX_PEERS } from '../packet/zone.ts';
import { formatEndpoint, formatHost } from '../transport/endpoint.ts';
import type { SendError, TransportPort } from '../transport/port.ts';
import { Candidates } from './candidates.ts';
import type { EngineContext, Now } from './context.ts';
import { ControlSender } from './control-sender.ts';
import { Counter, type Counters } from './counters.ts';
import { Link } from './link.ts';
import type { PeerSettings, PeerWay, RestartReason, TurnedAway } from './messages.ts';
import { Peer, type PeerCrypto } from './peer.ts';
import { PeerEndpoint } from './peer-endpoint.ts';
import { randomWord } from './random-word.ts';
import type { ToPeers } from './to-peers.ts';
import { MtuWatch } from './mtu-watch.ts';
import { Upkeep } from './upkeep.ts';

/** Memory for packets of which fragments are missing, of all peers together; at least so many packets. */
const REASSEMBLY_BYTES = 4 * 1024 * 1024;
const MIN_REASSEMBLIES = 64;

function reassemblyShape(payloadCapacity: number): RowPoolShape {
  const rows = Math.max(MIN_REASSEMBLIES, Math.floor(REASSEMBLY_BYTES / payloadCapacity));
  return { rows, capacity: payloadCapacity };
}

export interface PeeringOptions {
  readonly arena: Arena;
  readonly random: RandomFill;
  /** Longest payload of a packet with its framing, bytes. */
  readonly payloadCapacity: number;
  /** Where datagrams for a peer may be waiting. */
  readonly senders: readonly ToPeers[];
  readonly now: () => Now;
}

export class Peering {
  /** A peer has left its link: whoever waits for that link to become writable must look again. */
  unlinked = false;
  private readonly context: EngineContext;
  private readonly options: PeeringOptions;
  private readonly upkeep: Upkeep;
  /** What the paths to the peers carry. */
  readonly mtuWatch: MtuWatch;
  readonly candidates: Candidates;
  private readonly reassembly: RowPool;
  /** Arena offset of the endpoints' rows, one for each peer there may be. */
  private readonly endpoints: number;

  constructor(context: EngineContext, options: PeeringOptions) {
    const { arena, random, payloadCapacity } = options;
    this.context = context;
    this.options = options;
    const control = new ControlSender(arena);
    this.upkeep = new Upkeep(control, random);
    this.mtuWatch = new MtuWatch(context, control, randomWord(random));
    this.candidates = new Candidates(context, {
      arena,
      close: (link) => this.closeLink(link.id),
      adopt: (peer, link, why, now) => this.adopt(peer, link, why, now),
    });
    this.reassembly = new RowPool(arena, reassemblyShape(payloadCapacity));
    this.endpoints = arena.take(MAX_PEERS * ENDPOINT_SIZE);
  }

  static arenaSize(payloadCapacity: number): number {
    const reassembly = RowPool.arenaSize(reassemblyShape(payloadCapacity));
    return ControlSender.arenaSize() + Candidates.arenaSize() + reassembly + MAX_PEERS * ENDPOINT_SIZE;
  }

  peer(index: number): Peer | undefined {
    return this.context.peers[index];
  }

  addPeer(index: number, settings: PeerSettings, crypto: PeerCrypto, counters: Counters): Peer {
    const row = this.endpoints + index * ENDPOINT_SIZE;
    const endpoint = new PeerEndpoint(this.context.arena, row);
    const { reassembly, options } = this;
    const firstSequence = randomWord(options.random) & 0xff;
    const peer = new Peer({ index, settings, crypto, counters, endpoint, reassembly, firstSequence });
    this.context.peers[index] = peer;
    this.context.choosePeer();
    return peer;
  }

  /** Says goodbye to the peer and forgets it; `removed` is emitted then. */
  removePeer(index: number): void {
    const peer = this.context.peers[index];
    if (peer === undefined) return;
    peer.removing = true;
    if (peer.state === 'ended') this.forget(peer);
    else this.leave(peer, this.options.now());
  }

  /** Takes over `port`. */
  openLink(id: number, port: TransportPort, shared: boolean): Link {
    const link = new Link(id, port, shared);
    this.context.links.set(id, link);
    return link;
  }

  /** A link that may turn out to be the peer's. */
  addCandidate(index: number, linkId: number): void {
    const peer = this.context.peers[index];
    const link = this.context.links.get(linkId);
    if (link === undefined) return;
    if (peer === undefined) this.closeLink(linkId);
    else this.candidates.add(peer, link, this.options.now());
  }

  hasLink(id: number): boolean {
    return this.context.links.has(id);
  }

  shareLink(id: number): void {
    const link = this.context.links.get(id);
    if (link !== undefined) link.shared = true;
  }

  /** Takes over what routers say of the paths, and others in the place of peers. */
  readErrors(link: Link, now: Now): void {
    link.failed = false;
    link.port.readErrors?.((error) => {
      for (const peer of link.peersSentTo(error.bytes, error.endpoint)) {
        if (error.pathMtu > 0) this.mtuWatch.told(peer, error.pathMtu, now);
        else this.unreachable(peer, error, now);
      }
    });
  }

  private unreachable(peer: Peer, { bytes, endpoint, errno, reporter }: SendError, now: Now): void {
    if (!peer.unreachable.note(errno, now.ms)) return;
    this.context.emit({
      kind: 'unreachable',
      peer: peer.index,
      endpoint: formatEndpoint(bytes, endpoint),
      errno,
      reporter: reporter < 0 ? undefined : formatHost(bytes, reporter),
    });
  }

  closeLink(id: number): void {
    const link = this.context.links.get(id);
    if (link === undefined) return;
    this.context.links.delete(id);
    while (link.peers.length > 0) this.disconnect(link.peers[0]);
    link.port.close();
  }

  /** Starts or resumes a peer on a link. */
  connect(index: number, linkId: number, way: PeerWay): void {
    const peer = this.context.peers[index];
    const link = this.context.links.get(linkId);
    if (link === undefined) return;
    if (peer === undefined || peer.state === 'leaving' || peer.state === 'ended') {
      if (!link.shared) this.closeLink(linkId);
      return;
    }
    this.disconnect(peer, link);
    peer.connect(link, way, this.options.now());
    this.context.refreshUsable(peer);
  }

  /** The peer gives up its address, and its link unless shared; the control plane answers with a new `connect`. */
  restart(index: number, reason: RestartReason): void {
    const peer = this.context.peers[index];
    if (peer?.state !== 'running') return;
    peer.lost ||= reason === 'ping-restart' || reason === 'remote-exit';
    this.disconnect(peer);
    this.context.emit({ kind: 'restarting', peer: index, reason });
  }

  /** A stream that has ended takes its peer with it, unless others may be the peer's. */
  checkStream(link: Link): void {
    const { stream } = link.port;
    if (stream === undefined || (stream.ended === undefined && !link.corrupt)) return;
    const why = link.corrupt ? 'forged' : stream.ended?.kind === 'bad-length' ? 'bad-length' : 'closed';
    if (link.candidacy !== undefined) return this.candidates.turnAway(link, why);
    const peer = link.peers.at(0);
    if (peer === undefined) return;
    const next = peer.candidates.at(0);
    if (next !== undefined) return this.adopt(peer, next, why, this.options.now());
    if (stream.ended?.kind === 'bad-length') {
      const { length, longest } = stream.ended;
      this.context.emit({ kind: 'bad-length', peer: peer.index, length, longest });
    }
    this.restart(peer.index, link.corrupt ? 'decryption-error' : 'connection-reset');
  }

  /** The candidate becomes the peer's link; the one it had was not. */
  private adopt(peer: Peer, link: Link, why: TurnedAway, now: Now): void {
    const before = peer.link!;
    this.candidates.release(link);
    this.disconnect(peer, link);
    peer.connect(link, { ...peer.way!, remotes: [link.port.stream!.remote] }, now);
    this.context.refreshUsable(peer);
    this.candidates.tell(peer.index, before, why);
  }

  /** Packets to the peer go another way than before. */
  wayChanged(index: number): void {
    const peer = this.context.peers[index];
    if (peer?.state === 'running' && peer.heard) this.mtuWatch.elsewhere(peer, this.options.now());
  }

  /** Every peer is told that we go. */
  leaveAll(): void {
    const now = this.options.now();
    for (const peer of this.context.peers) if (peer !== undefined) this.leave(peer, now);
  }

  get allEnded(): boolean {
    return this.context.peers.every((peer) => (peer?.state ?? 'ended') === 'ended');
  }

  closeLinks(): void {
    for (const id of this.context.links.keys()) this.closeLink(id);
  }

  /** When `tick` has something to do, milliseconds on the monotonic clock; Infinity for never. */
  dueMs(): number {
    let due = Infinity;
    for (const peer of this.context.peers) {
      if (peer === undefined) continue;
      due = Math.min(due, this.upkeep.dueMs(peer), this.candidates.dueMs(peer));
      if (peer.state === 'running') due = Math.min(due, this.mtuWatch.dueMs(peer));
    }
    return due;
  }

  /** Runs the timers of all peers. */
  tick(now: Now): void {
    for (const peer of this.context.peers) {
      if (peer !== undefined && peer.state !== 'ended') this.tickPeer(peer, now);
    }
  }

  private tickPeer(peer: Peer, now: Now): void {
    const { counters, replay } = peer;
    if (replay !== undefined) {
      counters.set(Counter.ReplayEpoch, replay.epoch);
      counters.set(Counter.ReplayTop, replay.top);
      counters.set(Counter.OwnEpoch, peer.packetIds.epoch);
    }
    const moved = counters.get(Counter.TunReadBytes) + counters.get(Counter.TunWriteBytes);
    for (let lost = peer.reassembler?.tick(now.ms) ?? 0; lost > 0; lost--) {
      counters.drop(DropReason.FragmentLost);
    }
    peer.liveness.activity(moved - peer.movedBytes, now.ms);
    peer.movedBytes = moved;
    this.candidates.tick(peer, now);
    if (peer.state === 'running') this.mtuWatch.tick(peer, now);
    const outcome = this.upkeep.tick(peer, now);
    if (outcome?.kind === 'restart') this.restart(peer.index, outcome.reason);
    if (outcome?.kind === 'left') this.ended(peer);
    if (outcome?.kind !== 'exit') return;
    this.context.emit({ kind: 'exit', peer: peer.index, reason: outcome.reason });
    this.leave(peer, now);
  }

  /** Nothing more is sent to the peer but its exit notifications: backups take over at once. */
  private leave(peer: Peer, now: Now): void {
    this.upkeep.leave(peer, now);
    this.candidates.dismiss(peer);
    peer.lost = true;
    this.context.refreshUsable(peer);
  }

  /** The peer's last word is said. */
  private ended(peer: Peer): void {
    this.disconnect(peer);
    peer.state = 'ended';
    peer.sealer.dispose();
    peer.opener.dispose();
    if (peer.removing) this.forget(peer);
  }

  private forget(peer: Peer): void {
    this.context.peers[peer.index] = undefined;
    this.context.choosePeer();
    this.context.emit({ kind: 'removed', peer: peer.index });
  }

  /** Closes the peer's link unless it is shared, or the next one. */
  private disconnect(peer: Peer, next?: Link): void {
    const { link } = peer;
    if (link === undefined) return;
    if (next === undefined) this.candidates.dismiss(peer);
    for (const sender of this.options.senders) sender.abandon(peer);
    this.unlinked = true;
    this.mtuWatch.abandon(peer);
    peer.disconnect();
    this.context.refreshUsable(peer);
    if (!link.shared && link !== next && link.peers.length === 0) this.closeLink(link.id);
  }
}
