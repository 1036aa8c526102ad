/** Fragments of translated packets: the first decides for those that follow, or came before (RFC 4787 REQ-14). */
import { expect, test } from 'vitest';
import { fragments, icmp, udp } from '../support/ip-packets.ts';
import {
  address,
  checksumsAreRight,
  describe,
  errorAbout,
  NatLab,
  PEER_A,
  range,
  snat,
  udpFrom,
  ZONE_TUN,
} from '../support/nat.ts';

const ALIAS = snat({ from: '10.8.0.0/24' }, address('172.16.0.9'));
const CLIENT = { source: '10.8.0.2', destination: '172.16.0.3' };
const SERVER = { source: '172.16.0.3', destination: '172.16.0.9' };
const DATA = Buffer.from(Array.from({ length: 3000 }, (_, i) => i & 0xff));

function pieces(ends: typeof CLIENT, sourcePort: number, destinationPort: number, id = 7): Buffer[] {
  return fragments(ends, udp({ sourcePort, destinationPort, data: DATA }), id, 1480, 2960);
}

/** The packet whose fragments these are, in any order. */
function reassembled(parts: readonly Buffer[]): Buffer {
  const sorted = [...parts].sort((a, b) => (a.readUInt16BE(6) & 0x1fff) - (b.readUInt16BE(6) & 0x1fff));
  const header = Buffer.from(sorted[0].subarray(0, 20));
  const payload = Buffer.concat(sorted.map((part) => part.subarray(20)));
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(0, 6);
  header.writeUInt16BE(0, 10);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += header.readUInt16BE(i);
  header.writeUInt16BE(0xffff - ((sum & 0xffff) + (sum >>> 16)), 10);
  return Buffer.concat([header, payload]);
}

test.each([
  ['in order', [0, 1, 2]],
  ['in reverse order', [2, 1, 0]],
  ['the first in the middle', [1, 0, 2]],
])('a new flow in three fragments, %s', (_, order) => {
  const lab = new NatLab([ALIAS]);
  const parts = pieces(CLIENT, 5000, 7777);
  const arrived: Buffer[] = [];
  for (const i of order) {
    const sent = lab.send(parts[i], PEER_A, ZONE_TUN);
    if (sent.reason === 'pass') arrived.push(sent.packet);
    for (let freed = lab.release(ZONE_TUN); freed !== undefined; freed = lab.release(ZONE_TUN)) {
      expect(freed.reason).toBe('pass');
      arrived.push(freed.packet);
    }
  }
  expect(arrived).toHaveLength(3);
  const packet = reassembled(arrived);
  expect(checksumsAreRight(packet)).toBe(true);
  expect(packet.subarray(12, 24).toString('hex')).toBe('ac100009ac10000313881e61');
  expect(packet.subarray(28)).toEqual(DATA);
  expect(lab.nat.list(lab.now).sessions).toMatchObject([{ original: { packets: 3, bytes: 3008 + 60 } }]);
});

test("fragments from the gateway's own address go by the raw socket, those from an alias do not", () => {
  const own = snat({ from: '10.8.0.0/24' }, range('172.16.0.2'));
  const doors = [own, ALIAS].map((rule) => {
    const lab = new NatLab([rule]);
    return pieces(CLIENT, 5000, 7777).map((part) => lab.send(part, PEER_A, ZONE_TUN).viaIcmpSocket);
  });
  expect(doors).toEqual([
    [true, true, true],
    [false, false, false],
  ]);
});

test('an answer in fragments goes back to the inside host', () => {
  const lab = new NatLab([ALIAS]);
  lab.send(udpFrom('10.8.0.2:5000', '172.16.0.3:7777'), PEER_A, ZONE_TUN);
  const sent = pieces(SERVER, 7777, 5000).map((part) => lab.send(part, ZONE_TUN, PEER_A));
  expect(sent.map(({ routedTo }) => routedTo)).toEqual(['10.8.0.2', '10.8.0.2', '10.8.0.2']);
  const packet = reassembled(sent.map(({ packet }) => packet));
  expect(checksumsAreRight(packet)).toBe(true);
  expect(packet.readUInt16BE(22)).toBe(5000);
});

test('an answer in fragments from another port of a known host goes by the mapping', () => {
  const lab = new NatLab([ALIAS]);
  lab.send(udpFrom('10.8.0.2:5000', '172.16.0.3:7777'), PEER_A, ZONE_TUN);
  const sent = pieces(SERVER, 9999, 5000).map((part) => lab.send(part, ZONE_TUN, PEER_A));
  expect(checksumsAreRight(reassembled(sent.map(({ packet }) => packet)))).toBe(true);
  expect(sent.map(({ routedTo }) => routedTo)).toEqual(['10.8.0.2', '10.8.0.2', '10.8.0.2']);
});

test('what follows a first fragment that was refused is refused as well', () => {
  const lab = new NatLab([ALIAS]);
  const [first, second] = pieces(SERVER, 7777, 5000);
  expect(lab.send(first, ZONE_TUN, PEER_A).text).toBe('NatFiltered');
  expect(lab.send(second, ZONE_TUN, PEER_A).text).toBe('NatFragment');
});

test('what follows a first fragment that no rule touches passes as it is', () => {
  const lab = new NatLab([ALIAS]);
  const parts = pieces({ source: '10.9.0.2', destination: '10.9.1.2' }, 5000, 7777);
  for (const part of parts) expect(lab.send(part, PEER_A, PEER_A).packet).toEqual(part);
});

