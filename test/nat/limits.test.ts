import { describe as group, expect, test } from 'vitest';
import { formatIpv4 } from '../../src/packet/address.ts';
import {
  ACK,
  address,
  FIN,
  NatLab,
  PEER_A,
  PEER_B,
  RST,
  snat,
  SYN,
  SYN_ACK,
  tcpFrom,
  udpFrom,
  ZONE_TUN,
  type NatSettingsShape,
} from '../support/nat.ts';

const ALIAS = snat({ from: '10.0.0.0/8' }, address('172.16.0.9'));

function lab(settings: NatSettingsShape): NatLab {
  return new NatLab([ALIAS], { settings });
}

/** Opens a TCP session and returns what it appears as, or why not. */
function open(nat: NatLab, client: string, server: string, peer = PEER_A): string {
  return nat.send(tcpFrom(client, server, SYN), peer, ZONE_TUN).text.split(' ')[0];
}

function establish(nat: NatLab, client: string, server: string, peer = PEER_A): string {
  const outside = open(nat, client, server, peer);
  nat.send(tcpFrom(server, outside, SYN_ACK), ZONE_TUN, peer);
  nat.send(tcpFrom(client, server, ACK), peer, ZONE_TUN);
  return outside;
}

/** Both sides close it. */
function close(nat: NatLab, client: string, server: string): void {
  const { reply } = nat.nat
    .list(nat.now)
    .sessions.find(({ original }) => client.endsWith(`:${original.sourcePort}`))!;
  nat.send(tcpFrom(client, server, FIN), PEER_A, ZONE_TUN);
  nat.send(tcpFrom(server, `${reply.destination}:${reply.destinationPort}`, FIN), ZONE_TUN, PEER_A);
}

/** Inside ports of the sessions there are. */
function ports(nat: NatLab): number[] {
  return nat.nat
    .list(nat.now)
    .sessions.map(({ original }) => original.sourcePort)
    .sort((a, b) => a - b);
}

group('limits of a host', () => {
  test('opens new sessions no faster than its rate, after a burst', () => {
    const nat = lab({ perHostRate: 5, perHostBurst: 10 });
    const opened = () => {
      let count = 0;
      for (let i = 0; i < 30; i++) {
        if (open(nat, `10.8.0.2:${1024 + i}`, `172.16.${nat.now.ms % 251}.${i}:80`) !== 'NatRateLimit')
          count++;
      }
      return count;
    };
    expect(opened()).toBe(10);
    nat.advance(1);
    expect(opened()).toBe(5);
    nat.advance(100);
    expect(opened()).toBe(10);
  });

  test('loses its own oldest half-open session at its limit, and nobody else', () => {
    const nat = lab({ perHost: 4 });
    open(nat, '10.8.0.3:1', '172.16.0.1:80', PEER_B);
    establish(nat, '10.8.0.2:1', '172.16.0.1:80');
    for (let i = 2; i <= 5; i++) open(nat, `10.8.0.2:${i}`, '172.16.0.1:80');
    const ports = nat.nat
      .list(nat.now)
      .sessions.map(({ original }) => `${original.source}:${original.sourcePort}`);
    expect(ports.sort()).toEqual(['10.8.0.2:1', '10.8.0.2:3', '10.8.0.2:4', '10.8.0.2:5', '10.8.0.3:1']);
  });

  test('is refused at its limit when all its sessions are established', () => {
    const nat = lab({ perHost: 3 });
    for (let i = 1; i <= 3; i++) establish(nat, `10.8.0.2:${i}`, '172.16.0.1:80');
    expect(open(nat, '10.8.0.2:4', '172.16.0.1:80')).toBe('NatHostLimit');
    expect(open(nat, '10.8.0.3:4', '172.16.0.1:80', PEER_B)).not.toMatch(/^Nat/);
  });

  test('gives up what has ended for what is new, oldest first, and nothing that goes on', () => {
    const nat = lab({ perHost: 3 });
    for (let i = 1; i <= 3; i++) establish(nat, `10.8.0.2:${i}`, '172.16.0.1:80');
    for (const i of [2, 1]) close(nat, `10.8.0.2:${i}`, '172.16.0.1:80');
    expect(ports(nat)).toEqual([1, 2, 3]);
    establish(nat, '10.8.0.2:4', '172.16.0.1:80');
    expect(ports(nat)).toEqual([1, 3, 4]);
    establish(nat, '10.8.0.2:5', '172.16.0.1:80');
    expect(ports(nat)).toEqual([3, 4, 5]);
    expect(open(nat, '10.8.0.2:6', '172.16.0.1:80')).toBe('NatHostLimit');
  });

  test('takes a reset for an end only as long as nothing follows it', () => {
    const nat = lab({ perHost: 1 });
    establish(nat, '10.8.0.2:1', '172.16.0.1:80');
    nat.send(tcpFrom('10.8.0.2:1', '172.16.0.1:80', RST), PEER_A, ZONE_TUN);
    nat.send(tcpFrom('10.8.0.2:1', '172.16.0.1:80', ACK), PEER_A, ZONE_TUN);
    expect(open(nat, '10.8.0.2:2', '172.16.0.1:80')).toBe('NatHostLimit');
    nat.send(tcpFrom('10.8.0.2:1', '172.16.0.1:80', RST), PEER_A, ZONE_TUN);
    expect(open(nat, '10.8.0.2:2', '172.16.0.1:80')).not.toMatch(/^Nat/);
  });

  test('has a limit of its own for half-open sessions', () => {
    const nat = lab({ perHostHalfOpen: 8 });
    for (let i = 0; i < 100; i++) open(nat, `10.8.0.2:${1024 + i}`, '172.16.0.1:80');
    expect(nat.nat.stats()).toMatchObject({ sessions: 8, halfOpen: 8 });
  });
});

