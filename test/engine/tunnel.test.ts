import { describe, expect, it } from 'vitest';
import { ControlSender } from '../../src/engine/control-sender.ts';
import { Counter } from '../../src/engine/counters.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { encodeEndpoint } from '../../src/transport/endpoint.ts';
import { ADDRESS_A, ADDRESS_B, breatheAll, ipv4Packet, Pair, type PairOptions } from '../support/pair.ts';

describe('packets', () => {
  const suites: PairOptions[] = [
    {},
    { cipher: 'AES-128-CBC', digest: 'SHA1' },
    { cipher: 'AES-192-CBC', digest: 'SHA512' },
    { cipher: 'none', digest: 'SHA256' },
    { cipher: 'AES-256-CBC', digest: 'none' },
    { cipher: 'none', digest: 'none' },
    { keyDirection: true },
    { a: { framing: 'lzo' }, b: { framing: 'lzo' } },
    { a: { framing: 'stub' }, b: { framing: 'stub' } },
    { a: { framing: 'stub-v2' }, b: { framing: 'stub-v2' } },
    { a: noReplay(), b: noReplay() },
  ];
  it.each(suites.map((options) => [JSON.stringify(options), options] as const))(
    'cross intact both ways: %s',
    (_, options) => {
      const pair = new Pair(options).connect();
      const sizes = [20, 21, 35, 36, 37, 100, 1400, 1500, 3900];
      for (const size of sizes) {
        pair.a.toSend.push(ipv4Packet(size, size));
        pair.b.toSend.push(ipv4Packet(size, size + 1));
      }
      pair.settle();
      expect(pair.b.delivered).toEqual(sizes.map((size) => ipv4Packet(size, size)));
      expect(pair.a.delivered).toEqual(sizes.map((size) => ipv4Packet(size, size + 1)));
      expect(pair.a.counters.totalDrops() + pair.b.counters.totalDrops()).toBe(0);
    },
  );

  it('show the wire nothing of the packet', () => {
    const pair = new Pair().connect();
    const seen: string[] = [];
    pair.wire.eavesdropper = (bytes, offset, length) =>
      seen.push(Buffer.from(bytes.slice(offset, offset + length)).toString('hex'));
    pair.a.toSend.push(ipv4Packet(100, 7), ipv4Packet(100, 7));
    pair.settle();
    expect(seen).toHaveLength(2);
    expect(seen[0]).not.toBe(seen[1]);
    expect(seen[0].length / 2).toBe(32 + 16 + 112);
    expect(seen[0]).not.toContain(Buffer.from(ipv4Packet(100, 7).subarray(24, 56)).toString('hex'));
  });

  it.each([
    ['version 5', DropReason.InnerVersion, Uint8Array.from({ length: 40 }, () => 0x55)],
    ['total length beyond the packet', DropReason.InnerHeader, ipv4Packet(60).subarray(0, 50)],
  ])('malformed ones from the host are counted, not sent: %s', (_, reason, packet) => {
    const pair = new Pair().connect();
    pair.a.toSend.push(packet, ipv4Packet(40));
    pair.settle();
    expect(pair.a.drops(reason)).toBe(1);
    expect(pair.b.delivered).toEqual([ipv4Packet(40)]);
  });

  it('are not sent to the outer address of the peer through the tunnel itself', () => {
    const pair = new Pair().connect();
    pair.a.toSend.push(ipv4Packet(40, 0, [192, 0, 2, 2]));
    pair.settle();
    expect(pair.a.drops(DropReason.Recursive)).toBe(1);
    const allowed = new Pair({ a: { allowRecursiveRouting: true } }).connect();
    allowed.a.toSend.push(ipv4Packet(40, 0, [192, 0, 2, 2]));
    allowed.settle();
    expect(allowed.b.delivered).toHaveLength(1);
  });

  it('wait, in order, while the socket is full, and reading from the host stops', () => {
    const pair = new Pair().connect();
    pair.a.port.blocked = true;
    const packets = Array.from({ length: 300 }, (_, i) => ipv4Packet(60, i));
    pair.a.toSend.push(...packets);
    for (let i = 0; i < 10; i++) breatheAll(pair.a.engine);
    expect(pair.a.engine.blocked).toBe(true);
    expect(pair.a.toSend).toHaveLength(300 - 128);
    pair.a.port.blocked = false;
    pair.settle();
    expect(pair.b.delivered).toEqual(packets);
  });
});

