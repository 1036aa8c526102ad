/** `fragment` and compression of old peers through whole engines. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ControlSender } from '../../src/engine/control-sender.ts';
import { Counter } from '../../src/engine/counters.ts';
import type { PeerSettings } from '../../src/engine/messages.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { ENDPOINT_SIZE, type Batch } from '../../src/packet/batch.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { copyEndpoint } from '../../src/transport/endpoint.ts';
import type { TransportPort } from '../../src/transport/port.ts';
import { writeLz4, writeLzo } from '../oracles/lz-writer.ts';
import { compressed, repetitivePacket } from '../support/compression.ts';
import { ipPacket, tcp } from '../support/ip-packets.ts';
import { ADDRESS_A, ADDRESS_B, breatheAll, ipv4Packet, Pair, type PairOptions } from '../support/pair.ts';
import { wayTo } from '../support/way.ts';

/** fragment 600 with AES-256-CBC and SHA256. */
const FRAGMENT = { maxFragment: 531 };
const LARGEST_DATAGRAM = 592;
const SIZES = [20, 100, 530, 531, 532, 1062, 1400, 1500, 3900];

function both(settings: Partial<PeerSettings>): PairOptions {
  return { a: settings, b: settings };
}

function fragmenting(more: Partial<PeerSettings> = {}): PairOptions {
  return both({ ...FRAGMENT, ...more });
}

function datagramSizes(pair: Pair): number[] {
  const sizes: number[] = [];
  pair.wire.eavesdropper = (_bytes, _offset, length) => sizes.push(length);
  return sizes;
}

/** Sends a payload from a to b past everything but packet id and crypto. */
function sendPayload(pair: Pair, payload: Uint8Array): void {
  const write = (bytes: Uint8Array, offset: number) => (bytes.set(payload, offset), payload.length);
  const now = { ms: pair.clock.ms, sec: pair.clock.unixSeconds() };
  new ControlSender(new HeapArena(ControlSender.arenaSize())).send(pair.a.peer, write, now);
}

