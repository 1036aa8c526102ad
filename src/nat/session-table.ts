/**
 * Sessions: a 5-tuple for each direction, state, timer, counters and what was allotted for it. Columns of typed arrays;
 * a session is a row number, and each of its two tuples an entry, 2 * session + direction.
 *
 *     entry of ORIGINAL   10.8.0.2:5000 ─▶ 172.16.0.3:80         as such a packet arrives
 *     entry of REPLY      172.16.0.3:80 ─▶ 172.16.0.2:61000      as such a packet arrives
 *
 * A packet that arrives with one entry's tuple leaves with the other's turned round: that is the whole of translation,
 * source and destination alike. A session that translates nothing remembers that its replies must not be, either.
 *
 * Addresses are IPv4, 32 bits as signed numbers. Ports are one number, source in the high half; of an ICMP query the
 * identifier is the asking side's port and the type of the question the other's; protocols without ports have 0.
 */
import { lengthened } from './columns.ts';
import { FreeList, NONE } from './free-list.ts';
import type { FlowHash } from './hash.ts';
import { HashIndex } from './hash-index.ts';
import { ORIGINAL, REPLY, SessionState } from './session-state.ts';
import { NEVER } from './sweep.ts';

const CACHE_MASK = 255;
const GENERATION_BITS = 6;
const GENERATION_MASK = (1 << GENERATION_BITS) - 1;

export function packPorts(source: number, destination: number): number {
  return (source << 16) | destination;
}

export function sourcePortOf(ports: number): number {
  return ports >>> 16;
}

export function destinationPortOf(ports: number): number {
  return ports & 0xffff;
}

/** The same two ports, seen from the other side. */
export function swapPorts(ports: number): number {
  return (ports << 16) | (ports >>> 16);
}

export class SessionTable {
  // By entry.
  source = new Int32Array(0);
  destination = new Int32Array(0);
  ports = new Int32Array(0);
  /** Counters of the direction; a super-packet is one packet. Of the bytes, 48 bits. */
  packets = new Uint32Array(0);
  private bytesLow = new Uint32Array(0);
  private bytesHigh = new Uint16Array(0);
  // By session.
  protocol = new Uint8Array(0);
  /** SessionState. */
  state = new Uint8Array(0);
  /** Bits of SessionFlag. */
  flags = new Uint8Array(0);
  /** Counts the sessions that have had the row. */
  private generation = new Uint8Array(0);
  /** Second at which it ends unless refreshed. */
  deadline = new Int32Array(0);
  /** Second at which it began. */
  created = new Int32Array(0);
  /** Ids of the rules that translate destination and source, or NONE. */
  dnatRule = new Int16Array(0);
  snatRule = new Int16Array(0);
  /** Number of the pool of the source's external address, or NONE. */
  pool = new Int16Array(0);
  /** Row of the host that opened it. */
  host = new Int32Array(0);
  fromZone = new Int16Array(0);
  toZone = new Int16Array(0);
  private readonly hash: FlowHash;
  private readonly index = new HashIndex((entry) => this.hashOf(entry));
  private readonly rows = new FreeList();
  /** Entries seen lately, by a cheap hash of the tuple: a run of packets of one flow needs no more. */
  private readonly recent = new Int32Array(CACHE_MASK + 1).fill(NONE);

  constructor(hash: FlowHash) {
    this.hash = hash;
  }

  /** Up to 2^22 sessions; those there are keep their rows. */
  grow(capacity: number): void {
    const entries = 2 * capacity;
    this.source = lengthened(this.source, entries);
    this.destination = lengthened(this.destination, entries);
    this.ports = lengthened(this.ports, entries);
    this.packets = lengthened(this.packets, entries);
    this.bytesLow = lengthened(this.bytesLow, entries);
    this.bytesHigh = lengthened(this.bytesHigh, entries);
    this.protocol = lengthened(this.protocol, capacity);
    this.state = lengthened(this.state, capacity);
    this.flags = lengthened(this.flags, capacity);
    this.generation = lengthened(this.generation, capacity);
    this.deadline = lengthened(this.deadline, capacity);
    this.created = lengthened(this.created, capacity);
    this.dnatRule = lengthened(this.dnatRule, capacity);
    this.snatRule = lengthened(this.snatRule, capacity);
    this.pool = lengthened(this.pool, capacity);
    this.host = lengthened(this.host, capacity);
    this.fromZone = lengthened(this.fromZone, capacity);
    this.toZone = lengthened(this.toZone, capacity);
    this.index.grow(entries);
    // A free row has no host.
    this.rows.grow(this.host);
  }

