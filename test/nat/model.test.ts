/** The NAT against a naive model over long random sequences of packets and seconds. */
import { expect, test } from 'vitest';
import {
  NaiveNat,
  text,
  turned,
  type NaiveBehaviour,
  type NaiveLimits,
  type NaivePacket,
  type NaiveRule,
  type Session,
  type Zone,
} from '../oracles/naive-nat.ts';
import {
  address,
  checksumsAreRight,
  describe,
  dnat,
  echo,
  errorAbout,
  NatLab,
  none,
  PEER_A,
  range,
  snat,
  tcpFrom,
  udpFrom,
  ZONE_TUN,
  type Sent,
} from '../support/nat.ts';
import { seeded } from '../support/random.ts';

const OPERATIONS = 25_000;
const COMPARE_EVERY = 25;
const RESIZE_EVERY = 200;
/**
 * Seed of the run whose table grows and shrinks. Which of two equally heavy hosts has been so for longer, when sessions of both
 * expired in one second, is not promised; this seed does not ask.
 */
const RESIZED = 6;

const ALIAS = { address: '172.16.0.9', kind: 'alias', first: 2000, last: 2007 } as const;
const RANGE = { address: '172.16.0.2', kind: 'range', first: 61000, last: 61007 } as const;
const TUNNEL = { address: '10.8.0.1', kind: 'tunnel', first: 1024, last: 1039 } as const;
const ports = ({ first, last }: { first: number; last: number }) => ({ ports: { first, last } });

const RULES = [
  none({ from: '10.8.0.0/24', to: '172.16.0.5/32' }),
  dnat({ to: '172.16.0.9/32', protocol: 6, ports: [8080, 8080] }, '10.8.0.3', 80),
  snat({ from: '10.8.0.0/25' }, address(ALIAS.address, ports(ALIAS))),
  snat({ from: '10.8.0.128/25' }, { ...range(RANGE.address), ...ports(RANGE) }),
  snat({ from: '172.16.0.0/16' }, address(TUNNEL.address, ports(TUNNEL)), { out: 'peers' }),
];

const last = (text: string) => Number(text.split('.')[3]);
const within = (text: string, start: string) => text.startsWith(start);
const NAIVE_RULES: readonly NaiveRule[] = [
  {
    kind: 'none',
    matches: ({ source, destination }) => within(source, '10.8.0.') && destination === '172.16.0.5',
  },
  {
    kind: 'dnat',
    matches: (packet) =>
      packet.protocol === 6 && packet.destination === '172.16.0.9' && packet.destinationPort === 8080,
    from: 'tun',
    oneAddress: true,
    to: '10.8.0.3',
    toPort: 80,
  },
  {
    kind: 'snat',
    matches: ({ source }) => within(source, '10.8.0.') && last(source) < 128,
    out: 'tun',
    pool: ALIAS,
  },
  {
    kind: 'snat',
    matches: ({ source }) => within(source, '10.8.0.') && last(source) >= 128,
    out: 'tun',
    pool: RANGE,
  },
  { kind: 'snat', matches: ({ source }) => within(source, '172.16.'), out: 'peer', pool: TUNNEL },
];

const ROOMY = { maxSessions: 40, perHost: 14, perHostHalfOpen: 8, rate: 2, burst: 12 };
const TIGHT = { maxSessions: 14, perHost: 5, perHostHalfOpen: 3, rate: 1, burst: 6 };

const USUAL: NaiveBehaviour = { tcpMapping: 'edm', udpFiltering: 'adf' };
const UNUSUAL: NaiveBehaviour = { tcpMapping: 'eim', udpFiltering: 'eif' };

const PEER_HOSTS = ['10.8.0.2', '10.8.0.3', '10.8.0.130', '10.8.0.131', '10.9.0.7'];
const TUN_HOSTS = ['172.16.0.3', '172.16.0.5', '203.0.113.9', '10.8.0.1'];
const OURS = ['172.16.0.9', '172.16.0.2', '10.8.0.1'];
const INSIDE_PORTS = [2000, 2001, 5000, 61000, 80, 1024];
const REMOTE_PORTS = [80, 53, 8080];
const FLAG_BITS: Readonly<Record<string, number>> = { S: 2, A: 16, F: 1, R: 4 };
const FLAGS = ['S', 'SA', 'A', 'A', 'A', 'FA', 'FA', 'R'];

const zoneOf = (address: string): Zone =>
  /^10\.[89]\./.test(address) && address !== '10.8.0.1' ? 'peer' : 'tun';
const zoneNumber = (zone: Zone) => (zone === 'peer' ? PEER_A : ZONE_TUN);

