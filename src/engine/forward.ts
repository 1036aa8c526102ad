/**
 * Forwarding: the decision on one packet, whichever door it came in by. The order of the steps is that of a router
 * with NAT (inside out on the way in, outside in on the way out):
 *
 *   1 inspect     headers that fit, addresses that may cross a router
 *   2 netmap      `client-nat` of the sender: from the wire's view of addresses to ours
 *   3 source      anti-spoof (source-check.ts)
 *   4 classify    is it part of a translated session, or does a NAT rule give it another destination? (nat/nat.ts)
 *   5 route       longest prefix match on that destination; TTL and MTU (router.ts)
 *   6 translate   the packet is rewritten: errors about it so far quote it as it was received
 *   7 MSS         SYNs announce no more than the path carries
 *   8 netmap      `client-nat` of the receiver: to its view
 *
 * A packet that ends here has a verdict, and where the sender should know, an ICMP error (icmp-sender.ts). Packets of one
 * flow that follow each other are decided about once (`follow`).
 */
import type { Netmap } from '../nat/netmap.ts';
import type { Nat } from '../nat/nat.ts';
import type { Batch } from '../packet/batch.ts';
import { IcmpError } from '../packet/icmp-error.ts';
import { FlowRun } from '../packet/flow-run.ts';
import { checkInner, innerDestination, innerLength } from '../packet/inner.ts';
import { clampMss } from '../packet/mss.ts';
import { checkAddresses, checkIpv4Header, isRedirect, isToNeighbour } from '../packet/sanity.ts';
import { decrementTtl } from '../packet/ttl.ts';
import { CONSUMED, DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { isPeer, ZONE_ICMP, ZONE_TUN, type Zone } from '../packet/zone.ts';
import type { EngineContext, Now } from './context.ts';
import type { Peer } from './peer.ts';
import { NO_ROUTE, Router, type ErrorSender } from './router.ts';
import { SourceCheck } from './source-check.ts';
import type { Tracer } from './trace.ts';

/** Decides on packets of the two doors that every engine has; on PASS the packet's target is set. */
export interface Forwarding {
  fromTun(batch: Batch, slot: number, now: Now): Verdict;
  fromPeer(batch: Batch, slot: number, peer: Peer, now: Now): Verdict;
}

export class Forwarder implements Forwarding {
  private readonly context: EngineContext;
  private readonly icmp: ErrorSender;
  private readonly sources: SourceCheck;
  private readonly router: Router;
  /** Is told what is decided, and by which entry; undefined but for `tsvpn trace`. */
  private readonly tracer: Tracer | undefined;
  /** Of the packet at hand; see Destination. */
  private readonly destination = { offset: 0, translated: false };
  /** Packets from peer `from` that follow each other go the same way, in the breath `during`. */
  private readonly run = {
    packets: new FlowRun(),
    from: undefined as Peer | undefined,
    to: ZONE_TUN as Zone,
    route: NO_ROUTE,
    during: undefined as Now | undefined,
  };

  constructor(context: EngineContext, icmp: ErrorSender, tracer?: Tracer) {
    this.context = context;
    this.icmp = icmp;
    this.tracer = tracer;
    this.sources = new SourceCheck(context, tracer);
    this.router = new Router(context, icmp, tracer);
  }

  /** Of a packet from `peer`; on PASS its target is set. */
  fromPeer(batch: Batch, slot: number, peer: Peer, now: Now): Verdict {
    const { run } = this;
    const inner = this.measure(batch, slot);
    if (inner !== PASS) return inner;
    const goesOn = run.during === now && run.from === peer && run.packets.continues(batch, slot);
    if (goesOn) return this.follow(batch, slot, peer, now);
    const begins = run.packets.begin(batch, slot);
    this.router.taken = NO_ROUTE;
    const verdict = this.lead(batch, slot, peer, now);
    const holds = begins && verdict === PASS && this.holdsForRun(batch.target[slot], peer);
    run.during = holds ? now : undefined;
    run.from = peer;
    run.to = batch.target[slot];
    run.route = this.router.taken;
    return verdict;
  }

  /** Of another packet of a run: steps 2 to 5 would come to the same result. */
  private follow(batch: Batch, slot: number, peer: Peer, now: Now): Verdict {
    const { to } = this.run;
    const header = checkIpv4Header(batch.bytes, batch.start[slot]);
    if (header !== PASS) return header;
    batch.target[slot] = to;
    this.router.count(batch, slot, this.run.route);
    const next = isPeer(to) ? this.router.toNextPeer(batch, slot, peer.index, now) : PASS;
    if (next === PASS) this.context.nat?.repeat(batch, slot);
    return next;
  }

  /** Goes every packet of a run the way of the last one? */
  private holdsForRun(to: Zone, { netmap }: Peer): boolean {
    const { nat, peers } = this.context;
    if (netmap !== undefined || to === ZONE_ICMP || this.tracer !== undefined) return false;
    if (isPeer(to) && peers[to]!.netmap !== undefined) return false;
    return nat === undefined || nat.isRepeatable;
  }

  /** Of a packet that is not like the one before it. */
  private lead(batch: Batch, slot: number, peer: Peer, now: Now): Verdict {
    const inner = this.inspect(batch, slot);
    if (inner !== PASS) return inner;
    const header = checkIpv4Header(batch.bytes, batch.start[slot]);
    if (header !== PASS) return header;
    const local = peer.netmap === undefined ? PASS : this.toLocalView(batch, slot, peer.netmap);
    if (local !== PASS) return local;
    const source = this.sources.check(batch, slot, peer, now);
    if (source !== PASS) return source;
    const isForKernel = this.context.settings.pointToPoint || isToNeighbour(batch.bytes, batch.start[slot]);
    if (!isForKernel) return this.carry(batch, slot, peer.index, peer.mss, now);
    batch.target[slot] = ZONE_TUN;
    return this.leave(batch, slot, peer.mss);
  }

  /** Of a packet the kernel hands over; on PASS its target is set. */
  fromTun(batch: Batch, slot: number, now: Now): Verdict {
    const inner = this.accept(batch, slot);
    if (inner !== PASS) return inner;
    const isOnLink = !this.context.settings.pointToPoint && isToNeighbour(batch.bytes, batch.start[slot]);
    return isOnLink ? this.toNeighbour(batch, slot) : this.carry(batch, slot, ZONE_TUN, 0, now);
  }

  /** To the peer whose link-local address it is: no router stands in between, and nobody is told of one that is not there. */
  private toNeighbour(batch: Batch, slot: number): Verdict {
    const found = this.router.toNeighbour(batch, slot);
    return found === PASS ? this.leave(batch, slot, 0) : found;
  }

  /** Of a copy of an ICMP message to this host; CONSUMED when it is about none of our sessions. */
  fromIcmp(batch: Batch, slot: number, now: Now): Verdict {
    const inner = this.accept(batch, slot);
    return inner === PASS ? this.carry(batch, slot, ZONE_ICMP, 0, now) : inner;
  }

  /** A fragment that had waited for its first, and has passed `inspect` and the rest before. */
  released(batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    return this.carry(batch, slot, from, isPeer(from) ? (this.context.peers[from]?.mss ?? 0) : 0, now);
  }

  /** Steps 4 to 8; `mss` is the clamp of where the packet came from, 0 for none. */
  private carry(batch: Batch, slot: number, from: Zone, mss: number, now: Now): Verdict {
    const { nat } = this.context;
    const start = batch.start[slot];
    const offset = innerDestination(batch.bytes, start);
    this.destination.offset = offset;
    this.destination.translated = false;
    batch.target[slot] = ZONE_TUN;
    if (nat !== undefined) {
      const classified = this.classify(nat, batch, slot, from, now);
      if (classified !== PASS) return classified;
      if (nat.reinject) return PASS;
      if (nat.answered) return this.turnRound(batch, slot, from);
      this.destination.offset = nat.destination;
      this.destination.translated = nat.destination !== offset;
    }
    const routed = this.route(batch, slot, from, now);
    if (routed !== PASS) return routed;
    const translated = nat === undefined ? PASS : this.translate(nat, batch, slot, from, now);
    return translated === PASS ? this.leave(batch, slot, mss) : translated;
  }

  private route(batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    if (isPeer(from)) return this.router.fromPeer(batch, slot, from, this.destination, now);
    const routed = this.router.fromTun(batch, slot, this.destination, now);
    if (routed !== PASS || from !== ZONE_ICMP) return routed;
    // A copy has not been through the kernel's forwarding.
    return decrementTtl(batch.bytes, batch.start[slot]) ? PASS : DropReason.TtlExceeded;
  }

  private classify(nat: Nat, batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    const verdict =
      this.tracer === undefined
        ? nat.classify(batch, slot, from, now)
        : this.tracer.classify(nat, batch, slot, from, now);
    if (verdict !== PASS && verdict !== CONSUMED) this.explainRefusal(batch, slot, from, verdict, now);
    return verdict;
  }

  private translate(nat: Nat, batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    const to = batch.target[slot];
    const verdict =
      this.tracer === undefined
        ? nat.translate(batch, slot, from, to, now)
        : this.tracer.translate(nat, batch, slot, from, to, now);
    if (verdict !== PASS) this.explainRefusal(batch, slot, from, verdict, now);
    if (!nat.viaIcmpSocket || this.tracer !== undefined) return verdict;
    batch.target[slot] = ZONE_ICMP;
    // What goes by the socket is not forwarded by the kernel.
    return decrementTtl(batch.bytes, batch.start[slot]) ? PASS : DropReason.TtlExceeded;
  }

  /** RFC 5508 REQ-8: a session that cannot be had is administratively prohibited. */
  private explainRefusal(batch: Batch, slot: number, from: Zone, verdict: Verdict, now: Now): void {
    switch (verdict) {
      case DropReason.NatNoPort:
      case DropReason.NatTableFull:
      case DropReason.NatHostLimit:
      case DropReason.NatRateLimit:
      case DropReason.NatProtocol:
        return this.icmp.send(batch, slot, from, IcmpError.AdminProhibited, 0, now);
      default:
    }
  }

  /** The answer to a ping goes back by the door it came in by. */
  private turnRound(batch: Batch, slot: number, from: Zone): Verdict {
    batch.target[slot] = from;
    return this.leave(batch, slot, 0);
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

  private accept(batch: Batch, slot: number): Verdict {
    const inner = this.measure(batch, slot);
    return inner === PASS ? this.inspect(batch, slot) : inner;
  }

  /** Trims the packet to its own length. */
  private measure(batch: Batch, slot: number): Verdict {
    const { bytes } = batch;
    const start = batch.start[slot];
    const inner = checkInner(bytes, start, batch.length[slot]);
    if (inner === PASS) batch.length[slot] = innerLength(bytes, start);
    return inner;
  }

  private inspect(batch: Batch, slot: number): Verdict {
    const { bytes } = batch;
    const start = batch.start[slot];
    const addresses = checkAddresses(bytes, start);
    if (addresses === DropReason.Martian) return addresses;
    // A point-to-point link is one segment: multicast and link-local packets stay on it, as with stock. On a device with
    // several peers a link-local address leads to its owner, and no further.
    const isOnLink = this.context.settings.pointToPoint || isToNeighbour(bytes, start);
    if (addresses === DropReason.NotForwarded && !isOnLink) return addresses;
    return isRedirect(bytes, start, batch.length[slot]) ? DropReason.Redirect : PASS;
  }
}

/** The lower of two clamps, of which 0 is none. */
function lowerMss(a: number, b: number): number {
  return a === 0 || (b !== 0 && b < a) ? b : a;
}
