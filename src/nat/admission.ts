/**
 * Who may open one more session. A host that is at its limit gives up its oldest session that has ended, else its oldest
 * half-open one. When the table is full, ended ones go first, the host's own before others. Then the peer that has most
 * half-open sessions loses one: that of its heaviest host if that is the heaviest of all, else its oldest, for a flood may
 * come from as many addresses as it has packets. Established sessions are never evicted (RFC 6888 REQ-11D; half-open and
 * ended ones are our stated deviation). Each decision costs the same however full the table is.
 */
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { MAX_PEERS, ZONE_ICMP, type Zone } from '../packet/zone.ts';
import type { Expendable } from './expendable.ts';
import { NONE } from './free-list.ts';
import type { HostTable } from './host-table.ts';
import type { NatSettings } from './rule.ts';
import type { SessionTable } from './session-table.ts';

export interface Population {
  readonly sessions: SessionTable;
  readonly hosts: HostTable;
  /** By ownerOfZone: the half-open sessions of each peer; and the ended ones of all, as those of EVERYBODY. */
  readonly peers: Expendable;
}

/** The owner of the half-open sessions that come from a zone. */
export function ownerOfZone(zone: Zone): number {
  return zone - ZONE_ICMP;
}

export const ZONE_OWNERS = ownerOfZone(MAX_PEERS);
export const EVERYBODY = 0;

export function admit(
  source: number,
  nowSec: number,
  population: Population,
  settings: NatSettings,
  evict: (session: number) => void,
): Verdict {
  const { hosts, peers } = population;
  const { expendable } = hosts;
  const host = hosts.find(source);
  const { perHostRate, perHostBurst } = settings;
  if (host !== NONE && !hosts.spend(host, nowSec, perHostRate, perHostBurst)) return DropReason.NatRateLimit;
  const ended = expendable.oldestEnded(host);
  const halfOpen = expendable.oldestHalfOpen(host);
  if (host !== NONE && hosts.sessions[host] >= settings.perHost) {
    return sacrifice(firstOf(ended, halfOpen), DropReason.NatHostLimit, evict);
  }
  if (host !== NONE && expendable.count[host] >= settings.perHostHalfOpen) {
    return sacrifice(halfOpen, DropReason.NatTableFull, evict);
  }
  if (expendable.total >= Math.max(1, settings.maxSessions >> 1)) {
    return sacrifice(heaviest(population), DropReason.NatTableFull, evict);
  }
  if (population.sessions.count < settings.maxSessions) return PASS;
  const anyEnded = firstOf(ended, peers.oldestEnded(EVERYBODY));
  return sacrifice(firstOf(anyEnded, heaviest(population)), DropReason.NatTableFull, evict);
}

function firstOf(a: number, b: number): number {
  return a === NONE ? b : a;
}

function sacrifice(victim: number, otherwise: Verdict, evict: (session: number) => void): Verdict {
  if (victim === NONE) return otherwise;
  evict(victim);
  return PASS;
}

function heaviest({ sessions, hosts, peers }: Population): number {
  const peer = peers.heaviest();
  const ofHost = hosts.expendable.oldestHalfOpen(hosts.expendable.heaviest());
  if (ofHost === NONE || ownerOfZone(sessions.fromZone[ofHost]) === peer) return ofHost;
  const ofPeer = peers.oldestHalfOpen(peer);
  return ofPeer === NONE ? ofHost : ofPeer;
}