describe('datagrams', () => {
  it('with a changed bit are dropped as unauthentic, whichever byte it is in', () => {
    const pair = new Pair().connect();
    const datagram = captureOne(pair);
    for (let i = 0; i < datagram.length; i++) {
      const copy = Uint8Array.from(datagram);
      copy[i] ^= 1 << (i % 8);
      inject(pair, copy);
    }
    pair.settle();
    expect(pair.b.delivered).toHaveLength(1);
    expect(pair.b.drops(DropReason.Auth)).toBe(datagram.length);
  });

  it('received twice are delivered once', () => {
    const pair = new Pair().connect();
    const datagram = captureOne(pair);
    inject(pair, datagram);
    pair.settle();
    expect(pair.b.delivered).toHaveLength(1);
    expect(pair.b.drops(DropReason.Replay)).toBe(1);
  });

  it('of our own coming back are dropped, and the peer is still heard afterwards', () => {
    const pair = new Pair().connect();
    pair.clock.ms += 5000;
    const own: Uint8Array[] = [];
    pair.wire.eavesdropper = (bytes, offset, length) => own.push(bytes.slice(offset, offset + length));
    pair.b.toSend.push(ipv4Packet(80, 1), ipv4Packet(80, 2));
    pair.settle();
    pair.wire.eavesdropper = undefined;
    for (const datagram of own) inject(pair, datagram);
    pair.settle();
    expect(pair.b.drops(DropReason.Reflected)).toBe(2);
    expect(pair.b.delivered).toHaveLength(0);
    pair.a.toSend.push(ipv4Packet(80, 3));
    pair.settle();
    expect(pair.b.delivered).toEqual([ipv4Packet(80, 3)]);
  });

  it('that an earlier process received or sent are dropped by a new one that remembers (replay-persist)', () => {
    const first = new Pair().connect();
    const datagrams: Uint8Array[] = [];
    first.wire.eavesdropper = (bytes, offset, length) => datagrams.push(bytes.slice(offset, offset + length));
    first.a.toSend.push(ipv4Packet(80, 1));
    first.settle();
    first.clock.ms += 5000;
    first.b.engine.peering.restart(0, 'sigusr1');
    first.b.connect([ADDRESS_A]);
    first.b.toSend.push(ipv4Packet(80, 2));
    first.settle();
    const { counters } = first.b;
    const replayMemory = {
      epoch: counters.get(Counter.ReplayEpoch),
      top: counters.get(Counter.ReplayTop),
      ownEpochs: [counters.get(Counter.OwnEpoch)],
    };
    expect(replayMemory).toMatchObject({ epoch: first.clock.unixSeconds() - 5, top: 1 });
    const next = new Pair({ b: { replayMemory } }).connect();
    next.clock.ms = first.clock.ms + 1000;
    for (const datagram of datagrams) inject(next, datagram);
    next.settle();
    expect(next.b.delivered).toEqual([]);
    expect(next.b.drops(DropReason.ReplayExpired)).toBe(1);
    expect(next.b.drops(DropReason.Reflected)).toBe(1);
    next.a.toSend.push(ipv4Packet(80, 3));
    next.settle();
    expect(next.b.delivered).toEqual([ipv4Packet(80, 3)]);
  });

  it('of a peer that started in the same second and sends in lockstep get through', () => {
    const pair = new Pair({ a: { pingSec: 1 }, b: { pingSec: 1 } }).connect();
    pair.settle();
    pair.advance(5000);
    pair.a.toSend.push(ipv4Packet(80, 3));
    pair.b.toSend.push(ipv4Packet(80, 4));
    pair.settle();
    expect(pair.b.delivered).toEqual([ipv4Packet(80, 3)]);
    expect(pair.a.delivered).toEqual([ipv4Packet(80, 4)]);
  });
});