describe('packets longer than a fragment', () => {
  const rows: [string, PairOptions][] = [
    ['no framing', fragmenting()],
    ['comp-lzo framing', fragmenting({ framing: 'lzo' })],
    ['compress stub', fragmenting({ framing: 'stub' })],
    ['compress stub-v2', fragmenting({ framing: 'stub-v2' })],
    ['cipher none', { ...fragmenting(), cipher: 'none' }],
    ['no-replay', fragmenting({ replay: { enabled: false, window: 64, timeSec: 15 } })],
    ['separate keys', { ...fragmenting(), keyDirection: true }],
    ['sizes that differ', { a: { maxFragment: 200 }, b: { maxFragment: 1139 } }],
  ];
  it.each(rows)('cross intact, both ways: %s', (_, options) => {
    const pair = new Pair(options).connect();
    for (const size of SIZES) {
      pair.a.toSend.push(ipv4Packet(size, size));
      pair.b.toSend.push(ipv4Packet(size, size + 1));
    }
    pair.settle();
    expect(pair.b.delivered).toEqual(SIZES.map((size) => ipv4Packet(size, size)));
    expect(pair.a.delivered).toEqual(SIZES.map((size) => ipv4Packet(size, size + 1)));
    expect(pair.a.counters.totalDrops() + pair.b.counters.totalDrops()).toBe(0);
    expect(pair.a.counters.get(Counter.TunReadPackets)).toBe(SIZES.length);
    expect(pair.b.counters.get(Counter.TunWritePackets)).toBe(SIZES.length);
  });

  it('make no datagram longer than the config says, and as few as stock makes', () => {
    const pair = new Pair(fragmenting()).connect();
    const sizes = datagramSizes(pair);
    pair.a.toSend.push(ipv4Packet(1428), ipv4Packet(531), ipv4Packet(532));
    pair.settle();
    // 480 + 480 + 468, 531 and 268 + 264 bytes, each with header 4, id 8, padding, IV 16 and HMAC 32.
    expect(sizes).toEqual([544, 544, 544, 592, 336, 336]);
    expect(Math.max(...sizes)).toBe(LARGEST_DATAGRAM);
  });

  it('wait in the middle, in order, while the socket is full', () => {
    const pair = new Pair({ ...both({ maxFragment: 100 }), rows: 1024 }).connect();
    const packets = Array.from({ length: 60 }, (_, i) => ipv4Packet(1500, i));
    pair.a.toSend.push(...packets);
    pair.a.port.blocked = true;
    for (let i = 0; i < 5; i++) breatheAll(pair.a.engine);
    // 15 fragments each: the first 256 datagrams end within the 18th packet.
    expect(pair.a.engine.blocked).toBe(true);
    expect(pair.a.counters.get(Counter.TunReadPackets)).toBe(18);
    pair.a.port.blocked = false;
    pair.settle();
    expect(pair.b.delivered).toEqual(packets);
  });

  it('are given up with the rest when their link goes while they wait', () => {
    const pair = new Pair({ ...both({ maxFragment: 100 }), rows: 1024 }).connect();
    pair.a.toSend.push(...Array.from({ length: 60 }, (_, i) => ipv4Packet(1500, i)));
    pair.a.port.blocked = true;
    for (let i = 0; i < 5; i++) breatheAll(pair.a.engine);
    pair.a.engine.peering.restart(0, 'control');
    pair.a.connect([ADDRESS_B]);
    pair.a.toSend.push(ipv4Packet(1500, 99));
    pair.settle();
    expect(pair.b.delivered).toEqual([ipv4Packet(1500, 99)]);
    // 256 fragments that waited, and the packets that were not cut yet.
    expect(pair.a.drops(DropReason.PeerRestarting)).toBe(256 + 42);
  });

  it('of a TCP super-packet are its segments', () => {
    const pair = new Pair(fragmenting()).connect();
    const data = Uint8Array.from({ length: 40_000 }, (_, i) => i * 3 + (i >> 8));
    const ends = { source: '10.0.0.1', destination: '10.0.0.2' };
    pair.a.toSend.push(ipPacket(ends, tcp({ sourcePort: 80, destinationPort: 5000, data })));
    const { tun } = pair.a;
    const readBatch = tun.readBatch.bind(tun);
    tun.readBatch = (batch, budget) => {
      const read = readBatch(batch, budget);
      batch.gsoSize[0] = 1448;
      batch.transport[0] = 20;
      return read;
    };
    const sizes = datagramSizes(pair);
    pair.settle();
    expect(pair.b.delivered).toHaveLength(28);
    expect(Buffer.concat(pair.b.delivered.map((packet) => packet.subarray(40)))).toEqual(Buffer.from(data));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(LARGEST_DATAGRAM);
  });

  it('may be fragments of IP on top, when tun-mtu is smaller at the peer', () => {
    const pair = new Pair({ a: { ...FRAGMENT, tunMtu: 4000 }, b: FRAGMENT }).connect();
    pair.a.peer.path.inner4 = 1400;
    pair.a.toSend.push(ipv4Packet(3900));
    pair.settle();
    expect(pair.b.delivered.map(({ length }) => length)).toEqual([1396, 1396, 1148]);
  });

  it('arrive intact or not at all over a bad path, and what is incomplete is counted', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 60, max: 700 }), (seed, maxFragment) => {
        const faults = { loss: 0.05, duplicate: 0.05, reorder: 0.1, reorderDistance: 10 };
        const pair = new Pair({ ...both({ maxFragment, tunMtu: 2000 }), seed, faults }).connect();
        const packets = Array.from({ length: 30 }, (_, i) => ipv4Packet(300 + 40 * i, i));
        const sent = new Set(packets.map((packet) => Buffer.from(packet).toString('hex')));
        pair.a.toSend.push(...packets);
        pair.settle();
        const delivered = pair.b.delivered.map((packet) => Buffer.from(packet).toString('hex'));
        expect(delivered.every((packet) => sent.has(packet))).toBe(true);
        expect(new Set(delivered).size).toBe(delivered.length);
        pair.advance(10_000, 1000);
        const lost = pair.b.drops(DropReason.FragmentLost);
        expect(delivered.length + lost).toBeLessThanOrEqual(packets.length);
        if (pair.wire.lost === 0) expect(delivered.length).toBe(packets.length);
        expect(pair.b.engine.nextTimeoutMs()).toBe(Infinity);
      }),
      { numRuns: 30 },
    );
  });
});

