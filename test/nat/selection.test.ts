/** Sessions as operators choose them, and as they are listed when there are many. */
import { expect, test } from 'vitest';
import { FlowHash } from '../../src/nat/hash.ts';
import { networkOf } from '../../src/nat/rule-book.ts';
import type { SessionFilter } from '../../src/nat/session-filter.ts';
import { SessionTable } from '../../src/nat/session-table.ts';
import { parsePrefix } from '../../src/packet/prefix.ts';
import {
  ACK,
  address,
  echo,
  NatLab,
  PEER_A,
  snat,
  SYN,
  SYN_ACK,
  tcpFrom,
  udpFrom,
  ZONE_TUN,
} from '../support/nat.ts';

const ALIAS = snat({ from: '10.8.0.0/16' }, address('172.16.0.9'));
const within = (text: string) => ({ network: networkOf(parsePrefix(text)) });

/** Established TCP of 10.8.0.2 from port 5000, DNS of 10.8.0.3 from port 5001, a ping of 10.8.1.4. */
function threeSessions(): NatLab {
  const lab = new NatLab([ALIAS]);
  lab.send(tcpFrom('10.8.0.2:5000', '172.16.0.3:443', SYN), PEER_A, ZONE_TUN);
  lab.send(tcpFrom('172.16.0.3:443', '172.16.0.9:5000', SYN_ACK), ZONE_TUN, PEER_A);
  lab.send(tcpFrom('10.8.0.2:5000', '172.16.0.3:443', ACK), PEER_A, ZONE_TUN);
  lab.send(udpFrom('10.8.0.3:5001', '172.16.0.4:53'), PEER_A, ZONE_TUN);
  lab.send(echo('10.8.1.4', '172.16.0.3', 8, 77), PEER_A, ZONE_TUN);
  return lab;
}

const sources = (lab: NatLab, filter: SessionFilter = {}) =>
  lab.nat.list(lab.now, 0, filter).sessions.map(({ original }) => original.source);

test.each<[string, SessionFilter, readonly string[]]>([
  ['nothing', {}, ['10.8.0.2', '10.8.0.3', '10.8.1.4']],
  ['an inside address', within('10.8.0.3'), ['10.8.0.3']],
  ['a network', within('10.8.0.0/24'), ['10.8.0.2', '10.8.0.3']],
  ['a server', within('172.16.0.3'), ['10.8.0.2', '10.8.1.4']],
  ['the outside address', within('172.16.0.9'), ['10.8.0.2', '10.8.0.3', '10.8.1.4']],
  ['an address of nobody', within('10.8.0.9'), []],
  ['a port of a server', { port: 53 }, ['10.8.0.3']],
  ['a port inside', { port: 5000 }, ['10.8.0.2']],
  ['a protocol', { protocol: 1 }, ['10.8.1.4']],
  ['a state', { state: 'one-way' }, ['10.8.0.3', '10.8.1.4']],
  ['all at once', { ...within('172.16.0.3'), port: 443, protocol: 6, state: 'established' }, ['10.8.0.2']],
  ['what contradicts itself', { port: 443, protocol: 17 }, []],
])('%s selects the sessions that have it, to list and to end', (_, filter, expected) => {
  const lab = threeSessions();
  expect(sources(lab, filter)).toEqual(expected);
  const rest = sources(lab).filter((source) => !expected.includes(source));
  expect(lab.nat.flush(filter)).toBe(expected.length);
  expect(sources(lab)).toEqual(rest);
});

test('many sessions are listed page by page, each once, also when some end in between', () => {
  const lab = new NatLab([ALIAS], { settings: { maxSessions: 4096, perHost: 4096, perHostHalfOpen: 4096 } });
  for (let port = 0; port < 2000; port++)
    lab.send(udpFrom(`10.8.0.2:${2000 + port}`, '172.16.0.3:9'), PEER_A, ZONE_TUN);
  const pages: number[][] = [];
  for (let from: number | undefined = 0; from !== undefined;) {
    const page = lab.nat.list(lab.now, from);
    pages.push(page.sessions.map(({ original }) => original.sourcePort));
    from = page.next;
    if (pages.length === 1) lab.nat.flush({ port: 3999 });
  }
  expect(pages.length).toBeGreaterThan(2);
  expect(pages.flat()).toEqual(Array.from({ length: 1999 }, (_, i) => 2000 + i));
});

test('hosts with most sessions stand first, ten of them', () => {
  const lab = new NatLab([ALIAS]);
  for (let host = 1; host <= 15; host++)
    for (let port = 0; port < host; port++)
      lab.send(udpFrom(`10.8.0.${host}:${2000 + port}`, '172.16.0.3:9'), PEER_A, ZONE_TUN);
  expect(lab.nat.stats()!.topHosts.map(({ address }) => address)).toEqual(
    Array.from({ length: 10 }, (_, i) => `10.8.0.${15 - i}`),
  );
});

test('a session counts more bytes than 32 bits hold', () => {
  const table = new SessionTable(new FlowHash(new Uint8Array(8)));
  table.grow(1);
  for (let packet = 0; packet < 150_000; packet++) table.countPacket(1, 65_535);
  expect(table.bytesOf(1)).toBe(150_000 * 65_535);
  expect(table.bytesOf(0)).toBe(0);
});
