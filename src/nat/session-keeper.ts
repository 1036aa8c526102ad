/**
 * The life of sessions: opened with a port of their own or a shared mapping, kept alive by their packets, ended by time,
 * by eviction, or by the operator. What a session holds (tuples, timer, host, port, mapping, permission) is taken in
 * `open` and given back in `close`, and nowhere else.
 */
import { PROTOCOL_ICMP } from '../packet/icmp.ts';
import { PROTOCOL_TCP, TcpFlag } from '../packet/tcp.ts';
import { PROTOCOL_UDP } from '../packet/udp.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { admit, EVERYBODY, ownerOfZone, ZONE_OWNERS } from './admission.ts';
import { Expendable } from './expendable.ts';
import type { ExternalAddresses } from './external.ts';
import type { Flow } from './flow.ts';
import { NONE } from './free-list.ts';
import type { FlowHash } from './hash.ts';
import { HostTable } from './host-table.ts';
import { MappingTable } from './mapping-table.ts';
import { PermissionTable } from './permission-table.ts';
import type { Pool } from './pool.ts';
import { Ports, type PortOptions } from './ports.ts';
import type { NatSettings } from './rule.ts';
import { firstState, isHalfOpen, nextState, ORIGINAL, SessionState, timeoutTable } from './session-state.ts';
import {
  destinationPortOf,
  directionOf,
  originalEntry,
  packPorts,
  replyEntry,
  sessionOf,
  SessionTable,
} from './session-table.ts';
import { Sweep } from './sweep.ts';

export const SessionFlag = {
  /** Never answered, or its handshake never finished: may be evicted for lack of room. */
  HalfOpen: 1,
  /** Opened from outside, by a forwarded port. */
  Inbound: 2,
  /** Between two hosts of the inside, by their external addresses. */
  Hairpin: 4,
  /** Hairpin to a host that does not expect it: nothing passes until that host answers. */
  Held: 8,
  /** Was established, and has been closed by both sides or reset: may be evicted before all others. */
  Ended: 16,
} as const;

/** What `open` makes a session of. Filled anew for each. */
export class NewSession {
  /** Where its packets go instead of `flow.destination`, and of its port. */
  destination = 0;
  destinationPort = 0;
  /** Undefined: the source stays what it is. */
  pool: Pool | undefined = undefined;
  dnatRule = NONE;
  snatRule = NONE;
  /** Bits of SessionFlag. */
  flags = 0;
}

const PORT_PROTOCOLS = [PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP];

export class SessionKeeper {
  readonly sessions: SessionTable;
  readonly mappings: MappingTable;
  readonly permissions: PermissionTable;
  readonly hosts: HostTable;
  readonly peers = new Expendable(0, ZONE_OWNERS);
  readonly ports: Ports;
  /** The session that the last `open` opened. */
  opened = NONE;
  private readonly sweep: Sweep;
  private readonly external: ExternalAddresses;
  private settings: NatSettings;
  private timeouts: Int32Array;
  private nowSec: number;
  private readonly expire = (session: number): void => this.close(session);
  /**
   * 0 for a session that must not be evicted; of a half-open one, how many its peer and its host have; more for one that
   * has ended.
   */
  private readonly burden = (session: number): number => {
    const { flags, fromZone, host, capacity } = this.sessions;
    if ((flags[session] & SessionFlag.Ended) !== 0) return 2 * capacity + 1;
    if ((flags[session] & SessionFlag.HalfOpen) === 0) return 0;
    return this.peers.count[ownerOfZone(fromZone[session])] + this.hosts.expendable.count[host[session]];
  };

  constructor(
    settings: NatSettings,
    hash: FlowHash,
    external: ExternalAddresses,
    options: PortOptions,
    nowSec: number,
  ) {
    this.sessions = new SessionTable(hash);
    this.mappings = new MappingTable(hash);
    this.permissions = new PermissionTable(hash);
    this.hosts = new HostTable(hash);
    for (let owner = 0; owner < ZONE_OWNERS; owner++) this.peers.enter(owner);
    this.ports = new Ports(options, this.sessions, this.mappings, settings, this.burden);
    this.sweep = new Sweep(nowSec);
    this.external = external;
    this.settings = settings;
    this.timeouts = timeoutTable(settings.timeouts);
    this.nowSec = nowSec;
    this.grow();
  }

  /**
   * Limits and timeouts of new settings. Sessions keep the deadlines they have until refreshed, and none ends for a lower
   * `maxSessions`: until enough have, a new one takes the place of another.
   */
  configure(settings: NatSettings): void {
    this.settings = settings;
    this.timeouts = timeoutTable(settings.timeouts);
    this.ports.configure(settings);
    this.grow();
  }

