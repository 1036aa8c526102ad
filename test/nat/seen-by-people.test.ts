import { expect, test } from 'vitest';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import type { Zone } from '../../src/packet/zone.ts';
import {
  ACK,
  address,
  dnat,
  echo,
  errorAbout,
  NatLab,
  none,
  PEER_A,
  PEER_B,
  range,
  RST,
  snat,
  SYN,
  SYN_ACK,
  tcpFrom,
  udpFrom,
  ZONE_TUN,
} from '../support/nat.ts';

const ALIAS = snat({ from: '10.8.0.0/24' }, address('172.16.0.9'));
const RANGE = snat({ from: '10.9.0.0/24' }, range('172.16.0.2'));
const FORWARD = dnat({ to: '172.16.0.9/32', protocol: 6, ports: [8080, 8080] }, '10.8.0.3', 80);
const CLIENT = '10.8.0.2:5000';
const SERVER = '172.16.0.3:80';

function explain(lab: NatLab, packet: Uint8Array, from: Zone, to?: Zone) {
  lab.batch.bytes.set(packet, lab.batch.packetOffset(0));
  lab.batch.commit(0, packet.length);
  const explained = lab.nat.explain(lab.batch, 0, from, to, lab.now)!;
  expect(Buffer.from(lab.batch.bytes.slice(lab.batch.start[0], lab.batch.start[0] + packet.length))).toEqual(
    packet,
  );
  return explained;
}

test('list shows both tuples, state, age, time left and what was carried each way', () => {
  const lab = new NatLab([FORWARD, ALIAS]);
  lab.send(tcpFrom(CLIENT, SERVER, SYN), PEER_A, ZONE_TUN);
  lab.send(tcpFrom(SERVER, '172.16.0.9:5000', SYN_ACK, 100), ZONE_TUN, PEER_A);
  lab.send(tcpFrom(CLIENT, SERVER, ACK), PEER_A, ZONE_TUN);
  lab.advance(10);
  expect(lab.nat.list(lab.now).sessions).toEqual([
    {
      protocol: 6,
      original: {
        source: '10.8.0.2',
        sourcePort: 5000,
        destination: '172.16.0.3',
        destinationPort: 80,
        packets: 2,
        bytes: 80,
      },
      reply: {
        source: '172.16.0.3',
        sourcePort: 80,
        destination: '172.16.0.9',
        destinationPort: 5000,
        packets: 1,
        bytes: 140,
      },
      from: PEER_A,
      to: ZONE_TUN,
      state: 'established',
      halfOpen: false,
      ageSec: 10,
      idleSec: 10,
      timeoutSec: 7430,
      dnatRule: undefined,
      snatRule: 1,
    },
  ]);
});

test('stats count sessions by state, ports, hosts and refusals', () => {
  const lab = new NatLab([ALIAS, RANGE]);
  for (let i = 0; i < 3; i++) lab.send(udpFrom(`10.9.0.2:${5000 + i}`, SERVER), PEER_A, ZONE_TUN);
  lab.send(udpFrom('10.9.0.3:5000', SERVER), PEER_A, ZONE_TUN);
  lab.send(tcpFrom(CLIENT, SERVER, SYN), PEER_A, ZONE_TUN);
  lab.send(echo('10.8.0.2', '172.16.0.3', 8, 1), PEER_A, ZONE_TUN);
  lab.send(udpFrom('172.16.0.3:1', '172.16.0.9:2'), ZONE_TUN, PEER_A);
  const stats = lab.nat.stats()!;
  expect(stats).toMatchObject({
    sessions: 6,
    maxSessions: 1024,
    halfOpen: 6,
    mappings: 5,
    hosts: 3,
    states: { 'udp one-way': 4, 'icmp one-way': 1, 'tcp syn-sent': 1 },
    topHosts: [
      { address: '10.9.0.2', sessions: 3, halfOpen: 3 },
      { address: '10.8.0.2', sessions: 2, halfOpen: 2 },
      { address: '10.9.0.3', sessions: 1, halfOpen: 1 },
    ],
    refusals: [{ reason: DropReason.NatFiltered, packets: 1 }],
  });
  expect(stats.ports).toContainEqual({
    address: '172.16.0.2',
    kind: 'range',
    protocol: 17,
    used: 4,
    total: 4535,
  });
  expect(stats.ports).toContainEqual({
    address: '172.16.0.9',
    kind: 'alias',
    protocol: 6,
    used: 1,
    total: 64512,
  });
});

