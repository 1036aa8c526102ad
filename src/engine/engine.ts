/**
 * The data plane of one gateway, without threads, clocks or system calls of its own: everything it touches is handed
 * to it, so that tests drive it over memory devices and a fake clock, and the worker over the real ones.
 *
 * Theory of operation: the caller waits until a device is ready or `nextTimeoutMs` is over, marks what is ready, then
 * calls `breathe`, which moves at most one batch from the TUN device and one from each link (so that a flood in one
 * never starves the others), runs the timers that are due, and says whether more is waiting.
 */
import type { Arena } from '../packet/arena.ts';
import { Batch, HEADROOM, MAX_PACKET, TAILROOM, type BatchShape } from '../packet/batch.ts';
import { DropReason } from '../packet/verdict.ts';
import type { Zone } from '../packet/zone.ts';
import type { IcmpPort } from '../icmp/port.ts';
import { HASH_SECRET_SIZE, Nat, type NatOptions } from '../nat/nat.ts';
import type { NatSettings } from '../nat/rule.ts';
import type { RandomFill } from '../crypto/provider.ts';
import { MAX_FRAMING_SIZE } from '../protocol/framing.ts';
import type { CompiledTables } from '../route/compile.ts';
import { Fib } from '../route/fib.ts';
import type { TunDevice } from '../tun/device.ts';
import type { Clock } from './clock.ts';
import { EngineContext, longestLinkHeader, type Now } from './context.ts';
import { Counter, type Counters } from './counters.ts';
import { EthernetLink } from './ethernet-link.ts';
import { Forwarder } from './forward.ts';
import { FromPeers, PIECE } from './from-peers.ts';
import { FromTun } from './from-tun.ts';
import { IcmpSender } from './icmp-sender.ts';
import type { Link } from './link.ts';
import type { EngineEvent, EngineQuery, EngineSettings } from './messages.ts';
import type { MeasurementAnswer } from './mtu-watch.ts';
import { Peering } from './peering.ts';
import { randomWord } from './random-word.ts';
import { SideDoors, type GuardDoor } from './side-doors.ts';
import { ToPeers } from './to-peers.ts';
import { ToKernel } from './to-kernel.ts';
import { ToSocket } from './to-socket.ts';
import { trace, type TraceStep } from './trace.ts';

/** Packets and super-packets read from the TUN device in one breath. */
const PACKET_SLOTS = 128;
/** Batches read from the TUN device after each piece of a link's: its answers, and half as many packets of others. */
const RELIEF_BATCHES = (1.5 * PIECE) / PACKET_SLOTS;
/** Datagrams sealed and sent at a time. */
export const DATAGRAM_SLOTS = 256;
/** Packets from one peer to another, sealed and sent at a time. */
const TRANSIT_SLOTS = 64;
/** Datagrams received in one breath, some of them in runs that share a buffer. */
const RECEIVE_SHAPE: BatchShape = { slots: 2048, buffers: 64 };
const SCRATCH_SHAPE: BatchShape = { slots: 1 };
/** A packet of the MTU, however small that is configured. */
const MIN_CAPACITY = 2048;

function capacityFor(settings: EngineSettings): number {
  return Math.max(MIN_CAPACITY, settings.tunMtu + longestLinkHeader(settings));
}

function packetShape(settings: EngineSettings): BatchShape {
  return { slots: PACKET_SLOTS, capacity: MAX_PACKET + longestLinkHeader(settings) };
}

function datagramShape(settings: EngineSettings, slots: number): BatchShape {
  return { slots, capacity: capacityFor(settings) };
}

/** Longest payload of a packet with its framing, in whole cache lines. */
function payloadCapacity(settings: EngineSettings): number {
  return Math.ceil((capacityFor(settings) + MAX_FRAMING_SIZE) / 64) * 64;
}

export interface EngineOptions {
  readonly arena: Arena;
  readonly tun: TunDevice;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  readonly random: RandomFill;
  /** Of the device, and of packets that are no peer's. */
  readonly counters: Counters;
  readonly emit: (event: EngineEvent) => void;
  /** What NAT needs of the host; without it, rules are not to be set. */
  readonly nat?: NatSurroundings;
}

export interface NatSurroundings extends Pick<NatOptions, 'egressMatches' | 'isLocalPortBusy'> {
  readonly guards: GuardDoor;
}

export class Engine {
  /** `exiting`: peers are told; `stopped`: the device is closed. */
  state: 'running' | 'exiting' | 'stopped' = 'running';
  /** Packets may be waiting on the TUN device. Set by who waits for it, cleared when it is found empty. */
  tunReady = false;
  /** Datagrams moved since the TUN device was read. */
  private sinceTun = 0;
  /** The blocked link takes datagrams again. */
  writable = false;
  private readonly options: EngineOptions;
  private readonly context: EngineContext;
  private readonly clock: Clock;
  private readonly icmp: IcmpSender;
  private readonly fromTun: FromTun;
  private readonly fromPeers: FromPeers;
  /** From the kernel, patient; and from peers and ourselves. */
  private readonly toPeers: ToPeers;
  private readonly transit: ToPeers;
  private readonly toKernel: ToKernel;
  /** Mark what is ready there as well. */
  readonly sideDoors: SideDoors;
  /** Peers and links. */
  readonly peering: Peering;
  /** Room for one packet, for `trace`. */
  private readonly scratch: Batch;