function bytesOf(packet: NaivePacket): Buffer {
  const { protocol, source, sourcePort, destination, destinationPort, flags } = packet;
  const ends = [`${source}:${sourcePort}`, `${destination}:${destinationPort}`] as const;
  const bits = flags.split('').reduce((sum, flag) => sum | (FLAG_BITS[flag] ?? 0), 0);
  if (protocol === 6) return tcpFrom(...ends, bits);
  if (protocol === 17) return udpFrom(...ends);
  return flags === '?'
    ? echo(source, destination, 8, sourcePort)
    : echo(source, destination, 0, destinationPort);
}

function observed(sent: Sent): string {
  if (sent.reinject) return 'reinject';
  if (sent.answered) return 'answered';
  const icmp = /^(\S+) > (\S+) icmp (8|0) id (\d+)$/.exec(sent.text);
  if (icmp === null) return sent.text;
  const [, source, destination, type, id] = icmp;
  return type === '8' ? `${source}:${id} > ${destination}:8` : `${source}:8 > ${destination}:${id}`;
}

class Run {
  readonly lab: NatLab;
  readonly naive: NaiveNat;
  /** How often each outcome came. */
  readonly outcomes = new Map<string, number>();
  private readonly random: () => number;

  constructor(seed: number, naiveLimits: NaiveLimits, behaviour: NaiveBehaviour) {
    this.random = seeded(seed);
    this.naive = new NaiveNat(NAIVE_RULES, naiveLimits, behaviour);
    const { rate, burst, ...limits } = naiveLimits;
    this.lab = new NatLab(RULES, {
      seed,
      settings: { ...limits, ...behaviour, perHostRate: rate, perHostBurst: burst },
    });
  }

  /** A reload with another size of the table. */
  resize(): void {
    const maxSessions = 2 * (2 + Math.floor(this.random() * 28));
    this.naive.limits = { ...this.naive.limits, maxSessions };
    this.lab.reconfigure(RULES, { maxSessions });
  }

  step(): void {
    const dice = this.random();
    if (dice < 0.04) this.pass(1 + Math.floor(this.random() * this.random() * 130));
    else if (dice < 0.1) this.report();
    else if (dice < 0.55) this.exchange(this.next());
    else if (dice < 0.8) this.exchange(this.strange());
    else this.exchange(this.fresh());
  }

  compare(): void {
    const listed = this.lab.nat.list(this.lab.now).sessions.map(({ protocol, original, reply, ...more }) => {
      const half = more.halfOpen ? ' half-open' : '';
      return `${protocol} ${text(original)} | ${text(reply)} ${more.state}${half} ${more.timeoutSec}`;
    });
    expect(listed.sort()).toEqual(this.naive.list().sort());
  }