  get capacity(): number {
    return this.rows.capacity;
  }

  get count(): number {
    return this.rows.count;
  }

  /** Sessions are among the rows below this one. */
  get end(): number {
    return this.rows.end;
  }

  isLive(session: number): boolean {
    return this.state[session] !== SessionState.Free;
  }

  /** The entry with this tuple, or NONE. */
  find(source: number, destination: number, ports: number, protocol: number): number {
    const place = cachePlace(source, destination, ports);
    const recent = this.recent[place];
    if (recent !== NONE && this.matches(recent, source, destination, ports, protocol)) return recent;
    const entry = this.lookup(source, destination, ports, protocol);
    if (entry !== NONE) this.recent[place] = entry;
    return entry;
  }

  /** A row to be filled in and linked; NONE when the table is full. */
  take(): number {
    return this.rows.take();
  }

  setTuple(entry: number, source: number, destination: number, ports: number): void {
    this.source[entry] = source;
    this.destination[entry] = destination;
    this.ports[entry] = ports;
    this.packets[entry] = 0;
    this.bytesLow[entry] = 0;
    this.bytesHigh[entry] = 0;
  }

  /** Counts a packet. */
  countPacket(entry: number, bytes: number): void {
    this.packets[entry]++;
    this.bytesLow[entry] += bytes;
    if (this.bytesLow[entry] < bytes) this.bytesHigh[entry]++;
  }

  bytesOf(entry: number): number {
    return this.bytesHigh[entry] * 2 ** 32 + this.bytesLow[entry];
  }

  /** Makes a session's two tuples findable. */
  link(session: number): void {
    const entry = 2 * session;
    this.index.insert(this.hashOf(entry), entry);
    this.index.insert(this.hashOf(entry + 1), entry + 1);
  }

  remove(session: number): void {
    const entry = 2 * session;
    this.index.remove(this.hashOf(entry), entry);
    this.index.remove(this.hashOf(entry + 1), entry + 1);
    this.forget(entry);
    this.forget(entry + 1);
    this.state[session] = SessionState.Free;
    this.deadline[session] = NEVER;
    this.generation[session]++;
    this.rows.give(session);
  }

  /** A number for the entry that does not outlive its session: below 2^29. */
  ticket(entry: number): number {
    return (entry << GENERATION_BITS) | (this.generation[entry >> 1] & GENERATION_MASK);
  }

  /** The entry of a ticket, or NONE when its session has ended. */
  redeem(ticket: number): number {
    const entry = ticket >> GENERATION_BITS;
    const isSame = (this.generation[entry >> 1] & GENERATION_MASK) === (ticket & GENERATION_MASK);
    return isSame && this.isLive(entry >> 1) ? entry : NONE;
  }

  private lookup(source: number, destination: number, ports: number, protocol: number): number {
    const { index } = this;
    const hash = this.hash.of(source, destination, ports, protocol);
    for (let slot = index.first(hash); slot !== NONE; slot = index.next(slot, hash)) {
      const entry = index.rowAt(slot);
      if (this.matches(entry, source, destination, ports, protocol)) return entry;
    }
    return NONE;
  }

  private matches(
    entry: number,
    source: number,
    destination: number,
    ports: number,
    protocol: number,
  ): boolean {
    return (
      this.ports[entry] === ports &&
      this.source[entry] === source &&
      this.destination[entry] === destination &&
      this.protocol[entry >> 1] === protocol
    );
  }

  private forget(entry: number): void {
    const place = cachePlace(this.source[entry], this.destination[entry], this.ports[entry]);
    if (this.recent[place] === entry) this.recent[place] = NONE;
  }

  private hashOf(entry: number): number {
    return this.hash.of(
      this.source[entry],
      this.destination[entry],
      this.ports[entry],
      this.protocol[entry >> 1],
    );
  }
}

/** Needs no secret: who aims at one place slows down nobody but the look-ups there. */
function cachePlace(source: number, destination: number, ports: number): number {
  const mixed = source ^ destination ^ ports;
  return (mixed ^ (mixed >>> 8) ^ (mixed >>> 16)) & CACHE_MASK;
}

export function sessionOf(entry: number): number {
  return entry >> 1;
}

export function directionOf(entry: number): number {
  return entry & 1;
}

/** The entry of the same session in the other direction. */
export function otherEntry(entry: number): number {
  return entry ^ 1;
}

export function originalEntry(session: number): number {
  return 2 * session + ORIGINAL;
}

export function replyEntry(session: number): number {
  return 2 * session + REPLY;
}
