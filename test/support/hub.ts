/**
 * One engine with many peers over memory devices, on a fake clock, and the peers' far ends. The hub's tunnel address is
 * 10.8.0.1; the peer of index i is 192.0.2.(i + 1):1194 outside.
 */
import { suiteOf } from '../../src/bench/suites.ts';
import { createNobleProvider } from '../../src/crypto/noble.ts';
import type { CryptoProvider, RandomFill } from '../../src/crypto/provider.ts';
import { deriveKeys } from '../../src/crypto/static-key.ts';
import { Counters } from '../../src/engine/counters.ts';
import { Engine, type NatSurroundings } from '../../src/engine/engine.ts';
import type { Link } from '../../src/engine/link.ts';
import type { EngineEvent, EngineSettings, PeerSettings } from '../../src/engine/messages.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { HeapArena, type Arena } from '../../src/packet/arena.ts';
import { formatPrefix, parsePrefix, type Prefix } from '../../src/packet/prefix.ts';
import { VERDICT_COUNT, PASS, type DropReason, type Verdict } from '../../src/packet/verdict.ts';
import { compileTables, type AllowedPrefix } from '../../src/route/compile.ts';
import { compareCandidates, comparePrefixes } from '../../src/route/order.ts';
import type { Route, RouteKind } from '../../src/route/route.ts';
import { MemoryTun } from '../../src/tun/memory.ts';
import type { TransportPort } from '../../src/transport/port.ts';
import { MemorySwitch, type SwitchPort } from './memory-switch.ts';
import { breatheAll, FakeClock } from './pair.ts';
import { PEER_DEFAULTS } from '../../src/bench/memory-engine.ts';
import { seeded } from './random.ts';
import { Spoke } from './spoke.ts';
import { wayTo, type WayOptions } from './way.ts';

const HUB_HOST = '203.0.113.1';
const FIRST_PORT = 2000;
const KINDS = ['own', 'local', 'blackhole', 'unreachable', 'prohibit'];

export interface HubOptions {
  readonly settings?: Partial<EngineSettings>;
  readonly provider?: CryptoProvider;
  readonly arena?: (size: number) => Arena;
  readonly random?: RandomFill;
  readonly clock?: FakeClock;
  readonly nat?: NatSurroundings;
}

export interface PeerOptions extends Partial<PeerSettings>, WayOptions {
  readonly cipher?: string;
  readonly digest?: string;
  /** On this shared link instead of one of its own. */
  readonly shared?: SharedLink;
  /** The hub waits to be found. */
  readonly unknown?: boolean;
  /** Outer address, in place of one of its own; the port is then its own. */
  readonly behind?: string;
  /** Not connected yet. */
  readonly idle?: boolean;
}

export interface SharedLink {
  readonly id: number;
  readonly port: SwitchPort;
}

/** A peer as the hub has it, and its far end. */
export interface HubPeer {
  readonly name: string;
  readonly index: number;
  readonly counters: Counters;
  readonly spoke: Spoke;
  readonly options: PeerOptions;
  /** The hub's socket of this peer, replaced at every connect unless shared. */
  port: SwitchPort;
  /** Number of the link, likewise. */
  link: number;
}

export class Hub {
  readonly clock: FakeClock;
  readonly network = new MemorySwitch();
  readonly engine: Engine;
  readonly device = new Counters(Counters.allocate());
  readonly tun: MemoryTun;
  readonly events: EngineEvent[] = [];
  /** Packets the host sends into the tunnel, oldest first. */
  readonly toSend: Uint8Array[] = [];
  /** Packets the host got. */
  readonly delivered: Uint8Array[] = [];
  /** All there ever were. */
  readonly peers: HubPeer[] = [];
  readonly settings: EngineSettings;
  private readonly provider: CryptoProvider;
  private readonly fill: RandomFill;
  /** Indexes of the peers, for `route`. */
  readonly names = new Map<string, number>();
  private readonly links = new Map<number, Link>();
  private routes: readonly Route[] = [];
  private lastLink = 0;

