/** What a session does to the bytes of its packets, and to ICMP errors about them. */
import type { Verdict } from '../packet/verdict.ts';
import { PASS } from '../packet/verdict.ts';
import { writeUint32 } from '../packet/word.ts';
import { isQuestion } from './flow.ts';
import type { PacketView } from './packet-view.ts';
import {
  KEEP_PORT,
  rewriteDestination,
  rewriteQuotedDestination,
  rewriteQuotedSource,
  rewriteSource,
} from './rewrite.ts';
import { destinationPortOf, otherEntry, sourcePortOf, type SessionTable } from './session-table.ts';

/**
 * Translates the packet in `view`, which arrived with the tuple of `entry`: it leaves with that of the other entry,
 * turned round. `scratch`: offset of 4 bytes that may be written.
 */
export function translatePacket(
  bytes: Uint8Array,
  view: PacketView,
  sessions: SessionTable,
  entry: number,
  scratch: number,
): Verdict {
  const other = otherEntry(entry);
  const source = sessions.destination[other];
  const destination = sessions.source[other];
  const ports = sessions.ports[entry];
  const otherPorts = sessions.ports[other];
  const sourcePort = changedPort(sourcePortOf(ports), destinationPortOf(otherPorts), view, true);
  const destinationPort = changedPort(destinationPortOf(ports), sourcePortOf(otherPorts), view, false);
  if (source !== sessions.source[entry] || sourcePort !== KEEP_PORT) {
    writeUint32(bytes, scratch, source);
    const verdict = rewriteSource(bytes, view, bytes, scratch, sourcePort);
    if (verdict !== PASS) return verdict;
  }
  if (destination === sessions.destination[entry] && destinationPort === KEEP_PORT) return PASS;
  writeUint32(bytes, scratch, destination);
  return rewriteDestination(bytes, view, bytes, scratch, destinationPort);
}

/**
 * Translates the ICMP error in `view` (RFC 5508 4), about a packet that left with the tuple of `entry` turned round: the
 * quote becomes what its sender sent, and goes to him. The error's own source stays a router's, so that traceroute shows
 * it, unless the session hides that side: then it is the address the receiver knows for it.
 */
export function translateError(
  bytes: Uint8Array,
  view: PacketView,
  sessions: SessionTable,
  entry: number,
  scratch: number,
): void {
  const sent = otherEntry(entry);
  const quoted = view.quoted!;
  const ports = sessions.ports[entry];
  const sentPorts = sessions.ports[sent];
  const quotedSource = sessions.source[sent];
  const quotedDestination = sessions.destination[sent];
  const quotedSourcePort = changedPort(destinationPortOf(ports), sourcePortOf(sentPorts), quoted, true);
  const quotedDestinationPort = changedPort(sourcePortOf(ports), destinationPortOf(sentPorts), quoted, false);
  writeUint32(bytes, scratch, quotedSource);
  if (quotedSource !== sessions.destination[entry] || quotedSourcePort !== KEEP_PORT) {
    rewriteQuotedSource(bytes, view, bytes, scratch, quotedSourcePort);
  }
  writeUint32(bytes, scratch, quotedDestination);
  if (sessions.source[entry] !== quotedDestination || quotedDestinationPort !== KEEP_PORT) {
    rewriteQuotedDestination(bytes, view, bytes, scratch, quotedDestinationPort);
  }
  readdressError(bytes, view, sessions, entry, scratch);
}

/** The part of `translateError` that a fragment of the error needs which does not have the quote. */
export function readdressError(
  bytes: Uint8Array,
  view: PacketView,
  sessions: SessionTable,
  entry: number,
  scratch: number,
): void {
  const sent = otherEntry(entry);
  const known = sessions.destination[sent];
  writeUint32(bytes, scratch, sessions.source[sent]);
  rewriteDestination(bytes, view, bytes, scratch, KEEP_PORT);
  if (sessions.source[entry] === known) return;
  writeUint32(bytes, scratch, known);
  rewriteSource(bytes, view, bytes, scratch, KEEP_PORT);
}

/** KEEP_PORT if nothing changes. An ICMP query has one identifier, on the side of who asks. */
function changedPort(before: number, after: number, view: PacketView, isSource: boolean): number {
  if (before === after || (view.kind === 'icmp-query' && isQuestion(view) !== isSource)) return KEEP_PORT;
  return after;
}
