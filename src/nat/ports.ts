/**
 * Which external port a session gets. A port is *exclusive* to a mapping (UDP and ICMP queries), or *shared* by sessions
 * with different remote ends (TCP; RFC 7857 3).
 *
 * The port stays what it was when that is free (but for identifiers in range mode, where the gateway's own pings have
 * theirs). Otherwise, range: any, at random (RFC 6056 3.3.1). Others: of the same class, privileged or not (RFC 4787
 * REQ-3a), with the same parity if possible (REQ-4).
 *
 * A freed port rests for 120 s before another inside host gets it (RFC 6888 REQ-8). A shared one rests only from the
 * remote address it was used with. None rests after a TCP session that ended properly, or after one that was never answered.
 *
 * When sessions with one remote end have taken all ports, one that has ended goes, or a half-open one of the peer and host
 * that have most of them. When mappings have taken all, one whose only session was never answered goes, by the same order
 * among some drawn at random.
 */
import { PROTOCOL_ICMP } from '../packet/icmp.ts';
import { PROTOCOL_UDP } from '../packet/udp.ts';
import { NONE } from './free-list.ts';
import { hasSockets, type Pool, type PortTable } from './pool.ts';
import type { MappingTable } from './mapping-table.ts';
import type { NatSettings } from './rule.ts';
import { packPorts, sessionOf, type SessionTable } from './session-table.ts';

/** Ports below this one are privileged. */
const FIRST_USER_PORT = 1024;
/** Ports tried for a session that may share one: with so many taken, the remote end is all but used up. */
const SHARED_TRIES = 256;
/** After so many, an eviction is as good: nine in ten ports are taken. */
const TRIES_BEFORE_EVICTION = 64;

/** UDP sockets that hold external ports of range mode, so that no local program gets them, and receive fragments. */
export interface PortGuards {
  /** `address`: 4 bytes, borrowed. False when a local socket has the port. */
  open(address: Uint8Array, port: number): boolean;
  close(address: Uint8Array, port: number): void;
}

export interface PortOptions {
  /** 32 random bits, unsigned. */
  readonly random: () => number;
  readonly guards: PortGuards;
  /** Does a socket of this host have the port? */
  readonly isLocalPortBusy: (protocol: number, port: number) => boolean;
}

/** What an eviction of the session would be worth; 0: it stays. */
export type Burden = (session: number) => number;

export class Ports {
  /** After a search that found no port: the session to evict for its own, or NONE. */
  victim = NONE;
  /** How long a freed port rests. */
  private restSec = 0;
  private victimBurden = 0;
  private readonly burden: Burden;
  private readonly options: PortOptions;
  private readonly sessions: SessionTable;
  private readonly mappings: MappingTable;
  // What is being looked for.
  private pool!: Pool;
  private table!: PortTable;
  private protocol = 0;
  private exclusive = false;
  private inside = 0;
  private remote = 0;
  private remotePort = 0;
  private nowSec = 0;

  constructor(
    options: PortOptions,
    sessions: SessionTable,
    mappings: MappingTable,
    settings: NatSettings,
    burden: Burden,
  ) {
    this.burden = burden;
    this.options = options;
    this.sessions = sessions;
    this.mappings = mappings;
    this.configure(settings);
  }

  configure({ timeouts }: NatSettings): void {
    this.restSec = timeouts.portQuarantine;
  }

  /**
   * A port of the pool for a session of `inside` and `insidePort` with `remote` and `remotePort`, or NONE. `exclusive`: for
   * a mapping of its own. To be claimed before the next is looked for.
   */
  find(
    pool: Pool,
    protocol: number,
    exclusive: boolean,
    inside: number,
    insidePort: number,
    remote: number,
    remotePort: number,
    nowSec: number,
  ): number {
    this.pool = pool;
    this.table = pool.table(protocol);
    this.protocol = protocol;
    this.exclusive = exclusive;
    this.inside = inside;
    this.remote = remote;
    this.remotePort = remotePort;
    this.nowSec = nowSec;
    this.victim = NONE;
    this.victimBurden = 0;
    return this.choose(insidePort);
  }

  /** The port of `victim`, which has gone, for the session that `find` was called for: all others are as taken as before. */
  takeOver(port: number): boolean {
    const { pool, table, protocol, exclusive, nowSec } = this;
    if (!exclusive) return true;
    table.exhaustedAt = nowSec;
    return this.guard(pool, protocol, port);
  }

  claimExclusive(pool: Pool, protocol: number, port: number, mapping: number): void {
    const table = pool.table(protocol);
    table.use[port - pool.ports.first] = mapping + 1;
    table.used++;
  }

  claimShared(pool: Pool, protocol: number, port: number): void {
    const table = pool.table(protocol);
    if (table.use[port - pool.ports.first]++ === 0) table.used++;
  }

  /** The mapping that has the port, or NONE. Only of protocols whose ports are exclusive. */
  mappingAt(pool: Pool, protocol: number, port: number): number {
    return pool.has(port) ? pool.use(protocol, port) - 1 : NONE;
  }

  /** `answered`: there was an answer to the session that had it last. */
  releaseExclusive(
    pool: Pool,
    protocol: number,
    port: number,
    inside: number,
    answered: boolean,
    nowSec: number,
  ): void {
    const table = pool.table(protocol);
    table.use[port - pool.ports.first] = 0;
    table.used--;
    table.exhaustedAt = -1;
    if (answered) this.rest(table, port - pool.ports.first, inside, 0, nowSec);
    if (isGuarded(pool, protocol)) this.options.guards.close(pool.address, port);
  }