test('a fragment whose first does not come in two seconds is dropped and counted', () => {
  const lab = new NatLab([ALIAS]);
  expect(lab.send(pieces(CLIENT, 5000, 7777)[1], PEER_A, ZONE_TUN).reason).toBe('consumed');
  lab.now.ms += 2001;
  expect(lab.nat.tick(lab.now)).toBe(1);
  expect(lab.release(ZONE_TUN)).toBe(undefined);
});

test('a fragment of a session that ended meanwhile does not leave', () => {
  const lab = new NatLab([ALIAS]);
  const [first, second] = pieces(CLIENT, 5000, 7777);
  lab.send(first, PEER_A, ZONE_TUN);
  lab.nat.flush();
  expect(lab.send(second, PEER_A, ZONE_TUN).text).toBe('NatFragment');
});

test('fragments find their session when the table has grown in between', () => {
  const lab = new NatLab([ALIAS], { settings: { maxSessions: 16 } });
  const [first, ...later] = pieces(CLIENT, 5000, 7777);
  lab.send(first, PEER_A, ZONE_TUN);
  lab.reconfigure([ALIAS], { maxSessions: 64 });
  expect(later.map((part) => lab.send(part, PEER_A, ZONE_TUN).reason)).toEqual(['pass', 'pass']);
});

/** A port unreachable of `source` about the packet of 3 kB, in two fragments. */
function errorPieces(source: string, destination: string, quoted: Buffer): Buffer[] {
  return fragments({ source, destination }, icmp({ version: 4, type: 3, code: 3, data: quoted }), 9, 1480);
}

test.each([
  ['in order', [0, 1]],
  ['the first last', [1, 0]],
])('an ICMP error in fragments, %s, is translated and keeps nothing alive', (_, order) => {
  const lab = new NatLab([ALIAS]);
  const asSent = udpFrom('10.8.0.2:5000', '172.16.0.3:7777', 3000);
  const asLeft = Buffer.from(lab.send(asSent, PEER_A, ZONE_TUN).packet);
  lab.advance(10);
  const before = lab.nat.list(lab.now).sessions;
  const parts = errorPieces('172.16.0.99', '172.16.0.9', asLeft);
  const arrived: Buffer[] = [];
  for (const i of order) {
    const sent = lab.send(parts[i], ZONE_TUN, PEER_A);
    if (sent.reason === 'pass') arrived.push(sent.packet);
    const freed = lab.release(PEER_A);
    if (freed !== undefined) arrived.push(freed.packet);
  }
  const error = reassembled(arrived);
  expect(describe(error)).toBe('172.16.0.99 > 10.8.0.2 icmp 3/3 (10.8.0.2:5000 > 172.16.0.3:7777)');
  expect(checksumsAreRight(error)).toBe(true);
  expect(error.subarray(28)).toEqual(asSent);
  expect(lab.nat.list(lab.now).sessions).toEqual(before);
});

test('an ICMP error of an inside host in fragments hides where it comes from', () => {
  const lab = new NatLab([ALIAS]);
  lab.send(udpFrom('10.8.0.2:5000', '172.16.0.3:7777'), PEER_A, ZONE_TUN);
  const answer = udpFrom('172.16.0.3:7777', '172.16.0.9:5000', 3000);
  const received = Buffer.from(lab.send(answer, ZONE_TUN, PEER_A).packet);
  const sent = errorPieces('10.8.0.2', '172.16.0.3', received).map((part) =>
    lab.send(part, PEER_A, ZONE_TUN),
  );
  const error = reassembled(sent.map(({ packet }) => packet));
  expect(describe(error)).toBe('172.16.0.9 > 172.16.0.3 icmp 3/3 (172.16.0.3:7777 > 172.16.0.9:5000)');
  expect(checksumsAreRight(error)).toBe(true);
});

test('what follows an ICMP error about a session that ended meanwhile does not leave', () => {
  const lab = new NatLab([ALIAS]);
  const { packet } = lab.send(udpFrom('10.8.0.2:5000', '172.16.0.3:7777', 3000), PEER_A, ZONE_TUN);
  const [first, second] = errorPieces('172.16.0.99', '172.16.0.9', Buffer.from(packet));
  expect(lab.send(first, ZONE_TUN, PEER_A).reason).toBe('pass');
  lab.nat.flush();
  expect(lab.send(second, ZONE_TUN, PEER_A).text).toBe('NatFragment');
});

test('an ICMP error in fragments that no rule touches passes as it is', () => {
  const lab = new NatLab([ALIAS]);
  const quoted = udpFrom('10.9.1.2:1', '10.9.0.2:2', 3000);
  for (const part of errorPieces('10.9.0.2', '10.9.1.2', quoted))
    expect(lab.send(part, PEER_A, PEER_A).packet).toEqual(part);
});

test('an ICMP error about a later fragment is about no session (RFC 1122 3.2.2 forbids it)', () => {
  const lab = new NatLab([ALIAS]);
  const [, second] = pieces(CLIENT, 5000, 7777).map((part) =>
    Buffer.from(lab.send(part, PEER_A, ZONE_TUN).packet),
  );
  expect(lab.send(errorAbout('172.16.0.99', '172.16.0.9', second), ZONE_TUN, PEER_A).text).toBe(
    'IcmpUnrelated',
  );
});
