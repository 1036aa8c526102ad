import { expect, it } from 'vitest';
import { DropReason } from '../../src/packet/verdict.ts';
import { ipv4Packet, Pair } from '../support/pair.ts';

function packetWithTos(tos: number): Uint8Array {
  const packet = ipv4Packet(60);
  packet[1] = tos;
  // RFC 1624 for the one word that changed.
  const checksum = (packet[10] << 8) + packet[11] - tos;
  packet.set([(checksum >> 8) & 0xff, checksum & 0xff], 10);
  return packet;
}

/** What A's datagrams are sent with; they arrive at B with `arriving`, if it is given. */
function watchOuter(pair: Pair, arriving?: number): number[] {
  const sent: number[] = [];
  const { port: a } = pair.a;
  const { port: b } = pair.b;
  const [send, receive] = [a.sendBatch.bind(a), b.recvBatch.bind(b)];
  a.sendBatch = (batch, first, end) => {
    sent.push(...batch.trafficClass.subarray(first, end));
    return send(batch, first, end);
  };
  b.recvBatch = (batch) => {
    const received = receive(batch);
    if (arriving !== undefined) batch.trafficClass.fill(arriving, 0, received);
    return received;
  };
  return sent;
}

it('with passtos, each datagram leaves with the DSCP of its packet', () => {
  const pair = new Pair({ a: { passTos: true } }).connect();
  const sent = watchOuter(pair);
  pair.a.toSend.push(packetWithTos(0xb8), packetWithTos(0x21), ipv4Packet(60), packetWithTos(0xb8));
  pair.settle();
  expect(sent).toEqual([0xb8, 0x20, 0, 0xb8]);
});

it('with passtos, the fragments of a packet leave with its DSCP', () => {
  const pair = new Pair({ a: { passTos: true, maxFragment: 32 }, b: { maxFragment: 32 } }).connect();
  const sent = watchOuter(pair);
  pair.a.toSend.push(packetWithTos(0xb8), ipv4Packet(60));
  pair.settle();
  expect(sent.slice(0, sent.length / 2)).toEqual(new Array(sent.length / 2).fill(0xb8));
  expect(sent.slice(sent.length / 2)).toEqual(new Array(sent.length / 2).fill(0));
  expect(pair.b.delivered).toEqual([packetWithTos(0xb8), ipv4Packet(60)]);
});

it('without passtos, none has a mark', () => {
  const pair = new Pair().connect();
  const sent = watchOuter(pair);
  pair.a.toSend.push(packetWithTos(0xb8));
  pair.settle();
  expect(sent).toEqual([0]);
});

it('a mark of congestion goes to the packet inside, or drops one that cannot have it', () => {
  const pair = new Pair({ b: { passTos: true } }).connect();
  watchOuter(pair, 0x03);
  pair.a.toSend.push(packetWithTos(0x02), packetWithTos(0x01), packetWithTos(0x00));
  pair.settle();
  expect(pair.b.delivered).toEqual([packetWithTos(0x03), packetWithTos(0x03)]);
  expect(pair.b.drops(DropReason.Congestion)).toBe(1);
});
