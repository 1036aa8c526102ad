import { describe as group, expect, test } from 'vitest';
import { ipPacket } from '../support/ip-packets.ts';
import {
  ACK,
  address,
  dnat,
  echo,
  NatLab,
  PEER_A,
  PEER_B,
  RANGE_PORTS,
  range,
  RST,
  snat,
  SYN,
  SYN_ACK,
  tcpFrom,
  udpFrom,
  ZONE_TUN,
} from '../support/nat.ts';

const ALIAS = snat({ from: '10.8.0.0/16' }, address('172.16.0.9'));
const RANGE = snat({ from: '10.8.0.0/16' }, range('172.16.0.2'));
const SERVER = '172.16.0.3:80';

function portOf(lab: NatLab, packet: Uint8Array): number {
  const sent = lab.send(packet, PEER_A, ZONE_TUN);
  expect(sent.reason).toBe('pass');
  return sent.packet.readUInt16BE(20);
}

group('which port', () => {
  test.each([
    ['alias', ALIAS, 5001, 5001],
    ['alias, privileged: not among those it has', ALIAS, 500, undefined],
    ['range, inside it', RANGE, 62000, 62000],
    ['range, outside it', RANGE, 5001, undefined],
  ])('%s', (_, rule, wanted, kept) => {
    const port = portOf(new NatLab([rule]), udpFrom(`10.8.0.2:${wanted}`, SERVER));
    if (kept === undefined) expect(port).not.toBe(wanted);
    else expect(port).toBe(kept);
  });

  test('an alias with privileged ports keeps the class (RFC 4787 REQ-3a)', () => {
    const lab = new NatLab([
      snat({ from: '10.8.0.0/16' }, address('172.16.0.9', { ports: { first: 512, last: 65535 } })),
    ]);
    portOf(lab, udpFrom('10.8.0.2:800', SERVER));
    const port = portOf(lab, udpFrom('10.8.0.3:800', SERVER));
    expect(port).toBeLessThan(1024);
    expect(port % 2).toBe(0);
  });

  test('ports without their parity are used when no others are left', () => {
    const pair = { ports: { first: 7000, last: 7001 } };
    const lab = new NatLab([snat({ from: '10.8.0.0/16' }, address('172.16.0.9', pair))]);
    const ports = [2, 3].map((host) => portOf(lab, udpFrom(`10.8.0.${host}:5000`, SERVER)));
    expect(new Set(ports)).toEqual(new Set([7000, 7001]));
  });

  test('never one of a local socket, of either protocol', () => {
    const lab = new NatLab([RANGE]);
    lab.localPorts.add('6/62000').add('17/62001');
    expect(portOf(lab, tcpFrom('10.8.0.2:62000', SERVER, SYN))).not.toBe(62000);
    expect(portOf(lab, tcpFrom('10.8.0.2:62001', SERVER, SYN))).toBe(62001);
    expect(portOf(lab, udpFrom('10.8.0.2:62001', SERVER))).not.toBe(62001);
  });

  test('never one that is forwarded', () => {
    const lab = new NatLab([
      dnat({ to: '172.16.0.9/32', protocol: 17, ports: [5000, 5010] }, '10.8.0.3', undefined),
      ALIAS,
    ]);
    expect(portOf(lab, udpFrom('10.8.0.2:5005', SERVER))).not.toBe(5005);
    expect(portOf(lab, tcpFrom('10.8.0.2:5005', SERVER, SYN))).toBe(5005);
  });

  test('TCP sessions with different servers share one, with the same server they do not', () => {
    const one = { ports: { first: 7000, last: 7000 } };
    const lab = new NatLab([snat({ from: '10.8.0.0/16' }, address('172.16.0.9', one))]);
    expect(portOf(lab, tcpFrom('10.8.0.2:5000', '172.16.0.3:80', SYN))).toBe(7000);
    expect(portOf(lab, tcpFrom('10.8.0.3:5000', '172.16.0.4:80', SYN))).toBe(7000);
    lab.send(tcpFrom('172.16.0.3:80', '172.16.0.9:7000', SYN_ACK), ZONE_TUN, PEER_A);
    lab.send(tcpFrom('10.8.0.2:5000', '172.16.0.3:80', ACK), PEER_A, ZONE_TUN);
    expect(lab.send(tcpFrom('10.8.0.3:5000', '172.16.0.3:80', SYN), PEER_B, ZONE_TUN).text).toBe('NatNoPort');
    expect(lab.nat.stats()!.ports).toContainEqual({
      address: '172.16.0.9',
      kind: 'alias',
      protocol: 6,
      used: 1,
      total: 1,
    });
  });
});