  /** Tables get longer with `maxSessions` and the external addresses, and never shorter. */
  private grow(): void {
    const { sessions, mappings, permissions, hosts, peers, external } = this;
    const { maxSessions } = this.settings;
    if (maxSessions > sessions.capacity) {
      sessions.grow(maxSessions);
      permissions.grow(maxSessions);
      hosts.grow(maxSessions);
      peers.grow(maxSessions, ZONE_OWNERS);
    }
    const protocols = PORT_PROTOCOLS.filter((protocol) => this.isExclusive(protocol));
    const needed = Math.min(sessions.capacity, protocols.length * external.size);
    if (needed > mappings.capacity) mappings.grow(needed);
  }

  get maxSessions(): number {
    return this.settings.maxSessions;
  }

  /** Seconds that the session may be idle in its state. */
  timeoutOf(session: number): number {
    return this.timeouts[this.sessions.state[session]];
  }

  /** Ends what has expired, a bounded number of sessions at a time. */
  tick(nowSec: number): void {
    this.nowSec = nowSec;
    this.sweep.advance(this.sessions.deadline, this.sessions.end, nowSec, this.expire);
  }

  /** True when the last tick left expired sessions for the next. */
  get isBehind(): boolean {
    return this.sweep.isBehind(this.nowSec);
  }

  /** Would a session of this source be refused for its rate? */
  isTooFast(source: number): boolean {
    const { perHostRate, perHostBurst } = this.settings;
    const host = this.hosts.find(source);
    return host !== NONE && this.hosts.allowance(host, this.nowSec, perHostRate, perHostBurst) <= 0;
  }

  /** Are external ports of the protocol held by mappings, one for all destinations? */
  isExclusive(protocol: number): boolean {
    return (
      protocol === PROTOCOL_UDP ||
      protocol === PROTOCOL_ICMP ||
      (protocol === PROTOCOL_TCP && this.settings.tcpMapping === 'eim')
    );
  }

  /** Opens a session for the flow of a packet with `tcpFlags`; `opened` is its row if the verdict is PASS. */
  open(flow: Flow, wanted: NewSession, tcpFlags: number, nowSec: number): Verdict {
    this.nowSec = nowSec;
    if (this.sessions.count >= this.settings.maxSessions) this.tick(nowSec);
    const verdict = admit(flow.source, nowSec, this, this.settings, this.expire);
    if (verdict !== PASS) return verdict;
    const { pool } = wanted;
    let mapping = NONE;
    let port = flow.sourcePort;
    if (pool !== undefined) {
      if (!hasPortsToGive(flow)) {
        if (pool.kind === 'range') return DropReason.NatProtocol;
      } else if (this.isExclusive(flow.protocol)) {
        mapping = this.mappingFor(flow, wanted, pool);
        if (mapping === NONE) return DropReason.NatNoPort;
        port = this.mappings.port[mapping];
      } else {
        port = this.findPort(flow, wanted, pool, false);
        if (port === NONE) return DropReason.NatNoPort;
      }
    }
    const source = pool === undefined ? flow.source : pool.value;
    const ports = packPorts(wanted.destinationPort, port);
    if (this.sessions.find(wanted.destination, source, ports, flow.protocol) !== NONE) {
      if (mapping !== NONE) this.releaseIfUnused(mapping, false);
      return flow.hasPorts ? DropReason.NatNoPort : DropReason.NatProtocol;
    }
    this.opened = this.fill(flow, wanted, source, ports, mapping, firstStateOf(flow.protocol, tcpFlags));
    return PASS;
  }

  /** Counts a packet of the session at `entry` and lets it change state and deadline. */
  touch(entry: number, bytes: number, tcpFlags: number, nowSec: number): void {
    const { sessions } = this;
    const session = sessionOf(entry);
    const direction = directionOf(entry);
    sessions.countPacket(entry, bytes);
    const state = sessions.state[session] as SessionState;
    const flags = sessions.flags[session];
    const port = destinationPortOf(sessions.ports[originalEntry(session)]);
    const next = nextState(state, direction, tcpFlags, port, (flags & SessionFlag.HalfOpen) !== 0);
    if (next !== state) this.change(session, next, nowSec);
    else if (refreshes(state, direction, flags)) sessions.deadline[session] = nowSec + this.timeouts[state];
    if ((flags & SessionFlag.Held) !== 0 && direction !== ORIGINAL)
      sessions.flags[session] &= ~SessionFlag.Held;
  }