  constructor(options: HubOptions = {}) {
    this.clock = options.clock ?? new FakeClock();
    this.settings = {
      deviceType: 'tun',
      tunMtu: 1500,
      pointToPoint: false,
      clientToClient: true,
      address4: parseAddress('10.8.0.1'),
      address6: parseAddress('fd08::1'),
      ...options.settings,
    };
    const random = seeded(7);
    this.fill =
      options.random ??
      ((bytes, offset, length) => {
        for (let i = 0; i < length; i++) bytes[offset + i] = Math.floor(random() * 256);
      });
    this.provider = options.provider ?? createNobleProvider();
    this.tun = new MemoryTun(
      'memory0',
      (bytes, offset) => {
        const packet = this.toSend.shift();
        if (packet === undefined) return 0;
        bytes.set(packet, offset);
        return packet.length;
      },
      (bytes, offset, length) => this.delivered.push(bytes.slice(offset, offset + length)) > 0,
    );
    const size = Engine.arenaSize(this.settings);
    this.engine = new Engine({
      arena: options.arena?.(size) ?? new HeapArena(size),
      tun: this.tun,
      settings: this.settings,
      clock: this.clock,
      random: this.fill,
      counters: this.device,
      emit: (event) => this.events.push(event),
      ...(options.nat === undefined ? {} : { nat: options.nat }),
    });
  }

  /** Adds a peer and connects it. */
  add(name: string, options: PeerOptions = {}): HubPeer {
    const index = freeIndex(this.engine);
    const suite = suiteOf(options.cipher ?? 'AES-128-CBC', options.digest ?? 'SHA1');
    const key = Uint8Array.from({ length: 256 }, (_, i) => (i * 7 + this.peers.length * 31 + 3) & 0xff);
    const counters = new Counters(Counters.allocate());
    const port = options.shared?.port ?? this.network.open(HUB_HOST, FIRST_PORT + this.peers.length);
    const spoke = new Spoke({
      provider: this.provider,
      suite,
      key,
      network: this.network,
      host: options.behind ?? `192.0.2.${index + 1}`,
      port: options.behind === undefined ? 1194 : 1194 + index,
      hub: port.address,
      clock: this.clock,
    });
    const keys = deriveKeys(key, 0, suite);
    const settings = { ...PEER_DEFAULTS, suite, sealKeys: keys.seal, openKeys: keys.open, ...options };
    const crypto = {
      sealer: this.provider.createSealer(suite, keys.seal, this.fill),
      opener: this.provider.createOpener(suite, keys.open),
    };
    this.engine.peering.addPeer(index, settings, crypto, counters);
    const peer: HubPeer = { name, index, counters, spoke, options, port, link: 0 };
    this.peers.push(peer);
    this.names.set(name, index);
    if (options.idle !== true) this.connect(peer);
    return peer;
  }

  /** As the control plane does after an `restarting` event: a fresh socket at the same address, unless shared. */
  connect(peer: HubPeer): void {
    const { shared, unknown } = peer.options;
    if (shared === undefined) {
      const local = FIRST_PORT + this.peers.indexOf(peer);
      peer.port = this.network.open(HUB_HOST, local);
      peer.link = this.openLink(peer.port, false);
    } else {
      peer.link = shared.id;
    }
    const remotes = unknown === true ? [] : [peer.spoke.address];
    this.engine.peering.connect(peer.index, peer.link, wayTo(remotes, peer.options));
  }

  sharedLink(local = 1194): SharedLink {
    const port = this.network.open(HUB_HOST, local);
    return { id: this.openLink(port, true), port };
  }

  openLink(port: TransportPort, shared: boolean): number {
    this.links.set(++this.lastLink, this.engine.peering.openLink(this.lastLink, port, shared));
    return this.lastLink;
  }

  /**
   * Replaces the tables. A line is `PREFIX PEER [METRIC [WEIGHT]]` or `PREFIX KIND`; allowed sources are `PREFIX PEER`.
   */
  route(lines: readonly string[], allowed: readonly string[] = [], fallthrough = false): void {
    const routes = lines
      .map(parseRoute)
      .sort((a, b) => comparePrefixes(a.prefix, b.prefix) || compareCandidates(a, b));
    const sources = allowed.map((line): AllowedPrefix => {
      const [text, peer] = line.split(' ');
      return { prefix: prefix(text), peer };
    });
    this.engine.setTables(compileTables(routes, sources, this.names, { fallthrough, before: this.routes }));
    this.routes = routes;
  }

