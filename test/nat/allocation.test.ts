import { expect, test } from 'vitest';
import { bytesPerCall } from '../support/allocs.ts';
import {
  ACK,
  address,
  NatLab,
  PEER_A,
  PEER_B,
  snat,
  SYN,
  tcpFrom,
  udpFrom,
  ZONE_TUN,
} from '../support/nat.ts';
import { PASS } from '../../src/packet/verdict.ts';

/** Below one object a call: what is left is the measuring. */
const NEXT_TO_NOTHING = 1;

const INTO_TUNNEL = snat({ from: '192.168.0.0/16' }, address('10.8.0.1'), { out: 'peers' });
const ALIAS = snat({ from: '10.8.0.0/24' }, address('172.16.0.9'));

/** Classifies and translates the same packet again and again. */
function repeat(lab: NatLab, packet: Uint8Array, from: number, to: number): () => void {
  const { batch, nat, now } = lab;
  return () => {
    for (let i = 0; i < packet.length; i++) batch.bytes[batch.packetOffset(0) + i] = packet[i];
    batch.commit(0, packet.length);
    if (nat.classify(batch, 0, from, now) !== PASS) throw new Error('refused');
    if (nat.translate(batch, 0, from, to, now) !== PASS) throw new Error('refused');
  };
}

test.each([
  ['a TCP session, outbound', tcpFrom('10.8.0.2:5000', '172.16.0.3:80', ACK), PEER_A, ZONE_TUN],
  ['a TCP session, inbound', tcpFrom('172.16.0.3:80', '172.16.0.9:5000', ACK), ZONE_TUN, PEER_A],
  ['a UDP session', udpFrom('10.8.0.2:6000', '172.16.0.3:53'), PEER_A, ZONE_TUN],
  ['UDP from another port of a known host', udpFrom('172.16.0.3:99', '172.16.0.9:6000'), ZONE_TUN, PEER_A],
  ['what no rule touches', udpFrom('10.9.0.2:6000', '10.9.1.3:53'), PEER_A, PEER_B],
])('packets of %s allocate nothing', (_, packet, from, to) => {
  const lab = new NatLab([INTO_TUNNEL, ALIAS]);
  lab.send(tcpFrom('10.8.0.2:5000', '172.16.0.3:80', SYN), PEER_A, ZONE_TUN);
  lab.send(udpFrom('10.8.0.2:6000', '172.16.0.3:53'), PEER_A, ZONE_TUN);
  expect(bytesPerCall(repeat(lab, packet, from, to))).toBeLessThan(NEXT_TO_NOTHING);
});

test('ticks allocate nothing', () => {
  const lab = new NatLab([ALIAS]);
  for (let i = 0; i < 200; i++) lab.send(udpFrom(`10.8.0.2:${5000 + i}`, '172.16.0.3:53'), PEER_A, ZONE_TUN);
  const { nat, now } = lab;
  const tick = () => {
    now.ms++;
    nat.tick(now);
  };
  expect(bytesPerCall(tick)).toBeLessThan(NEXT_TO_NOTHING);
});