describe('what waits for its other fragments', () => {
  /** One packet whose last fragment is lost. */
  function incomplete(): Pair {
    const pair = new Pair(fragmenting()).connect();
    let seen = 0;
    pair.wire.eavesdropper = () => {
      pair.wire.faults = { loss: ++seen === 3 ? 1 : 0, duplicate: 0, reorder: 0, reorderDistance: 0 };
    };
    pair.a.toSend.push(ipv4Packet(1428));
    pair.settle();
    pair.wire.eavesdropper = undefined;
    pair.wire.faults = { loss: 0, duplicate: 0, reorder: 0, reorderDistance: 0 };
    return pair;
  }

  it('teaches no address and moves no timer', () => {
    const pair = incomplete();
    expect(pair.b.counters.get(Counter.UdpReadPackets)).toBe(2);
    expect(pair.b.counters.get(Counter.AuthReadBytes)).toBe(0);
    expect(pair.b.counters.get(Counter.LastReceiveMs)).toBe(0);
    expect(pair.b.events).toEqual([]);
    expect(pair.b.delivered).toEqual([]);
  });

  it('is given up after 10 s, for which the engine wakes up', () => {
    const pair = incomplete();
    expect(pair.b.engine.nextTimeoutMs()).toBe(10_000);
    pair.advance(9_900);
    expect(pair.b.drops(DropReason.FragmentLost)).toBe(0);
    pair.advance(200);
    expect(pair.b.drops(DropReason.FragmentLost)).toBe(1);
    expect(pair.b.engine.nextTimeoutMs()).toBe(Infinity);
  });

  it('is forgotten at a restart', () => {
    const pair = incomplete();
    pair.b.engine.peering.restart(0, 'control');
    pair.b.connect([ADDRESS_A]);
    pair.advance(11_000, 1000);
    expect(pair.b.drops(DropReason.FragmentLost)).toBe(0);
    pair.a.toSend.push(ipv4Packet(1428, 2));
    pair.settle();
    expect(pair.b.delivered).toEqual([ipv4Packet(1428, 2)]);
  });
});

describe('pings and OCC messages', () => {
  it('carry the header too', () => {
    const pair = new Pair(fragmenting({ pingSec: 1, occ: true })).connect();
    pair.settle();
    pair.advance(11_000);
    expect(pair.b.counters.totalDrops() + pair.a.counters.totalDrops()).toBe(0);
    expect(pair.a.events).toContainEqual({ kind: 'occ', peer: 0, options: 'V4,test' });
    expect(pair.b.delivered).toEqual([]);
  });

  it('are cut when they are longer than a fragment', () => {
    const occOptions = `V4,${'x'.repeat(252)}`;
    const pair = new Pair({
      a: { maxFragment: 51, occ: true },
      b: { maxFragment: 51, occOptions },
    }).connect();
    pair.advance(10_500);
    expect(pair.a.events).toContainEqual({ kind: 'occ', peer: 0, options: occOptions });
    expect(pair.b.counters.get(Counter.UdpWritePackets)).toBe(6);
  });

  it('are not sent when they take more than 32 fragments', () => {
    const pair = new Pair(both({ maxFragment: 51 })).connect();
    sendPayload(pair, new Uint8Array(2000));
    expect(pair.a.drops(DropReason.TooBig)).toBe(1);
    expect(pair.a.counters.get(Counter.UdpWritePackets)).toBe(0);
  });
});

describe('an end without `fragment`', () => {
  const framings = ['off', 'lzo', 'stub', 'stub-v2'] as const;
  it.each(framings)('says that the peer has it: framing %s', (framing) => {
    const pair = new Pair({ a: { ...FRAGMENT, framing, pingSec: 1 }, b: { framing } }).connect();
    pair.settle();
    pair.a.toSend.push(ipv4Packet(100));
    pair.settle();
    expect(pair.b.drops(DropReason.PeerFragments)).toBe(2);
    expect(pair.b.counters.totalDrops()).toBe(2);
  });

  it('is noticed by the one that has it', () => {
    const pair = new Pair({ a: { pingSec: 1 }, b: FRAGMENT }).connect();
    pair.settle();
    pair.a.toSend.push(ipv4Packet(100), ipv4Packet(1402));
    pair.settle();
    expect(pair.b.drops(DropReason.FragmentHeader)).toBeGreaterThanOrEqual(2);
    expect(pair.b.delivered).toEqual([]);
  });
});

function swap(stream: Uint8Array): Buffer {
  return Buffer.concat([stream.subarray(1), stream.subarray(0, 1)]);
}

