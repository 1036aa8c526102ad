/** Framing over a memory connection: whatever pieces the bytes come in, the datagrams are the same. */
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { HeapArena } from '../../src/packet/arena.ts';
import { Batch } from '../../src/packet/batch.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { memoryConnection, type ConnectionLimits } from '../../src/tcp/memory.ts';
import { longestDatagram, Pieces, TcpMemory, TcpPort } from '../../src/tcp/port.ts';
import type { ByteStream } from '../../src/tcp/byte-stream.ts';
import { encodeEndpoint, formatEndpoint } from '../../src/transport/endpoint.ts';
import { sessions, type VectorSession } from '../support/vectors.ts';

const REMOTE = encodeEndpoint('192.0.2.2', 40_000);
const SLOTS = 16;

interface Side {
  readonly port: TcpPort;
  readonly batch: Batch;
}

function side(stream: ByteStream, slots = SLOTS): Side {
  const shape = { slots, buffers: 4 };
  const queueSize = slots * 70_000;
  const batch = new Batch(new HeapArena(Batch.arenaSize(shape)), shape);
  const memory = new TcpMemory(new HeapArena(queueSize), queueSize);
  const port = new TcpPort({
    stream,
    remote: REMOTE,
    memory,
    pieces: new Pieces(slots),
    longestDatagram: longestDatagram(1500),
  });
  return { port, batch };
}

function connected(limits?: ConnectionLimits): { a: Side; b: Side } {
  const [a, b] = memoryConnection(limits);
  return { a: side(a), b: side(b) };
}

function fill({ batch }: Side, datagrams: readonly Uint8Array[]): void {
  batch.count = 0;
  for (const datagram of datagrams) {
    const slot = batch.count++;
    batch.bytes.set(datagram, batch.packetOffset(slot % batch.buffers));
    batch.commit(slot % batch.buffers, datagram.length);
  }
}

/** Sends them in batches of as many as there are buffers, flushing and receiving in between. */
function transfer(a: Side, b: Side, datagrams: readonly Uint8Array[]): Uint8Array[] {
  const received: Uint8Array[] = [];
  for (let at = 0; at < datagrams.length; at += a.batch.buffers) {
    const part = datagrams.slice(at, at + a.batch.buffers);
    fill(a, part);
    expect(a.port.sendBatch(a.batch, 0, part.length)).toBe(part.length);
    for (let round = 0; received.length < at + part.length && round < 1000; round++) {
      received.push(...receive(b));
      a.port.flush();
    }
  }
  return received;
}

function receive({ port, batch }: Side): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (;;) {
    batch.count = 0;
    const count = port.recvBatch(batch);
    for (let slot = 0; slot < count; slot++) {
      all.push(batch.bytes.slice(batch.start[slot], batch.start[slot] + batch.length[slot]));
    }
    if (count === 0) return all;
  }
}

/** Hands over `chunks`, one for each read, then nothing, or the end. */
function chunked(chunks: readonly Uint8Array[], closes = false): ByteStream {
  const left = [...chunks];
  return {
    read(arena, offset, length) {
      const chunk = left.shift();
      if (chunk === undefined) return closes ? -2 : -1;
      arena.bytes.set(chunk.subarray(0, length), offset);
      if (chunk.length > length) left.unshift(chunk.subarray(length));
      return Math.min(chunk.length, length);
    },
    write: () => -1,
    close: () => undefined,
  };
}

function framed(datagrams: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    datagrams.flatMap((datagram) => [Uint8Array.of(datagram.length >> 8, datagram.length), datagram]),
  );
}

const datagram = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + seed) & 0xff);