group('all ports taken by TCP sessions with one server', () => {
  const four = { ports: { first: 7000, last: 7003 } };
  const rules = [snat({ from: '10.8.0.0/16' }, address('172.16.0.9', four))];
  const open = (lab: NatLab, client: string, peer: number) =>
    lab.send(tcpFrom(client, SERVER, SYN), peer, ZONE_TUN).text.split(' ')[0];

  test('a half-open one gives way, of the peer that has most of them', () => {
    const lab = new NatLab(rules);
    open(lab, '10.8.0.2:5000', PEER_B);
    for (let host = 3; host <= 5; host++) open(lab, `10.8.0.${host}:5000`, PEER_A);
    expect(open(lab, '10.8.0.6:5000', PEER_A)).toMatch(/^172\.16\.0\.9:700[0-3]$/);
    const hosts = lab.nat.list(lab.now).sessions.map(({ original }) => original.source);
    expect(hosts).toHaveLength(4);
    expect(hosts).toEqual(expect.arrayContaining(['10.8.0.2', '10.8.0.6']));
  });

  test('its port does not rest: nothing was ever said', () => {
    const lab = new NatLab(rules);
    for (let host = 2; host <= 100; host++) {
      expect(open(lab, `10.8.0.${host}:5000`, PEER_A)).toMatch(/^172\.16\.0\.9:700[0-3]$/);
    }
  });

  test('one that has ended goes first', () => {
    const lab = new NatLab(rules);
    const outside = open(lab, '10.8.0.2:5000', PEER_B);
    lab.send(tcpFrom(SERVER, outside, SYN_ACK), ZONE_TUN, PEER_B);
    lab.send(tcpFrom('10.8.0.2:5000', SERVER, ACK), PEER_B, ZONE_TUN);
    lab.send(tcpFrom(SERVER, outside, RST), ZONE_TUN, PEER_B);
    for (let host = 3; host <= 5; host++) open(lab, `10.8.0.${host}:5000`, PEER_A);
    expect(open(lab, '10.8.0.6:5000', PEER_A)).toBe(outside);
  });

  test('established ones stay', () => {
    const lab = new NatLab(rules);
    for (let host = 2; host <= 5; host++) {
      const outside = open(lab, `10.8.0.${host}:5000`, PEER_A);
      lab.send(tcpFrom(SERVER, outside, SYN_ACK), ZONE_TUN, PEER_A);
      lab.send(tcpFrom(`10.8.0.${host}:5000`, SERVER, ACK), PEER_A, ZONE_TUN);
    }
    expect(open(lab, '10.8.0.6:5000', PEER_B)).toBe('NatNoPort');
  });
});

group('guard sockets', () => {
  test('one for each external UDP port of the range, as long as its mapping lives', () => {
    const lab = new NatLab([RANGE]);
    const ports = ['172.16.0.3:53', '172.16.0.4:53', '172.16.0.4:99'].map((server) =>
      portOf(lab, udpFrom('10.8.0.2:5000', server)),
    );
    expect([...lab.guarded]).toEqual([ports[0]]);
    portOf(lab, tcpFrom('10.8.0.2:5000', SERVER, SYN));
    portOf(lab, echo('10.8.0.2', '172.16.0.3', 8, 5));
    expect(lab.guarded.size).toBe(1);
    lab.advance(121);
    expect(lab.guarded.size).toBe(0);
  });

  test('an alias needs none', () => {
    const lab = new NatLab([ALIAS]);
    portOf(lab, udpFrom('10.8.0.2:5000', SERVER));
    expect(lab.guarded.size).toBe(0);
  });
});

group('protocols without ports', () => {
  const gre = (source: string, destination: string) =>
    ipPacket({ source, destination }, { protocol: 47, bytes: Buffer.alloc(8), checksum: undefined });

  test('have one inside host per remote address at a time, for 300 s', () => {
    const lab = new NatLab([ALIAS]);
    const send = (source: string, destination: string) =>
      lab.send(gre(source, destination), PEER_A, ZONE_TUN).text;
    expect(send('10.8.0.2', '172.16.0.3')).toBe('172.16.0.9 > 172.16.0.3 protocol 47');
    expect(send('10.8.0.3', '172.16.0.3')).toBe('NatProtocol');
    expect(send('10.8.0.3', '172.16.0.4')).toBe('172.16.0.9 > 172.16.0.4 protocol 47');
    expect(lab.send(gre('172.16.0.3', '172.16.0.9'), ZONE_TUN, PEER_A).text).toBe(
      '172.16.0.3 > 10.8.0.2 protocol 47',
    );
    lab.advance(301);
    expect(send('10.8.0.3', '172.16.0.3')).toBe('172.16.0.9 > 172.16.0.3 protocol 47');
  });

  test('cannot come back in range mode, and do not leave', () => {
    const lab = new NatLab([RANGE]);
    expect(lab.send(gre('10.8.0.2', '172.16.0.3'), PEER_A, ZONE_TUN).text).toBe('NatProtocol');
  });
});

test('identifiers of pings through the range are from it, at random', () => {
  const lab = new NatLab([RANGE]);
  const ids = [62000, 5, 6].map((id) => {
    const sent = lab.send(echo('10.8.0.2', '172.16.0.3', 8, id), PEER_A, ZONE_TUN);
    return sent.packet.readUInt16BE(24);
  });
  for (const id of ids) {
    expect(id).toBeGreaterThanOrEqual(RANGE_PORTS.first);
    expect(id).toBeLessThanOrEqual(RANGE_PORTS.last);
  }
  expect(ids[0]).not.toBe(62000);
});

test('a super-packet is one packet of all its bytes, and keeps its transport checksum for later', () => {
  const lab = new NatLab([ALIAS]);
  const { batch, nat, now } = lab;
  const packet = tcpFrom('10.8.0.2:5000', SERVER, SYN, 3000);
  batch.bytes.set(packet, batch.packetOffset(0));
  batch.commit(0, packet.length);
  batch.gsoSize[0] = 1448;
  expect(nat.classify(batch, 0, PEER_A, now)).toBe(0);
  expect(nat.translate(batch, 0, PEER_A, ZONE_TUN, now)).toBe(0);
  const at = batch.start[0];
  expect(Buffer.from(batch.bytes.slice(at + 36, at + 38))).toEqual(packet.subarray(36, 38));
  expect(Buffer.from(batch.bytes.slice(at + 12, at + 16)).join('.')).toBe('172.16.0.9');
  expect(nat.list(now).sessions).toMatchObject([{ original: { packets: 1, bytes: 3040 } }]);
});