describe('what the peer has compressed', () => {
  const packet = repetitivePacket(1500);
  const lzo = compressed(writeLzo, packet);
  const lz4 = compressed(writeLz4, packet);
  const rows = [
    ['comp-lzo', 'lzo', Buffer.concat([Buffer.of(0x66), lzo])],
    ['compress lz4', 'lz4', Buffer.concat([Buffer.of(0x69), swap(lz4)])],
    ['compress lz4-v2', 'lz4-v2', Buffer.concat([Buffer.of(0x50, 0x01), lz4])],
  ] as const;

  it.each(rows)('is delivered as it was before: %s', (_, framing, payload) => {
    const pair = new Pair({ b: { framing } }).connect();
    sendPayload(pair, payload);
    pair.settle();
    expect(pair.b.delivered).toEqual([packet]);
    expect(pair.b.counters.totalDrops()).toBe(0);
    const stream = framing === 'lzo' ? lzo : lz4;
    expect(pair.b.counters.get(Counter.PreDecompressBytes)).toBe(stream.length);
    expect(pair.b.counters.get(Counter.PostDecompressBytes)).toBe(1500);
    expect(pair.b.counters.get(Counter.AuthReadBytes)).toBe(1500);
  });

  it.each([
    ['lzo-stub', 0],
    ['stub', 1],
    ['stub-v2', 2],
  ] as const)('is dropped where the config names no compression: %s', (framing, row) => {
    const pair = new Pair({ b: { framing } }).connect();
    sendPayload(pair, rows[row][2]);
    pair.settle();
    expect(pair.b.drops(DropReason.Compressed)).toBe(1);
  });

  it('is dropped when it is malformed, or longer than a packet may be', () => {
    const pair = new Pair({ b: { framing: 'lzo', tunMtu: 1500 } }).connect();
    sendPayload(pair, Buffer.of(0x66, 0x12));
    sendPayload(pair, Buffer.concat([Buffer.of(0x66), compressed(writeLzo, repetitivePacket(3000))]));
    pair.settle();
    expect(pair.b.drops(DropReason.Decompression)).toBe(2);
    expect(pair.b.delivered).toEqual([]);
  });

  it('may come in fragments', () => {
    const pair = new Pair({ a: { maxFragment: 51 }, b: { framing: 'lzo', maxFragment: 51 } }).connect();
    sendPayload(pair, Buffer.concat([Buffer.of(0x66), lzo]));
    pair.settle();
    expect(pair.b.counters.get(Counter.UdpReadPackets)).toBeGreaterThan(1);
    expect(pair.b.delivered).toEqual([packet]);
  });

  it('comes back uncompressed', () => {
    const pair = new Pair(both({ framing: 'lzo' })).connect();
    const sizes = datagramSizes(pair);
    pair.a.toSend.push(repetitivePacket(1500));
    pair.settle();
    expect(sizes).toEqual([1568]);
  });
});

/** A port that hands over all it has as runs of one buffer, as UDP_GRO does. */
function runPort(datagrams: Uint8Array[]): TransportPort {
  return {
    recvBatch(batch: Batch) {
      const received = datagrams.length;
      let buffer = -1;
      let at = Infinity;
      for (const datagram of datagrams.splice(0)) {
        if (at + datagram.length > batch.capacity) {
          buffer++;
          at = 0;
          copyEndpoint(ADDRESS_A.slice(0, ENDPOINT_SIZE), 0, batch.bytes, batch.endpointOffset(buffer));
        }
        const start = batch.packetOffset(buffer) + at;
        batch.bytes.set(datagram, start);
        const slot = batch.count++;
        batch.commitAt(slot, start, datagram.length);
        batch.endpoint[slot] = batch.endpointOffset(buffer);
        at += datagram.length;
      }
      return received;
    },
    sendBatch: (_batch, _first, end) => end,
    close: () => {},
  };
}

describe('runs of datagrams in one buffer', () => {
  const many = 900;

  /** What a sends to b, seen on the wire. */
  function recorded(pair: Pair, send: () => void): Uint8Array[] {
    const datagrams: Uint8Array[] = [];
    pair.wire.eavesdropper = (bytes, offset, length) => datagrams.push(bytes.slice(offset, offset + length));
    pair.wire.faults = { loss: 1, duplicate: 0, reorder: 0, reorderDistance: 0 };
    send();
    return datagrams;
  }

  function receive(pair: Pair, datagrams: Uint8Array[]): void {
    pair.b.engine.peering.openLink(77, runPort(datagrams), false);
    pair.b.engine.peering.connect(0, 77, wayTo([ADDRESS_A]));
    while (breatheAll(pair.b.engine));
  }

  it('do not overwrite each other when they grow', () => {
    const pair = new Pair({ b: { framing: 'lzo', tunMtu: 1500 } }).connect();
    const payload = Buffer.concat([Buffer.of(0x66), compressed(writeLzo, repetitivePacket(1500))]);
    const datagrams = recorded(pair, () => {
      for (let i = 0; i < many; i++) sendPayload(pair, payload);
    });
    expect(datagrams).toHaveLength(many);
    receive(pair, datagrams);
    expect(pair.b.delivered).toHaveLength(many);
    expect(pair.b.delivered.every((packet) => Buffer.from(packet).equals(repetitivePacket(1500)))).toBe(true);
  });

  it('are put together, more of them than there is room at a time, in order', () => {
    const pair = new Pair(fragmenting({ tunMtu: 1500 })).connect();
    const packets = Array.from({ length: 300 }, (_, i) => ipv4Packet(1428 - (i % 7), i));
    const datagrams = recorded(pair, () => {
      pair.a.toSend.push(...packets);
      pair.settle();
    });
    expect(datagrams).toHaveLength(900);
    receive(pair, datagrams);
    expect(pair.b.delivered).toEqual(packets);
  });
});
