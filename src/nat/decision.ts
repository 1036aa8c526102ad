/**
 * What to do with a packet: everything that `classify` and `translate` have to find out, and nothing they have to do.
 * Deciding changes no state, so that `tsvpn trace` can ask as well.
 *
 *     session known?  dnat rule?  mapping of ours?  ─▶ destination        (classify: where it comes from is known)
 *     dnat's own address, hairpin, snat rule?       ─▶ source             (translate: where it goes is known too)
 */
import type { Batch } from '../packet/batch.ts';
import { ipVersion, IPV4_DESTINATION } from '../packet/ipv4.ts';
import { IPV6_DESTINATION } from '../packet/ipv6.ts';
import { PROTOCOL_UDP } from '../packet/udp.ts';
import { CONSUMED, DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { readInt32, writeUint32 } from '../packet/word.ts';
import { isPeer, ZONE_ICMP, type Zone } from '../packet/zone.ts';
import { isEchoRequest } from './echo.ts';
import type { ExternalAddresses } from './external.ts';
import { Flow, tuplePorts } from './flow.ts';
import { NONE } from './free-list.ts';
import { createView } from './packet-view.ts';
import type { Pool } from './pool.ts';
import { verifyIcmpError } from './rewrite.ts';
import type { BookedRule, RuleBook } from './rule-book.ts';
import type { NatSettings } from './rule.ts';
import { NewSession, SessionFlag, type SessionKeeper } from './session-keeper.ts';
import { ORIGINAL } from './session-state.ts';
import { directionOf, otherEntry, packPorts, sessionOf, swapPorts } from './session-table.ts';

/**
 * - pass: not translated, nothing to remember
 * - known: packet of the session at `entry`
 * - new: no session; translated if a rule says so
 * - mapped: from outside to `mapping`, whose inside host has to answer before it is a session
 * - error: ICMP error (or a fragment of one) about a packet of the session at `entry`
 * - unrelated: ICMP error about a packet that was not translated
 * - fragment: not the first of its packet; the first decides
 * - echo: a ping to an alias address, to be answered
 */
export type Plan = 'pass' | 'known' | 'new' | 'mapped' | 'error' | 'unrelated' | 'fragment' | 'echo';

export class Decision {
  /** The packet at hand. */
  readonly view = createView();
  readonly flow = new Flow();
  plan: Plan = 'pass';
  /** Entry of the session, of plans known and error. */
  entry = NONE;
  /** Of plan mapped. */
  mapping = NONE;
  /** Of plan new: what its session would be. */
  readonly wanted = new NewSession();
  /** Of plan new, once the source is decided: is there a session to open? */
  opensSession = false;
  /** A rule that would have matched but for the interface it goes out of. */
  passedOver: BookedRule | undefined = undefined;
  /** The `none` rule that matched. */
  exemptedBy: BookedRule | undefined = undefined;
  /** Arena offset of the destination address after DNAT. */
  destination = 0;
  /** To be given back to the kernel unchanged. */
  reinject = false;
  /** Addresses of the packet that an ICMP error quotes. */
  private quotedSource = 0;
  private quotedDestination = 0;
  private readonly after = new Flow();
  private readonly reversed = new Flow();
  private readonly keeper: SessionKeeper;
  private readonly external: ExternalAddresses;
  /** Offset of a row for an address. */
  private readonly scratch: number;
  private settings: NatSettings;
  private book: RuleBook;

  constructor(
    keeper: SessionKeeper,
    external: ExternalAddresses,
    settings: NatSettings,
    book: RuleBook,
    scratch: number,
  ) {
    this.keeper = keeper;
    this.external = external;
    this.settings = settings;
    this.book = book;
    this.scratch = scratch;
  }

  configure(settings: NatSettings, book: RuleBook): void {
    this.settings = settings;
    this.book = book;
  }

  /** Decides about the destination of the packet in `slot`. CONSUMED: a copy of what the kernel has as well. */
  decideDestination(batch: Batch, slot: number, from: Zone): Verdict {
    const { view, flow } = this;
    const { bytes } = batch;
    const start = batch.start[slot];
    this.plan = 'pass';
    this.reinject = false;
    if (ipVersion(bytes, start) === 6) {
      this.destination = start + IPV6_DESTINATION;
      return PASS;
    }
    this.destination = start + IPV4_DESTINATION;
    const verdict = view.readSlot(batch, slot);
    if (verdict !== PASS) return verdict;
    flow.read(bytes, view);
    flow.from = from;
    if (view.kind === 'fragment') {
      this.plan = 'fragment';
      return PASS;
    }
    if (view.kind === 'icmp-error') return this.decideError(bytes);
    const entry = this.keeper.sessions.find(flow.source, flow.destination, flow.ports, flow.protocol);
    return entry === NONE ? this.decideNew(bytes) : this.decideKnown(bytes, entry);
  }

  /** The packet (or a fragment of one) is of the session at `entry`. */
  decideKnown(bytes: Uint8Array, entry: number): Verdict {
    const { sessions } = this.keeper;
    const held = (sessions.flags[sessionOf(entry)] & SessionFlag.Held) !== 0;
    if (held && directionOf(entry) === ORIGINAL) return DropReason.NatFiltered;
    this.plan = 'known';
    this.entry = entry;
    this.redirect(bytes, sessions.source[otherEntry(entry)]);
    return PASS;
  }

  /** The packet (or a fragment of one) is from outside, for the mapping's inside host. */
  decideMapped(bytes: Uint8Array, mapping: number): void {
    this.plan = 'mapped';
    this.mapping = mapping;
    this.redirect(bytes, this.keeper.mappings.insideAddress[mapping]);
  }

  /** The packet is an ICMP error (or a fragment of one) about a packet of the session at `entry`. */
  decideErrorOf(bytes: Uint8Array, entry: number): void {
    this.plan = 'error';
    this.entry = entry;
    this.redirect(bytes, this.keeper.sessions.source[otherEntry(entry)]);
  }

  /** Decides about the source of a packet of plan new that goes to zone `to`. */
  decideSource(bytes: Uint8Array, to: Zone): Verdict {
    const { flow, wanted, after } = this;
    flow.to = to;
    this.passedOver = undefined;
    this.exemptedBy = undefined;
    if (wanted.pool === undefined) {
      after.copy(flow);
      after.destination = wanted.destination;
      after.ports = packPorts(flow.sourcePort, wanted.destinationPort);
      const verdict = this.findSource(bytes);
      if (verdict !== PASS) return verdict;
    }
    if (wanted.pool !== undefined || wanted.dnatRule !== NONE) {
      this.opensSession = true;
      return flow.opens ? PASS : DropReason.NatFiltered;
    }
    this.opensSession = flow.opens && (this.passedOver !== undefined || this.answerWouldMatch());
    return PASS;
  }

  /** By the `snat` rule that matches, if one does. */
  private findSource(bytes: Uint8Array): Verdict {
    const { flow, wanted, after, book } = this;
    const first = book.findSnatAnyEgress(after);
    if (first?.rule.kind !== 'snat') {
      this.exemptedBy = first;
      return PASS;
    }
    if (!flow.opens) return DropReason.NatFiltered;
    // Before the kernel is asked for its way: who floods us shall not keep it busy.
    if (this.keeper.isTooFast(flow.source)) return DropReason.NatRateLimit;
    const booked = book.findSnat(after, bytes, this.destination);
    this.passedOver = book.passedOver;
    if (booked?.rule.kind !== 'snat') {
      this.exemptedBy = booked;
      return PASS;
    }
    wanted.snatRule = booked.rule.id;
    wanted.pool = booked.pool;
    // The interface has no address at the moment.
    return booked.pool === undefined ? DropReason.NatNoPort : PASS;
  }

  /**
   * May the ICMP error of plan unrelated go to zone `to`? Returns the pool whose address must hide its source, if any, or
   * a drop reason: a rule translates such flows, and this one has no session (any more).
   */
  decideUnrelated(to: Zone): Pool | Verdict {
    const { flow, reversed } = this;
    flow.to = to;
    reversed.copy(flow);
    reversed.source = this.quotedDestination;
    reversed.destination = this.quotedSource;
    if (isForeignSnat(this.book.findSnatAnyEgress(reversed), reversed)) return DropReason.IcmpUnrelated;
    reversed.source = flow.source;
    reversed.destination = flow.destination;
    const booked = this.book.findSnatAnyEgress(reversed);
    if (!isForeignSnat(booked, reversed)) return PASS;
    return booked!.pool ?? DropReason.IcmpUnrelated;
  }

  private decideNew(bytes: Uint8Array): Verdict {
    const { flow, wanted } = this;
    wanted.destination = flow.destination;
    wanted.destinationPort = flow.destinationPort;
    wanted.pool = undefined;
    wanted.dnatRule = NONE;
    wanted.snatRule = NONE;
    wanted.flags = 0;
    const booked = this.book.findDnat(flow);
    const pool = this.external.find(flow.destination);
    if (booked?.rule.kind === 'dnat') this.forward(booked, pool);
    else if (pool !== undefined) return this.decideExternal(bytes, pool);
    if (flow.from === ZONE_ICMP) return CONSUMED;
    this.plan = 'new';
    this.redirect(bytes, wanted.destination);
    return PASS;
  }

  private forward(booked: BookedRule, external: Pool | undefined): void {
    const { rule, to, pool } = booked;
    const { flow, wanted } = this;
    if (rule.kind !== 'dnat') return;
    const hairpin = rule.from === 'tun' && isPeer(flow.from);
    wanted.dnatRule = rule.id;
    wanted.destination = to;
    if (rule.toPort !== undefined && flow.hasPorts) wanted.destinationPort = rule.toPort;
    // RFC 4787 REQ-9a: the other host sees our external address, and answers to it.
    wanted.pool = hairpin ? (pool ?? external) : pool;
    wanted.flags = hairpin ? SessionFlag.Hairpin : SessionFlag.Inbound;
  }

  /** A packet without session to an address of ours. */
  private decideExternal(bytes: Uint8Array, pool: Pool): Verdict {
    const { flow } = this;
    const fromInside = pool.kind === 'tunnel' ? !isPeer(flow.from) : isPeer(flow.from);
    const mapping = this.mappingOf(pool);
    if (mapping !== NONE && fromInside) return this.decideHairpin(bytes, pool, mapping);
    if (mapping !== NONE && flow.protocol === PROTOCOL_UDP && this.admits(mapping, flow.source)) {
      this.decideMapped(bytes, mapping);
      return PASS;
    }
    if (isEchoRequest(this.view) && !pool.isOwn) {
      this.plan = 'echo';
      return PASS;
    }
    const verdict = this.unmatched(pool, DropReason.NatFiltered);
    if (verdict === PASS && !this.reinject) this.plan = 'new';
    return verdict;
  }

  private decideHairpin(bytes: Uint8Array, pool: Pool, mapping: number): Verdict {
    const { wanted, keeper } = this;
    const expected = this.flow.protocol === PROTOCOL_UDP && this.admits(mapping, pool.value);
    wanted.destination = keeper.mappings.insideAddress[mapping];
    wanted.destinationPort = keeper.mappings.insidePort[mapping];
    wanted.pool = pool;
    wanted.flags = expected ? SessionFlag.Hairpin : SessionFlag.Hairpin | SessionFlag.Held;
    this.plan = 'new';
    this.redirect(bytes, wanted.destination);
    return PASS;
  }

  private mappingOf(pool: Pool): number {
    const { flow, keeper } = this;
    if (!flow.hasPorts || !keeper.isExclusive(flow.protocol)) return NONE;
    return keeper.ports.mappingAt(pool, flow.protocol, flow.destinationPort);
  }

  /** RFC 4787 REQ-8: address-dependent filtering, or none. */
  private admits(mapping: number, remote: number): boolean {
    return this.settings.udpFiltering === 'eif' || this.keeper.permissions.has(mapping, remote);
  }

  /** A packet to an address of ours that is nobody's: PASS with `reinject` set, or to the kernel as any other packet. */
  private unmatched(pool: Pool, refusal: DropReason): Verdict {
    const { from } = this.flow;
    if (from === ZONE_ICMP) return CONSUMED;
    // RFC 5382 REQ-4: an unsolicited SYN gets no answer from us.
    if (!pool.isOwn) return refusal;
    if (isPeer(from)) return PASS;
    if (this.settings.unmatched === 'drop') return refusal;
    this.reinject = true;
    return PASS;
  }

  /** The session is that of the quoted packet turned round (RFC 5508 REQ-4). */
  private decideError(bytes: Uint8Array): Verdict {
    const { view, flow, keeper } = this;
    const quoted = view.quoted!;
    this.quotedSource = readInt32(bytes, quoted.source);
    this.quotedDestination = readInt32(bytes, quoted.destination);
    // Rules that ask for a protocol and ports mean those of the flow.
    flow.protocol = quoted.protocol;
    flow.ports = swapPorts(tuplePorts(quoted));
    const entry = keeper.sessions.find(this.quotedDestination, this.quotedSource, flow.ports, flow.protocol);
    if (entry === NONE) {
      const verdict = this.unknownError();
      if (verdict === PASS && !this.reinject) this.plan = 'unrelated';
      return verdict;
    }
    const verdict = verifyIcmpError(bytes, view);
    if (verdict !== PASS) return verdict;
    if (flow.destination !== this.quotedSource) return DropReason.IcmpUnrelated;
    this.decideErrorOf(bytes, entry);
    return PASS;
  }

  private unknownError(): Verdict {
    const pool = this.external.find(this.flow.destination);
    if (pool !== undefined) return this.unmatched(pool, DropReason.IcmpUnrelated);
    return this.flow.from === ZONE_ICMP ? CONSUMED : PASS;
  }

  /** Would a rule translate what comes back? Then a session must remember that this flow is not translated. */
  private answerWouldMatch(): boolean {
    const { reversed, book } = this;
    reversed.copy(this.flow);
    reversed.reverse();
    return (
      book.findDnat(reversed)?.rule.kind === 'dnat' || book.findSnatAnyEgress(reversed)?.rule.kind === 'snat'
    );
  }

  /** Where the packet goes: the address in it, or another one in the scratch row. */
  private redirect(bytes: Uint8Array, destination: number): void {
    if (destination === this.flow.destination) return;
    writeUint32(bytes, this.scratch, destination);
    this.destination = this.scratch;
  }
}

/** An `snat` rule that would give `flow` another source than it has. */
function isForeignSnat(booked: BookedRule | undefined, flow: Flow): boolean {
  return booked?.rule.kind === 'snat' && booked.pool?.value !== flow.source;
}
