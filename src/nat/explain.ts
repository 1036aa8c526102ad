/** What would happen to a packet: for `tsvpn trace`. Nothing is opened, counted or rewritten. */
import { formatIpv4 } from '../packet/address.ts';
import type { Batch } from '../packet/batch.ts';
import { PASS, type Verdict } from '../packet/verdict.ts';
import type { Zone } from '../packet/zone.ts';
import type { Decision, Plan } from './decision.ts';
import { NONE } from './free-list.ts';
import { listSession, type ListedSession } from './list.ts';
import type { PortRange } from './rule.ts';
import type { SessionKeeper } from './session-keeper.ts';
import { destinationPortOf, otherEntry, sessionOf, sourcePortOf } from './session-table.ts';

export interface ExplainedEnd {
  readonly address: string;
  /** Undefined where a free one of `ports` would be chosen. */
  readonly port: number | undefined;
  readonly ports: PortRange | undefined;
}

export interface NatExplanation {
  /** PASS, or the reason for which it would be dropped by now; whether a new session would be admitted is not asked. */
  readonly verdict: Verdict;
  readonly plan: Plan;
  /** The session it belongs to. */
  readonly session: ListedSession | undefined;
  /** Ids of the rules of that session, or of the new one. */
  readonly dnatRule: number | undefined;
  readonly snatRule: number | undefined;
  /** Both ends after translation; undefined where nothing is translated, or not yet known (without a zone to go to). */
  readonly source: ExplainedEnd | undefined;
  readonly destination: ExplainedEnd | undefined;
  /** Ids of the rules for which a new flow keeps its source: a `none` rule, an `snat` rule for another interface. */
  readonly exemptedBy: number | undefined;
  readonly passedOver: number | undefined;
  /** A new session would be opened. */
  readonly opensSession: boolean;
  readonly reinject: boolean;
}

/** `to` is undefined as long as the way is unknown: then only the destination is explained. */
export function explainPacket(
  decision: Decision,
  keeper: SessionKeeper,
  batch: Batch,
  slot: number,
  from: Zone,
  to: Zone | undefined,
  nowSec: number,
): NatExplanation {
  let verdict = decision.decideDestination(batch, slot, from);
  const { plan, wanted, reinject } = decision;
  const isNew = verdict === PASS && plan === 'new';
  if (isNew && to !== undefined) verdict = decision.decideSource(batch.bytes, to);
  const isKnown = verdict === PASS && (plan === 'known' || plan === 'error');
  const session = isKnown ? listSession(keeper, sessionOf(decision.entry), nowSec) : undefined;
  return {
    verdict,
    plan,
    session,
    dnatRule: isNew ? idOrNone(wanted.dnatRule) : session?.dnatRule,
    snatRule: isNew && to !== undefined ? idOrNone(wanted.snatRule) : session?.snatRule,
    source: isNew ? newSource(decision, keeper, to) : knownEnd(decision, keeper, session, 'source'),
    destination: isNew ? newDestination(decision) : knownEnd(decision, keeper, session, 'destination'),
    exemptedBy: isNew && to !== undefined ? decision.exemptedBy?.rule.id : undefined,
    passedOver: isNew && to !== undefined ? decision.passedOver?.rule.id : undefined,
    opensSession: isNew && to !== undefined && decision.opensSession,
    reinject,
  };
}

function newDestination({ wanted }: Decision): ExplainedEnd | undefined {
  if (wanted.dnatRule === NONE) return undefined;
  return { address: formatIpv4(wanted.destination >>> 0), port: wanted.destinationPort, ports: undefined };
}

function newSource(
  { flow, wanted }: Decision,
  keeper: SessionKeeper,
  to: Zone | undefined,
): ExplainedEnd | undefined {
  const { pool } = wanted;
  if (pool === undefined || to === undefined) return undefined;
  const mapping = keeper.isExclusive(flow.protocol)
    ? keeper.mappings.find(flow.source, flow.sourcePort, flow.protocol, pool.number)
    : NONE;
  const port = mapping === NONE ? undefined : keeper.mappings.port[mapping];
  return { address: pool.text, port, ports: port === undefined ? pool.ports : undefined };
}

function knownEnd(
  { entry }: Decision,
  { sessions }: SessionKeeper,
  session: ListedSession | undefined,
  end: 'source' | 'destination',
): ExplainedEnd | undefined {
  if (session === undefined) return undefined;
  const other = otherEntry(entry);
  const ports = sessions.ports[other];
  const isSource = end === 'source';
  const address = isSource ? sessions.destination[other] : sessions.source[other];
  const port = isSource ? destinationPortOf(ports) : sourcePortOf(ports);
  return { address: formatIpv4(address >>> 0), port, ports: undefined };
}

function idOrNone(id: number): number | undefined {
  return id === NONE ? undefined : id;
}