describe('a TCP port', () => {
  it('puts the length in front of each datagram, itself not counted', () => {
    const [a, b] = memoryConnection();
    const sender = side(a);
    fill(sender, [Uint8Array.of(1, 2, 3), datagram(300, 0)]);
    expect(sender.port.sendBatch(sender.batch, 0, 2)).toBe(2);
    const arena = new HeapArena(1000);
    expect(b.read(arena, 0, 1000)).toBe(2 + 3 + 2 + 300);
    expect([...arena.bytes.subarray(0, 7)]).toEqual([0, 3, 1, 2, 3, 1, 44]);
  });

  it('leaves out what was dropped before, and sends the rest in order', () => {
    const { a, b } = connected();
    fill(a, [datagram(10, 1), datagram(20, 2), datagram(30, 3)]);
    a.batch.verdict[1] = DropReason.IdRollover;
    expect(a.port.sendBatch(a.batch, 0, 3)).toBe(3);
    expect(receive(b).map(({ length }) => length)).toEqual([10, 30]);
  });

  it('names the other end as the sender of each datagram', () => {
    const { a, b } = connected();
    fill(a, [datagram(10, 1), datagram(20, 2)]);
    a.port.sendBatch(a.batch, 0, 2);
    b.batch.count = 0;
    b.port.recvBatch(b.batch);
    for (const slot of [0, 1]) {
      expect(formatEndpoint(b.batch.bytes, b.batch.endpoint[slot])).toBe('[AF_INET]192.0.2.2:40000');
    }
  });

  it('finds every datagram of two, wherever the stream is cut', () => {
    const datagrams = [datagram(40, 1), datagram(3, 2)];
    const stream = framed(datagrams);
    for (let cut = 1; cut < stream.length; cut++) {
      const end = side(chunked([stream.subarray(0, cut), stream.subarray(cut)]));
      // A read that fills less than it could ends the call: the second chunk is for the next one.
      const parts = [receive(end), receive(end)].flat();
      expect(parts, `cut at ${cut}`).toEqual(datagrams);
    }
  });

  it('is the identity for all datagrams, limits and cuts', () => {
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 16_384 })), {
      maxLength: 30,
    });
    const limits = fc.record({
      capacity: fc.integer({ min: 200, max: 70_000 }),
      mostRead: fc.integer({ min: 200, max: 40_000 }),
      mostWritten: fc.integer({ min: 200, max: 40_000 }),
    });
    fc.assert(
      fc.property(lengths, limits, (all, { capacity, mostRead, mostWritten }) => {
        const { a, b } = connected({ capacity, mostRead, mostWritten });
        const datagrams = all.map((length, i) => datagram(length, i));
        expect(transfer(a, b, datagrams)).toEqual(datagrams);
      }),
      { numRuns: 60 },
    );
  });

  it('carries the stream of stock OpenVPN byte for byte', () => {
    for (const session of sessions.filter(({ name }) => name.startsWith('23-'))) {
      const { stream_hex: hex } = session as VectorSession & { stream_hex: string };
      const datagrams = session.datagrams_hex.map((text) => Uint8Array.from(Buffer.from(text, 'hex')));
      const receiver = side(chunked([Buffer.from(hex, 'hex')]), 64);
      expect(receive(receiver)).toEqual(datagrams);
      expect(Buffer.from(framed(datagrams)).toString('hex')).toBe(hex);
    }
  });

  it('goes on with what did not find a slot, without reading', () => {
    const datagrams = Array.from({ length: 3 * SLOTS + 5 }, (_, i) => datagram(1, i));
    const end = side(chunked([framed(datagrams)]));
    const counts: number[] = [];
    for (let count = -1; count !== 0; counts.push(count)) {
      end.batch.count = 0;
      count = end.port.recvBatch(end.batch);
    }
    expect(counts).toEqual([SLOTS, SLOTS, SLOTS, 5, 0]);
  });

  it.each([
    ['zero', 0],
    ['longer than any datagram', 16_385],
    ['of text (`GET `)', 0x4745],
  ])('ends at a length that is %s, after what came before it', (_, length) => {
    const good = datagram(5, 1);
    const end = side(
      chunked([Buffer.concat([framed([good]), Uint8Array.of(length >> 8, length), datagram(40, 9)])]),
    );
    expect(receive(end)).toEqual([good]);
    expect(end.port.ended).toEqual({ kind: 'bad-length', length, longest: 16_384 });
    expect(receive(end)).toEqual([]);
  });

  it('delivers what came before the end, and forgets half a datagram', () => {
    const datagrams = [datagram(50, 1), datagram(60, 2)];
    const end = side(chunked([framed(datagrams), Uint8Array.of(0, 9, 1)], true));
    expect(receive(end)).toEqual(datagrams);
    expect(receive(end)).toEqual([]);
    expect(end.port.ended).toEqual({ kind: 'reset' });
  });

  it.each([
    ['at once', [0, 3]],
    ['in parts', [0, 1, 2, 3]],
  ])('takes a batch whole, %s, and is congested until all of it is sent', (_, cuts) => {
    const { a, b } = connected({ capacity: 100 });
    const datagrams = [datagram(70, 1), datagram(70, 2), datagram(70, 3)];
    fill(a, datagrams);
    for (let i = 1; i < cuts.length; i++)
      expect(a.port.sendBatch(a.batch, cuts[i - 1], cuts[i])).toBe(cuts[i]);
    expect(a.port.congested).toBe(true);
    const received = receive(b);
    for (let round = 0; a.port.congested && round < 10; round++) {
      a.port.flush();
      received.push(...receive(b));
    }
    expect(a.port.congested).toBe(false);
    expect(received).toEqual(datagrams);
  });

  it('gives what cannot be sent any more a verdict', () => {
    const { a, b } = connected();
    b.port.close();
    fill(a, [datagram(5, 1)]);
    expect(a.port.sendBatch(a.batch, 0, 1)).toBe(1);
    expect(a.batch.verdict[0]).toBe(DropReason.SendFailed);
    expect(a.port.ended).toEqual({ kind: 'reset' });
  });
});
