/** A flood from a peer that is answered packet by packet must not cost others theirs: the TUN device's queue is short. */
import { expect, it } from 'vitest';
import { MAX_PACKET, type Batch } from '../../src/packet/batch.ts';
import type { TransportPort } from '../../src/transport/port.ts';
import { ipv4Packet, Pair } from '../support/pair.ts';

/** Packets a TUN device holds for us (drivers/net/tun.c, TUN_READQ_SIZE). */
const QUEUE = 500;
const SIZE = 60;
const OTHERS = 0x4000_0000;
/** As UDP_GRO has it. */
const RUN = 64;

/** Takes all datagrams that wait at `port` at once, in runs that share a buffer, as the kernel hands them over. */
function inRuns(port: TransportPort, waiting: readonly Uint8Array[], source: Uint8Array): void {
  let next = 0;
  port.recvBatch = (batch: Batch) => {
    const first = batch.count;
    for (let buffer = 0; buffer < batch.buffers && next < waiting.length; buffer++) {
      let at = batch.packetOffset(buffer);
      batch.bytes.set(source, batch.endpointOffset(buffer));
      for (let i = 0; i < RUN && next < waiting.length && batch.count < batch.slots; i++) {
        const datagram = waiting[next++];
        batch.bytes.set(datagram, at);
        const slot = batch.count++;
        batch.commitAt(slot, at, datagram.length);
        batch.endpoint[slot] = batch.endpointOffset(buffer);
        at += datagram.length;
        if (at > batch.packetOffset(buffer) + MAX_PACKET) throw new Error('a run is longer than a buffer');
      }
    }
    return batch.count - first;
  };
}

/** B's host answers every packet at once, and another of its flows sends a packet for each 16. */
function floodedPair(datagrams: number) {
  const pair = new Pair({ rows: 8192 }).connect();
  const flood: Uint8Array[] = [];
  pair.wire.eavesdropper = (bytes, offset, length) => flood.push(bytes.slice(offset, offset + length));
  for (let i = 0; i < datagrams; i++) pair.a.toSend.push(ipv4Packet(SIZE, i));
  while (pair.a.toSend.length > 0) {
    pair.a.engine.tunReady = true;
    pair.a.engine.breathe();
  }
  pair.wire.eavesdropper = undefined;
  inRuns(pair.b.port, flood, pair.a.port.source);
  const queue = pair.b.toSend;
  const dropped = { answers: 0, others: 0 };
  const enqueue = (packet: Uint8Array, of: keyof typeof dropped) => {
    if (queue.length < QUEUE) queue.push(packet);
    else dropped[of]++;
  };
  let delivered = 0;
  pair.b.tun.sink = () => {
    enqueue(ipv4Packet(SIZE, delivered), 'answers');
    if (delivered++ % 16 === 0) enqueue(ipv4Packet(SIZE, OTHERS + delivered), 'others');
    return true;
  };
  return { pair, dropped, delivered: () => delivered };
}

it.each([256, 1024, 4096])('packets of other flows survive a flood of %i that is answered', (datagrams) => {
  const { pair, dropped, delivered } = floodedPair(datagrams);
  for (let i = 0; i < 100; i++) {
    pair.b.engine.everythingReady();
    pair.b.engine.breathe();
  }
  expect(delivered()).toBe(datagrams);
  expect(dropped).toEqual({ answers: 0, others: 0 });
  expect(pair.b.toSend).toEqual([]);
});

it('while packets wait for a full socket, the TUN device is left alone', () => {
  const { pair, delivered } = floodedPair(2048);
  pair.b.port.blocked = true;
  for (let i = 0; i < 10; i++) {
    pair.b.engine.everythingReady();
    pair.b.engine.breathe();
  }
  expect(delivered()).toBe(2048);
  expect(pair.b.toSend.length).toBe(QUEUE);
});
