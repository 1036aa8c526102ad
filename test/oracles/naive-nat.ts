/**
 * The NAT as a list of sessions and the sentences of the RFCs: everything is found by looking through the list,
 * nothing is cached or indexed, and what follows from the sessions (mappings, permissions, ports in use, half-open
 * counts) is worked out anew each time. Only random choices are not its own: it says whether the port it is shown could
 * have been chosen.
 */

import {
  ICMP,
  oldestEndedFirst,
  oldestOfHeaviest,
  oldestFirst,
  sameTuple,
  stateOf,
  TCP,
  text,
  timeoutOf,
  track,
  turned,
  UDP,
  type NaiveBehaviour,
  type NaiveLimits,
  type NaivePacket,
  type NaivePool,
  type NaiveRule,
  type Resting,
  type Session,
  type Tuple,
  type Zone,
} from './naive-session.ts';

export { text, turned } from './naive-session.ts';
export type { NaiveBehaviour, NaiveLimits, NaivePacket, NaiveRule, Session, Zone } from './naive-session.ts';

type PortStatus = 'free' | 'taken' | 'unsure';

const REST = 120;

export class NaiveNat {
  now = 0;
  sessions: Session[] = [];
  /** Times an unanswered session had to go for the port of its mapping. */
  portsTakenOver = 0;
  private resting: Resting[] = [];
  private readonly hosts = new Map<string, { tokens: number; at: number; weightSince: number }>();
  /** Since when each has as many half-open sessions as it has. */
  private readonly zones = new Map<Zone, number>();
  /** Second of the last search that found no port, by pool and protocol: another in that second is not made. */
  private readonly searchedInVain = new Map<string, number>();
  private order = 0;
  limits: NaiveLimits;
  private readonly rules: readonly NaiveRule[];
  private readonly behaviour: NaiveBehaviour;

  constructor(rules: readonly NaiveRule[], limits: NaiveLimits, behaviour: NaiveBehaviour) {
    this.behaviour = behaviour;
    this.rules = rules;
    this.limits = limits;
  }

  second(): void {
    this.now++;
    for (const session of this.sessions.filter(({ deadline }) => deadline <= this.now)) this.end(session);
  }

  /**
   * `observed` is what the NAT under test did: `source:port > destination:port`, or a drop reason. Returns what it should
   * have been, taking over the port if that could have been chosen.
   */
  send(packet: NaivePacket, from: Zone, to: (destination: string) => Zone, observed: string): string {
    const known = this.find(packet);
    if (known !== undefined) {
      if (known.session.held && known.direction === 'original') return 'NatFiltered';
      return this.pass(known.session, known.direction, packet);
    }
    return this.sendNew(packet, from, to, observed);
  }

  find(packet: NaivePacket): { session: Session; direction: 'original' | 'reply' } | undefined {
    for (const session of this.sessions) {
      if (session.protocol !== packet.protocol) continue;
      if (sameTuple(session.original, packet)) return { session, direction: 'original' };
      if (sameTuple(session.reply, packet)) return { session, direction: 'reply' };
    }
    return undefined;
  }

  /** What `list` shows: tuples, the state in words, seconds left. */
  list(): string[] {
    return this.sessions.map((session) => {
      const { protocol, original, reply, deadline } = session;
      const half = session.halfOpenSince === undefined ? '' : ' half-open';
      return `${protocol} ${text(original)} | ${text(reply)} ${stateOf(session)}${half} ${deadline - this.now}`;
    });
  }

  private pass(session: Session, direction: 'original' | 'reply', packet: NaivePacket): string {
    const outbound = (direction === 'original') !== session.inbound;
    const before = stateOf(session);
    if (direction === 'reply') session.held = false;
    if (session.protocol === TCP) track(session, direction, packet.flags);
    else if (direction === 'reply') session.answered = true;
    if (stateOf(session) !== 'reset') {
      this.setHalfOpen(session, session.protocol === TCP ? !session.established : !session.answered);
    }
    const after = stateOf(session);
    const hasEnded = ['closing', 'reset'].includes(after) && session.halfOpenSince === undefined;
    session.endedSince = hasEnded ? (session.endedSince ?? this.order++) : undefined;
    const limit = this.now + timeoutOf(session);
    if (after === 'reset' && before !== 'reset') session.deadline = Math.min(session.deadline, limit);
    else if (after !== before) session.deadline = limit;
    else if (after !== 'reset' && after !== 'closing' && (outbound || session.answered)) {
      if (outbound || !['syn-sent', 'syn-received', 'one-way'].includes(after)) session.deadline = limit;
    }
    const other = direction === 'original' ? session.reply : session.original;
    return text(turned(other));
  }

