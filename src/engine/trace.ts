/**
 * What would happen to a packet: it goes through the same forwarding code as every other, which tells a tracer what
 * it decides and by which entry. Nothing is sent, counted or remembered.
 */
import type { ExplainedEnd } from '../nat/explain.ts';
import type { Nat } from '../nat/nat.ts';
import { addressSize, formatAddress, type Family } from '../packet/address.ts';
import type { Batch } from '../packet/batch.ts';
import type { IcmpErrorKind } from '../packet/icmp-error.ts';
import { innerDestination, innerFamily, innerSource } from '../packet/inner.ts';
import { PASS, type Verdict } from '../packet/verdict.ts';
import { isPeer, type Zone } from '../packet/zone.ts';
import { NONE, type Fib } from '../route/fib.ts';
import type { EngineContext, Now } from './context.ts';
import { Forwarder } from './forward.ts';
import type { ErrorSender } from './router.ts';

export type TraceStage = 'netmap' | 'source' | 'nat' | 'route' | 'icmp' | 'out';

/** One stage of a packet's way; plain data for the control plane. */
export interface TraceStep {
  readonly stage: TraceStage;
  /** What the stage does, in a few words. */
  readonly outcome: string;
  /** Position of the deciding route in the list the table was compiled from. */
  readonly route?: number;
  /** Bits of the longest prefix that matched. */
  readonly prefixLength?: number;
  readonly peer?: number;
  /** Number of the deciding NAT rule. */
  readonly rule?: number;
  /** Why it was dropped (packet/verdict.ts). */
  readonly verdict?: number;
}

export class Tracer implements ErrorSender {
  readonly steps: TraceStep[] = [];
  private readonly context: EngineContext;

  constructor(context: EngineContext) {
    this.context = context;
  }

  note(stage: TraceStage, outcome: string): void {
    this.steps.push({ stage, outcome });
  }

  /** The addresses the packet has now. */
  packet(stage: TraceStage, outcome: string, batch: Batch, slot: number): void {
    const { bytes, start } = batch;
    const family = innerFamily(bytes, start[slot]);
    const source = addressText(bytes, innerSource(bytes, start[slot]), family);
    const destination = addressText(bytes, innerDestination(bytes, start[slot]), family);
    this.note(stage, `${outcome}: ${source} > ${destination}`);
  }

  /** The longest match of the source. */
  source(set: number, accepted: boolean): void {
    const outcome = accepted
      ? 'the source is one the peer may use'
      : 'the source is not one the peer may use';
    const { sources } = this.context;
    const found = set === NONE ? {} : entry(sources, set, sources.table.first[set]);
    this.steps.push({ stage: 'source', outcome, ...found });
  }

  /** The longest match of the destination, and which of its routes is used; NONE when all peers are down. */
  route(set: number, candidate: number): void {
    if (set === NONE) return this.note('route', 'no route');
    const { routes } = this.context;
    const isDown = candidate === NONE;
    const shown = isDown ? routes.table.first[set] : candidate;
    const outcome = isDown
      ? 'every peer of the route is down'
      : routes.isShared(candidate)
        ? 'longest match, shared by flows'
        : 'longest match';
    this.steps.push({ stage: 'route', outcome, ...entry(routes, set, shown) });
  }

  /** In the place of `Nat.classify`. */
  classify(nat: Nat, batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    const explained = nat.explain(batch, slot, from, undefined, now);
    if (explained === undefined) return PASS;
    const { verdict, session, destination, dnatRule, reinject } = explained;
    if (session !== undefined)
      this.nat(`part of a session, ${session.state}`, session.dnatRule ?? session.snatRule);
    else if (destination !== undefined) this.nat(`the destination becomes ${endText(destination)}`, dnatRule);
    else if (reinject) this.nat("part of no session, and the address is the host's own", undefined);
    return verdict;
  }

  /** In the place of `Nat.translate`. */
  translate(nat: Nat, batch: Batch, slot: number, from: Zone, to: Zone, now: Now): Verdict {
    const explained = nat.explain(batch, slot, from, to, now);
    if (explained === undefined) return PASS;
    const { verdict, source, destination, snatRule, dnatRule, exemptedBy, passedOver } = explained;
    if (source !== undefined) this.nat(`the source becomes ${endText(source)}`, snatRule ?? dnatRule);
    else if (exemptedBy !== undefined) this.nat('exempt from translation', exemptedBy);
    else if (passedOver !== undefined)
      this.nat('not translated: the kernel does not send it out of the interface', passedOver);
    else if (destination === undefined) this.nat('not translated', snatRule);
    return verdict;
  }

  private nat(outcome: string, rule: number | undefined): void {
    this.steps.push({ stage: 'nat', outcome, ...(rule === undefined ? {} : { rule }) });
  }

  /** In the place of the ICMP error that a real packet would cause. */
  send(_about: Batch, _slot: number, _to: Zone, error: IcmpErrorKind, mtu: number): void {
    const outcome = `ICMP type ${error.type4} code ${error.code4} (ICMPv6 ${error.type6} ${error.code6})`;
    this.note('icmp', mtu > 0 ? `${outcome}, MTU ${mtu}` : outcome);
  }
}

/** Of the last look-up. */
function entry(fib: Fib, set: number, candidate: number): Partial<TraceStep> {
  const peer = fib.peer(candidate);
  return {
    route: fib.position(set, candidate),
    prefixLength: fib.prefixLength(set),
    ...(peer >= 0 ? { peer } : {}),
  };
}

/** Follows `packet` from `from`; the last step says where it goes, or why nowhere. */
export function trace(
  context: EngineContext,
  batch: Batch,
  from: Zone,
  packet: Uint8Array,
  now: Now,
): TraceStep[] {
  const tracer = new Tracer(context);
  batch.count = 0;
  batch.bytes.set(packet, batch.packetOffset(0));
  batch.commit(batch.count++, packet.length);
  const forwarder = new Forwarder(context, tracer, tracer);
  const peer = isPeer(from) ? context.peers[from] : undefined;
  const verdict =
    peer === undefined ? forwarder.fromTun(batch, 0, now) : forwarder.fromPeer(batch, 0, peer, now);
  tracer.steps.push(lastStep(batch, verdict));
  batch.count = 0;
  return tracer.steps;
}

function lastStep(batch: Batch, verdict: Verdict): TraceStep {
  if (verdict !== PASS) return { stage: 'out', outcome: 'dropped', verdict };
  const target = batch.target[0];
  if (isPeer(target)) return { stage: 'out', outcome: 'sent to the peer', peer: target };
  return { stage: 'out', outcome: 'handed to the kernel' };
}

function addressText(bytes: Uint8Array, offset: number, family: Family): string {
  return formatAddress(bytes.slice(offset, offset + addressSize(family)));
}

function endText({ address, port, ports }: ExplainedEnd): string {
  if (port !== undefined) return `${address}:${port}`;
  return ports === undefined ? address : `${address}, a free port of ${ports.first} to ${ports.last}`;
}
