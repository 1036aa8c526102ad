/** What the stages of one engine share; built once by the engine, which alone replaces what is mutable in it. */
import type { IcmpPort } from '../icmp/port.ts';
import type { Nat } from '../nat/nat.ts';
import type { Arena } from '../packet/arena.ts';
import { MAX_ETHERNET_HEADER } from '../packet/ethernet.ts';
import { MAX_PEERS } from '../packet/zone.ts';
import { EMPTY_TABLE } from '../route/compile.ts';
import { Fib } from '../route/fib.ts';
import { RouteHits } from '../route/hits.ts';
import type { TunDevice } from '../tun/device.ts';
import type { Counters } from './counters.ts';
import type { Link } from './link.ts';
import type { EngineEvent, EngineSettings } from './messages.ts';
import type { Peer } from './peer.ts';

export interface ContextOptions {
  readonly arena: Arena;
  readonly tun: TunDevice;
  readonly settings: EngineSettings;
  /** Of the device, and of packets that are no peer's. */
  readonly counters: Counters;
  /** Rare news for the control plane; never called per packet. */
  readonly emit: (event: EngineEvent) => void;
  /** Of the hash by which flows share routes of equal cost. */
  readonly flowSeed: number;
}

export class EngineContext {
  readonly arena: Arena;
  readonly tun: TunDevice;
  readonly counters: Counters;
  readonly emit: (event: EngineEvent) => void;
  settings: EngineSettings;
  /** By index; holes where no peer is. */
  readonly peers: (Peer | undefined)[] = [];
  readonly links = new Map<number, Link>();
  /** By peer index: 1 when packets can be sent to the peer and it does not count as lost. */
  readonly usable = new Uint8Array(MAX_PEERS);
  routes = new Fib(EMPTY_TABLE);
  sources = new Fib(EMPTY_TABLE);
  /** By the positions of `routes`. */
  hits = new RouteHits(0);
  readonly flowSeed: number;
  /** Indexes of the peers whose datagrams would come back to them by the tunnels. */
  recursive: readonly number[] = [];
  /** Undefined as long as there are no NAT rules. */
  nat: Nat | undefined;
  /** Undefined unless sessions are translated to an address of this host. */
  icmpPort: IcmpPort | undefined;
  /** With `pointToPoint`: the peer that gets everything. */
  onlyPeer: Peer | undefined;

  constructor(options: ContextOptions) {
    this.arena = options.arena;
    this.tun = options.tun;
    this.counters = options.counters;
    this.emit = options.emit;
    this.settings = options.settings;
    this.flowSeed = options.flowSeed;
  }

  /** After a change of settings or peers. */
  choosePeer(): void {
    const { settings, peers } = this;
    this.onlyPeer = settings.pointToPoint ? peers.find((peer) => peer !== undefined) : undefined;
  }

  /** After a change of the peer's link, address or liveness. */
  refreshUsable(peer: Peer): void {
    this.usable[peer.index] = peer.usable ? 1 : 0;
  }
}

/** Longest link header in front of an IP packet, bytes; what no `tun-mtu` counts. */
export function longestLinkHeader({ deviceType }: EngineSettings): number {
  return deviceType === 'tap' ? MAX_ETHERNET_HEADER : 0;
}

/** The time of one breath, read once at its start. */
export interface Now {
  readonly ms: number;
  readonly sec: number;
}