  /** Would TCP data, an acknowledgement or UDP with the tuple of `entry`, right after another such packet, change nothing? */
  isSettled(entry: number): boolean {
    const { sessions } = this;
    const session = sessionOf(entry);
    const state = sessions.state[session] as SessionState;
    const port = destinationPortOf(sessions.ports[originalEntry(session)]);
    const halfOpen = (sessions.flags[session] & SessionFlag.HalfOpen) !== 0;
    return nextState(state, directionOf(entry), TcpFlag.Ack, port, halfOpen) === state;
  }

  /** Ends a session, and its mapping with the last of its sessions. */
  close(session: number): void {
    const { sessions, hosts, mappings } = this;
    const answered = (sessions.flags[session] & SessionFlag.HalfOpen) === 0;
    this.classify(session, 0);
    hosts.removeSession(sessions.host[session]);
    const mapping = this.mappingOf(session);
    const pool = this.external.byNumber(sessions.pool[session]);
    if (mapping !== NONE) {
      if (mappings.protocol[mapping] === PROTOCOL_UDP)
        this.permissions.remove(mapping, this.remoteOf(session));
      mappings.removeSession(mapping, session);
      this.releaseIfUnused(mapping, answered);
    } else if (pool !== undefined) {
      this.releaseShared(session, pool);
    }
    sessions.remove(session);
  }

  /** The mapping of the session's port, or NONE: the port is its own. */
  private mappingOf(session: number): number {
    const { sessions } = this;
    const protocol = sessions.protocol[session];
    const pool = this.external.byNumber(sessions.pool[session]);
    if (pool === undefined || !this.isExclusive(protocol)) return NONE;
    return this.ports.mappingAt(pool, protocol, destinationPortOf(sessions.ports[replyEntry(session)]));
  }

  private mappingFor(flow: Flow, wanted: NewSession, pool: Pool): number {
    const { protocol, source, sourcePort } = flow;
    const known = this.mappings.find(source, sourcePort, protocol, pool.number);
    if (known !== NONE) return known;
    const port = this.findPort(flow, wanted, pool, true);
    if (port === NONE) return NONE;
    const mapping = this.mappings.add(source, sourcePort, protocol, pool.number, port);
    this.ports.claimExclusive(pool, protocol, port, mapping);
    return mapping;
  }

  private findPort(flow: Flow, wanted: NewSession, pool: Pool, exclusive: boolean): number {
    const { protocol, source, sourcePort } = flow;
    const { destination, destinationPort } = wanted;
    const { ports, nowSec } = this;
    const port = ports.find(
      pool,
      protocol,
      exclusive,
      source,
      sourcePort,
      destination,
      destinationPort,
      nowSec,
    );
    if (port !== NONE || ports.victim === NONE) return port;
    const freed = destinationPortOf(this.sessions.ports[replyEntry(ports.victim)]);
    this.close(ports.victim);
    return ports.takeOver(freed) ? freed : NONE;
  }

  private releaseIfUnused(mapping: number, answered: boolean): void {
    const { mappings } = this;
    if (mappings.sessions[mapping] > 0) return;
    const pool = this.external.byNumber(mappings.pool[mapping]);
    if (pool !== undefined) {
      const { protocol, port, insideAddress } = mappings;
      this.ports.releaseExclusive(
        pool,
        protocol[mapping],
        port[mapping],
        insideAddress[mapping],
        answered,
        this.nowSec,
      );
    }
    mappings.remove(mapping);
  }

  private releaseShared(session: number, pool: Pool): void {
    const { sessions } = this;
    const reply = replyEntry(session);
    const protocol = sessions.protocol[session];
    if (protocol !== PROTOCOL_TCP) return;
    const state = sessions.state[session];
    const ended =
      state === SessionState.TcpClosing ||
      state === SessionState.TcpReset ||
      isHalfOpen(state as SessionState);
    const port = destinationPortOf(sessions.ports[reply]);
    const inside = sessions.source[originalEntry(session)];
    this.ports.releaseShared(pool, protocol, port, inside, sessions.source[reply], ended, this.nowSec);
  }

