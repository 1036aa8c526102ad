/** Engines over a TCP connection: nothing is lost between sealing and the other end, and what is wrong ends it. */
import { describe, expect, it } from 'vitest';
import { DropReason } from '../../src/packet/verdict.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { Counter } from '../../src/engine/counters.ts';
import { ADDRESS_B, breatheAll, ipv4Packet } from '../support/pair.ts';
import { connectStream, streamPair, tcpPort, type StreamPair } from '../support/streams.ts';
import { memoryConnection } from '../../src/tcp/memory.ts';
import { Batch } from '../../src/packet/batch.ts';
import { readPacketId } from '../../src/protocol/packet-id.ts';
import type { TcpPort } from '../../src/tcp/port.ts';
import { Hub } from '../support/hub.ts';
import { wayTo } from '../support/way.ts';
import { OWN_ROUTES, packet } from '../support/hub-packets.ts';

/** As OpenVPN 2.3 with TCP: the next id, or nothing. */
const STRICT = { enabled: true, window: 0, timeSec: 0 };

function restarts({ pair }: StreamPair, side: 'a' | 'b'): string[] {
  return pair[side].events.flatMap((event) => (event.kind === 'restarting' ? [event.reason] : []));
}

/** Until nothing waits any more, at most `rounds` times. */
function breathe({ pair }: StreamPair, rounds = 200): void {
  for (let round = 0; round < rounds; round++) {
    breatheAll(pair.a.engine);
    breatheAll(pair.b.engine);
  }
}

function send({ pair }: StreamPair, count: number, length = 400): void {
  for (let i = 0; i < count; i++) pair.a.toSend.push(ipv4Packet(length, i));
}