  /** What routes have taken that took anything: `PREFIX PEER-OR-KIND PACKETS BYTES`. */
  hits(): string[] {
    const query = { kind: 'route-hits', first: 0, end: this.routes.length } as const;
    const hits = this.engine.answer(query) as Float64Array;
    return this.routes.flatMap(({ prefix, peer, kind }, at) =>
      hits[2 * at] === 0
        ? []
        : [`${formatPrefix(prefix)} ${peer ?? kind} ${hits[2 * at]} ${hits[2 * at + 1]}`],
    );
  }

  /** Breathes until nothing moves any more, and lets the far ends take in what came. */
  settle(): void {
    for (let i = 0; i < 10_000; i++) {
      const more = breatheAll(this.engine);
      let moved = 0;
      for (const { spoke } of this.peers) moved += spoke.receive();
      if (!more && moved === 0 && this.idle()) return;
    }
    throw new Error('the hub does not come to rest');
  }

  /**
   * Breathes as the worker does after a command, then only when a door it watches is ready or a timer is due, until it
   * would sleep; returns the number of breaths. Throws when it never would.
   */
  work(limit = 1000): number {
    let more = false;
    for (let breaths = 0; breaths < limit; breaths++) {
      for (const { spoke } of this.peers) while (spoke.receive() > 0);
      const event = this.poll();
      if (breaths > 0 && !event && !more && this.engine.nextTimeoutMs() > 0) return breaths;
      more = this.engine.breathe();
    }
    throw new Error('the worker never sleeps');
  }

  /** Marks the doors ready that the worker would find so; true when there are any. */
  private poll(): boolean {
    const { engine } = this;
    const { blockedLink } = engine;
    let event = false;
    for (const [id, link] of this.links) {
      if (!engine.peering.hasLink(id) || (link.port as SwitchPort).inbox.length === 0) continue;
      link.ready = true;
      event = true;
    }
    // While datagrams wait, the TUN device is not watched; the socket is, if it is what they wait for.
    if (engine.blocked && blockedLink === undefined) return event;
    if (blockedLink === undefined ? this.toSend.length === 0 : (blockedLink.port as SwitchPort).room <= 0)
      return event;
    if (blockedLink === undefined) engine.tunReady = true;
    else engine.writable = true;
    return true;
  }

  /** Lets `ms` pass in steps of at most `stepMs`. */
  advance(ms: number, stepMs = 100): void {
    const end = this.clock.ms + ms;
    while (this.clock.ms < end) {
      this.clock.ms = Math.min(end, this.clock.ms + stepMs);
      this.settle();
    }
  }

  /** Drops of one kind at the peer, or without one at the device. */
  drops(reason: DropReason, peer?: HubPeer): number {
    return (peer?.counters ?? this.device).drops(reason);
  }

  /** Every drop there was: `[owner, verdict, count]`, the device's owner being `-`. */
  allDrops(): [string, Verdict, number][] {
    const owners: [string, Counters][] = [['-', this.device]];
    for (const { name, counters } of this.peers) owners.push([name, counters]);
    const rows: [string, Verdict, number][] = [];
    for (const [name, counters] of owners) {
      for (let verdict = PASS + 1; verdict < VERDICT_COUNT; verdict++) {
        const count = counters.drops(verdict as Verdict);
        if (count > 0) rows.push([name, verdict as Verdict, count]);
      }
    }
    return rows;
  }

  eventsOf<K extends EngineEvent['kind']>(kind: K): Extract<EngineEvent, { kind: K }>[] {
    return this.events.filter((event): event is Extract<EngineEvent, { kind: K }> => event.kind === kind);
  }

  private idle(): boolean {
    const waiting = this.peers.some(({ port }) => !port.closed && port.inbox.length > 0);
    return !waiting && (this.toSend.length === 0 || this.engine.blocked || this.engine.state === 'stopped');
  }
}

function freeIndex(engine: Engine): number {
  let index = 0;
  while (engine.peering.peer(index) !== undefined) index++;
  return index;
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(`no prefix: ${text}`);
  return parsed;
}

function parseRoute(line: string): Route {
  const [text, target, metric = '0', weight] = line.split(' ');
  const special = KINDS.includes(target);
  return {
    prefix: prefix(text),
    kind: special ? (target as RouteKind) : 'peer',
    peer: special ? undefined : target,
    metric: Number(metric),
    ...(weight !== undefined && { weight: Number(weight) }),
    source: { kind: 'operator' },
  };
}
