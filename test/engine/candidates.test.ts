/** Connections to a TCP server before it is known whose they are. */
import { describe, expect, it } from 'vitest';
import { CANDIDATE_MS, MAX_CANDIDATES } from '../../src/engine/candidates.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import type { ByteStream } from '../../src/tcp/byte-stream.ts';
import { memoryConnection } from '../../src/tcp/memory.ts';
import { encodeEndpoint } from '../../src/transport/endpoint.ts';
import { ADDRESS_B, breatheAll, ipv4Packet, Pair } from '../support/pair.ts';
import { connectStream, tcpPort } from '../support/streams.ts';

/** `b` is a TCP server whose first connection is a stranger's; `a` is the peer, and has not called yet. */
class Siege {
  readonly pair: Pair;
  readonly stranger: ByteStream;
  private lastLink = 50;

  constructor() {
    this.pair = new Pair();
    this.stranger = this.serveAgain();
  }

  /** A stranger is the first to call `b`. */
  serveAgain(): ByteStream {
    const [far, near] = memoryConnection();
    const port = tcpPort(near, encodeEndpoint('203.0.113.1', 40_000));
    connectStream(this.pair.b, port, port.remote, ++this.lastLink);
    return far;
  }

  /** Somebody else calls `b`. */
  call(host = '203.0.113.1'): ByteStream {
    const [far, near] = memoryConnection();
    const link = ++this.lastLink;
    const { peering } = this.pair.b.engine;
    peering.openLink(link, tcpPort(near, encodeEndpoint(host, 40_000 + link)), false);
    peering.addCandidate(0, link);
    return far;
  }

  /** The peer calls `b`. */
  peerCalls(): void {
    const stream = this.call('192.0.2.1');
    connectStream(this.pair.a, tcpPort(stream, ADDRESS_B), ADDRESS_B, this.lastLink);
  }

  breathe(rounds = 3): void {
    for (let round = 0; round < rounds; round++) {
      breatheAll(this.pair.a.engine);
      breatheAll(this.pair.b.engine);
    }
  }

  /** Why connections to `b` were closed, in order. */
  get closed(): string[] {
    return this.pair.b.events.flatMap((event) => (event.kind === 'turned-away' ? [event.why] : []));
  }

  get restarts(): number {
    return this.pair.b.events.filter(({ kind }) => kind === 'restarting').length;
  }
}

function write(stream: ByteStream, bytes: Uint8Array): void {
  const arena = new HeapArena(bytes.length);
  arena.bytes.set(bytes);
  stream.write(arena, Int32Array.of(0), Int32Array.of(bytes.length), 1);
}

function read(stream: ByteStream): Uint8Array {
  const arena = new HeapArena(100_000);
  return arena.bytes.slice(0, Math.max(0, stream.read(arena, 0, 100_000)));
}

/** What the peer would send over a connection: one packet. */
function sealed({ pair }: Siege, mark: number): Uint8Array {
  const [near, far] = memoryConnection();
  connectStream(pair.a, tcpPort(near, ADDRESS_B), ADDRESS_B, 99);
  pair.a.toSend.push(ipv4Packet(100, mark));
  breatheAll(pair.a.engine);
  return read(far);
}

const isOpen = (stream: ByteStream) => stream.read(new HeapArena(10), 0, 10) !== -2;

describe('a stranger that says nothing', () => {
  it('makes room for the peer as soon as that has sent something', () => {
    const siege = new Siege();
    siege.peerCalls();
    siege.pair.a.toSend.push(ipv4Packet(100, 1));
    siege.breathe();
    siege.pair.b.toSend.push(ipv4Packet(100, 2, [10, 0, 0, 1]));
    siege.breathe();
    expect([siege.pair.a.delivered.length, siege.pair.b.delivered.length]).toEqual([1, 1]);
    expect(isOpen(siege.stranger)).toBe(false);
    expect(siege.closed).toEqual(['outdone']);
    expect(siege.restarts).toBe(0);
  });

  it('gets what is sent to the peer until then, in an epoch that does not come again', () => {
    const siege = new Siege();
    const { peer, toSend } = siege.pair.b;
    toSend.push(ipv4Packet(100, 2, [10, 0, 0, 1]));
    siege.breathe();
    expect(read(siege.stranger).length).toBeGreaterThan(100);
    const { epoch } = peer.packetIds;
    siege.peerCalls();
    siege.pair.a.toSend.push(ipv4Packet(100, 1));
    siege.breathe();
    toSend.push(ipv4Packet(100, 2, [10, 0, 0, 1]));
    siege.breathe();
    expect(siege.pair.a.delivered).toHaveLength(1);
    expect(peer.packetIds.epoch).toBeGreaterThan(epoch);
    expect(peer.packetIds.id).toBe(1);
  });

  it('is one of a few, the rest of which are closed when the peer is found', () => {
    const siege = new Siege();
    const others = [siege.call(), siege.call()];
    siege.peerCalls();
    siege.pair.a.toSend.push(ipv4Packet(100, 1));
    siege.breathe();
    expect(others.map(isOpen)).toEqual([false, false]);
    expect(siege.closed).toEqual(['outdone', 'outdone', 'outdone']);
    siege.call();
    expect(siege.closed).toHaveLength(4);
  });

  it('from one address does not push out the peer, however often it calls', () => {
    const siege = new Siege();
    siege.peerCalls();
    for (let i = 0; i < 20; i++) siege.call();
    expect(siege.closed).toEqual(Array(20 + 1 - MAX_CANDIDATES).fill('crowded'));
    siege.pair.a.toSend.push(ipv4Packet(100, 1));
    siege.breathe();
    expect(siege.pair.b.delivered).toHaveLength(1);
  });

  it('is not waited for longer than a while', () => {
    const siege = new Siege();
    const other = siege.call();
    siege.breathe();
    expect(siege.pair.b.engine.nextTimeoutMs()).toBeLessThanOrEqual(CANDIDATE_MS);
    siege.pair.clock.ms += CANDIDATE_MS;
    siege.breathe();
    expect(isOpen(other)).toBe(false);
    expect(siege.closed).toEqual(['silent']);
  });
});