test('explain tells what would happen to a new flow, and opens nothing', () => {
  const lab = new NatLab([FORWARD, ALIAS]);
  expect(explain(lab, tcpFrom(CLIENT, SERVER, SYN), PEER_A, ZONE_TUN)).toMatchObject({
    verdict: PASS,
    plan: 'new',
    session: undefined,
    snatRule: 1,
    source: { address: '172.16.0.9', port: undefined, ports: { first: 1024, last: 65535 } },
    destination: undefined,
    opensSession: true,
  });
  expect(explain(lab, tcpFrom('198.51.100.7:1', '172.16.0.9:8080', SYN), ZONE_TUN)).toMatchObject({
    dnatRule: 0,
    destination: { address: '10.8.0.3', port: 80 },
    source: undefined,
  });
  expect(explain(lab, tcpFrom('198.51.100.7:1', '172.16.0.9:8081', SYN), ZONE_TUN).verdict).toBe(
    DropReason.NatFiltered,
  );
  expect(explain(lab, echo('198.51.100.7', '172.16.0.9', 8, 1), ZONE_TUN).plan).toBe('echo');
  expect(lab.nat.list(lab.now).sessions).toHaveLength(0);
  expect(lab.nat.stats()!.refusals).toEqual([]);
});

test('explain names the rule for which a new flow keeps its source', () => {
  const options = { egressOf: (to: string) => (to.startsWith('172.16.') ? 'eth1' : 'eth0') };
  const onEth1 = snat({ from: '10.8.0.0/24' }, address('172.16.0.9'), { egress: 'eth1' });
  const lab = new NatLab([none({ to: '172.16.5.0/24' }), onEth1], options);
  const to = (destination: string) => explain(lab, tcpFrom(CLIENT, destination, SYN), PEER_A, ZONE_TUN);
  expect(to('172.16.5.1:80')).toMatchObject({ source: undefined, exemptedBy: 0, passedOver: undefined });
  expect(to('203.0.113.9:80')).toMatchObject({ source: undefined, exemptedBy: undefined, passedOver: 1 });
  expect(to(SERVER)).toMatchObject({ snatRule: 1, exemptedBy: undefined, passedOver: undefined });
});

test('explain names the session of a known flow and of an ICMP error about it', () => {
  const lab = new NatLab([ALIAS]);
  const sent = lab.send(tcpFrom(CLIENT, SERVER, SYN), PEER_A, ZONE_TUN);
  expect(explain(lab, tcpFrom(SERVER, '172.16.0.9:5000', RST), ZONE_TUN, PEER_A)).toMatchObject({
    plan: 'known',
    session: { state: 'syn-sent' },
    snatRule: 0,
    source: { address: '172.16.0.3', port: 80 },
    destination: { address: '10.8.0.2', port: 5000 },
  });
  expect(explain(lab, errorAbout('172.16.0.77', '172.16.0.9', sent.packet), ZONE_TUN).plan).toBe('error');
  expect(lab.nat.list(lab.now).sessions).toMatchObject([{ state: 'syn-sent', reply: { packets: 0 } }]);
});

test('explain says that a packet at a shared address goes back to the kernel', () => {
  const lab = new NatLab([RANGE]);
  const explained = explain(lab, tcpFrom('172.16.0.3:1', '172.16.0.2:61000', SYN), ZONE_TUN, PEER_B);
  expect(explained).toMatchObject({ verdict: PASS, plan: 'pass', reinject: true, opensSession: false });
});
