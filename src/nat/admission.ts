/**
 * Who may open one more session. A host that is at a limit of its own, and everybody when the table is full, loses his
 * oldest half-open session for it; then so does the host that has most of them. Sessions that got an answer are never
 * evicted (RFC 6888 REQ-11D; half-open ones are our stated deviation). Each decision costs the same however full the
 * table is.
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
  const oldest = hosts.oldestHalfOpen(host);
  if (host !== NONE && hosts.sessions[host] >= settings.perHost) {
    if (oldest === NONE) return DropReason.NatHostLimit;
    evict(oldest);
    return PASS;
  }
  const ownLimit = host !== NONE && hosts.halfOpen[host] >= settings.perHostHalfOpen;
  if (!ownLimit && !isFull(hosts, sessions, settings)) return PASS;
  const victim = oldest === NONE ? hosts.oldestHalfOpen(hosts.heaviest()) : oldest;
  if (victim === NONE) return DropReason.NatTableFull;
  evict(victim);
  return PASS;
}

/** Half-open sessions have half of the table at most. */
function isFull(hosts: HostTable, sessions: SessionTable, { maxSessions }: NatSettings): boolean {
  return sessions.count >= maxSessions || hosts.halfOpenCount >= Math.max(1, maxSessions >> 1);
}