describe('the peer address', () => {
  it('is learnt from the first valid payload when there is no remote', () => {
    const pair = new Pair();
    pair.a.connect([ADDRESS_B]);
    pair.b.connect([]);
    pair.b.toSend.push(ipv4Packet(60, 1));
    pair.settle();
    expect(pair.b.drops(DropReason.NoPeer)).toBe(1);
    pair.a.toSend.push(ipv4Packet(60, 2));
    pair.settle();
    expect(pair.b.events).toContainEqual({
      kind: 'peer',
      peer: 0,
      endpoint: '[AF_INET]192.0.2.1:1194',
      first: true,
    });
    pair.b.toSend.push(ipv4Packet(60, 3));
    pair.settle();
    expect(pair.a.delivered).toEqual([ipv4Packet(60, 3)]);
  });

  it('is not learnt from a forged, replayed or empty packet', () => {
    const pair = new Pair();
    pair.a.connect([ADDRESS_B]);
    pair.b.connect([]);
    inject(pair, new Uint8Array(100));
    pair.settle();
    expect(pair.b.events).toEqual([]);
    expect(pair.b.peer.endpoint.known).toBe(false);
  });

  it('must be the remote: another source is dropped before any cryptography, and reported', () => {
    const pair = new Pair();
    pair.a.connect([ADDRESS_B]);
    pair.b.connect([encodeEndpoint('192.0.2.9', 1194)]);
    pair.a.toSend.push(ipv4Packet(60, 1));
    pair.settle();
    expect(pair.b.drops(DropReason.Source)).toBe(1);
    expect(pair.b.events).toEqual([
      { kind: 'rejected-source', link: 1, endpoint: '[AF_INET]192.0.2.1:1194' },
    ]);
  });

  it('moves with float', () => {
    const pair = new Pair({ b: { float: true } });
    pair.a.connect([ADDRESS_B]);
    pair.b.connect([encodeEndpoint('192.0.2.9', 1194)]);
    pair.a.toSend.push(ipv4Packet(60, 1));
    pair.settle();
    expect(pair.b.delivered).toHaveLength(1);
    expect(pair.b.events).toEqual([
      { kind: 'peer', peer: 0, endpoint: '[AF_INET]192.0.2.1:1194', first: true },
    ]);
  });
});

describe('keepalive', () => {
  it('pings at once, then after each silence of ours, and a ping is not delivered', () => {
    const pair = new Pair({ a: { pingSec: 10 } }).connect();
    pair.settle();
    expect(pair.a.counters.get(Counter.UdpWritePackets)).toBe(1);
    pair.advance(9900);
    expect(pair.a.counters.get(Counter.UdpWritePackets)).toBe(1);
    pair.a.toSend.push(ipv4Packet(60));
    pair.settle();
    pair.advance(9900);
    expect(pair.a.counters.get(Counter.UdpWritePackets)).toBe(2);
    pair.advance(200);
    expect(pair.a.counters.get(Counter.UdpWritePackets)).toBe(3);
    expect(pair.b.delivered).toHaveLength(1);
    expect(pair.b.counters.totalDrops()).toBe(0);
  });

  it('restarts after ping-restart seconds without a valid packet, in a new epoch, with the replay window kept', () => {
    const pair = new Pair({ a: { pingTimeoutSec: 30 }, b: { pingSec: 10 } }).connect();
    const datagram = captureOne(pair, 'b');
    pair.advance(35_000);
    expect(pair.a.peer.state).toBe('running');
    pair.wire.faults = { loss: 1, duplicate: 0, reorder: 0, reorderDistance: 0 };
    pair.advance(31_000);
    expect(pair.a.events.at(-1)).toEqual({ kind: 'restarting', peer: 0, reason: 'ping-restart' });
    expect(pair.a.peer.state).toBe('restarting');
    const epoch = pair.a.peer.packetIds.epoch;
    pair.a.connect([ADDRESS_B]);
    pair.wire.faults = { loss: 0, duplicate: 0, reorder: 0, reorderDistance: 0 };
    pair.a.toSend.push(ipv4Packet(60, 9));
    pair.settle();
    expect(pair.b.delivered.at(-1)).toEqual(ipv4Packet(60, 9));
    expect(pair.a.peer.packetIds.epoch).toBeGreaterThan(epoch);
    pair.a.port.inbox.push(datagram, 0, datagram.length);
    pair.settle();
    expect(pair.a.drops(DropReason.ReplayExpired)).toBe(1);
  });

  it('exits after ping-exit seconds', () => {
    const pair = new Pair({ a: { pingTimeoutSec: 5, pingTimeoutAction: 'exit' } }).connect();
    pair.advance(6000);
    expect(pair.a.events).toEqual([{ kind: 'exit', peer: 0, reason: 'ping-exit' }]);
    expect(pair.a.peer.state).toBe('ended');
  });

  it('with ping-timer-rem waits for a remote', () => {
    const pair = new Pair({ a: { pingTimeoutSec: 5, pingTimerNeedsRemote: true } });
    pair.a.connect([]);
    pair.b.connect([ADDRESS_A]);
    pair.advance(60_000, 1000);
    expect(pair.a.peer.state).toBe('running');
  });

  it('inactive counts tunnel traffic, not pings', () => {
    const pair = new Pair({ a: { inactiveSec: 20, pingSec: 5 }, b: { pingSec: 5 } }).connect();
    pair.advance(15_000);
    pair.b.toSend.push(ipv4Packet(60));
    pair.settle();
    pair.advance(15_000);
    expect(pair.a.peer.state).toBe('running');
    pair.advance(6_000);
    expect(pair.a.events.at(-1)).toEqual({ kind: 'exit', peer: 0, reason: 'inactive' });
  });

  it('ends after session-timeout whatever happens', () => {
    const pair = new Pair({ a: { sessionTimeoutSec: 60, pingSec: 5 }, b: { pingSec: 5 } }).connect();
    pair.advance(61_000, 1000);
    expect(pair.a.events.at(-1)).toEqual({ kind: 'exit', peer: 0, reason: 'session-timeout' });
  });

  it('sleeps exactly until the next timer', () => {
    const pair = new Pair({ a: { pingSec: 10, pingTimeoutSec: 60 } }).connect();
    pair.settle();
    expect(pair.a.engine.nextTimeoutMs()).toBe(10_000);
    pair.clock.ms += 4000;
    expect(pair.a.engine.nextTimeoutMs()).toBe(6000);
    expect(pair.b.engine.nextTimeoutMs()).toBe(Infinity);
  });
});

