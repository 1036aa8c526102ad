/**
 * A million packets over a wire that loses, duplicates and reorders: each is delivered at most once, every delivered
 * one is intact, and what is missing is accounted for.
 */
import { describe, expect, it } from 'vitest';
import { createOpenSslProvider } from '../../src/crypto/openssl.ts';
import { Counter } from '../../src/engine/counters.ts';
import { NativeArena } from '../../src/ffi/memory.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { breatheAll, ipv4Packet, Pair } from '../support/pair.ts';
import { seeded } from '../support/random.ts';

const PACKETS = 1_000_000;
const SEED = Number(process.env.TSVPN_TEST_SEED ?? 20261122);

describe('a lossy wire', () => {
  it(`delivers at most once and intact (seed ${SEED})`, { timeout: 300_000 }, () => {
    const pair = new Pair({
      seed: SEED,
      provider: createOpenSslProvider({ legacy: false }),
      arena: (size) => new NativeArena(size),
      keyDirection: true,
      faults: { loss: 0.02, duplicate: 0.03, reorder: 0.01, reorderDistance: 80 },
      rowSize: 512,
    }).connect();
    const random = seeded(SEED + 1);
    const deliveries = new Uint8Array(PACKETS);
    let next = 0;
    let damaged = 0;
    pair.a.tun.source = (bytes, offset) => {
      if (next === PACKETS) return 0;
      const length = 24 + Math.floor(random() * 200);
      bytes.set(ipv4Packet(length, next), offset);
      next++;
      return length;
    };
    pair.b.tun.sink = (bytes, offset, length) => {
      const mark = new DataView(bytes.buffer, bytes.byteOffset + offset, length).getUint32(20);
      if (mark >= PACKETS || !sameBytes(ipv4Packet(length, mark), bytes, offset)) damaged++;
      else deliveries[mark]++;
      return true;
    };
    while (next < PACKETS || pair.b.port.inbox.waiting > 0) {
      breatheAll(pair.a.engine);
      while (breatheAll(pair.b.engine));
      pair.clock.ms += 1;
    }
    const reorderedOut = pair.b.drops(DropReason.Replay) + pair.b.drops(DropReason.ReplayExpired);
    const delivered = deliveries.reduce((sum, count) => sum + count, 0);
    const received = pair.b.counters.get(Counter.UdpReadPackets);
    expect(damaged).toBe(0);
    expect(deliveries.every((count) => count <= 1)).toBe(true);
    expect(delivered).toBe(received - reorderedOut);
    expect(pair.b.counters.totalDrops()).toBe(reorderedOut);
    // The faults must have bitten, or the test proves nothing.
    expect(pair.wire.lost).toBeGreaterThan(PACKETS * 0.015);
    expect(reorderedOut).toBeGreaterThan(PACKETS * 0.02);
    expect(delivered).toBeGreaterThan(PACKETS * 0.9);
  });
});

function sameBytes(expected: Uint8Array, bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < expected.length; i++) if (expected[i] !== bytes[offset + i]) return false;
  return true;
}
