/**
 * Where a packet goes next: longest prefix match on its destination, backups of peers that are down, and what a router
 * owes the sender when it goes nowhere (RFC 1812 4.3.3, 5.3.1). On PASS the packet's target is set.
 */
import type { Batch } from '../packet/batch.ts';
import { flowHash } from '../packet/flow-hash.ts';
import { mayFragment } from '../packet/fragment.ts';
import { IcmpError, type IcmpErrorKind } from '../packet/icmp-error.ts';
import { innerDestination, innerDestinationIs } from '../packet/inner.ts';
import { ipVersion } from '../packet/ipv4.ts';
import { segmentCount, segmentLength } from '../packet/segment.ts';
import { decrementTtl, isLastHop } from '../packet/ttl.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { ZONE_TUN, type Zone } from '../packet/zone.ts';
import { CompiledKind } from '../route/compile.ts';
import { NONE } from '../route/fib.ts';
import type { EngineContext, Now } from './context.ts';
import type { Peer } from './peer.ts';
import type { Tracer } from './trace.ts';

/** Who sends ICMP errors about packets; `to` is where they came from. */
export interface ErrorSender {
  send(about: Batch, slot: number, to: Zone, error: IcmpErrorKind, mtu: number, now: Now): void;
}

/** The destination to route by. */
export interface Destination {
  /** Offset of the address in the batch's bytes. */
  readonly offset: number;
  /** It is not the one in the packet: a NAT rule or session names it, which is leave to go there. */
  readonly translated: boolean;
}

/** A default route may be written as two halves (`redirect-gateway def1`): prefixes of one bit. */
const HALF_OF_EVERYTHING = 1;
/** Of the prefix that is one IPv6 address. */
const HOST_LENGTH = 128;

/** In the place of a route's position. */
export const NO_ROUTE = -1;

export class Router {
  /** Position of the last route that took a packet, until somebody sets it to NO_ROUTE. */
  taken = NO_ROUTE;
  private readonly context: EngineContext;
  private readonly icmp: ErrorSender;
  private readonly tracer: Tracer | undefined;

  constructor(context: EngineContext, icmp: ErrorSender, tracer: Tracer | undefined) {
    this.context = context;
    this.icmp = icmp;
    this.tracer = tracer;
  }

  /** Of a packet from `from`, a peer. What the table does not know is the kernel's. */
  fromPeer(batch: Batch, slot: number, from: Zone, destination: Destination, now: Now): Verdict {
    const { routes, settings } = this.context;
    batch.target[slot] = ZONE_TUN;
    const set = this.lookUp(batch, slot, destination.offset);
    const candidate = this.select(batch, slot, set);
    if (set === NONE) return this.toKernel(batch, slot, from, now);
    if (candidate === NONE) return this.peerDown(batch, slot, set, from, now);
    const kind = routes.kind(candidate);
    if (kind !== CompiledKind.Peer) {
      this.take(batch, slot, set, candidate);
      if (kind === CompiledKind.Own) return PASS;
      if (kind === CompiledKind.Local) return this.toKernel(batch, slot, from, now);
      return this.refuse(batch, slot, kind, from, now);
    }
    const next = routes.peer(candidate);
    if (!destination.translated) {
      // A default route to the sender says nothing about this host's own networks: the kernel decides.
      if (next === from) {
        return routes.prefixLength(set) <= HALF_OF_EVERYTHING
          ? this.toKernel(batch, slot, from, now)
          : this.sentBack(batch, slot, from, now);
      }
      if (!settings.clientToClient) return PASS;
    }
    this.take(batch, slot, set, candidate);
    batch.target[slot] = next;
    return this.toNextPeer(batch, slot, from, now);
  }

  /** Counts a packet of the route at that position. */
  count(batch: Batch, slot: number, route: number): void {
    if (route === NO_ROUTE) return;
    const packets = batch.gsoSize[slot] === 0 ? 1 : segmentCount(batch, slot);
    this.context.hits.add(route, packets, batch.length[slot]);
  }

