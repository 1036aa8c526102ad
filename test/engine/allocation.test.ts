/** Packets in flight allocate nothing: the whole path, both ways, over memory devices and the real crypto. */
import { describe, expect, it } from 'vitest';
import { createOpenSslProvider } from '../../src/crypto/openssl.ts';
import { randomPool } from '../../src/crypto/random.ts';
import { Counter } from '../../src/engine/counters.ts';
import { NativeArena } from '../../src/ffi/memory.ts';
import { bytesPerCall } from '../support/allocs.ts';
import type { Batch } from '../../src/packet/batch.ts';
import { writeLzo } from '../oracles/lz-writer.ts';
import { compressed, repetitivePacket } from '../support/compression.ts';
import { breatheAll, ipv4Packet, Pair, type PairOptions } from '../support/pair.ts';

/** A breath reads the clock and the counters, which are doubles: that much may be allocated per breath, not per packet. */
const BYTES_PER_BREATH = 256;
const PACKETS_PER_BREATH = 64;
/** Three datagrams each. */
const IN_FRAGMENTS = 21;
/** A single small object per packet would be at least this. */
const SMALLEST_OBJECT = 12;

describe('a packet from one host to the other allocates nothing', () => {
  const rows: [string, PairOptions, number?][] = [
    ['AES-256-CBC/SHA256', {}],
    ['AES-256-CBC/SHA256, separate keys', { keyDirection: true }],
    [
      'AES-128-CBC/SHA1, comp-lzo framing',
      { cipher: 'AES-128-CBC', digest: 'SHA1', a: { framing: 'lzo' }, b: { framing: 'lzo' } },
    ],
    ['AES-256-CBC/SHA256, in fragments', { a: { maxFragment: 531 }, b: { maxFragment: 531 } }, IN_FRAGMENTS],
    ['none/SHA512', { cipher: 'none', digest: 'SHA512' }],
  ];
  it.each(rows)('%s', (_, options, packetsPerBreath = PACKETS_PER_BREATH) => {
    const pair = new Pair({
      ...options,
      provider: createOpenSslProvider({ legacy: false }),
      arena: (size) => new NativeArena(size),
      rowSize: 2048,
      ivs: randomPool(),
    }).connect();
    const packet = ipv4Packet(1400, 1);
    let left = 0;
    pair.a.tun.source = (bytes, offset) => {
      if (left === 0) return 0;
      left--;
      for (let i = 0; i < packet.length; i++) bytes[offset + i] = packet[i];
      return packet.length;
    };
    let received = 0;
    pair.b.tun.sink = () => {
      received++;
      return true;
    };
    const perBatch = bytesPerCall(() => {
      left = packetsPerBreath;
      breatheAll(pair.a.engine);
      breatheAll(pair.b.engine);
    }, 60);
    expect(received).toBe(pair.a.counters.get(Counter.TunReadPackets));
    expect(received).toBeGreaterThan(10_000);
    expect((perBatch - 2 * BYTES_PER_BREATH) / packetsPerBreath).toBeLessThan(SMALLEST_OBJECT / 4);
  });

  it('when the peer has compressed it', () => {
    const pair = new Pair({
      provider: createOpenSslProvider({ legacy: false }),
      arena: (size) => new NativeArena(size),
      rowSize: 2048,
      ivs: randomPool(),
      b: { framing: 'lzo' },
    }).connect();
    const packet = repetitivePacket(1400);
    const payload = Buffer.concat([Buffer.of(0x66), compressed(writeLzo, packet)]);
    // What an old peer does in this place.
    const frame = (batch: Batch, slot: number) => {
      for (let i = 0; i < payload.length; i++) batch.bytes[batch.start[slot] + i] = payload[i];
      batch.length[slot] = payload.length;
    };
    Object.assign(pair.a.peer, { framing: { ...pair.a.peer.framing, frame } });
    let left = 0;
    pair.a.tun.source = (bytes, offset) => {
      if (left === 0) return 0;
      left--;
      for (let i = 0; i < packet.length; i++) bytes[offset + i] = packet[i];
      return packet.length;
    };
    let received = 0;
    pair.b.tun.sink = (_bytes, _offset, length) => {
      if (length === packet.length) received++;
      return true;
    };
    const perBatch = bytesPerCall(() => {
      left = PACKETS_PER_BREATH;
      breatheAll(pair.a.engine);
      breatheAll(pair.b.engine);
    }, 60);
    expect(received).toBe(pair.a.counters.get(Counter.UdpWritePackets));
    expect(received).toBeGreaterThan(10_000);
    expect((perBatch - 2 * BYTES_PER_BREATH) / PACKETS_PER_BREATH).toBeLessThan(SMALLEST_OBJECT / 4);
  });
});