describe('a tunnel over TCP', () => {
  it('carries packets both ways', () => {
    const streams = streamPair();
    const { pair } = streams;
    pair.a.toSend.push(ipv4Packet(100, 1));
    pair.b.toSend.push(ipv4Packet(100, 2, [10, 0, 0, 1]));
    breathe(streams, 5);
    expect(pair.a.delivered).toHaveLength(1);
    expect(pair.b.delivered).toEqual([ipv4Packet(100, 1)]);
  });

  it('loses nothing and skips no id over a connection that is slow and takes little at a time', () => {
    const streams = streamPair(
      { b: { replay: STRICT } },
      { capacity: 5000, mostRead: 700, mostWritten: 999 },
    );
    send(streams, 500);
    breathe(streams, 3000);
    expect(streams.pair.b.delivered).toHaveLength(500);
    expect(streams.pair.b.counters.totalDrops()).toBe(0);
    expect(streams.pair.a.counters.totalDrops()).toBe(0);
    expect(restarts(streams, 'b')).toEqual([]);
  });

  it('leaves packets to the kernel while the only link is congested', () => {
    const streams = streamPair({}, { capacity: 3000 });
    send(streams, 1000);
    for (let round = 0; round < 20; round++) breatheAll(streams.pair.a.engine);
    expect(streams.a.congested).toBe(true);
    expect(streams.pair.a.engine.blocked).toBe(true);
    expect(streams.pair.a.toSend.length).toBeGreaterThan(700);
    expect(streams.pair.a.counters.totalDrops()).toBe(0);
  });

  it('drops packets by name, before they take an id, when there are other links', () => {
    const streams = streamPair({ b: { replay: STRICT } }, { capacity: 3000 });
    const [other] = memoryConnection();
    streams.pair.a.engine.peering.openLink(99, tcpPort(other, ADDRESS_B), false);
    send(streams, 1000);
    for (let round = 0; round < 20; round++) breatheAll(streams.pair.a.engine);
    expect(streams.pair.a.drops(DropReason.SendBuffer)).toBeGreaterThan(700);
    breathe(streams, 400);
    send(streams, 1);
    breathe(streams, 5);
    expect(restarts(streams, 'b')).toEqual([]);
    expect(streams.pair.b.delivered.length + streams.pair.a.drops(DropReason.SendBuffer)).toBe(1001);
  });

  it('drops what is over the rate of `shaper` before it takes an id, too', () => {
    const streams = streamPair({ a: { shaperBytesPerSec: 10_000 }, b: { replay: STRICT } });
    const [other] = memoryConnection();
    streams.pair.a.engine.peering.openLink(99, tcpPort(other, ADDRESS_B), false);
    for (let round = 0; round < 10; round++) {
      send(streams, 100);
      breathe(streams, 5);
      streams.pair.clock.ms += 200;
    }
    expect(restarts(streams, 'b')).toEqual([]);
    expect(streams.pair.b.delivered.length).toBeGreaterThan(20);
    expect(streams.pair.b.delivered.length + streams.pair.a.drops(DropReason.Shaped)).toBe(1000);
  });

  it('skips no id when the packets of a batch go to two slow connections by turns', () => {
    const hub = new Hub();
    const far = ['a', 'b'].map((name) => {
      const { index, spoke } = hub.add(name, { idle: true, cipher: 'none', digest: 'none' });
      const [near, end] = memoryConnection({ capacity: 600 });
      hub.engine.peering.openLink(index, tcpPort(near, spoke.address), false);
      hub.engine.peering.connect(index, index, wayTo([spoke.address]));
      return tcpPort(end, spoke.address);
    });
    hub.route([...OWN_ROUTES, '10.1.0.0/16 a', '10.2.0.0/16 b']);
    for (let i = 0; i < 60; i++)
      hub.toSend.push(packet('172.16.0.9', `10.${1 + (i % 2)}.0.5`, { length: 200 }));
    const ids: number[][] = [[], []];
    for (let round = 0; round < 200; round++) {
      breatheAll(hub.engine);
      far.forEach((port, i) => ids[i].push(...idsReceived(port)));
    }
    for (const each of ids) expect(each).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  });

  it('skips a ping when so much is under way, and does not try it again and again', () => {
    const streams = streamPair({ a: { pingSec: 5 }, b: { replay: STRICT } }, { capacity: 3000 });
    const { engine, counters } = streams.pair.a;
    breatheAll(engine);
    const pings = counters.get(Counter.UdpWritePackets);
    send(streams, 500);
    for (let round = 0; round < 5; round++) breatheAll(engine);
    streams.pair.clock.ms += 6000;
    breatheAll(engine);
    expect(counters.get(Counter.UdpWritePackets)).toBeLessThan(pings + 500);
    expect(engine.nextTimeoutMs()).toBeGreaterThan(1000);
    breathe(streams, 500);
    expect(restarts(streams, 'b')).toEqual([]);
    expect(streams.pair.b.delivered).toHaveLength(500);
  });

  it('lets no OCC message overtake what waits for its turn at the rate of `shaper`', () => {
    const streams = streamPair({ a: { occ: true, shaperBytesPerSec: 8000 }, b: { replay: STRICT } });
    send(streams, 200);
    for (let step = 0; step < 800; step++) {
      streams.pair.clock.ms += 20;
      breathe(streams, 2);
    }
    expect(restarts(streams, 'b')).toEqual([]);
    expect(streams.pair.b.delivered).toHaveLength(200);
  });

  it('restarts when the connection ends, after what came before', () => {
    const streams = streamPair();
    send(streams, 3);
    breatheAll(streams.pair.a.engine);
    streams.a.close();
    breatheAll(streams.pair.b.engine);
    expect(streams.pair.b.delivered).toHaveLength(3);
    breatheAll(streams.pair.b.engine);
    expect(restarts(streams, 'b')).toEqual(['connection-reset']);
    expect(streams.pair.b.peer.state).toBe('restarting');
    expect(streams.pair.b.engine.peering.hasLink(77)).toBe(false);
  });

  it('restarts when it cannot send any more', () => {
    const streams = streamPair();
    streams.b.close();
    send(streams, 3);
    breatheAll(streams.pair.a.engine);
    expect(restarts(streams, 'a')).toEqual(['connection-reset']);
    expect(streams.pair.a.drops(DropReason.SendFailed)).toBeLessThanOrEqual(3);
  });

  it('takes up a new connection with ids from 1 in a later epoch', () => {
    const streams = streamPair({ b: { replay: STRICT } });
    send(streams, 3);
    breathe(streams, 3);
    streams.a.close();
    streams.b.close();
    breathe(streams, 3);
    const [a, b] = memoryConnection();
    connectStream(streams.pair.a, tcpPort(a, ADDRESS_B), ADDRESS_B);
    connectStream(streams.pair.b, tcpPort(b, ADDRESS_B), ADDRESS_B);
    send(streams, 3);
    breathe(streams, 3);
    expect(streams.pair.b.delivered).toHaveLength(6);
    expect(restarts(streams, 'b')).toEqual(['connection-reset']);
  });

  it('tells of a length that is none, and restarts', () => {
    const streams = streamPair();
    write(streams, Uint8Array.of(0x47, 0x45, 0x54, 0x20));
    breatheAll(streams.pair.b.engine);
    expect(streams.pair.b.events).toContainEqual({
      kind: 'bad-length',
      peer: 0,
      length: 0x4745,
      longest: 16_384,
    });
    expect(restarts(streams, 'b')).toEqual(['connection-reset']);
  });

  it('ends at the first packet that was not made with the key', () => {
    const streams = streamPair();
    send(streams, 2);
    breatheAll(streams.pair.a.engine);
    write(streams, Uint8Array.of(0, 96, ...Array(96).keys()));
    send(streams, 2);
    breatheAll(streams.pair.a.engine);
    breatheAll(streams.pair.b.engine);
    expect(streams.pair.b.delivered).toHaveLength(2);
    expect(streams.pair.b.drops(DropReason.Auth)).toBe(1);
    expect(streams.pair.b.drops(DropReason.PeerRestarting)).toBe(2);
    expect(restarts(streams, 'b')).toEqual(['decryption-error']);
  });

  it('ends at a packet that came before', () => {
    const streams = streamPair();
    send(streams, 1);
    breatheAll(streams.pair.a.engine);
    const arena = new HeapArena(10_000);
    const length = streams.streams[1].read(arena, 0, 10_000);
    const once = arena.bytes.slice(0, length);
    write(streams, Buffer.concat([once, once]));
    breatheAll(streams.pair.b.engine);
    expect(streams.pair.b.delivered).toHaveLength(1);
    expect(restarts(streams, 'b')).toEqual(['decryption-error']);
  });

  it('says goodbye by closing, without exit notifications', () => {
    const streams = streamPair({ a: { exitNotify: 3 } });
    breathe(streams, 2);
    const sent = streams.pair.a.counters.get(Counter.UdpWritePackets);
    streams.pair.a.engine.stop();
    breatheAll(streams.pair.a.engine);
    expect(streams.pair.a.engine.state).toBe('stopped');
    expect(streams.pair.a.counters.get(Counter.UdpWritePackets)).toBe(sent);
    breatheAll(streams.pair.b.engine);
    expect(restarts(streams, 'b')).toEqual(['connection-reset']);
  });

  it('leaves what came early in the connection until its peer is there', () => {
    const streams = streamPair({ b: { replay: STRICT } });
    const [a, b] = memoryConnection();
    connectStream(streams.pair.a, tcpPort(a, ADDRESS_B), ADDRESS_B, 78);
    send(streams, 2);
    breatheAll(streams.pair.a.engine);
    const { peering } = streams.pair.b.engine;
    peering.openLink(78, tcpPort(b, ADDRESS_B), false);
    breatheAll(streams.pair.b.engine);
    peering.connect(0, 78, wayTo([ADDRESS_B]));
    breatheAll(streams.pair.b.engine);
    expect(streams.pair.b.delivered).toHaveLength(2);
  });
});

/** Of datagrams that are neither encrypted nor authenticated. */
function idsReceived(port: TcpPort): number[] {
  const batch = new Batch(new HeapArena(Batch.arenaSize({ slots: 64 }) + 64), { slots: 64 });
  const count = port.recvBatch(batch);
  return Array.from({ length: count }, (_, slot) => readPacketId(batch.bytes, batch.start[slot]));
}

/** Puts bytes into the connection from a's side. */
function write({ streams: [stream] }: StreamPair, bytes: Uint8Array): void {
  const arena = new HeapArena(bytes.length);
  arena.bytes.set(bytes);
  stream.write(arena, Int32Array.of(0), Int32Array.of(bytes.length), 1);
}