  private fill(
    flow: Flow,
    wanted: NewSession,
    source: number,
    replyPorts: number,
    mapping: number,
    state: SessionState,
  ): number {
    const { sessions, nowSec } = this;
    const session = sessions.take();
    const original = originalEntry(session);
    sessions.setTuple(original, flow.source, flow.destination, flow.ports);
    sessions.setTuple(replyEntry(session), wanted.destination, source, replyPorts);
    sessions.protocol[session] = flow.protocol;
    sessions.state[session] = state;
    sessions.flags[session] = wanted.flags | SessionFlag.HalfOpen;
    sessions.created[session] = nowSec;
    sessions.deadline[session] = nowSec + this.timeouts[state];
    sessions.dnatRule[session] = wanted.dnatRule;
    sessions.snatRule[session] = wanted.snatRule;
    sessions.pool[session] = wanted.pool === undefined ? NONE : wanted.pool.number;
    sessions.fromZone[session] = flow.from;
    sessions.toZone[session] = flow.to;
    sessions.link(session);
    sessions.host[session] = this.hosts.addSession(flow.source, session, nowSec, this.settings.perHostBurst);
    this.peers.addHalfOpen(ownerOfZone(flow.from), session);
    this.claim(session, wanted.pool, mapping, destinationPortOf(replyPorts));
    return session;
  }

  private claim(session: number, pool: Pool | undefined, mapping: number, port: number): void {
    const protocol = this.sessions.protocol[session];
    if (mapping !== NONE) {
      this.mappings.addSession(mapping, session);
      if (protocol === PROTOCOL_UDP) this.permissions.add(mapping, this.remoteOf(session));
    } else if (pool !== undefined && protocol === PROTOCOL_TCP) {
      this.ports.claimShared(pool, protocol, port);
    }
  }

  /** The address that may send to the session's mapping; of a hairpin session, the external one of the other host. */
  private remoteOf(session: number): number {
    const { sessions } = this;
    const hairpin = (sessions.flags[session] & SessionFlag.Hairpin) !== 0;
    return hairpin ? sessions.destination[originalEntry(session)] : sessions.source[replyEntry(session)];
  }

  private change(session: number, next: SessionState, nowSec: number): void {
    const { sessions } = this;
    const deadline = nowSec + this.timeouts[next];
    sessions.state[session] = next;
    // A reset shortens what is left, and never adds to it (RFC 7857 2.2 and 7.1).
    const isReset = next === SessionState.TcpReset;
    sessions.deadline[session] = isReset ? Math.min(deadline, sessions.deadline[session]) : deadline;
    const halfOpen = (sessions.flags[session] & SessionFlag.HalfOpen) !== 0;
    if (isHalfOpen(next) || (halfOpen && isReset)) this.classify(session, SessionFlag.HalfOpen);
    else if (isReset || next === SessionState.TcpClosing) this.classify(session, SessionFlag.Ended);
    else this.classify(session, 0);
  }

  /** Puts the session among those that are HalfOpen, Ended, or neither (0). */
  private classify(session: number, kind: number): void {
    const { sessions, peers } = this;
    const { expendable } = this.hosts;
    const flags = sessions.flags[session];
    const before = flags & (SessionFlag.HalfOpen | SessionFlag.Ended);
    if (before === kind) return;
    const host = sessions.host[session];
    const peer = ownerOfZone(sessions.fromZone[session]);
    sessions.flags[session] = flags ^ before ^ kind;
    if (before === SessionFlag.HalfOpen) {
      expendable.dropHalfOpen(host, session);
      peers.dropHalfOpen(peer, session);
    }
    if (before === SessionFlag.Ended) {
      expendable.dropEnded(host, session);
      peers.dropEnded(EVERYBODY, session);
    }
    if (kind === SessionFlag.HalfOpen) {
      expendable.addHalfOpen(host, session);
      peers.addHalfOpen(peer, session);
    }
    if (kind === SessionFlag.Ended) {
      expendable.addEnded(host, session);
      peers.addEnded(EVERYBODY, session);
    }
  }
}

/**
 * Does a packet that changes nothing keep the session alive? From inside it does (RFC 4787 REQ-6), from outside only if
 * both sides have been heard. What is reset or closing is not kept from its end (RFC 7857 7.1).
 */
function refreshes(state: SessionState, direction: number, flags: number): boolean {
  if (state >= SessionState.TcpClosing) return false;
  const outbound = (direction === ORIGINAL) === ((flags & SessionFlag.Inbound) === 0);
  return outbound || !isHalfOpen(state);
}

/** A connection picked up at its very end needs no more than that end. */
function firstStateOf(protocol: number, tcpFlags: number): SessionState {
  const ending = protocol === PROTOCOL_TCP && (tcpFlags & TcpFlag.Fin) !== 0;
  return ending ? SessionState.TcpClosing : firstState(protocol);
}

/** TCP, UDP and ICMP queries, which have packed ports; others have an address only. */
function hasPortsToGive({ hasPorts, protocol, ports }: Flow): boolean {
  return hasPorts || (protocol === PROTOCOL_ICMP && ports !== 0);
}