  private setHalfOpen(session: Session, halfOpen: boolean): void {
    if ((session.halfOpenSince !== undefined) === halfOpen) return;
    session.halfOpenSince = halfOpen ? this.order++ : undefined;
    this.hosts.get(session.original.source)!.weightSince = this.order;
    this.zones.set(session.from, this.order++);
  }

  private sendNew(
    packet: NaivePacket,
    from: Zone,
    to: (destination: string) => Zone,
    observed: string,
  ): string {
    const rule = this.rules.find(
      (each) =>
        each.kind !== 'snat' &&
        each.matches(packet) &&
        (each.kind === 'none' || each.from === from || (from === 'peer' && each.oneAddress)),
    );
    const opens = !packet.flags.includes('R') && (packet.protocol !== ICMP || packet.flags === '?');
    const ours = this.poolAt(packet.destination);
    let target = { address: packet.destination, port: packet.destinationPort };
    let pool: NaivePool | undefined;
    let hairpin = false;
    let held = false;
    const forwarded = rule?.kind === 'dnat';
    if (forwarded) {
      target = { address: rule.to, port: rule.toPort };
      hairpin = from === 'peer' && rule.from === 'tun';
      if (hairpin) pool = ours;
    } else if (ours !== undefined) {
      const owner = this.ownerOf(ours, packet);
      const inside = (ours.kind === 'tunnel') === (from === 'tun');
      if (owner !== undefined && !inside) {
        if (packet.protocol === UDP && this.permits(ours, owner, packet.source)) {
          return text({ ...packet, destination: owner.source, destinationPort: owner.sourcePort });
        }
      } else if (owner !== undefined) {
        target = { address: owner.source, port: owner.sourcePort };
        pool = ours;
        hairpin = true;
        held = packet.protocol !== UDP || !this.permits(ours, owner, ours.address);
      }
      if (!hairpin) {
        if (packet.protocol === ICMP && packet.flags === '?' && ours.kind === 'alias') return 'answered';
        if (ours.kind === 'alias') return 'NatFiltered';
        if (from === 'tun') return 'reinject';
      }
    }
    const after = { ...packet, destination: target.address, destinationPort: target.port };
    const out = to(target.address);
    if (pool === undefined) {
      const source = this.sourceRule(after, out);
      if (source?.kind === 'snat') pool = source.pool;
    }
    if (pool === undefined && !forwarded) {
      const back = { ...packet, ...turned(packet) };
      if (!opens || !this.answerMatches(back, out, from)) return text(packet);
    } else if (!opens) return 'NatFiltered';
    return this.open(packet, target, pool, { from, inbound: forwarded && !hairpin, hairpin, held }, observed);
  }

  private sourceRule(packet: NaivePacket, out: Zone): NaiveRule | undefined {
    return this.rules.find((each) => {
      if (each.kind === 'none') return each.matches(packet);
      if (each.kind !== 'snat' || each.out !== out) return false;
      return each.matches(packet) || (each.out === 'peer' && packet.source === each.pool.address);
    });
  }

  private answerMatches(back: NaivePacket, from: Zone, to: Zone): boolean {
    const destination = this.rules.find(
      (each) =>
        each.kind !== 'snat' &&
        each.matches(back) &&
        (each.kind === 'none' || each.from === from || (from === 'peer' && each.oneAddress)),
    );
    return destination?.kind === 'dnat' || this.sourceRule(back, to)?.kind === 'snat';
  }

  private open(
    packet: NaivePacket,
    target: { address: string; port: number },
    pool: NaivePool | undefined,
    kind: { from: Zone; inbound: boolean; hairpin: boolean; held: boolean },
    observed: string,
  ): string {
    const refusal = this.admit(packet.source);
    if (refusal !== undefined) return refusal;
    let port = packet.sourcePort;
    const exclusive = this.isExclusive(packet.protocol);
    if (pool !== undefined) {
      const mapped = exclusive
        ? this.sessions.find(
            (each) =>
              each.pool === pool &&
              each.protocol === packet.protocol &&
              each.original.source === packet.source &&
              each.original.sourcePort === packet.sourcePort,
          )
        : undefined;
      if (mapped !== undefined) port = mapped.reply.destinationPort;
      else {
        const chosen = this.judge(packet, target, pool, exclusive, observed);
        if (chosen === undefined) return 'NatNoPort';
        port = chosen;
      }
    }
    const reply = {
      source: target.address,
      sourcePort: target.port,
      destination: pool?.address ?? packet.source,
      destinationPort: port,
    };
    if (this.find({ ...packet, ...reply }) !== undefined) return 'NatNoPort';
    this.add(packet, reply, pool, kind);
    return kind.held ? 'NatFiltered' : text(turned(reply));
  }

