/** New rules in the place of old ones: what did not change stays, with its counters and its sessions. */
import { readInt32 } from '../packet/word.ts';
import type { ExternalAddresses } from './external.ts';
import { NONE } from './free-list.ts';
import type { Pool } from './pool.ts';
import { isIpv4, networkOf, type BookedRule } from './rule-book.ts';
import type { NatRule } from './rule.ts';
import type { SessionKeeper } from './session-keeper.ts';

/** The rules with their pools; one that was there before keeps its counters. */
export function bookRules(
  rules: readonly NatRule[],
  external: ExternalAddresses,
  before: readonly BookedRule[],
): BookedRule[] {
  const counters = new Map(before.map((booked) => [meaningOf(booked.rule), booked.counters]));
  return rules.map((rule) => ({
    rule,
    source: networkOf(rule.match.source),
    destination: networkOf(rule.match.destination),
    pool: isIpv4(rule) ? poolOf(rule, external) : undefined,
    to: rule.kind === 'dnat' && isIpv4(rule) ? readInt32(rule.to, 0) : 0,
    counters: counters.get(meaningOf(rule)) ?? { sessions: 0, otherEgress: 0 },
  }));
}

/** Ends the sessions of rules and external addresses that are gone, and tells the others the new numbers of theirs. */
export function reconcileSessions(
  keeper: SessionKeeper,
  before: readonly NatRule[],
  after: readonly NatRule[],
  retiringPools: ReadonlySet<number>,
): void {
  const ids = new Map(after.map((rule) => [meaningOf(rule), rule.id]));
  const newIds = new Map(before.map((rule) => [rule.id, ids.get(meaningOf(rule))]));
  const { sessions } = keeper;
  for (let session = 0; session < sessions.end; session++) {
    if (!sessions.isLive(session)) continue;
    const dnat = renumbered(sessions.dnatRule[session], newIds);
    const snat = renumbered(sessions.snatRule[session], newIds);
    if (dnat === undefined || snat === undefined || retiringPools.has(sessions.pool[session])) {
      keeper.close(session);
    } else {
      sessions.dnatRule[session] = dnat;
      sessions.snatRule[session] = snat;
    }
  }
}

function renumbered(id: number, newIds: ReadonlyMap<number, number | undefined>): number | undefined {
  return id === NONE ? NONE : newIds.get(id);
}

function poolOf(rule: NatRule, external: ExternalAddresses): Pool | undefined {
  if (rule.kind === 'none') return undefined;
  const address = rule.kind === 'snat' ? rule.to : rule.snat;
  return address === undefined ? undefined : external.find(readInt32(address.address, 0));
}

/** Equal for rules that do the same, wherever they stand and however they are written. */
function meaningOf(rule: NatRule): string {
  return JSON.stringify({ ...rule, id: 0, text: '', where: undefined }, (_, value: unknown) =>
    value instanceof Uint8Array ? [...value] : value,
  );
}