  constructor(options: EngineOptions) {
    const { arena, settings } = options;
    this.options = options;
    this.clock = options.clock;
    this.context = new EngineContext({ ...options, flowSeed: randomWord(options.random) });
    const { context } = this;
    this.icmp = new IcmpSender(context, randomWord(options.random));
    const forwarder = new Forwarder(context, this.icmp);
    const forwarding = settings.deviceType === 'tap' ? new EthernetLink(context) : forwarder;
    this.toPeers = new ToPeers(context, new Batch(arena, datagramShape(settings, DATAGRAM_SLOTS)), true);
    this.transit = new ToPeers(context, new Batch(arena, datagramShape(settings, TRANSIT_SLOTS)), false);
    this.toKernel = new ToKernel(context, new ToSocket(context, this.icmp));
    const { toPeers, toKernel, transit } = this;
    this.fromTun = new FromTun(context, new Batch(arena, packetShape(settings)), forwarding, {
      toPeers,
      toKernel,
    });
    this.sideDoors = new SideDoors(context, { forwarder, toPeers: transit, toKernel }, options.nat?.guards);
    this.peering = new Peering(context, {
      arena,
      random: options.random,
      payloadCapacity: payloadCapacity(settings),
      senders: [toPeers, transit],
      now: () => this.now(),
    });
    this.fromPeers = new FromPeers(context, new Batch(arena, RECEIVE_SHAPE), payloadCapacity(settings), {
      forwarder: forwarding,
      toPeers: this.transit,
      toKernel: this.toKernel,
      mtuWatch: this.peering.mtuWatch,
      candidates: this.peering.candidates,
    });
    this.scratch = new Batch(arena, SCRATCH_SHAPE);
  }

  /** Arena bytes an engine needs, without its ports'. */
  static arenaSize(settings: EngineSettings): number {
    return (
      Batch.arenaSize(packetShape(settings)) +
      Batch.arenaSize(datagramShape(settings, DATAGRAM_SLOTS)) +
      Batch.arenaSize(datagramShape(settings, TRANSIT_SLOTS)) +
      2 * ToPeers.arenaSize(capacityFor(settings)) +
      Batch.arenaSize(RECEIVE_SHAPE) +
      FromPeers.arenaSize(payloadCapacity(settings)) +
      Peering.arenaSize(payloadCapacity(settings)) +
      IcmpSender.arenaSize() +
      SideDoors.arenaSize() +
      ToSocket.arenaSize() +
      Nat.ARENA_SIZE +
      Batch.arenaSize(SCRATCH_SHAPE) +
      64
    );
  }

  /** Bytes of the longest batch of datagrams, with what a stream puts in front of each. */
  static batchBytes(settings: EngineSettings): number {
    const { slots, capacity = MAX_PACKET } = datagramShape(settings, DATAGRAM_SLOTS);
    return slots * (HEADROOM + capacity + TAILROOM);
  }

  /** Packets from the kernel wait for the only link to become writable, or for its rate; no more are read meanwhile. */
  get blocked(): boolean {
    return this.toPeers.blocked;
  }

  /** The link that `blocked` is about, if it is to become writable. */
  get blockedLink(): Link | undefined {
    const { blocked, resumeMs } = this.toPeers;
    return blocked && resumeMs === Infinity ? this.context.links.values().next().value : undefined;
  }

  setTables({ routes, sources, former }: CompiledTables): void {
    const { context } = this;
    context.routes = new Fib(routes);
    context.sources = sources === routes ? context.routes : new Fib(sources);
    context.hits = context.hits.moved(former);
  }

  /** Packets from the kernel to the outer addresses of these peers are dropped. */
  setRecursive(peers: readonly number[]): void {
    this.context.recursive = peers;
  }

  setSettings(settings: EngineSettings): void {
    this.context.settings = settings;
    this.context.choosePeer();
  }

  /** Takes over NAT rules. Sessions of rules that did not change stay. */
  setNat(settings: NatSettings): void {
    const { context, options } = this;
    if (context.nat !== undefined) return context.nat.reconfigure(settings);
    if (settings.rules.length === 0) return;
    if (options.nat === undefined) throw new Error('this engine was made without NAT');
    const secret = new Uint8Array(HASH_SECRET_SIZE);
    options.random(secret, 0, secret.length);
    const random = () => randomWord(options.random) >>> 0;
    context.nat = new Nat({
      ...options.nat,
      arena: options.arena,
      settings,
      secret,
      random,
      now: this.now(),
    });
  }

  setIcmpPort(port: IcmpPort | undefined): void {
    this.context.icmpPort?.close();
    this.context.icmpPort = port;
  }