  private add(
    packet: NaivePacket,
    reply: Tuple,
    pool: NaivePool | undefined,
    kind: { from: Zone; inbound: boolean; hairpin: boolean; held: boolean },
  ): void {
    const { source, sourcePort, destination, destinationPort, protocol, flags } = packet;
    const host = this.hosts.get(source) ?? { tokens: this.limits.burst - 1, at: this.now, weightSince: 0 };
    this.hosts.set(source, host);
    const session: Session = {
      protocol,
      original: { source, sourcePort, destination, destinationPort },
      reply,
      pool,
      ...kind,
      halfOpenSince: this.order++,
      endedSince: undefined,
      deadline: 0,
      answered: false,
      established: false,
      reset: false,
      fins: new Set(),
      tail: protocol === TCP && flags.includes('F'),
    };
    host.weightSince = this.order;
    this.zones.set(kind.from, this.order++);
    session.deadline = this.now + timeoutOf(session);
    this.sessions.push(session);
  }

  /** The port that was observed, if it may have been chosen; throws if it may not. Undefined: there is none. */
  private judge(
    packet: NaivePacket,
    target: { address: string; port: number },
    pool: NaivePool,
    exclusive: boolean,
    observed: string,
  ): number | undefined {
    const status = (port: number) => this.statusOf(port, packet, target, pool, exclusive);
    const wanted = packet.sourcePort;
    const keeps = pool.kind !== 'range' || packet.protocol !== ICMP;
    const wantedStatus = keeps && wanted >= pool.first && wanted <= pool.last ? status(wanted) : 'taken';
    if (wantedStatus === 'free') return wanted;
    const all = Array.from({ length: pool.last - pool.first + 1 }, (_, i) => pool.first + i);
    const statuses = all.map(status);
    const [, observedPort] = /:(\d+) >/.exec(observed) ?? [];
    if (observedPort === undefined) {
      const search = `${pool.address} ${packet.protocol}`;
      const inVain = exclusive && this.searchedInVain.get(search) === this.now;
      if (statuses.includes('free') && !inVain) {
        throw new Error(`a port is free for ${packet.protocol} ${text(packet)}, but: ${observed}`);
      }
      if (exclusive) this.searchedInVain.set(search, this.now);
      return undefined;
    }
    const port = Number(observedPort);
    // A half-open session, or one that has ended, may have had to go for it.
    const { address: source, port: sourcePort } = target;
    const reply = { source, sourcePort, destination: pool.address, destinationPort: port };
    const [alone, ...others] = exclusive ? this.ofPort(pool, packet.protocol, port) : [];
    const taken = exclusive ? alone : this.find({ ...packet, ...reply })?.session;
    if (
      taken !== undefined &&
      others.length === 0 &&
      (taken.halfOpenSince ?? taken.endedSince) !== undefined
    ) {
      this.end(taken);
      // All other ports are as taken as before.
      if (exclusive) {
        this.searchedInVain.set(`${pool.address} ${packet.protocol}`, this.now);
        this.portsTakenOver++;
      }
    }
    if (status(port) === 'taken') throw new Error(`port ${port} is not free for ${text(packet)}`);
    if (port < pool.first || port > pool.last) throw new Error(`port ${port} is not of the pool`);
    return port;
  }

  private ofPort(pool: NaivePool, protocol: number, port: number): Session[] {
    return this.sessions.filter(
      (each) => each.pool === pool && each.protocol === protocol && each.reply.destinationPort === port,
    );
  }

