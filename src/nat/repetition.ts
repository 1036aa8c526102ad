/**
 * What a session does to the packets of one direction, kept for a run of them: words to write and the changes of the two
 * checksums (RFC 1624). Only for IPv4 headers without options, TCP and UDP, and no fragments.
 */
import { addSums } from '../packet/checksum.ts';
import { IPV4_DESTINATION, IPV4_MIN_HEADER, IPV4_SOURCE } from '../packet/ipv4.ts';
import { PROTOCOL_TCP, TCP_CHECKSUM } from '../packet/tcp.ts';
import { UDP_CHECKSUM } from '../packet/udp.ts';
import { readUint16, writeUint16, writeUint32 } from '../packet/word.ts';
import { NONE } from './free-list.ts';
import { otherEntry, sessionOf, swapPorts, type SessionTable } from './session-table.ts';

const HEADER_CHECKSUM = 10;

export class Repetition {
  /** Entry of the session whose packets come, or NONE. */
  entry = NONE;
  private source = 0;
  private destination = 0;
  private ports = 0;
  private tcp = false;
  private ofAddresses = 0;
  private ofAll = 0;

  /** Prepares for packets that arrive with the tuple of `entry`. */
  prepare(sessions: SessionTable, entry: number): void {
    const other = otherEntry(entry);
    this.entry = entry;
    this.source = sessions.destination[other];
    this.destination = sessions.source[other];
    this.ports = swapPorts(sessions.ports[other]);
    this.tcp = sessions.protocol[sessionOf(entry)] === PROTOCOL_TCP;
    this.ofAddresses = addSums(
      wordChange(sessions.source[entry], this.source),
      wordChange(sessions.destination[entry], this.destination),
    );
    this.ofAll = addSums(this.ofAddresses, wordChange(sessions.ports[entry], this.ports));
  }

  /** Translates the packet at `start`. */
  apply(bytes: Uint8Array, start: number): void {
    const transport = start + IPV4_MIN_HEADER;
    writeUint32(bytes, start + IPV4_SOURCE, this.source);
    writeUint32(bytes, start + IPV4_DESTINATION, this.destination);
    writeUint32(bytes, transport, this.ports);
    change(bytes, start + HEADER_CHECKSUM, this.ofAddresses);
    if (this.tcp) return change(bytes, transport + TCP_CHECKSUM, this.ofAll);
    // RFC 768: zero means none, a computed zero is sent as all ones.
    const checksum = transport + UDP_CHECKSUM;
    if (readUint16(bytes, checksum) === 0) return;
    change(bytes, checksum, this.ofAll);
    if (readUint16(bytes, checksum) === 0) writeUint16(bytes, checksum, 0xffff);
  }
}

/** One's complement sum of ~before + after over both halves of a word. */
function wordChange(before: number, after: number): number {
  if (before === after) return 0;
  const halves = (~before >>> 16) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff);
  return addSums(halves & 0xffff, halves >>> 16);
}

/** RFC 1624, equation 3. */
function change(bytes: Uint8Array, checksum: number, by: number): void {
  writeUint16(bytes, checksum, 0xffff - addSums(0xffff - readUint16(bytes, checksum), by));
}