  /** Of a packet that the kernel hands over. */
  fromTun(batch: Batch, slot: number, destination: Destination, now: Now): Verdict {
    const { onlyPeer } = this.context;
    const chosen = onlyPeer === undefined ? this.choosePeer(batch, slot, destination, now) : PASS;
    if (chosen !== PASS) return chosen;
    if (onlyPeer !== undefined) batch.target[slot] = onlyPeer.index;
    if (batch.target[slot] === ZONE_TUN) return PASS;
    const peer = this.context.peers[batch.target[slot]]!;
    if (!peer.endpoint.known) return DropReason.NoPeer;
    if (peer.link === undefined) return DropReason.PeerRestarting;
    if (this.isRecursive(batch, slot, peer)) return DropReason.Recursive;
    return this.checkMtu(batch, slot, ZONE_TUN, now);
  }

  /** Of a packet from the kernel to a link-local address: goes to the peer that has it, if it can. */
  toNeighbour(batch: Batch, slot: number): Verdict {
    const { routes, usable } = this.context;
    const set = this.lookUp(batch, slot, innerDestination(batch.bytes, batch.start[slot]));
    const isAddress = set !== NONE && routes.prefixLength(set) === HOST_LENGTH;
    const candidate = isAddress ? routes.select(set, usable) : NONE;
    if (candidate === NONE || routes.kind(candidate) !== CompiledKind.Peer) return DropReason.NotForwarded;
    this.take(batch, slot, set, candidate);
    batch.target[slot] = routes.peer(candidate);
    return PASS;
  }

  /** Between doors where no kernel does it: one hop less, and short enough for the next peer. */
  toNextPeer(batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    if (this.isExpired(batch, slot, from, now)) return DropReason.TtlExceeded;
    const mtu = this.checkMtu(batch, slot, from, now);
    // An error about it quotes the packet as it was received.
    if (mtu === PASS) decrementTtl(batch.bytes, batch.start[slot]);
    return mtu;
  }

  /**
   * OpenVPN's drop_if_recursive_routing: the route to the peer must not lead into the tunnel; nor into that of another, whose own
   * leads back.
   */
  private isRecursive({ bytes, start }: Batch, slot: number, peer: Peer): boolean {
    const { recursive, peers } = this.context;
    for (let i = 0; i < recursive.length; i++) {
      const endpoint = peers[recursive[i]]?.endpoint;
      if (endpoint?.known === true && innerDestinationIs(bytes, start[slot], endpoint.offset)) return true;
    }
    return (
      !peer.settings.allowRecursiveRouting && innerDestinationIs(bytes, start[slot], peer.endpoint.offset)
    );
  }

  /**
   * The kernel forwards it, and takes the hop. But its "time exceeded" about a packet that we have translated to an address
   * of this host would go to this host: with NAT the last hop is told by us.
   */
  private toKernel(batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    if (this.context.nat === undefined) return PASS;
    return this.isExpired(batch, slot, from, now) ? DropReason.TtlExceeded : PASS;
  }

  private isExpired(batch: Batch, slot: number, from: Zone, now: Now): boolean {
    if (!isLastHop(batch.bytes, batch.start[slot])) return false;
    this.icmp.send(batch, slot, from, IcmpError.TimeExceeded, 0, now);
    return true;
  }

  private lookUp(batch: Batch, slot: number, offset: number): number {
    const { routes } = this.context;
    const { bytes } = batch;
    return ipVersion(bytes, batch.start[slot]) === 4
      ? routes.lookup4(bytes, offset)
      : routes.lookup6(bytes, offset);
  }

  /** Of `set`, which the last look-up found. */
  private select(batch: Batch, slot: number, set: number): number {
    const { routes, usable } = this.context;
    let candidate = set === NONE ? NONE : routes.select(set, usable);
    if (candidate !== NONE && routes.hasEquals(candidate))
      candidate = routes.share(candidate, usable, this.flowOf(batch, slot));
    this.tracer?.route(set, candidate);
    return candidate;
  }