group('a flood of SYNs', () => {
  const settings = {
    maxSessions: 4096,
    perHost: 2048,
    perHostHalfOpen: 256,
    perHostRate: 200,
    perHostBurst: 400,
  };

  test.each([
    ['from one address', () => 0x0a090001],
    ['from as many addresses as packets', (i: number) => 0x0a090000 + (i & 0xffff)],
  ])('%s: the table keeps its limit, others open sessions and lose none', (_, source) => {
    const nat = lab(settings);
    const quiet = Array.from({ length: 50 }, (_, i) =>
      establish(nat, `10.8.0.3:${2000 + i}`, '172.16.0.1:80', PEER_B),
    );
    let refused = 0;
    for (let i = 0; i < 50_000; i++) {
      const from = `${formatIpv4(source(i))}:${1024 + (i % 60_000)}`;
      if (open(nat, from, '172.16.0.2:80').startsWith('Nat')) refused++;
      if (i % 5000 === 0) nat.advance(1);
      if (i % 1000 !== 0) continue;
      // A handshake of somebody else, in the middle of it.
      const other = establish(nat, `10.8.0.4:${3000 + i / 1000}`, '172.16.0.1:80', PEER_B);
      expect(other).toMatch(/^172\.16\.0\.9:/);
    }
    const stats = nat.nat.stats()!;
    expect(stats.sessions).toBeLessThanOrEqual(settings.maxSessions);
    expect(stats.halfOpen).toBeLessThanOrEqual(settings.maxSessions / 2);
    expect(stats.states['tcp established']).toBe(100);
    for (const outside of quiet) {
      const text = nat.send(tcpFrom('172.16.0.1:80', outside, ACK), ZONE_TUN, PEER_B).text;
      expect(text).toMatch(/^172\.16\.0\.1:80 > 10\.8\.0\.3:20/);
    }
    expect(refused).toBeGreaterThanOrEqual(source(1) === source(0) ? 45_000 : 0);
    // The attacker with one address never had more than his half-open sessions.
    if (source(1) === source(0)) expect(stats.halfOpen).toBe(settings.perHostHalfOpen);
  });
});

group('a full table', () => {
  const tight = { maxSessions: 40, perHost: 20, perHostHalfOpen: 20, perHostRate: 1000, perHostBurst: 1000 };
  const halfOpenOf = (nat: NatLab, source: string) =>
    nat.nat.list(nat.now).sessions.filter(({ original, halfOpen }) => halfOpen && original.source === source)
      .length;

  test('takes from the heaviest host', () => {
    const nat = lab(tight);
    for (let i = 0; i < 3; i++) open(nat, `10.8.0.3:${5000 + i}`, '172.16.0.1:80');
    for (let i = 0; i < 17; i++) open(nat, `10.8.0.2:${5000 + i}`, '172.16.0.1:80');
    for (let i = 3; i < 6; i++) open(nat, `10.8.0.3:${5000 + i}`, '172.16.0.1:80');
    expect(halfOpenOf(nat, '10.8.0.3')).toBe(6);
    expect(halfOpenOf(nat, '10.8.0.2')).toBe(14);
  });

  test('takes from the peer that floods from many addresses, not from the busiest host of another', () => {
    const nat = lab(tight);
    for (let i = 0; i < 6; i++) open(nat, `10.8.0.3:${5000 + i}`, '172.16.0.1:80', PEER_B);
    for (let i = 0; i < 200; i++) open(nat, `10.9.0.${i}:5000`, '172.16.0.1:80');
    expect(halfOpenOf(nat, '10.8.0.3')).toBe(6);
  });
});

test('a full table gives up what has ended, whosever it is, before anything half-open', () => {
  const nat = lab({ maxSessions: 4 });
  for (let i = 1; i <= 3; i++) establish(nat, `10.8.0.2:${i}`, '172.16.0.1:80');
  close(nat, '10.8.0.2:2', '172.16.0.1:80');
  open(nat, '10.8.0.3:7', '172.16.0.1:80', PEER_B);
  establish(nat, '10.8.0.3:8', '172.16.0.1:80', PEER_B);
  expect(ports(nat)).toEqual([1, 3, 7, 8]);
});

