import { describe, expect, test } from 'vitest';
import { HeapArena } from '../../src/packet/arena.ts';
import { Batch } from '../../src/packet/batch.ts';
import { FlowRun } from '../../src/packet/flow-run.ts';
import { ipPacket, tcp, udp, type IpShape } from '../support/ip-packets.ts';

const SHAPE = { slots: 2, capacity: 2048 };
const ENDS = { source: '10.1.0.5', destination: '172.16.0.3' };
const PORTS = { sourcePort: 5000, destinationPort: 80 };
const ACK = 0x10;

const tcpPacket = (shape: Partial<IpShape> = {}, flags = ACK, data = 100) =>
  ipPacket({ ...ENDS, ...shape }, tcp({ ...PORTS, flags, data: Buffer.alloc(data) }));
const udpPacket = (data = 100, ports = PORTS) => ipPacket(ENDS, udp({ ...ports, data: Buffer.alloc(data) }));

function batchOf(...packets: readonly Uint8Array[]): Batch {
  const batch = new Batch(new HeapArena(Batch.arenaSize(SHAPE) + 64), SHAPE);
  for (const [slot, packet] of packets.entries()) {
    batch.bytes.set(packet, batch.packetOffset(slot));
    batch.commit(slot, packet.length);
  }
  return batch;
}

const option = Buffer.from([1, 1, 1, 0]);
const withDataOffset = (words: number) => {
  const packet = tcpPacket();
  packet[32] = words << 4;
  return packet;
};

describe('a run goes on with', () => {
  test.each([
    ['the same packet', tcpPacket(), tcpPacket()],
    ['another length', tcpPacket(), tcpPacket({}, ACK, 1300)],
    ['a push', tcpPacket(), tcpPacket({}, 0x18)],
    ['a bare acknowledgement', tcpPacket(), tcpPacket({}, ACK, 0)],
    ['UDP of another length', udpPacket(), udpPacket(20)],
  ])('%s', (_, first, second) => {
    const run = new FlowRun();
    const batch = batchOf(first, second);
    expect(run.begin(batch, 0)).toBe(true);
    expect(run.continues(batch, 1)).toBe(true);
  });
});

describe('a run ends with', () => {
  test.each([
    ['another source', tcpPacket(), tcpPacket({ source: '10.1.0.6' })],
    ['another destination', tcpPacket(), tcpPacket({ destination: '172.16.0.4' })],
    ['another port', udpPacket(), udpPacket(100, { ...PORTS, sourcePort: 5001 })],
    ['another protocol', tcpPacket(), udpPacket()],
    ['another TTL', tcpPacket(), tcpPacket({ ttl: 1 })],
    ['a SYN', tcpPacket(), tcpPacket({}, 0x02)],
    ['a SYN with acknowledgement', tcpPacket(), tcpPacket({}, 0x12)],
    ['a FIN', tcpPacket(), tcpPacket({}, 0x11)],
    ['a RST', tcpPacket(), tcpPacket({}, 0x14)],
    ['no flags', tcpPacket(), tcpPacket({}, 0)],
    ['a first fragment', tcpPacket(), tcpPacket({ fragment: { offset: 0, more: true, id: 1 } })],
    ['a later fragment', tcpPacket(), tcpPacket({ fragment: { offset: 64, more: false, id: 1 } })],
    ['IP options', tcpPacket(), tcpPacket({ options: option })],
    ['a TCP header cut short', tcpPacket(), tcpPacket().subarray(0, 36)],
    ['a TCP header longer than the packet', tcpPacket({}, ACK, 0), withDataOffset(15).subarray(0, 60)],
    ['a TCP header shorter than any', tcpPacket(), withDataOffset(4)],
    ['a UDP header cut short', udpPacket(), udpPacket().subarray(0, 24)],
  ])('%s', (_, first, second) => {
    const run = new FlowRun();
    const batch = batchOf(first, second);
    expect(run.begin(batch, 0)).toBe(true);
    expect(run.continues(batch, 1)).toBe(false);
  });

  test.each([
    ['a SYN', tcpPacket({}, 0x02)],
    ['a fragment', tcpPacket({ fragment: { offset: 0, more: true, id: 1 } })],
    ['IP options', tcpPacket({ options: option })],
    ['IPv6', ipPacket({ source: 'fd01::1', destination: 'fd02::1' }, tcp({ ...PORTS, flags: ACK }))],
  ])('and none begins with %s', (_, packet) => {
    expect(new FlowRun().begin(batchOf(packet), 0)).toBe(false);
  });
});
