/**
 * Stateful NAT44 (RFC 3022, 4787, 5382, 5508, 6888, 7857): the door of this folder.
 *
 * For every packet the engine asks twice, and nothing comes in between for another packet:
 *
 *     verdict = nat.classify(batch, slot, from, now)      what is its destination?   the packet stays as it is
 *         ... routed by the address at nat.destination; TTL; MTU ...
 *     verdict = nat.translate(batch, slot, from, to, now) session opened if need be, packet rewritten in place
 *
 * For packets of one flow one behind the other (packet/flow-run.ts) it asks for the first, and then `repeat`s the answer.
 *
 * What a rule matches and what cannot be translated is dropped with a reason: no packet leaves with its inside address.
 * What no rule matches passes, and gets a session only if a rule would translate the answer.
 *
 *     decision.ts        what to do                     rule-book.ts   the rules
 *     session-keeper.ts  life of sessions               external.ts, pool.ts, ports.ts   external addresses and ports
 *     translation.ts     what is done to the bytes      fragments.ts   which session a fragment belongs to
 *
 * Limits: sessions, hosts, mappings at most `maxSessions`; per host `perHost` and `perHostHalfOpen`; half-open sessions
 * at most half of the table; 512 fragmented packets. Work per packet does not depend on how full anything is.
 */
import type { Arena } from '../packet/arena.ts';
import type { Batch } from '../packet/batch.ts';
import { PROTOCOL_ICMP } from '../packet/icmp.ts';
import { ipVersion, IPV4_DESTINATION } from '../packet/ipv4.ts';
import { IPV6_DESTINATION } from '../packet/ipv6.ts';
import { CONSUMED, DropReason, PASS, VERDICT_COUNT, type Verdict } from '../packet/verdict.ts';
import { readInt32, writeUint32 } from '../packet/word.ts';
import { ZONE_TUN, type Zone } from '../packet/zone.ts';
import { Decision } from './decision.ts';
import { answerEcho } from './echo.ts';
import { explainPacket, type NatExplanation } from './explain.ts';
import { ExternalAddresses } from './external.ts';
import { FragmentTable, HELD, NO_ZONE, REFUSED } from './fragments.ts';
import { NONE } from './free-list.ts';
import { FlowHash } from './hash.ts';
import {
  listRules,
  listSessions,
  statistics,
  type ListedRule,
  type NatStats,
  type SessionPage,
} from './list.ts';
import type { PortOptions } from './ports.ts';
import { bookRules, reconcileSessions } from './reconfigure.ts';
import { Repetition } from './repetition.ts';
import { KEEP_PORT, rewriteDestination, rewriteSource } from './rewrite.ts';
import { RuleBook, type EgressProbe } from './rule-book.ts';
import type { NatSettings } from './rule.ts';
import { isMeant, type SessionFilter } from './session-filter.ts';
import { SessionFlag, SessionKeeper } from './session-keeper.ts';
import { originalEntry } from './session-table.ts';
import { readdressError, translateError, translatePacket } from './translation.ts';

export { HASH_SECRET_SIZE } from './hash.ts';
export { NO_ZONE } from './fragments.ts';

/** Milliseconds of a clock that never goes back; whole numbers. */
export interface Now {
  readonly ms: number;
}

export interface NatOptions extends PortOptions {
  /** Where the packets are; Nat.ARENA_SIZE bytes of it are taken. */
  readonly arena: Arena;
  readonly settings: NatSettings;
  /** HASH_SECRET_SIZE random bytes. */
  readonly secret: Uint8Array;
  /** Asked once per new session. */
  readonly egressMatches: EgressProbe;
  readonly now: Now;
}

const MS_PER_SEC = 1000;

/**
 * What later fragments are told: nothing to translate; or the ticket of the entry of a session, or of the session that an
 * ICMP error is about; or a mapping's external port. The lowest two bits say which.
 */
const UNTRANSLATED = 0;
const OF_SESSION = 1;
const OF_MAPPING = 2;
const OF_ERROR = 3;
const KIND_BITS = 2;
const KIND_MASK = (1 << KIND_BITS) - 1;
const told = (kind: number, number: number): number => (number << KIND_BITS) | kind;