test('a full table first gives up what has expired', () => {
  const nat = lab({ maxSessions: 4 });
  for (let i = 1; i <= 2; i++) establish(nat, `10.8.0.2:${i}`, '172.16.0.1:80');
  nat.send(udpFrom('10.8.0.2:9', '172.16.0.1:53'), PEER_A, ZONE_TUN);
  // The clock went on and no tick has been.
  nat.now.ms += 200_000;
  open(nat, '10.8.0.3:1', '172.16.0.1:80', PEER_B);
  open(nat, '10.8.0.3:2', '172.16.0.1:80', PEER_B);
  const hosts = nat.nat.list(nat.now).sessions.map(({ original }) => original.source);
  expect(hosts.filter((host) => host === '10.8.0.3')).toHaveLength(2);
});

test('a host that is too fast does not make the kernel look for its routes', () => {
  const masquerade = snat({ from: '10.0.0.0/8' }, address('172.16.0.9'), { egress: 'eth1' });
  const nat = new NatLab([masquerade], {
    settings: { perHostRate: 5, perHostBurst: 10 },
    egressOf: () => 'eth1',
  });
  for (let i = 0; i < 1000; i++) open(nat, '10.8.0.2:5000', `172.16.${i >> 8}.${i & 255}:80`);
  expect(nat.egressQuestions).toBe(10);
});

group('a flood of UDP that nobody answers', () => {
  const PORTS = 64;
  const POOL = snat(
    { from: '10.0.0.0/8' },
    address('172.16.0.9', { ports: { first: 7000, last: 7000 + PORTS - 1 } }),
  );
  const flow = (nat: NatLab, client: string, peer = PEER_A) =>
    nat.send(udpFrom(client, '172.16.0.1:4000'), peer, ZONE_TUN);
  const answer = (nat: NatLab, port: number, peer = PEER_A) =>
    nat.send(udpFrom('172.16.0.1:4000', `172.16.0.9:${port}`), ZONE_TUN, peer);
  const portOf = (sent: ReturnType<typeof flow>) => sent.packet.readUInt16BE(20);
  /** From as many hosts as it takes. */
  const flood = (nat: NatLab, count: number) => {
    for (let i = 0; i < count; i++) expect(flow(nat, `10.9.${i >> 8}.${i & 255}:5000`).reason).toBe('pass');
  };

  test('leaves a port for a host of another peer, whose flows stay', () => {
    const nat = new NatLab([POOL]);
    flood(nat, 1000);
    const port = portOf(flow(nat, '10.8.0.3:5000', PEER_B));
    // Not answered yet, and not the one to go: its peer has but one.
    flood(nat, 1000);
    expect(answer(nat, port, PEER_B).text).toBe('172.16.0.1:4000 > 10.8.0.3:5000');
    flood(nat, 1000);
    expect(answer(nat, port, PEER_B).text).toBe('172.16.0.1:4000 > 10.8.0.3:5000');
    expect(nat.nat.list(nat.now).sessions).toHaveLength(PORTS);
  });

  test('takes no port from a mapping that was answered', () => {
    const nat = new NatLab([POOL]);
    const ports = Array.from({ length: PORTS }, (_, i) => portOf(flow(nat, `10.8.0.2:${5000 + i}`, PEER_B)));
    for (const port of ports) answer(nat, port, PEER_B);
    expect(flow(nat, '10.9.0.1:5000').text).toBe('NatNoPort');
  });

  test('takes no port from a mapping with several sessions, one of them answered', () => {
    const nat = new NatLab([
      snat({ from: '10.0.0.0/8' }, address('172.16.0.9', { ports: { first: 7000, last: 7000 } })),
    ]);
    expect(flow(nat, '10.8.0.2:5000').reason).toBe('pass');
    nat.send(udpFrom('10.8.0.2:5000', '172.16.0.2:4000'), PEER_A, ZONE_TUN);
    answer(nat, 7000);
    expect(flow(nat, '10.9.0.1:5000').text).toBe('NatNoPort');
  });

  test('takes the oldest of equals', () => {
    const nat = new NatLab([POOL]);
    flow(nat, '10.8.0.2:5000');
    nat.advance(2);
    flood(nat, 3 * PORTS);
    const clients = nat.nat.list(nat.now).sessions.map(({ original }) => original.source);
    expect(clients).not.toContain('10.8.0.2');
    expect(clients).toHaveLength(PORTS);
  });

  test('leaves no port resting: the next flows have all of them', () => {
    const nat = new NatLab([POOL]);
    flood(nat, 1000);
    nat.advance(nat.settings.timeouts.udpOneWay + 1);
    expect(nat.nat.list(nat.now).sessions).toHaveLength(0);
    const ports = new Set(
      Array.from({ length: PORTS }, (_, i) => portOf(flow(nat, `10.8.0.2:${5000 + i}`, PEER_B))),
    );
    expect(ports.size).toBe(PORTS);
  });

  test('costs the same for each packet: guards close and open for the port that changes hands', () => {
    const nat = new NatLab([
      snat(
        { from: '10.0.0.0/8' },
        address('172.16.0.2', { ports: { first: 61000, last: 61000 + PORTS - 1 }, shared: true }),
      ),
    ]);
    flood(nat, 500);
    expect(nat.guarded.size).toBe(PORTS);
  });
});
