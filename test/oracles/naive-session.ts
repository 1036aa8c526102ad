/** Sessions of the naive NAT: what they are, and what a TCP packet makes of them. */

export type Zone = 'peer' | 'tun';

/** Of ICMP queries the identifier is the port of who asks, and 8 the other. Protocols without ports have 0. */
export interface NaivePacket {
  readonly protocol: number;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** TCP: any of S, A, F, R. ICMP: `?` for a question. */
  readonly flags: string;
}

export interface NaivePool {
  readonly address: string;
  readonly kind: 'range' | 'alias' | 'tunnel';
  readonly first: number;
  readonly last: number;
}

export type NaiveRule =
  | { readonly kind: 'none'; readonly matches: (packet: NaivePacket) => boolean }
  | {
      readonly kind: 'dnat';
      readonly matches: (packet: NaivePacket) => boolean;
      readonly from: Zone;
      /** Forwards from one address: hairpin works. */
      readonly oneAddress: boolean;
      readonly to: string;
      readonly toPort: number;
    }
  | {
      readonly kind: 'snat';
      readonly matches: (packet: NaivePacket) => boolean;
      readonly out: Zone;
      readonly pool: NaivePool;
    };

export interface Tuple {
  source: string;
  sourcePort: number;
  destination: string;
  destinationPort: number;
}

export interface Session {
  readonly protocol: number;
  readonly original: Tuple;
  readonly reply: Tuple;
  readonly pool: NaivePool | undefined;
  readonly from: Zone;
  readonly inbound: boolean;
  readonly hairpin: boolean;
  held: boolean;
  /** Order in which sessions became half-open; undefined for one that is not. */
  halfOpenSince: number | undefined;
  /** Likewise of TCP sessions that were established and are over. */
  endedSince: number | undefined;
  deadline: number;
  answered: boolean;
  /** TCP. */
  established: boolean;
  reset: boolean;
  readonly fins: Set<'original' | 'reply'>;
  /** Begun by its end. */
  tail: boolean;
}

export const TCP = 6;
export const UDP = 17;
export const ICMP = 1;

export function stateOf({ protocol, answered, established, reset, fins, tail, original }: Session): string {
  if (protocol !== TCP) {
    if (!answered) return 'one-way';
    return protocol === UDP && original.destinationPort === 53 ? 'answered' : 'assured';
  }
  if (reset) return 'reset';
  if (fins.size === 2 || tail) return 'closing';
  if (fins.has('original')) return 'fin-wait';
  if (fins.has('reply')) return 'close-wait';
  if (established) return 'established';
  return answered ? 'syn-received' : 'syn-sent';
}

/** Seconds; the defaults. */
export function timeoutOf(session: Session): number {
  const { protocol, answered } = session;
  if (protocol === ICMP) return 60;
  if (protocol === UDP) return answered ? (session.original.destinationPort === 53 ? 30 : 300) : 120;
  if (protocol !== TCP) return 300;
  const state = stateOf(session);
  return ['established', 'fin-wait', 'close-wait'].includes(state) ? 7440 : 240;
}

/** TCP: RFC 7857 figure 1. */
export function track(session: Session, direction: 'original' | 'reply', flags: string): void {
  const newConnection = direction === 'original' && flags.includes('S') && !flags.includes('A');
  if (flags.includes('R')) {
    session.reset = true;
    return;
  }
  const closing = (session.fins.size === 2 || session.tail) && !session.reset;
  const wasHalfOpen = session.halfOpenSince !== undefined;
  if (closing) {
    if (newConnection) restart(session);
    return;
  }
  if (session.reset) {
    session.reset = false;
    session.fins.clear();
    session.tail = false;
    if (wasHalfOpen) {
      session.answered = false;
      session.established = false;
    } else if (newConnection) {
      restart(session);
      return;
    } else {
      session.established = true;
    }
  }
  if (!session.established) {
    if (direction === 'reply') {
      session.answered = true;
      return;
    }
    if (!session.answered || !flags.includes('A')) return;
    session.established = true;
  }
  if (flags.includes('F')) session.fins.add(direction);
}

function restart(session: Session): void {
  session.answered = false;
  session.established = false;
  session.reset = false;
  session.tail = false;
  session.fins.clear();
}

export function oldestFirst(sessions: readonly Session[]): Session[] {
  return sessions
    .filter(({ halfOpenSince }) => halfOpenSince !== undefined)
    .sort((a, b) => a.halfOpenSince! - b.halfOpenSince!);
}

export function oldestEndedFirst(sessions: readonly Session[]): Session[] {
  return sessions
    .filter(({ endedSince }) => endedSince !== undefined)
    .sort((a, b) => a.endedSince! - b.endedSince!);
}

export function sameTuple(a: Tuple, b: Tuple): boolean {
  return (
    a.sourcePort === b.sourcePort &&
    a.destinationPort === b.destinationPort &&
    a.source === b.source &&
    a.destination === b.destination
  );
}

export function turned({ source, sourcePort, destination, destinationPort }: Tuple): Tuple {
  return {
    source: destination,
    sourcePort: destinationPort,
    destination: source,
    destinationPort: sourcePort,
  };
}

export function text({ source, sourcePort, destination, destinationPort }: Tuple): string {
  return `${source}:${sourcePort} > ${destination}:${destinationPort}`;
}

/**
 * Of the zone that has most half-open sessions: the oldest of its heaviest host if no host elsewhere is heavier, else the
 * oldest of all it has. Of two that are equally heavy, the one that has been so longer.
 */
export function oldestOfHeaviest(
  sessions: readonly Session[],
  hosts: ReadonlyMap<string, { weightSince: number }>,
  zones: ReadonlyMap<Zone, number>,
): Session | undefined {
  const ofHost = (host: string) => oldestFirst(sessions.filter(({ original }) => original.source === host));
  const ofZone = (zone: Zone) => oldestFirst(sessions.filter(({ from }) => from === zone));
  const heavy = [...hosts].filter(([host]) => ofHost(host).length > 0);
  heavy.sort(([a, x], [b, y]) => ofHost(b).length - ofHost(a).length || x.weightSince - y.weightSince);
  if (heavy.length === 0) return undefined;
  const [oldest] = ofHost(heavy[0][0]);
  const [[zone]] = [...zones].sort(([a, x], [b, y]) => ofZone(b).length - ofZone(a).length || x - y);
  return oldest.from === zone ? oldest : ofZone(zone)[0];
}

export interface NaiveLimits {
  readonly maxSessions: number;
  readonly perHost: number;
  readonly perHostHalfOpen: number;
  readonly rate: number;
  readonly burst: number;
}

export interface NaiveBehaviour {
  readonly tcpMapping: 'edm' | 'eim';
  readonly udpFiltering: 'adf' | 'eif';
}

/** A port that was given back. */
export interface Resting {
  readonly pool: NaivePool;
  readonly protocol: number;
  readonly port: number;
  readonly from: number;
  readonly inside: string;
  readonly remote: string;
}