export class Nat {
  static readonly ARENA_SIZE = 64;
  /** After `classify`: arena offset of the destination address to route by. */
  destination = 0;
  /** After `classify`: the packet is somebody else's; it goes back to the kernel as it is, without `translate`. */
  reinject = false;
  /** After `classify`: it was a ping to an alias address, and is now the reply; to be routed, without `translate`. */
  answered = false;
  /**
   * After `translate`: an ICMP message or a fragment from an address of this host. From the TUN device the kernel takes
   * such packets only if they have captured ports to show (its source validation asks the same rules), so these go by the
   * raw socket, past the kernel's forwarding: the hop is to be taken off here.
   */
  viaIcmpSocket = false;
  private readonly options: NatOptions;
  private readonly bytes: Uint8Array;
  private readonly scratch: number;
  private readonly originMs: number;
  private readonly refusals = new Float64Array(VERDICT_COUNT);
  private readonly external = new ExternalAddresses();
  private settings: NatSettings;
  private book: RuleBook;
  private fragments: FragmentTable;
  private readonly repetition = new Repetition();
  /** Undefined as long as there never was a rule: then there is nothing to do and no memory is spent. */
  private keeper: SessionKeeper | undefined;
  private decision!: Decision;

  constructor(options: NatOptions) {
    const { arena, settings, now } = options;
    this.options = options;
    this.bytes = arena.bytes;
    this.scratch = arena.take(Nat.ARENA_SIZE);
    this.originMs = now.ms;
    this.settings = settings;
    this.book = new RuleBook([], options.egressMatches);
    this.fragments = new FragmentTable(settings.timeouts.fragment * MS_PER_SEC);
    this.reconfigure(settings);
  }

  /** Takes over new settings: rules and sessions that did not change stay, those of rules and addresses gone end. */
  reconfigure(settings: NatSettings): void {
    const { options, external } = this;
    const before = this.settings;
    this.settings = settings;
    if (this.keeper === undefined && settings.rules.length === 0) return;
    const retiring = external.retiring(settings.rules);
    if (this.keeper !== undefined) {
      reconcileSessions(this.keeper, before.rules, settings.rules, retiring);
      // The ports of the other way are of no use.
      if (settings.tcpMapping !== before.tcpMapping) this.flush();
    }
    external.update(settings.rules);
    this.book = new RuleBook(bookRules(settings.rules, external, this.book.rules), options.egressMatches);
    if (settings.timeouts.fragment !== before.timeouts.fragment) {
      this.fragments = new FragmentTable(settings.timeouts.fragment * MS_PER_SEC);
    }
    if (this.keeper === undefined) {
      this.keeper = new SessionKeeper(settings, new FlowHash(options.secret), external, options, 0);
      this.decision = new Decision(this.keeper, external, settings, this.book, this.scratch);
    } else {
      this.keeper.configure(settings);
      this.decision.configure(settings, this.book);
    }
  }

  /**
   * What is the destination of the packet in `slot`, from zone `from`? The packet stays as it is, but for a ping to an
   * alias address (`answered`). CONSUMED: a fragment that has to wait, see `release`; or a copy of an ICMP message (zone
   * ZONE_ICMP) that is this host's own.
   */
  classify(batch: Batch, slot: number, from: Zone, now: Now): Verdict {
    this.reinject = false;
    this.answered = false;
    if (this.keeper === undefined) {
      const start = batch.start[slot];
      this.destination = start + (ipVersion(batch.bytes, start) === 6 ? IPV6_DESTINATION : IPV4_DESTINATION);
      return PASS;
    }
    const { decision } = this;
    let verdict = decision.decideDestination(batch, slot, from);
    if (decision.plan === 'fragment') verdict = this.recallFirst(this.keeper, from, now);
    this.destination = decision.destination;
    this.reinject = decision.reinject;
    if (verdict === PASS && decision.plan === 'echo') {
      answerEcho(this.bytes, decision.view);
      this.answered = true;
    }
    return verdict === PASS || verdict === CONSUMED ? verdict : this.refuse(verdict, from, now);
  }

  /**
   * Translates the packet that `classify` saw last, which goes to zone `to`, in place; opens its session if it is new.
   * Length and arena offset stay the same.
   */
  translate(batch: Batch, slot: number, from: Zone, to: Zone, now: Now): Verdict {
    this.viaIcmpSocket = false;
    if (this.keeper === undefined) return PASS;
    const { decision } = this;
    if (decision.plan === 'pass') return PASS;
    const verdict = this.apply(this.keeper, batch.length[slot], from, to, now);
    if (verdict !== PASS) return this.refuse(verdict, from, now);
    const { protocol, isFragment } = decision.view;
    if (to === ZONE_TUN && (protocol === PROTOCOL_ICMP || isFragment))
      this.viaIcmpSocket = this.isOwnSource(from);
    return PASS;
  }

  /**
   * May `repeat` do to other packets of the flow what `translate` did to the last one? Only in the same moment, in between
   * nothing may be asked of this NAT, and they must be TCP data, acknowledgements or UDP (packet/flow-run.ts).
   */
  get isRepeatable(): boolean {
    const { keeper, decision, repetition } = this;
    repetition.entry = NONE;
    if (keeper === undefined) return true;
    if (decision.plan === 'new') return !decision.opensSession;
    return decision.plan === 'known' && keeper.isSettled(decision.entry);
  }

