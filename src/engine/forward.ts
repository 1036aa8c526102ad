/**
 * Forwarding: the decision on one packet, whichever door it came in by. The order of the steps is that of a router
 * with NAT (inside out on the way in, outside in on the way out):
 *
 *   1 inspect     headers that fit, addresses that may cross a router
 *   2 netmap      `client-nat` of the sender: from the wire's view of addresses to ours
 *   3 source      anti-spoof: the route to the source must lead to the peer that sent it (WireGuard's rule)
 *   4 route       longest prefix match on the destination; backups of lost peers
 *   5 MTU         too long for the next peer and not to be fragmented: the sender is told
 *   6 TTL         between peers this process is the router, and decrements; elsewhere the kernel does
 *   7 MSS         SYNs announce no more than the path carries
 *   8 netmap      `client-nat` of the receiver: to its view
 *
 * A packet that ends here has a verdict, and where the sender should know, an ICMP error (icmp-sender.ts).
 */
import type { Batch } from '../packet/batch.ts';
import { mayFragment } from '../packet/fragment.ts';
import type { Netmap } from '../nat/netmap.ts';
import { IcmpError, type IcmpErrorKind } from '../packet/icmp-error.ts';
import { checkInner, innerDestinationIs, innerLength } from '../packet/inner.ts';
import { ipVersion, IPV4_DESTINATION, IPV4_SOURCE } from '../packet/ipv4.ts';
import { IPV6_DESTINATION, IPV6_SOURCE } from '../packet/ipv6.ts';
import { clampMss } from '../packet/mss.ts';
import { checkAddresses, checkIpv4Header, isRedirect } from '../packet/sanity.ts';
import { segmentLength } from '../packet/segment.ts';
import { decrementTtl } from '../packet/ttl.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { isPeer, ZONE_TUN, type Zone } from '../packet/zone.ts';
import { CompiledKind } from '../route/compile.ts';
import { NONE, type Fib } from '../route/fib.ts';
import type { EngineContext, Now } from './context.ts';
import type { Peer } from './peer.ts';
import { SpoofReporter } from './spoof-reporter.ts';
import type { Tracer } from './trace.ts';

/** Who sends ICMP errors about packets; `to` is where they came from. */
export interface ErrorSender {
  send(about: Batch, slot: number, to: Zone, error: IcmpErrorKind, mtu: number, now: Now): void;
}

export class Forwarder {
  private readonly context: EngineContext;
  private readonly icmp: ErrorSender;
  private readonly spoofs: SpoofReporter;
  /** Is told what is decided, and by which entry; undefined but for `tsvpn trace`. */
  private readonly tracer: Tracer | undefined;

  constructor(context: EngineContext, icmp: ErrorSender, tracer?: Tracer) {
    this.context = context;
    this.icmp = icmp;
    this.tracer = tracer;
    this.spoofs = new SpoofReporter(context);
  }

  /** Of a packet from `peer`; on PASS its target is set. */
  fromPeer(batch: Batch, slot: number, peer: Peer, now: Now): Verdict {
    const inner = this.inspect(batch, slot);
    if (inner !== PASS) return inner;
    const header = checkIpv4Header(batch.bytes, batch.start[slot]);
    if (header !== PASS) return header;
    const local = peer.netmap === undefined ? PASS : this.toLocalView(batch, slot, peer.netmap);
    if (local !== PASS) return local;
    const source = this.checkSource(batch, slot, peer, now);
    if (source !== PASS) return source;
    batch.target[slot] = ZONE_TUN;
    const routed = this.context.settings.pointToPoint ? PASS : this.routeFromPeer(batch, slot, peer, now);
    return routed === PASS ? this.leave(batch, slot, peer.mss) : routed;
  }

  /** Of a packet the kernel hands over; on PASS its target is set. */
  fromTun(batch: Batch, slot: number, now: Now): Verdict {
    const inner = this.inspect(batch, slot);
    if (inner !== PASS) return inner;
    const routed = this.routeFromTun(batch, slot, now);
    return routed === PASS ? this.leave(batch, slot, 0) : routed;
  }

  /** The last steps before a door; `mss` is the clamp of where the packet came from, 0 for none. */
  private leave(batch: Batch, slot: number, mss: number): Verdict {
    const target = batch.target[slot];
    const peer = isPeer(target) ? this.context.peers[target]! : undefined;
    const clamp = peer === undefined ? mss : lowerMss(mss, peer.mss);
    if (clamp > 0) clampMss(batch.bytes, batch.start[slot], batch.length[slot], clamp);
    if (peer?.netmap === undefined) return PASS;
    const verdict = peer.netmap.outbound(batch, slot);
    this.tracer?.packet('netmap', 'as the peer sees it', batch, slot);
    return verdict;
  }

  private toLocalView(batch: Batch, slot: number, netmap: Netmap): Verdict {
    const verdict = netmap.inbound(batch, slot);
    this.tracer?.packet('netmap', 'as this side sees it', batch, slot);
    return verdict;
  }

  /** Trims the packet to its own length. */
  private inspect(batch: Batch, slot: number): Verdict {
    const { bytes } = batch;
    const start = batch.start[slot];
    const inner = checkInner(bytes, start, batch.length[slot]);
    if (inner !== PASS) return inner;
    batch.length[slot] = innerLength(bytes, start);
    const addresses = checkAddresses(bytes, start);
    if (addresses === DropReason.Martian) return addresses;
    // A point-to-point link is one segment: multicast and link-local packets stay on it, as with stock.
    if (addresses === DropReason.NotForwarded && !this.context.settings.pointToPoint) return addresses;
    return isRedirect(bytes, start, batch.length[slot]) ? DropReason.Redirect : PASS;
  }

