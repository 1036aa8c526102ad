import { expect, test } from 'vitest';
import {
  ACK,
  address,
  dnat,
  NatLab,
  none,
  PEER_A,
  range,
  snat,
  SYN,
  SYN_ACK,
  tcpFrom,
  udpFrom,
  ZONE_TUN,
} from '../support/nat.ts';

const ALIAS = snat({ from: '10.8.0.0/24' }, address('172.16.0.9'));
const OTHER = snat({ from: '10.9.0.0/24' }, address('172.16.0.10'));
const FORWARD = dnat({ to: '203.0.113.2/32', protocol: 6, ports: [8080, 8080] }, '10.8.0.3', 80);
const CLIENT = '10.8.0.2:5000';
const SERVER = '172.16.0.3:80';

test('a session stays when its rule does, wherever the rule stands then, and counters with it', () => {
  const lab = new NatLab([ALIAS]);
  lab.send(tcpFrom(CLIENT, SERVER, SYN), PEER_A, ZONE_TUN);
  lab.reconfigure([OTHER, none({ from: '10.7.0.0/24' }), { ...ALIAS, text: 'written differently' }]);
  expect(lab.send(tcpFrom(SERVER, '172.16.0.9:5000', SYN_ACK), ZONE_TUN, PEER_A).text).toBe(
    `${SERVER} > ${CLIENT}`,
  );
  expect(lab.nat.list(lab.now)).toMatchObject([{ snatRule: 2 }]);
  expect(lab.nat.rules().map(({ sessions }) => sessions)).toEqual([0, 0, 1]);
});

test('a session ends with its rule', () => {
  const lab = new NatLab([ALIAS, OTHER, FORWARD]);
  lab.send(tcpFrom(CLIENT, SERVER, SYN), PEER_A, ZONE_TUN);
  lab.send(tcpFrom('198.51.100.7:1', '203.0.113.2:8080', SYN), ZONE_TUN, PEER_A);
  lab.reconfigure([OTHER]);
  expect(lab.nat.list(lab.now)).toHaveLength(0);
  expect(lab.nat.stats()).toMatchObject({ mappings: 0, hosts: 0, halfOpen: 0 });
});

test('a session ends when its external address changes (check 17), and guard sockets close', () => {
  const masquerade = (to: string) => snat({ from: '10.8.0.0/24' }, range(to), { egress: 'eth1' });
  const lab = new NatLab([masquerade('172.16.0.2')]);
  const send = () => lab.send(udpFrom(CLIENT, SERVER), PEER_A, ZONE_TUN).text;
  expect(send()).toMatch(/^172\.16\.0\.2:/);
  expect(lab.guarded.size).toBe(1);
  lab.reconfigure([masquerade('172.16.0.20')]);
  expect(lab.nat.list(lab.now)).toHaveLength(0);
  expect(lab.guarded.size).toBe(0);
  expect(send()).toMatch(/^172\.16\.0\.20:/);
});

test('an address that is gone for a while lets nothing out meanwhile', () => {
  const lab = new NatLab([ALIAS]);
  lab.reconfigure([snat({ from: '10.8.0.0/24' }, undefined)]);
  expect(lab.send(udpFrom(CLIENT, SERVER), PEER_A, ZONE_TUN).text).toBe('NatNoPort');
  lab.reconfigure([ALIAS]);
  expect(lab.send(udpFrom(CLIENT, SERVER), PEER_A, ZONE_TUN).text).toBe(`172.16.0.9:5000 > ${SERVER}`);
});

test('rules may come and go while it runs', () => {
  const lab = new NatLab([]);
  const send = () => lab.send(tcpFrom(CLIENT, SERVER, SYN), PEER_A, ZONE_TUN).text;
  expect(send()).toBe(`${CLIENT} > ${SERVER}`);
  expect(lab.nat.stats()).toBe(undefined);
  lab.reconfigure([ALIAS]);
  expect(send()).toBe(`172.16.0.9:5000 > ${SERVER}`);
  lab.reconfigure([]);
  expect(send()).toBe(`${CLIENT} > ${SERVER}`);
});

test('a changed timeout holds from the next packet on', () => {
  const lab = new NatLab([ALIAS]);
  const send = () => lab.send(udpFrom(CLIENT, SERVER), PEER_A, ZONE_TUN);
  send();
  lab.reconfigure([ALIAS], { timeouts: { ...lab.settings.timeouts, udpOneWay: 10 } });
  expect(lab.nat.list(lab.now)).toMatchObject([{ timeoutSec: 120 }]);
  send();
  expect(lab.nat.list(lab.now)).toMatchObject([{ timeoutSec: 10 }]);
  expect(lab.advance(11).nat.list(lab.now)).toHaveLength(0);
});

test('flush ends everything and gives all ports back', () => {
  const lab = new NatLab([snat({ from: '10.8.0.0/24' }, range('172.16.0.2'))]);
  for (let i = 0; i < 20; i++) lab.send(udpFrom(`10.8.0.2:${5000 + i}`, SERVER), PEER_A, ZONE_TUN);
  lab.send(tcpFrom(CLIENT, SERVER, SYN), PEER_A, ZONE_TUN);
  expect(lab.nat.flush()).toBe(21);
  expect(lab.guarded.size).toBe(0);
  const stats = lab.nat.stats()!;
  expect(stats).toMatchObject({ sessions: 0, mappings: 0, hosts: 0, halfOpen: 0, states: {} });
  expect(stats.ports.every(({ used }) => used === 0)).toBe(true);
});

test('a flow that was known continues after a flush as one picked up in the middle', () => {
  const lab = new NatLab([ALIAS]);
  const out = (flags: number) => lab.send(tcpFrom(CLIENT, SERVER, flags), PEER_A, ZONE_TUN).text;
  const back = (flags: number) => lab.send(tcpFrom(SERVER, '172.16.0.9:5000', flags), ZONE_TUN, PEER_A).text;
  out(SYN);
  back(SYN_ACK);
  out(ACK);
  lab.nat.flush();
  expect(back(ACK)).toBe('NatFiltered');
  out(ACK);
  expect(lab.nat.list(lab.now)).toMatchObject([{ state: 'syn-sent' }]);
  back(ACK);
  out(ACK);
  expect(lab.nat.list(lab.now)).toMatchObject([{ state: 'established' }]);
});