  private flowOf({ bytes, start, length }: Batch, slot: number): number {
    return flowHash(bytes, start[slot], length[slot], this.context.flowSeed);
  }

  /** The route decides, and counts the packet. */
  private take(batch: Batch, slot: number, set: number, candidate: number): void {
    if (this.tracer !== undefined) return;
    this.taken = this.context.routes.position(set, candidate);
    this.count(batch, slot, this.taken);
  }

  private choosePeer(batch: Batch, slot: number, destination: Destination, now: Now): Verdict {
    const { routes, settings } = this.context;
    // The device is up before its only peer is there.
    if (settings.pointToPoint) return DropReason.NoPeer;
    const set = this.lookUp(batch, slot, destination.offset);
    const candidate = this.select(batch, slot, set);
    batch.target[slot] = ZONE_TUN;
    if (set === NONE) {
      if (destination.translated) return PASS;
      this.icmp.send(batch, slot, ZONE_TUN, IcmpError.NetUnreachable, 0, now);
      return DropReason.NoRoute;
    }
    if (candidate === NONE) {
      batch.target[slot] = routes.peer(routes.table.first[set]);
      return this.peerDown(batch, slot, set, ZONE_TUN, now);
    }
    const kind = routes.kind(candidate);
    this.take(batch, slot, set, candidate);
    if (kind === CompiledKind.Peer) {
      batch.target[slot] = routes.peer(candidate);
      return PASS;
    }
    const kernels = kind === CompiledKind.Local || kind === CompiledKind.Own;
    return kernels && destination.translated ? PASS : this.refuse(batch, slot, kind, ZONE_TUN, now);
  }

  /** No candidate of the set can be sent to. A peer between two connections is no news for the sender. */
  private peerDown(batch: Batch, slot: number, set: number, from: Zone, now: Now): Verdict {
    const { routes, peers } = this.context;
    const best = peers[routes.peer(routes.table.first[set])];
    if (best !== undefined && !best.lost && best.link === undefined) return DropReason.PeerRestarting;
    this.icmp.send(batch, slot, from, IcmpError.HostUnreachable, 0, now);
    return best === undefined || best.lost ? DropReason.PeerDown : DropReason.NoPeer;
  }

  private refuse(batch: Batch, slot: number, kind: CompiledKind, from: Zone, now: Now): Verdict {
    switch (kind) {
      case CompiledKind.Blackhole:
        return DropReason.Blackhole;
      case CompiledKind.Unreachable:
        this.icmp.send(batch, slot, from, IcmpError.HostUnreachable, 0, now);
        return DropReason.Unreachable;
      case CompiledKind.Prohibit:
        this.icmp.send(batch, slot, from, IcmpError.AdminProhibited, 0, now);
        return DropReason.Prohibit;
      default:
        // The kernel routes to the tunnel what the table says is the kernel's.
        return this.sentBack(batch, slot, from, now);
    }
  }

  /** It would leave by the door it came in by, and never arrive. */
  private sentBack(batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    this.icmp.send(batch, slot, from, IcmpError.NetUnreachable, 0, now);
    return DropReason.Loop;
  }

  /** What exceeds the next peer's MTU is cut into fragments by to-peers.ts, unless the sender forbids it. */
  private checkMtu(batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    const { bytes } = batch;
    const start = batch.start[slot];
    const mtu = this.context.peers[batch.target[slot]]!.innerMtu(ipVersion(bytes, start));
    if (segmentLength(batch, slot) <= mtu) return PASS;
    if (mayFragment(bytes, start, mtu)) {
      if (batch.gsoSize[slot] === 0) return PASS;
      // The bytes of a TCP stream have no boundaries to keep: shorter segments are as good.
      const shorter = batch.gsoSize[slot] - (segmentLength(batch, slot) - mtu);
      if (batch.udp[slot] === 0 && shorter > 0) {
        batch.gsoSize[slot] = shorter;
        return PASS;
      }
    }
    this.icmp.send(batch, slot, from, IcmpError.TooBig, mtu, now);
    return DropReason.TooBig;
  }
}