  private statusOf(
    port: number,
    packet: NaivePacket,
    target: { address: string; port: number },
    pool: NaivePool,
    exclusive: boolean,
  ): PortStatus {
    const used = this.ofPort(pool, packet.protocol, port).some(
      (each) => exclusive || (each.reply.source === target.address && each.reply.sourcePort === target.port),
    );
    const reply = {
      source: target.address,
      sourcePort: target.port,
      destination: pool.address,
      destinationPort: port,
    };
    if (used || this.find({ ...packet, ...reply }) !== undefined) return 'taken';
    const rests = this.resting.filter(
      (each) =>
        each.pool === pool &&
        each.protocol === packet.protocol &&
        each.port === port &&
        each.from + REST > this.now,
    );
    if (rests.length === 0) return 'free';
    if (exclusive) return rests.at(-1)!.inside === packet.source ? 'free' : 'taken';
    // Only the last session is remembered; of several that ended in one second nobody knows which was last.
    const last = rests.filter(({ from }) => from === rests.at(-1)!.from);
    const rest = last.map(({ inside, remote }) => inside !== packet.source && remote === target.address);
    return rest.every(Boolean) ? 'taken' : rest.some(Boolean) ? 'unsure' : 'free';
  }

  private admit(source: string): string | undefined {
    const { maxSessions, perHost, perHostHalfOpen, rate, burst } = this.limits;
    const host = this.hosts.get(source);
    if (host !== undefined) {
      host.tokens = Math.min(burst, host.tokens + (this.now - host.at) * rate);
      host.at = this.now;
      if (host.tokens <= 0) return 'NatRateLimit';
      host.tokens--;
    }
    const own = this.sessions.filter(({ original }) => original.source === source);
    const halfOpen = oldestFirst(this.sessions);
    const ownHalfOpen = oldestFirst(own);
    const [ended] = oldestEndedFirst(this.sessions);
    const [ownEnded] = oldestEndedFirst(own);
    if (own.length >= perHost) return this.giveUp([ownEnded, ownHalfOpen[0]], 'NatHostLimit');
    if (ownHalfOpen.length >= perHostHalfOpen) return this.giveUp([ownHalfOpen[0]], 'NatTableFull');
    if (halfOpen.length >= maxSessions / 2)
      return this.giveUp([oldestOfHeaviest(this.sessions, this.hosts, this.zones)], 'NatTableFull');
    if (this.sessions.length >= maxSessions)
      return this.giveUp(
        [ownEnded, ended, oldestOfHeaviest(this.sessions, this.hosts, this.zones)],
        'NatTableFull',
      );
    return undefined;
  }

  /** Ends the first of the candidates that there is. */
  private giveUp(candidates: readonly (Session | undefined)[], refusal: string): string | undefined {
    const victim = candidates.find((each) => each !== undefined);
    if (victim === undefined) return refusal;
    this.end(victim);
    return undefined;
  }

  private end(session: Session): void {
    const noRest = ['closing', 'reset', 'syn-sent', 'syn-received'];
    const ended = session.protocol === TCP && noRest.includes(stateOf(session));
    const unanswered = session.halfOpenSince !== undefined;
    const { original, reply, pool, protocol } = session;
    this.setHalfOpen(session, false);
    this.sessions = this.sessions.filter((each) => each !== session);
    if (!this.sessions.some((each) => each.original.source === original.source))
      this.hosts.delete(original.source);
    const shared = !this.isExclusive(protocol);
    if (pool === undefined || (shared && ended)) return;
    const port = reply.destinationPort;
    if (!shared && this.ofPort(pool, protocol, port).length > 0) return;
    this.searchedInVain.delete(`${pool.address} ${protocol}`);
    if (!shared && unanswered) return;
    this.resting.push({
      pool,
      protocol,
      port,
      from: this.now,
      inside: original.source,
      remote: reply.source,
    });
  }

  private poolAt(address: string): NaivePool | undefined {
    for (const rule of this.rules)
      if (rule.kind === 'snat' && rule.pool.address === address) return rule.pool;
    return undefined;
  }

  /** Inside address and port of the mapping that has the packet's destination port. */
  private ownerOf(pool: NaivePool, { protocol, destinationPort }: NaivePacket): Tuple | undefined {
    if (protocol === ICMP || !this.isExclusive(protocol)) return undefined;
    return this.sessions.find(
      (each) =>
        each.pool === pool && each.protocol === protocol && each.reply.destinationPort === destinationPort,
    )?.original;
  }

  private isExclusive(protocol: number): boolean {
    return protocol !== TCP || this.behaviour.tcpMapping === 'eim';
  }

  private permits(pool: NaivePool, owner: Tuple, remote: string): boolean {
    if (this.behaviour.udpFiltering === 'eif') return true;
    return this.sessions.some(
      (each) =>
        each.protocol === UDP &&
        each.pool === pool &&
        each.original.source === owner.source &&
        each.original.sourcePort === owner.sourcePort &&
        (each.hairpin ? each.original.destination : each.reply.source) === remote,
    );
  }
}