  /** Translates another packet of the flow that `translate` saw last. */
  repeat(batch: Batch, slot: number): void {
    const { keeper, decision, repetition } = this;
    if (keeper === undefined || decision.plan !== 'known') return;
    if (repetition.entry === NONE) repetition.prepare(keeper.sessions, decision.entry);
    keeper.sessions.countPacket(repetition.entry, batch.length[slot]);
    repetition.apply(this.bytes, batch.start[slot]);
  }

  /**
   * Puts a fragment that waited for its first, which has come, into `slot`, and returns the zone it came from: it goes its
   * way from `classify` on. NO_ZONE when there is none.
   */
  release(batch: Batch, slot: number): Zone {
    return this.keeper === undefined ? NO_ZONE : this.fragments.release(batch, slot);
  }

  /**
   * Ends what has expired, a bounded number of sessions at a time. Returns how many fragments were dropped because their
   * first never came (NatFragment).
   */
  tick(now: Now): number {
    if (this.keeper === undefined) return 0;
    this.keeper.tick(this.secondsAt(now));
    const dropped = this.fragments.expire(now.ms);
    this.refusals[DropReason.NatFragment] += dropped;
    return dropped;
  }

  /** Milliseconds until the next `tick` has something to do at the earliest. */
  nextTimeoutMs(now: Now): number {
    if (this.keeper === undefined) return Infinity;
    if (this.keeper.isBehind) return 0;
    return MS_PER_SEC - ((now.ms - this.originMs) % MS_PER_SEC);
  }

  /** Those of the sessions that are meant which stand from row `from` on, a page of them. */
  list(now: Now, from = 0, filter: SessionFilter = {}): SessionPage {
    if (this.keeper === undefined) return { sessions: [], next: undefined };
    return listSessions(this.keeper, this.secondsAt(now), from, filter);
  }

  rules(): ListedRule[] {
    return listRules(this.book.rules);
  }

  /** Ends the sessions that are meant; returns how many. */
  flush(filter: SessionFilter = {}): number {
    const { keeper } = this;
    if (keeper === undefined) return 0;
    const { sessions } = keeper;
    const before = sessions.count;
    for (let session = 0; session < sessions.end; session++)
      if (isMeant(filter, sessions, session)) keeper.close(session);
    return before - sessions.count;
  }

  /** Undefined as long as there never was a rule. */
  stats(): NatStats | undefined {
    if (this.keeper === undefined) return undefined;
    const refusals = [...this.refusals]
      .map((packets, reason) => ({ reason, packets }))
      .filter(({ packets }) => packets > 0);
    return { ...statistics(this.keeper, this.external), refusals };
  }

  /** What would happen to the packet, and why; nothing is changed but `destination` and `reinject`. Undefined as long as there never was a rule. */
  explain(
    batch: Batch,
    slot: number,
    from: Zone,
    to: Zone | undefined,
    now: Now,
  ): NatExplanation | undefined {
    if (this.keeper === undefined) return undefined;
    const explanation = explainPacket(this.decision, this.keeper, batch, slot, from, to, this.secondsAt(now));
    this.destination = this.decision.destination;
    this.reinject = explanation.reinject;
    this.answered = false;
    return explanation;
  }

  private secondsAt(now: Now): number {
    return Math.floor((now.ms - this.originMs) / MS_PER_SEC);
  }

  private refuse(verdict: Verdict, from: Zone, now: Now): Verdict {
    const { view } = this.decision;
    this.refusals[verdict]++;
    if (view.isFragment && view.fragmentOffset === 0) {
      this.fragments.remember(this.bytes, view, from, REFUSED, now.ms);
    }
    return verdict;
  }

  private apply(keeper: SessionKeeper, length: number, from: Zone, to: Zone, now: Now): Verdict {
    const { decision } = this;
    switch (decision.plan) {
      case 'known':
        return this.applyKnown(keeper, length, from, now);
      case 'new':
        return this.applyNew(keeper, length, from, to, now);
      case 'mapped':
        return this.applyMapped(keeper, from, now);
      case 'error':
        return this.applyError(keeper, from, now);
      case 'unrelated':
        return this.applyUnrelated(from, to, now);
      case 'pass':
      case 'fragment':
      case 'echo':
        return PASS;
    }
  }

  private applyKnown(keeper: SessionKeeper, length: number, from: Zone, now: Now): Verdict {
    const { view, entry } = this.decision;
    keeper.touch(entry, length, view.tcpFlags, this.secondsAt(now));
    const verdict = this.rememberFirst(from, told(OF_SESSION, keeper.sessions.ticket(entry)), now);
    if (verdict !== PASS) return verdict;
    return translatePacket(this.bytes, view, keeper.sessions, entry, this.scratch);
  }

