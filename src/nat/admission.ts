/**
 * Who may open one more session. A host that is at its limit gives up its oldest session that has ended, else its oldest
 * half-open one; when the table is full, everybody's ended ones go first, then a half-open one of the host itself, then one
 * of the host that has most of them. Established sessions are never evicted (RFC 6888 REQ-11D; half-open and ended ones
 * are our stated deviation). Each decision costs the same however full the table is.
 */
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { NONE } from './free-list.ts';
import type { HostTable } from './host-table.ts';
import type { NatSettings } from './rule.ts';
import type { SessionTable } from './session-table.ts';

export function admit(
  source: number,
  nowSec: number,
  hosts: HostTable,
  sessions: SessionTable,
  settings: NatSettings,
  evict: (session: number) => void,
): Verdict {
  const host = hosts.find(source);
  const { perHostRate, perHostBurst } = settings;
  if (host !== NONE && !hosts.spend(host, nowSec, perHostRate, perHostBurst)) return DropReason.NatRateLimit;
  const ended = hosts.oldestEnded(host);
  const halfOpen = hosts.oldestHalfOpen(host);
  let victim: number;
  if (host !== NONE && hosts.sessions[host] >= settings.perHost) {
    victim = firstOf(ended, halfOpen);
    if (victim === NONE) return DropReason.NatHostLimit;
  } else if (isFullOfHalfOpen(host, hosts, settings)) {
    victim = firstOf(halfOpen, hosts.oldestHalfOpen(hosts.heaviest()));
  } else if (sessions.count >= settings.maxSessions) {
    victim = firstOf(firstOf(ended, hosts.oldestEndedOfAll()), halfOpen);
    victim = firstOf(victim, hosts.oldestHalfOpen(hosts.heaviest()));
  } else {
    return PASS;
  }
  if (victim === NONE) return DropReason.NatTableFull;
  evict(victim);
  return PASS;
}

function firstOf(a: number, b: number): number {
  return a === NONE ? b : a;
}

/** Half-open sessions have a limit for each host, and half of the table at most. */
function isFullOfHalfOpen(host: number, hosts: HostTable, settings: NatSettings): boolean {
  const { perHostHalfOpen, maxSessions } = settings;
  if (host !== NONE && hosts.halfOpen[host] >= perHostHalfOpen) return true;
  return hosts.halfOpenCount >= Math.max(1, maxSessions >> 1);
}
