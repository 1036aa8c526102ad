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
  expect(lab.nat.list(lab.now).sessions).toMatchObject([{ snatRule: 2 }]);
  expect(lab.nat.rules().map(({ sessions }) => sessions)).toEqual([0, 0, 1]);
});

test('a session ends with its rule', () => {
  const lab = new NatLab([ALIAS, OTHER, FORWARD]);
  lab.send(tcpFrom(CLIENT, SERVER, SYN), PEER_A, ZONE_TUN);
  lab.send(tcpFrom('198.51.100.7:1', '203.0.113.2:8080', SYN), ZONE_TUN, PEER_A);
  lab.reconfigure([OTHER]);
  expect(lab.nat.list(lab.now).sessions).toHaveLength(0);
  expect(lab.nat.stats()).toMatchObject({ mappings: 0, hosts: 0, halfOpen: 0 });
});

test('a session ends when its external address changes, and guard sockets close', () => {
  const masquerade = (to: string) => snat({ from: '10.8.0.0/24' }, range(to), { egress: 'eth1' });
  const lab = new NatLab([masquerade('172.16.0.2')]);
  const send = () => lab.send(udpFrom(CLIENT, SERVER), PEER_A, ZONE_TUN).text;
  expect(send()).toMatch(/^172\.16\.0\.2:/);
  expect(lab.guarded.size).toBe(1);
  lab.reconfigure([masquerade('172.16.0.20')]);
  expect(lab.nat.list(lab.now).sessions).toHaveLength(0);
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

test('a table that grows keeps every session, and takes as many more', () => {
  const lab = new NatLab([ALIAS], { settings: { maxSessions: 16 } });
  const establish = (i: number) => {
    const client = `10.8.0.${1 + (i % 5)}:${2000 + i}`;
    const out = lab.send(tcpFrom(client, SERVER, SYN), PEER_A, ZONE_TUN).text.split(' ')[0];
    if (out.startsWith('Nat')) return out;
    lab.send(tcpFrom(SERVER, out, SYN_ACK), ZONE_TUN, PEER_A);
    lab.send(tcpFrom(client, SERVER, ACK), PEER_A, ZONE_TUN);
    return out;
  };
  const answersTo = (out: string) => lab.send(tcpFrom(SERVER, out, ACK), ZONE_TUN, PEER_A).text;
  const before = Array.from({ length: 16 }, (_, i) => establish(i));
  expect(establish(16)).toBe('NatTableFull');
  const listed = lab.nat.list(lab.now).sessions;
  lab.reconfigure([ALIAS], { maxSessions: 1000 });
  expect(lab.nat.list(lab.now).sessions).toEqual(listed);
  for (const [i, out] of before.entries())
    expect(answersTo(out)).toBe(`${SERVER} > 10.8.0.${1 + (i % 5)}:${2000 + i}`);
  for (let i = 16; i < 1000; i++) expect(establish(i)).toMatch(/^172\.16\.0\.9:/);
  expect(establish(1000)).toBe('NatTableFull');
  lab.advance(8000);
  expect(lab.nat.stats()).toMatchObject({ sessions: 0, maxSessions: 1000, mappings: 0, hosts: 0 });
});

test('a lower limit ends no session: new ones take the place of half-open ones, or are refused', () => {
  const lab = new NatLab([ALIAS], { settings: { maxSessions: 64 } });
  const open = (port: number) =>
    lab.send(tcpFrom(`10.8.0.2:${port}`, SERVER, SYN), PEER_A, ZONE_TUN).text.split(' ')[0];
  for (let i = 0; i < 20; i++) {
    const out = open(2000 + i);
    lab.send(tcpFrom(SERVER, out, SYN_ACK), ZONE_TUN, PEER_A);
    lab.send(tcpFrom(`10.8.0.2:${2000 + i}`, SERVER, ACK), PEER_A, ZONE_TUN);
  }
  open(3000);
  lab.reconfigure([ALIAS], { maxSessions: 16 });
  expect(lab.nat.stats()).toMatchObject({ sessions: 21, maxSessions: 16 });
  expect(open(3001)).toMatch(/^172\.16\.0\.9:/);
  expect(lab.nat.list(lab.now).sessions.map(({ original }) => original.sourcePort)).not.toContain(3000);
  lab.send(tcpFrom(SERVER, '172.16.0.9:3001', SYN_ACK), ZONE_TUN, PEER_A);
  lab.send(tcpFrom('10.8.0.2:3001', SERVER, ACK), PEER_A, ZONE_TUN);
  expect(open(3002)).toBe('NatTableFull');
  lab.advance(8000);
  for (let i = 0; i < 30; i++) open(4000 + i);
  expect(lab.nat.stats()).toMatchObject({ sessions: 8, halfOpen: 8 });
});

test('a changed timeout holds from the next packet on', () => {
  const lab = new NatLab([ALIAS]);
  const send = () => lab.send(udpFrom(CLIENT, SERVER), PEER_A, ZONE_TUN);
  send();
  lab.reconfigure([ALIAS], { timeouts: { ...lab.settings.timeouts, udpOneWay: 10 } });
  expect(lab.nat.list(lab.now).sessions).toMatchObject([{ timeoutSec: 120 }]);
  send();
  expect(lab.nat.list(lab.now).sessions).toMatchObject([{ timeoutSec: 10 }]);
  expect(lab.advance(11).nat.list(lab.now).sessions).toHaveLength(0);
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
  expect(lab.nat.list(lab.now).sessions).toMatchObject([{ state: 'syn-sent' }]);
  back(ACK);
  out(ACK);
  expect(lab.nat.list(lab.now).sessions).toMatchObject([{ state: 'established' }]);
});