describe('a stranger that sends', () => {
  it.each([
    ['what was not made with the key', Uint8Array.of(0, 96, ...Array(96).keys()), 'forged', DropReason.Auth],
    ['what is not OpenVPN', new TextEncoder().encode('GET / HTTP/1.0'), 'bad-length', undefined],
  ])('%s is closed, and nobody else', (_, bytes, why, drop) => {
    const siege = new Siege();
    const rude = siege.call();
    siege.peerCalls();
    write(rude, bytes);
    siege.breathe();
    expect(siege.closed).toEqual([why]);
    if (drop !== undefined) expect(siege.pair.b.counters.drops(drop)).toBe(1);
    siege.pair.a.toSend.push(ipv4Packet(100, 1));
    siege.breathe();
    expect(siege.pair.b.delivered).toHaveLength(1);
  });

  it('and came first makes room for the next, without a restart', () => {
    const siege = new Siege();
    siege.peerCalls();
    write(siege.stranger, new TextEncoder().encode('GET / HTTP/1.0'));
    siege.breathe();
    expect([siege.closed, siege.restarts]).toEqual([['bad-length'], 0]);
    siege.pair.b.toSend.push(ipv4Packet(100, 2, [10, 0, 0, 1]));
    siege.breathe();
    expect(siege.pair.a.delivered).toHaveLength(1);
  });

  it('and is alone ends the wait, as before', () => {
    const siege = new Siege();
    write(siege.stranger, new TextEncoder().encode('GET / HTTP/1.0'));
    siege.breathe();
    expect([siege.closed, siege.restarts]).toEqual([[], 1]);
  });

  it('what the peer sent before is closed', () => {
    const siege = new Siege();
    const recorded = sealed(siege, 1);
    write(siege.call(), recorded);
    siege.breathe();
    expect(siege.pair.b.delivered).toHaveLength(1);
    siege.pair.b.engine.peering.restart(0, 'sigusr1');
    siege.serveAgain();
    write(siege.call(), recorded);
    siege.breathe();
    expect(siege.closed.at(-1)).toBe('forged');
    expect(siege.pair.b.counters.drops(DropReason.Replay)).toBe(1);
    expect(siege.pair.b.delivered).toHaveLength(1);
  });

  it('what it got from us is closed', () => {
    const siege = new Siege();
    siege.pair.b.toSend.push(ipv4Packet(100, 2, [10, 0, 0, 1]));
    siege.breathe();
    write(siege.call(), read(siege.stranger));
    siege.breathe();
    expect(siege.closed).toEqual(['forged']);
    expect(siege.pair.b.counters.drops(DropReason.Reflected)).toBe(1);
  });

  it('one byte of a packet is waited for', () => {
    const siege = new Siege();
    const caller = siege.call();
    const packet = sealed(siege, 1);
    for (const byte of packet) {
      expect([siege.pair.b.delivered.length, siege.closed]).toEqual([0, []]);
      write(caller, Uint8Array.of(byte));
      siege.breathe(1);
    }
    expect(siege.pair.b.delivered).toHaveLength(1);
  });
});

it('a peer that ends, or starts again, takes all of them along', () => {
  for (const end of ['restart', 'stop'] as const) {
    const siege = new Siege();
    const other = siege.call();
    if (end === 'restart') siege.pair.b.engine.peering.restart(0, 'sigusr1');
    else siege.pair.b.engine.stop();
    siege.breathe();
    expect([isOpen(siege.stranger), isOpen(other)]).toEqual([false, false]);
  }
});
