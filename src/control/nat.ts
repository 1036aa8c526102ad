/** Sessions and rules of the NAT as they cross the control socket, and as `tsvpn nat` prints them. */
import type { ListedRule, ListedSession, NatStats } from '../nat/list.ts';
import { plain, type Paint } from './colour.ts';
import { escapeText } from './escape.ts';
import { renderTable } from './table.ts';
import { humanBytes } from './units.ts';

/** Zones by their names: `tun`, or a peer's. */
export interface NatSession extends Omit<ListedSession, 'from' | 'to'> {
  readonly from: string;
  readonly to: string;
}

export interface NatList {
  readonly schema: 'tsvpn.nat/1';
  readonly sessions: readonly NatSession[];
}

export interface NatPage extends NatList {
  /** There are more: ask for those from here on. */
  readonly next: number | null;
}

/** Which sessions are meant: all, or those with an end in a network or at a port, of a protocol, in a state. */
export interface SessionChoice {
  readonly network?: string;
  readonly port?: number;
  /** IP protocol number. */
  readonly protocol?: number;
  readonly state?: string;
}

export interface NatRules {
  readonly schema: 'tsvpn.nat-rules/1';
  /** `where`: the line of the config. */
  readonly rules: readonly (ListedRule & { readonly where: string })[];
  /** Null as long as there never was a rule. */
  readonly stats: NatStats | null;
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 47: 'gre', 50: 'esp' };

/** Of `tcp`, or of a number. */
export function protocolNumber(text: string): number | undefined {
  const known = Object.entries(PROTOCOLS).find(([, name]) => name === text)?.[0] ?? text;
  return /^\d{1,3}$/.test(known) && Number(known) < 256 ? Number(known) : undefined;
}

/** `tcp`, or the number. */
export const protocolText = (protocol: number) => PROTOCOLS[protocol] ?? String(protocol);

const end = (address: string, port: number) => (port === 0 ? address : `${address}:${port}`);

/** A table of the sessions, without a trailing line feed; empty when there are none. */
export function renderSessions({ sessions }: NatList, paint: Paint = plain): string {
  if (sessions.length === 0) return '';
  const head = [
    'proto',
    'state',
    'source',
    'destination',
    'appears as',
    'from',
    'to',
    'idle',
    'ends in',
    'traffic',
  ];
  const rows = sessions.map(({ protocol, state, original, reply, from, to, idleSec, timeoutSec }) => [
    protocolText(protocol),
    state,
    end(original.source, original.sourcePort),
    end(original.destination, original.destinationPort),
    appearance(original, reply),
    from,
    to,
    `${idleSec} s`,
    `${timeoutSec} s`,
    `${humanBytes(original.bytes)} out, ${humanBytes(reply.bytes)} in`,
  ]);
  return renderTable(head, rows, (text, row) => (row < 0 ? paint('bold', text) : text));
}

/** How the other side sees the session: what its answers are addressed to, and where they come from if not the destination. */
function appearance(original: NatSession['original'], reply: NatSession['reply']): string {
  const source = end(reply.destination, reply.destinationPort);
  const destination = end(reply.source, reply.sourcePort);
  const asked = end(original.destination, original.destinationPort);
  return destination === asked ? source : `${source} > ${destination}`;
}

export function renderRules({ rules, stats }: NatRules, paint: Paint = plain): string {
  if (rules.length === 0) return 'no nat rules';
  const rows = rules.map(({ id, sessions, otherEgress, text, where }) => [
    String(id),
    String(sessions),
    String(otherEgress),
    where,
    text,
  ]);
  const table = renderTable(['rule', 'sessions', 'other egress', 'from', 'line'], rows, (text, row) =>
    row < 0 ? paint('bold', text) : text,
  );
  return stats === null ? table : [table, '', ...statLines(stats)].join('\n');
}

function statLines(stats: NatStats): string[] {
  const { sessions, maxSessions, halfOpen, mappings, hosts, states, ports, topHosts } = stats;
  const used = ports.filter(({ used: count }) => count > 0);
  return [
    `sessions: ${sessions} of ${maxSessions}, ${halfOpen} half-open; ${mappings} mappings, ${hosts} inside hosts`,
    ...Object.entries(states).map(([state, count]) => `  ${state}: ${count}`),
    ...used.map(
      ({ address, protocol, used: count, total }) =>
        `ports of ${escapeText(address)}: ${protocolText(protocol)} ${count} of ${total}`,
    ),
    ...topHosts.map(({ address, sessions: count }) => `host ${address}: ${count} sessions`),
  ];
}