  private applyNew(keeper: SessionKeeper, length: number, from: Zone, to: Zone, now: Now): Verdict {
    const { decision, bytes } = this;
    const verdict = decision.decideSource(bytes, to);
    if (verdict !== PASS) return verdict;
    if (!decision.opensSession) return this.rememberFirst(from, UNTRANSLATED, now);
    const { flow, wanted, view, passedOver } = decision;
    const refusal = keeper.open(flow, wanted, view.tcpFlags, this.secondsAt(now));
    if (refusal !== PASS) return refusal;
    if (wanted.dnatRule !== NONE) this.book.rules[wanted.dnatRule].counters.sessions++;
    if (wanted.snatRule !== NONE) this.book.rules[wanted.snatRule].counters.sessions++;
    if (wanted.snatRule === NONE && passedOver !== undefined) passedOver.counters.otherEgress++;
    if ((wanted.flags & SessionFlag.Held) !== 0) return DropReason.NatFiltered;
    decision.entry = originalEntry(keeper.opened);
    return this.applyKnown(keeper, length, from, now);
  }

  private applyMapped(keeper: SessionKeeper, from: Zone, now: Now): Verdict {
    const { view, mapping } = this.decision;
    const verdict = this.rememberFirst(from, told(OF_MAPPING, keeper.mappings.port[mapping]), now);
    if (verdict !== PASS) return verdict;
    writeUint32(this.bytes, this.scratch, keeper.mappings.insideAddress[mapping]);
    return rewriteDestination(
      this.bytes,
      view,
      this.bytes,
      this.scratch,
      keeper.mappings.insidePort[mapping],
    );
  }

  private applyError({ sessions }: SessionKeeper, from: Zone, now: Now): Verdict {
    const { bytes, scratch } = this;
    const { view, entry } = this.decision;
    if (view.kind === 'fragment') {
      readdressError(bytes, view, sessions, entry, scratch);
      return PASS;
    }
    const verdict = this.rememberFirst(from, told(OF_ERROR, sessions.ticket(entry)), now);
    if (verdict === PASS) translateError(bytes, view, sessions, entry, scratch);
    return verdict;
  }

  private applyUnrelated(from: Zone, to: Zone, now: Now): Verdict {
    const { decision, bytes } = this;
    const hidden = decision.decideUnrelated(to);
    if (hidden === PASS) return this.rememberFirst(from, UNTRANSLATED, now);
    if (typeof hidden === 'number') return hidden;
    // Of an error about nothing that we know, nobody will miss the rest.
    const verdict = this.rememberFirst(from, REFUSED, now);
    return verdict === PASS ? rewriteSource(bytes, decision.view, hidden.address, 0, KEEP_PORT) : verdict;
  }

  /** A first fragment tells those to come what becomes of it. */
  private rememberFirst(from: Zone, value: number, now: Now): Verdict {
    const { view } = this.decision;
    if (!view.isFragment || view.fragmentOffset > 0) return PASS;
    return this.fragments.remember(this.bytes, view, from, value, now.ms);
  }

  /** A later fragment goes the way of its first, unless the session or mapping has ended. */
  private recallFirst(keeper: SessionKeeper, from: Zone, now: Now): Verdict {
    const { decision, bytes } = this;
    const { view, flow } = decision;
    const value = this.fragments.find(bytes, view, from, now.ms);
    decision.plan = 'pass';
    if (value === HELD) return CONSUMED;
    if (value === REFUSED) return DropReason.NatFragment;
    if (value === UNTRANSLATED) return PASS;
    const kind = value & KIND_MASK;
    const number = value >> KIND_BITS;
    if (kind === OF_MAPPING) {
      const pool = this.external.find(flow.destination);
      const mapping = pool === undefined ? NONE : keeper.ports.mappingAt(pool, flow.protocol, number);
      if (mapping === NONE) return DropReason.NatFragment;
      decision.decideMapped(bytes, mapping);
      return PASS;
    }
    const { sessions } = keeper;
    const entry = sessions.redeem(number);
    if (entry === NONE || sessions.destination[entry] !== flow.destination) return DropReason.NatFragment;
    if (kind === OF_SESSION) {
      const isSame = sessions.source[entry] === flow.source;
      return isSame ? decision.decideKnown(bytes, entry) : DropReason.NatFragment;
    }
    decision.decideErrorOf(bytes, entry);
    return PASS;
  }

  /** Has the translated packet an address of this host as its source? What the kernel itself sent is none of it. */
  private isOwnSource(from: Zone): boolean {
    if (from === ZONE_TUN) return false;
    const pool = this.external.find(readInt32(this.bytes, this.decision.view.source));
    return pool !== undefined && pool.isOwn;
  }
}