  /** Answers a question of the control plane with plain data, now or later. */
  query(query: EngineQuery, answer: (result: unknown) => void): void {
    if (query.kind === 'mtu') this.measureMtu(query.peer, answer);
    else answer(this.answer(query));
  }

  private measureMtu(index: number, answer: (result: MeasurementAnswer) => void): void {
    const peer = this.context.peers[index];
    if (peer === undefined) answer('unable');
    else this.peering.mtuWatch.measure(peer, this.now(), answer);
  }

  /** Answers at once. */
  answer(query: Exclude<EngineQuery, { kind: 'mtu' }>): unknown {
    const { nat } = this.context;
    switch (query.kind) {
      case 'route-hits':
        return this.context.hits.slice(query.first, query.end);
      case 'trace':
        return this.trace(query.from, query.packet);
      case 'nat-list':
        return nat?.list(this.now(), query.from, query.filter) ?? { sessions: [], next: undefined };
      case 'nat-rules':
        return { rules: nat?.rules() ?? [], stats: nat?.stats() };
      case 'nat-flush':
        return nat?.flush(query.filter) ?? 0;
    }
  }

  /** What would happen to `packet` from that zone. */
  private trace(from: Zone, packet: Uint8Array): TraceStep[] {
    return trace(this.context, this.scratch, from, packet, this.now());
  }

  /** Ends the tunnel; with exit notifications configured that takes as many seconds. */
  stop(): void {
    if (this.state !== 'running') return;
    this.state = 'exiting';
    this.peering.leaveAll();
  }

  /** One round: a batch from each door that is ready, then the timers. Returns true when more work is waiting already. */
  breathe(): boolean {
    const now = this.now();
    const { counters, links } = this.context;
    let more = false;
    for (const link of links.values()) if (link.ready) link.port.stream?.flush();
    // What waits goes first: a packet between peers that overtook it would be ahead of it in the replay window.
    if (this.blocked && (this.writable || this.peering.unlinked || now.ms >= this.toPeers.resumeMs)) {
      this.writable = false;
      this.peering.unlinked = false;
      this.toPeers.run(now);
    }
    for (const link of links.values()) {
      if (link.failed || link.port.hasErrors === true) this.peering.readErrors(link, now);
      if (!link.ready) continue;
      this.readLink(link, now);
      more ||= link.ready;
    }
    if (this.sinceTun >= PIECE) this.readTun(RELIEF_BATCHES, now);
    else if (this.tunReady) this.readTun(1, now);
    more ||= this.tunReady && !this.blocked;
    more = this.sideDoors.run(now) || more;
    this.icmp.flush(this.transit, this.toKernel, now);
    this.tick(now);
    for (const link of links.values()) this.peering.checkStream(link);
    counters.set(Counter.NowMs, now.ms);
    counters.add(Counter.Breaths, 1);
    return more;
  }

  /**
   * Moves one batch from a link. Each of its packets may be answered as soon as it leaves, and the TUN device's queue is
   * short: it is read in between, or the answers to a flood would push out the packets of others.
   */
  private readLink(link: Link, now: Now): void {
    link.ready = this.fromPeers.receive(link, now);
    while (this.fromPeers.waiting > 0) {
      if (this.sinceTun >= PIECE) this.readTun(RELIEF_BATCHES, now);
      this.sinceTun += this.fromPeers.forward(now);
    }
  }

  /** Moves so many batches from the TUN device, unless packets wait for a link, or it is found empty. */
  private readTun(batches: number, now: Now): void {
    this.sinceTun = 0;
    for (let i = 0; i < batches && !this.blocked; i++) {
      this.tunReady = this.fromTun.run(now);
      if (!this.tunReady) return;
    }
  }

  /** Marks every door ready, for callers that do not wait for each. */
  everythingReady(): void {
    this.tunReady = true;
    this.writable = true;
    for (const link of this.context.links.values()) link.ready = true;
    this.sideDoors.icmpReady = true;
    this.sideDoors.guardsReady = true;
  }

  /** Milliseconds until a timer is due, 0 when one is, Infinity when none runs. */
  nextTimeoutMs(): number {
    if (this.state === 'exiting' && this.peering.allEnded) return 0;
    const now = this.clock.monotonicMs();
    const natDue = this.context.nat?.nextTimeoutMs({ ms: now }) ?? Infinity;
    return Math.max(0, Math.min(now + natDue, this.peering.dueMs(), this.toPeers.resumeMs) - now);
  }

  private now(): Now {
    return { ms: this.clock.monotonicMs(), sec: this.clock.unixSeconds() };
  }

  private tick(now: Now): void {
    for (let lost = this.context.nat?.tick(now) ?? 0; lost > 0; lost--) {
      this.context.counters.drop(DropReason.NatFragment);
    }
    this.peering.tick(now);
    if (this.state === 'exiting' && this.peering.allEnded) this.end();
  }

  private end(): void {
    this.peering.closeLinks();
    this.setIcmpPort(undefined);
    this.context.tun.close();
    this.state = 'stopped';
    this.context.emit({ kind: 'stopped' });
  }
}