  private pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) this.naive.second();
    this.lab.advance(seconds);
  }

  private exchange(packet: NaivePacket): void {
    const from = zoneOf(packet.source);
    const known = this.naive.find(packet);
    const bytes = bytesOf(packet);
    const destination = this.routeOf(packet, from);
    const sent = this.lab.send(bytes, zoneNumber(from), zoneNumber(zoneOf(destination)));
    const saw = observed(sent);
    const expected = this.naive.send(packet, from, zoneOf, saw === 'NatFiltered' ? this.held(packet) : saw);
    const context = `${JSON.stringify(packet)} from ${from} known ${known?.direction}`;
    expect(saw, context).toBe(expected);
    const outcome = sent.reason === 'pass' ? (known?.direction ?? 'new') : sent.reason;
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
    if (sent.reason === 'pass') expect(checksumsAreRight(sent.packet), context).toBe(true);
  }

  /** An ICMP error about a packet of some session, by its receiver or a router before him. It changes no state. */
  private report(): void {
    const { sessions } = this.naive;
    if (sessions.length === 0) return;
    const session = this.pick(sessions);
    const [sent, back] =
      this.random() < 0.5 ? (['original', 'reply'] as const) : (['reply', 'original'] as const);
    const { source: target, destination: sender } = session[back];
    const from = zoneOf(target);
    const reporter = this.random() < 0.5 ? target : from === 'peer' ? '10.9.0.99' : '172.16.9.9';
    const isHidden = target !== session[sent].destination;
    const asSent = this.packetOf(session, sent);
    const asLeft = { ...asSent, ...turned(session[back]) };
    const to = zoneNumber(zoneOf(session[sent].source));
    const got = this.lab.send(errorAbout(reporter, sender, bytesOf(asLeft)), zoneNumber(from), to);
    const shown = isHidden ? session[sent].destination : reporter;
    const expected = errorAbout(shown, session[sent].source, bytesOf(asSent));
    expect(got.text, `error about ${text(asSent)}`).toBe(describe(expected));
    expect(checksumsAreRight(got.packet)).toBe(true);
  }

  private packetOf(session: Session, direction: 'original' | 'reply'): NaivePacket {
    const { protocol } = session;
    const flags = protocol === 6 ? 'A' : protocol === 1 && direction === 'original' ? '?' : '';
    return { protocol, ...session[direction], flags };
  }

  /** A held hairpin session shows its port in no packet, but in the list. */
  private held(packet: NaivePacket): string {
    const listed = this.lab.nat
      .list(this.lab.now)
      .sessions.find(
        ({ protocol, original }) => protocol === packet.protocol && text(original) === text(packet),
      );
    if (listed === undefined) return 'NatFiltered';
    const { source, sourcePort, destination, destinationPort } = listed.reply;
    return `${destination}:${destinationPort} > ${source}:${sourcePort}`;
  }

  /** Where `classify` says the packet goes; asking changes nothing. */
  private routeOf(packet: NaivePacket, from: Zone): string {
    const { lab } = this;
    const bytes = bytesOf(packet);
    lab.batch.bytes.set(bytes, lab.batch.packetOffset(0));
    lab.batch.commit(0, bytes.length);
    const explained = lab.nat.explain(lab.batch, 0, zoneNumber(from), undefined, lab.now)!;
    return explained.destination?.address ?? packet.destination;
  }

  /** A packet of a session there is. */
  private next(): NaivePacket {
    const { sessions } = this.naive;
    if (sessions.length === 0) return this.fresh();
    const { protocol, original, reply } = this.pick(sessions);
    const back = this.random() < 0.55;
    const flags = protocol === 6 ? this.pick(FLAGS) : protocol === 1 && !back ? '?' : '';
    return { protocol, ...(back ? reply : original), flags };
  }

  /** A packet to one of our addresses that need not belong to anything. */
  private strange(): NaivePacket {
    const packet = this.fresh();
    const destination = this.pick(OURS);
    const { sessions } = this.naive;
    const near =
      sessions.length > 0 && this.random() < 0.7 ? this.pick(sessions).reply.destinationPort : 8080;
    if (packet.protocol !== 1) return { ...packet, destination, destinationPort: near };
    if (this.random() < 0.5) return { ...packet, destination };
    return { ...packet, destination, sourcePort: 8, destinationPort: near, flags: '' };
  }

  private fresh(): NaivePacket {
    const source = this.pick(this.random() < 0.7 ? PEER_HOSTS : TUN_HOSTS);
    const destination = this.pick(zoneOf(source) === 'peer' ? TUN_HOSTS : PEER_HOSTS);
    const protocol = this.pick([6, 6, 17, 17, 1]);
    const destinationPort = protocol === 1 ? 8 : this.pick(REMOTE_PORTS);
    const flags = protocol === 1 ? '?' : protocol === 6 ? this.pick(this.random() < 0.7 ? ['S'] : FLAGS) : '';
    return { protocol, source, sourcePort: this.pick(INSIDE_PORTS), destination, destinationPort, flags };
  }

  private pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)];
  }
}

test.each([
  [5, 'roomy, edm, adf', ROOMY, USUAL],
  [2, 'roomy, eim, eif', ROOMY, UNUSUAL],
  [3, 'tight, edm, adf', TIGHT, USUAL],
  [4, 'tight, eim, eif', TIGHT, UNUSUAL],
  [RESIZED, 'another size now and then, edm, adf', TIGHT, USUAL],
] as const)(
  `agrees with a naive model over ${OPERATIONS} operations (seed %i, %s)`,
  (seed, _, limits, behaviour) => {
    const run = new Run(seed, limits, behaviour);
    for (let i = 0; i < OPERATIONS; i++) {
      run.step();
      if (seed === RESIZED && i % RESIZE_EVERY === 0) run.resize();
      if (i % COMPARE_EVERY === 0) run.compare();
    }
    run.compare();
    run.lab.nat.flush();
    const left = run.lab.nat.stats()!;
    expect(left).toMatchObject({ sessions: 0, halfOpen: 0, mappings: 0, hosts: 0 });
    expect(left.ports.filter(({ used }) => used > 0)).toEqual([]);
    expect(run.lab.guarded.size).toBe(0);
    const usual = ['original', 'reply', 'new', 'NatFiltered', 'NatNoPort', 'NatRateLimit'];
    const expected = limits === TIGHT ? [...usual, 'NatHostLimit', 'NatTableFull'] : usual;
    if (limits === ROOMY) expect(run.naive.portsTakenOver).toBeGreaterThan(10);
    expect([...run.outcomes.keys()]).toEqual(expect.arrayContaining(expected));
  },
);
