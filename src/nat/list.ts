/** What people see of the NAT: sessions, rules with their counters, totals. Plain data, made on request. */
import { formatIpv4 } from '../packet/address.ts';
import { PROTOCOL_ICMP } from '../packet/icmp.ts';
import { PROTOCOL_TCP } from '../packet/tcp.ts';
import { PROTOCOL_UDP } from '../packet/udp.ts';
import type { Zone } from '../packet/zone.ts';
import type { ExternalAddresses } from './external.ts';
import { NONE } from './free-list.ts';
import type { BookedRule } from './rule-book.ts';
import { isMeant, type SessionFilter } from './session-filter.ts';
import { SessionFlag, type SessionKeeper } from './session-keeper.ts';
import { SessionState, STATE_NAMES } from './session-state.ts';
import {
  destinationPortOf,
  originalEntry,
  replyEntry,
  sourcePortOf,
  type SessionTable,
} from './session-table.ts';

const TOP_HOSTS = 10;
/** Of one page: about a millisecond. */
const PAGE_SESSIONS = 512;
const PAGE_ROWS = 32_768;
const PORT_PROTOCOLS = [PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP];

/** Packets of one direction, as they arrive. */
export interface ListedTuple {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly packets: number;
  readonly bytes: number;
}

export interface ListedSession {
  /** IP protocol number. Of an ICMP query one port is the identifier, the other the type of the question. */
  readonly protocol: number;
  readonly original: ListedTuple;
  readonly reply: ListedTuple;
  readonly from: Zone;
  readonly to: Zone;
  readonly state: string;
  readonly halfOpen: boolean;
  readonly ageSec: number;
  /** Since the last packet that kept it alive. */
  readonly idleSec: number;
  readonly timeoutSec: number;
  /** Ids of the rules that translate the destination and the source. */
  readonly dnatRule: number | undefined;
  readonly snatRule: number | undefined;
}

export interface ListedRule {
  readonly id: number;
  readonly text: string;
  /** Sessions opened by it. */
  readonly sessions: number;
  /** Sessions it did not translate because they go out of another interface. */
  readonly otherEgress: number;
}

export interface NatStats {
  readonly sessions: number;
  readonly maxSessions: number;
  readonly halfOpen: number;
  readonly mappings: number;
  readonly hosts: number;
  /** Protocol and state to number of sessions: `tcp established`. */
  readonly states: Readonly<Record<string, number>>;
  readonly ports: readonly { address: string; kind: string; protocol: number; used: number; total: number }[];
  readonly topHosts: readonly { address: string; sessions: number; halfOpen: number }[];
  /** Drop reasons with their number of packets, those that occurred. */
  readonly refusals: readonly { reason: number; packets: number }[];
}

/** Some of the sessions: packets must not wait until a large table is listed. */
export interface SessionPage {
  readonly sessions: ListedSession[];
  /** Where the next page begins; undefined when this is the last. */
  readonly next: number | undefined;
}

/** Sessions that are meant, from row `from` on; one that begins or ends between two pages may be missing. */
export function listSessions(
  keeper: SessionKeeper,
  nowSec: number,
  from: number,
  filter: SessionFilter,
): SessionPage {
  const { sessions } = keeper;
  const listed: ListedSession[] = [];
  const end = Math.min(sessions.end, from + PAGE_ROWS);
  let session = from;
  for (; session < end && listed.length < PAGE_SESSIONS; session++) {
    if (isMeant(filter, sessions, session)) listed.push(listSession(keeper, session, nowSec));
  }
  return { sessions: listed, next: session < sessions.end ? session : undefined };
}

export function listSession(keeper: SessionKeeper, session: number, nowSec: number): ListedSession {
  const { sessions } = keeper;
  const timeoutSec = Math.max(0, sessions.deadline[session] - nowSec);
  return {
    protocol: sessions.protocol[session],
    original: listTuple(sessions, originalEntry(session)),
    reply: listTuple(sessions, replyEntry(session)),
    from: sessions.fromZone[session],
    to: sessions.toZone[session],
    state: STATE_NAMES[sessions.state[session]],
    halfOpen: (sessions.flags[session] & SessionFlag.HalfOpen) !== 0,
    ageSec: nowSec - sessions.created[session],
    idleSec: Math.max(0, keeper.timeoutOf(session) - timeoutSec),
    timeoutSec,
    dnatRule: idOrNone(sessions.dnatRule[session]),
    snatRule: idOrNone(sessions.snatRule[session]),
  };
}

export function listRules(rules: readonly BookedRule[]): ListedRule[] {
  return rules.map(({ rule, counters }) => ({ id: rule.id, text: rule.text, ...counters }));
}

export function statistics(keeper: SessionKeeper, external: ExternalAddresses): Omit<NatStats, 'refusals'> {
  const { sessions, mappings, hosts } = keeper;
  return {
    sessions: sessions.count,
    maxSessions: keeper.maxSessions,
    halfOpen: hosts.expendable.total,
    mappings: mappings.count,
    hosts: hosts.count,
    states: countStates(sessions),
    ports: external.all().flatMap((pool) =>
      PORT_PROTOCOLS.map((protocol) => ({
        address: pool.text,
        kind: pool.kind,
        protocol,
        used: pool.usedPorts(protocol),
        total: pool.size,
      })),
    ),
    topHosts: topHosts(keeper),
  };
}

function listTuple(sessions: SessionTable, entry: number): ListedTuple {
  return {
    source: formatIpv4(sessions.source[entry] >>> 0),
    sourcePort: sourcePortOf(sessions.ports[entry]),
    destination: formatIpv4(sessions.destination[entry] >>> 0),
    destinationPort: destinationPortOf(sessions.ports[entry]),
    packets: sessions.packets[entry],
    bytes: sessions.bytesOf(entry),
  };
}

function idOrNone(id: number): number | undefined {
  return id === NONE ? undefined : id;
}

function countStates(sessions: SessionTable): Record<string, number> {
  const counts = new Int32Array(STATE_NAMES.length);
  for (let session = 0; session < sessions.end; session++) counts[sessions.state[session]]++;
  const named = [...counts].map(
    (count, state) => [`${protocolOf(state)} ${STATE_NAMES[state]}`, count] as const,
  );
  return Object.fromEntries(named.filter(([, count], state) => count > 0 && state !== SessionState.Free));
}

function protocolOf(state: number): string {
  if (state >= SessionState.TcpSynSent) return 'tcp';
  if (state >= SessionState.OtherOneWay) return 'other';
  return state >= SessionState.IcmpOneWay ? 'icmp' : 'udp';
}

function topHosts({ hosts }: SessionKeeper): NatStats['topHosts'] {
  const top: number[] = [];
  for (let host = 0; host < hosts.end; host++) {
    const sessions = hosts.sessions[host];
    if (sessions === 0 || (top.length === TOP_HOSTS && sessions <= hosts.sessions[top[TOP_HOSTS - 1]]))
      continue;
    const place = top.findIndex((other) => hosts.sessions[other] < sessions);
    top.splice(place < 0 ? top.length : place, 0, host);
    top.length = Math.min(top.length, TOP_HOSTS);
  }
  return top.map((host) => ({
    address: formatIpv4(hosts.address[host] >>> 0),
    sessions: hosts.sessions[host],
    halfOpen: hosts.expendable.count[host],
  }));
}
