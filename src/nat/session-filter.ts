/** Which sessions an operator means. */
import type { Network } from './rule-book.ts';
import { STATE_NAMES } from './session-state.ts';
import {
  destinationPortOf,
  originalEntry,
  replyEntry,
  sourcePortOf,
  type SessionTable,
} from './session-table.ts';

/** What is undefined matches every session. */
export interface SessionFilter {
  /** Either end's address is in it, before or after translation. */
  readonly network?: Network | undefined;
  /** Either end's port, before or after translation. */
  readonly port?: number | undefined;
  /** IP protocol number. */
  readonly protocol?: number | undefined;
  /** One of STATE_NAMES. */
  readonly state?: string | undefined;
}

export function isMeant(filter: SessionFilter, sessions: SessionTable, session: number): boolean {
  const { network, port, protocol, state } = filter;
  if (!sessions.isLive(session)) return false;
  if (protocol !== undefined && sessions.protocol[session] !== protocol) return false;
  if (state !== undefined && STATE_NAMES[sessions.state[session]] !== state) return false;
  const original = originalEntry(session);
  const reply = replyEntry(session);
  if (network !== undefined && !hasEndIn(network, sessions, original) && !hasEndIn(network, sessions, reply))
    return false;
  return (
    port === undefined || hasPort(port, sessions.ports[original]) || hasPort(port, sessions.ports[reply])
  );
}

function hasEndIn({ address, mask }: Network, { source, destination }: SessionTable, entry: number): boolean {
  return (source[entry] & mask) === address || (destination[entry] & mask) === address;
}

function hasPort(port: number, ports: number): boolean {
  return sourcePortOf(ports) === port || destinationPortOf(ports) === port;
}
