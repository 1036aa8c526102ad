/**
 * The rules, ready to be asked: the first in file order that matches decides, once per session. A session asks twice:
 * when it arrives, for its destination (`dnat` and `none`), and when its way is known, for its source (`snat` and `none`).
 */
import { prefixFamily, type Prefix } from '../packet/prefix.ts';
import { readInt32 } from '../packet/word.ts';
import { isPeer, ZONE_TUN } from '../packet/zone.ts';
import type { Flow } from './flow.ts';
import type { Pool } from './pool.ts';
import type { DnatRule, NatRule, PortRange, SnatRule } from './rule.ts';

/** A rule with the pool of its source address, or undefined when it has none (at the moment), and its counters. */
export interface BookedRule {
  readonly rule: NatRule;
  readonly source: Network;
  readonly destination: Network;
  /** Of `snat`, and of `dnat` with `snat`. */
  readonly pool: Pool | undefined;
  /** New destination of `dnat`, a signed number. */
  readonly to: number;
  readonly counters: RuleCounters;
}

export interface RuleCounters {
  /** Sessions it has opened. */
  sessions: number;
  /** Sessions it did not translate because the kernel sends them out of another interface. */
  otherEgress: number;
}

/** An IPv4 network as two signed numbers; everything is 0/0. */
/** Both as signed numbers. */
export interface Network {
  readonly address: number;
  readonly mask: number;
}

/** Does the kernel send packets to the IPv4 address at `bytes[offset..]` out of the rule's interface? */
export type EgressProbe = (rule: SnatRule, bytes: Uint8Array, offset: number, family: 4) => boolean;

export class RuleBook {
  readonly rules: readonly BookedRule[];
  /** The first rule that the last `findSnat` passed over because of its interface. */
  passedOver: BookedRule | undefined = undefined;
  private readonly dnat: readonly BookedRule[];
  private readonly snat: readonly BookedRule[];
  private readonly probe: EgressProbe;

  constructor(rules: readonly BookedRule[], probe: EgressProbe) {
    this.rules = rules;
    this.dnat = rules.filter(({ rule }) => isIpv4(rule) && rule.kind !== 'snat');
    this.snat = rules.filter(({ rule }) => isIpv4(rule) && rule.kind !== 'dnat');
    this.probe = probe;
  }

  /** The `dnat` or `none` rule for a new flow from `flow.from`. */
  findDnat(flow: Flow): BookedRule | undefined {
    for (const booked of this.dnat) {
      const { rule } = booked;
      if (rule.kind === 'dnat' && !comesFrom(rule, flow)) continue;
      if (matches(booked, flow)) return booked;
    }
    return undefined;
  }

  /** The `snat` or `none` rule for a new flow to `flow.to`, whose destination is at `bytes[offset..]`. */
  findSnat(flow: Flow, bytes: Uint8Array, offset: number): BookedRule | undefined {
    this.passedOver = undefined;
    for (const booked of this.snat) {
      if (!this.couldLeave(booked, flow)) continue;
      const { rule } = booked;
      if (rule.kind !== 'snat' || rule.egress === undefined) return booked;
      if (this.probe(rule, bytes, offset, 4)) return booked;
      this.passedOver ??= booked;
    }
    return undefined;
  }

  /** As `findSnat`, wherever the kernel sends it. */
  findSnatAnyEgress(flow: Flow): BookedRule | undefined {
    for (const booked of this.snat) if (this.couldLeave(booked, flow)) return booked;
    return undefined;
  }

  private couldLeave(booked: BookedRule, flow: Flow): boolean {
    const { rule, pool } = booked;
    if (rule.kind === 'none') return matches(booked, flow);
    if (rule.kind !== 'snat' || !leavesBy(rule, flow)) return false;
    // Packets of the tunnel address itself share its ports with those translated to it: they are one more inside host.
    const own = rule.out === 'peers' && pool !== undefined && flow.source === pool.value;
    return matches(booked, flow, own);
  }
}

/** Networks and addresses of a rule that are not IPv4 make it one for IPv6, which has no NAT of this kind. */
export function isIpv4(rule: NatRule): boolean {
  const { source, destination } = rule.match;
  if (source !== undefined && prefixFamily(source) === 6) return false;
  if (destination !== undefined && prefixFamily(destination) === 6) return false;
  if (rule.kind === 'none') return true;
  return rule.kind === 'dnat' ? rule.to.length === 4 : rule.to === undefined || rule.to.address.length === 4;
}

export function networkOf(prefix: Prefix | undefined): Network {
  if (prefix === undefined || prefix.length === 0 || prefixFamily(prefix) === 6)
    return { address: 0, mask: 0 };
  return { address: readInt32(prefix.bytes, 0), mask: -1 << (32 - prefix.length) };
}

function comesFrom(rule: DnatRule, flow: Flow): boolean {
  if (isPeer(flow.from)) {
    if (rule.from === 'peers') return rule.peer === undefined || rule.peer === flow.from;
    // Hairpin (RFC 4787 REQ-9): what is forwarded from an address of ours is so for our own side as well.
    return rule.match.destination?.length === 32;
  }
  return rule.from === 'tun' && flow.from === ZONE_TUN;
}

function leavesBy(rule: SnatRule, flow: Flow): boolean {
  if (rule.out === 'tun') return flow.to === ZONE_TUN;
  return isPeer(flow.to) && (rule.peer === undefined || rule.peer === flow.to);
}

function matches({ rule, source, destination }: BookedRule, flow: Flow, anySource = false): boolean {
  const { protocol, sourcePorts, destinationPorts } = rule.match;
  return (
    (protocol === undefined || protocol === flow.protocol) &&
    (anySource || (flow.source & source.mask) === source.address) &&
    (flow.destination & destination.mask) === destination.address &&
    (sourcePorts === undefined || (flow.hasPorts && within(sourcePorts, flow.sourcePort))) &&
    (destinationPorts === undefined || (flow.hasPorts && within(destinationPorts, flow.destinationPort)))
  );
}

function within({ first, last }: PortRange, port: number): boolean {
  return port >= first && port <= last;
}