  private checkSource(batch: Batch, slot: number, peer: Peer, now: Now): Verdict {
    const { sources, usable } = this.context;
    const { bytes } = batch;
    const start = batch.start[slot];
    const ipv4 = ipVersion(bytes, start) === 4;
    const at = start + (ipv4 ? IPV4_SOURCE : IPV6_SOURCE);
    const set = ipv4 ? sources.lookup4(bytes, at) : sources.lookup6(bytes, at);
    // A packet in this host's own name would be taken for its word by everybody behind us.
    const own = sources.isOwn(set);
    const accepted = !own && (peer.settings.anySource || sources.has(set, peer.index, usable));
    this.tracer?.source(set, accepted);
    if (accepted) return PASS;
    if (this.tracer === undefined) this.spoofs.report(peer, bytes, at, ipv4 ? 4 : 6, now);
    return DropReason.Spoofed;
  }

  private routeFromPeer(batch: Batch, slot: number, peer: Peer, now: Now): Verdict {
    const { routes, usable, settings } = this.context;
    const set = lookUp(routes, batch, slot);
    const candidate = set === NONE ? NONE : routes.select(set, usable);
    this.tracer?.route(set, candidate);
    if (set === NONE) return PASS;
    if (candidate === NONE) return this.peerDown(batch, slot, set, peer.index, now);
    switch (routes.kind(candidate)) {
      case CompiledKind.Peer:
        break;
      case CompiledKind.Local:
      case CompiledKind.Own:
        return PASS;
      default:
        return this.refuse(batch, slot, routes.kind(candidate), peer.index, now);
    }
    const next = routes.peer(candidate);
    // A default route to the sender says nothing about this host's own networks: the kernel decides.
    if (next === peer.index) return routes.prefixLength(set) === 0 ? PASS : DropReason.Loop;
    if (!settings.clientToClient) return PASS;
    batch.target[slot] = next;
    return this.betweenPeers(batch, slot, peer, now);
  }

  private betweenPeers(batch: Batch, slot: number, from: Peer, now: Now): Verdict {
    const mtu = this.checkMtu(batch, slot, from.index, now);
    if (mtu !== PASS) return mtu;
    if (decrementTtl(batch.bytes, batch.start[slot])) return PASS;
    this.icmp.send(batch, slot, from.index, IcmpError.TimeExceeded, 0, now);
    return DropReason.TtlExceeded;
  }

  private routeFromTun(batch: Batch, slot: number, now: Now): Verdict {
    const { onlyPeer } = this.context;
    const chosen = onlyPeer === undefined ? this.choosePeer(batch, slot, now) : PASS;
    if (chosen !== PASS) return chosen;
    const peer = onlyPeer ?? this.context.peers[batch.target[slot]]!;
    batch.target[slot] = peer.index;
    if (!peer.endpoint.known) return DropReason.NoPeer;
    if (peer.link === undefined) return DropReason.PeerRestarting;
    // OpenVPN's drop_if_recursive_routing: the route to the peer must not lead into the tunnel.
    const recursive =
      !peer.settings.allowRecursiveRouting &&
      innerDestinationIs(batch.bytes, batch.start[slot], peer.endpoint.offset);
    if (recursive) return DropReason.Recursive;
    return this.checkMtu(batch, slot, ZONE_TUN, now);
  }

  private choosePeer(batch: Batch, slot: number, now: Now): Verdict {
    const { routes, usable } = this.context;
    const set = lookUp(routes, batch, slot);
    const candidate = set === NONE ? NONE : routes.select(set, usable);
    this.tracer?.route(set, candidate);
    if (set === NONE) {
      this.icmp.send(batch, slot, ZONE_TUN, IcmpError.NetUnreachable, 0, now);
      return DropReason.NoRoute;
    }
    if (candidate === NONE) return this.peerDown(batch, slot, set, ZONE_TUN, now);
    const kind = routes.kind(candidate);
    if (kind !== CompiledKind.Peer) return this.refuse(batch, slot, kind, ZONE_TUN, now);
    batch.target[slot] = routes.peer(candidate);
    return PASS;
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
        this.icmp.send(batch, slot, from, IcmpError.NetUnreachable, 0, now);
        return DropReason.Loop;
    }
  }

  /** What exceeds the next peer's MTU is cut into fragments by to-peers.ts, unless the sender forbids it. */
  private checkMtu(batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    const mtu = this.context.peers[batch.target[slot]]!.settings.tunMtu;
    if (segmentLength(batch, slot) <= mtu) return PASS;
    const { bytes } = batch;
    const start = batch.start[slot];
    if (mayFragment(bytes, start, mtu)) {
      if (batch.gsoSize[slot] === 0) return PASS;
      // The bytes of a TCP stream have no boundaries to keep: shorter segments are as good.
      if (batch.udp[slot] === 0) {
        batch.gsoSize[slot] -= segmentLength(batch, slot) - mtu;
        return PASS;
      }
    }
    this.icmp.send(batch, slot, from, IcmpError.TooBig, mtu, now);
    return DropReason.TooBig;
  }
}

function lookUp(routes: Fib, batch: Batch, slot: number): number {
  const { bytes } = batch;
  const start = batch.start[slot];
  return ipVersion(bytes, start) === 4
    ? routes.lookup4(bytes, start + IPV4_DESTINATION)
    : routes.lookup6(bytes, start + IPV6_DESTINATION);
}

/** The lower of two clamps, of which 0 is none. */
function lowerMss(a: number, b: number): number {
  return a === 0 || (b !== 0 && b < a) ? b : a;
}