  /** `ended`: the session was closed by both sides, or reset. */
  releaseShared(
    pool: Pool,
    protocol: number,
    port: number,
    inside: number,
    remote: number,
    ended: boolean,
    nowSec: number,
  ): void {
    const table = pool.table(protocol);
    if (--table.use[port - pool.ports.first] === 0) table.used--;
    if (!ended) this.rest(table, port - pool.ports.first, inside, remote, nowSec);
  }

  private rest(table: PortTable, i: number, inside: number, remote: number, nowSec: number): void {
    table.restsUntil[i] = nowSec + this.restSec;
    table.restsInside[i] = inside;
    table.restsRemote[i] = remote;
  }

  private choose(wanted: number): number {
    const { pool, table } = this;
    const { first, last } = pool.ports;
    const keep = pool.kind !== 'range' || this.protocol !== PROTOCOL_ICMP;
    if (keep && pool.has(wanted) && this.take(wanted)) return wanted;
    const isExhausted = this.exclusive && table.exhaustedAt === this.nowSec;
    const port = isExhausted ? NONE : this.searchFor(wanted);
    if (port !== NONE) return port;
    table.exhaustedAt = this.nowSec;
    if (this.exclusive) this.findVictim(Math.max(first, Math.min(FIRST_USER_PORT, last)), last);
    return NONE;
  }

  private searchFor(wanted: number): number {
    const { first, last } = this.pool.ports;
    return this.pool.kind === 'range' || this.protocol === PROTOCOL_ICMP
      ? this.search(first, last, 1)
      : this.searchAlike(wanted, first, last);
  }

  /** Looks at mappings that have ports of first..last. */
  private findVictim(first: number, last: number): void {
    const { table, pool, mappings } = this;
    for (let tried = 0; tried < TRIES_BEFORE_EVICTION; tried++) {
      const port = first + (this.options.random() % (last - first + 1));
      const use = table.use[port - pool.ports.first];
      if (use === 0 || this.rests(port)) continue;
      const session = mappings.onlySession(use - 1);
      const same = this.sessionAt(port);
      if (same === NONE || same === session) this.considerEviction(session);
    }
  }

  /** Class and parity as far as the pool has such ports, then any. */
  private searchAlike(wanted: number, poolFirst: number, poolLast: number): number {
    const privileged = wanted < FIRST_USER_PORT && poolFirst < FIRST_USER_PORT;
    const first = privileged ? poolFirst : Math.max(poolFirst, Math.min(FIRST_USER_PORT, poolLast));
    const last = privileged ? Math.min(poolLast, FIRST_USER_PORT - 1) : poolLast;
    const alike = this.search(first + ((first ^ wanted) & 1), last, 2);
    return alike === NONE ? this.search(first, last, 1) : alike;
  }

  /** One of first, first + step ... last that can be had, or NONE. */
  private search(first: number, last: number, step: number): number {
    const count = Math.floor((last - first) / step) + 1;
    if (count <= 0) return NONE;
    return this.exclusive ? this.searchAll(first, count, step) : this.searchSome(first, count, step);
  }

  /** All of them, from a random one on. */
  private searchAll(first: number, count: number, step: number): number {
    let i = this.options.random() % count;
    for (let tried = 0; tried < count; tried++) {
      const port = first + i * step;
      if (this.take(port)) return port;
      if (++i === count) i = 0;
    }
    return NONE;
  }

  /** Each at random, so that runs of ports taken for the same remote end do no harm. */
  private searchSome(first: number, count: number, step: number): number {
    for (let tried = 0; tried < SHARED_TRIES; tried++) {
      if (tried >= TRIES_BEFORE_EVICTION && this.victim !== NONE) return NONE;
      const port = first + (this.options.random() % count) * step;
      if (this.take(port)) return port;
    }
    return NONE;
  }

  /** Can the port be had? Its guard socket is open then. */
  private take(port: number): boolean {
    const { pool, protocol } = this;
    if (this.isTaken(port)) return false;
    if (pool.isForwarded(protocol, port)) return false;
    // A host that is translated to its own address has its own port.
    if (pool.isOwn && hasSockets(protocol) && this.inside !== pool.value) {
      if (this.options.isLocalPortBusy(protocol, port)) return false;
    }
    return this.guard(pool, protocol, port);
  }

  private guard(pool: Pool, protocol: number, port: number): boolean {
    return !isGuarded(pool, protocol) || this.options.guards.open(pool.address, port);
  }

  private isTaken(port: number): boolean {
    const { table, pool } = this;
    const i = port - pool.ports.first;
    if (this.exclusive && table.use[i] !== 0) return true;
    if (this.rests(port) && (this.exclusive || table.restsRemote[i] === this.remote)) return true;
    const session = this.sessionAt(port);
    if (session === NONE) return false;
    if (!this.exclusive) this.considerEviction(session);
    return true;
  }

  /** The session with the port and the same remote end, or NONE. */
  private sessionAt(port: number): number {
    const ports = packPorts(this.remotePort, port);
    const entry = this.sessions.find(this.remote, this.pool.value, ports, this.protocol);
    return entry === NONE ? NONE : sessionOf(entry);
  }

  /** Had another inside host the port lately? */
  private rests(port: number): boolean {
    const { table, pool } = this;
    const i = port - pool.ports.first;
    return table.restsUntil[i] > this.nowSec && table.restsInside[i] !== this.inside;
  }

  /** Who has most is first, and of these the oldest. */
  private considerEviction(session: number): void {
    const burden = session === NONE ? 0 : this.burden(session);
    if (burden === 0 || burden < this.victimBurden) return;
    const { created } = this.sessions;
    if (burden === this.victimBurden && created[session] >= created[this.victim]) return;
    this.victim = session;
    this.victimBurden = burden;
  }
}

function isGuarded(pool: Pool, protocol: number): boolean {
  return pool.kind === 'range' && protocol === PROTOCOL_UDP;
}