describe('OCC', () => {
  it('asks after 10 s and is answered, which also brings an idle session up', () => {
    const pair = new Pair({ a: { occ: true, occOptions: 'V4,a' }, b: { occOptions: 'V4,b' } }).connect();
    pair.advance(10_200);
    expect(pair.a.events).toContainEqual({ kind: 'occ', peer: 0, options: 'V4,b' });
    expect(pair.b.events).toContainEqual({
      kind: 'peer',
      peer: 0,
      endpoint: '[AF_INET]192.0.2.1:1194',
      first: true,
    });
    expect(pair.a.engine.nextTimeoutMs()).toBe(Infinity);
  });

  it('asks 11 times, then gives up', () => {
    const pair = new Pair({ a: { occ: true } }).connect();
    pair.wire.faults = { loss: 1, duplicate: 0, reorder: 0, reorderDistance: 0 };
    pair.advance(300_000, 1000);
    expect(pair.a.counters.get(Counter.UdpWritePackets)).toBe(11);
  });

  it('exit notifications restart the receiver once, however often they are repeated', () => {
    const pair = new Pair({ a: { exitNotify: 3, pingSec: 10 } }).connect();
    pair.settle();
    pair.a.engine.stop();
    pair.advance(500);
    expect(pair.b.events.at(-1)).toEqual({ kind: 'restarting', peer: 0, reason: 'remote-exit' });
    pair.b.connect([]);
    pair.advance(3500);
    expect(pair.b.events.filter(({ kind }) => kind === 'restarting')).toHaveLength(1);
    expect(pair.b.peer.endpoint.known).toBe(false);
    expect(pair.a.engine.state).toBe('stopped');
    expect(pair.a.counters.get(Counter.UdpWritePackets)).toBe(4);
  });

  it('answers MTU load requests with a datagram of the size asked for', () => {
    const pair = new Pair().connect();
    const sizes: number[] = [];
    pair.wire.eavesdropper = (_bytes, _offset, length) => sizes.push(length);
    sendPayload(pair, loadRequest(1450));
    expect(sizes.at(-1)).toBe(1456);
  });
});

function noReplay() {
  return { replay: { enabled: false, window: 64, timeSec: 15 } };
}

/** Sends one packet through and returns its datagram. */
function captureOne(pair: Pair, from: 'a' | 'b' = 'a'): Uint8Array {
  let datagram = new Uint8Array(0);
  pair.wire.eavesdropper = (bytes, offset, length) => (datagram = bytes.slice(offset, offset + length));
  pair[from].toSend.push(ipv4Packet(120, 42));
  pair.settle();
  pair.wire.eavesdropper = undefined;
  return datagram;
}

/** Puts a datagram into b's inbox, as if it came from a. */
function inject(pair: Pair, datagram: Uint8Array): void {
  if (!pair.b.port.inbox.push(datagram, 0, datagram.length)) throw new Error('inbox full');
}

function loadRequest(size: number): Uint8Array {
  const magic = Buffer.from('287f346bd4ef7a812d56b8d3afc5459c', 'hex');
  return Buffer.concat([magic, Uint8Array.of(2, size >> 8, size & 0xff)]);
}

/** Sends a raw payload from a to b, past the inspection of inner packets. */
function sendPayload(pair: Pair, payload: Uint8Array): void {
  const write = (bytes: Uint8Array, offset: number) => (bytes.set(payload, offset), payload.length);
  new ControlSender(new HeapArena(ControlSender.arenaSize())).send(pair.a.peer, write, {
    ms: pair.clock.ms,
    sec: pair.clock.unixSeconds(),
  });
  pair.settle();
}
