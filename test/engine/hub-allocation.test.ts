/** Packets between two peers of a hub allocate nothing, nor do those it refuses. */
import { describe, expect, it } from 'vitest';
import { suiteOf } from '../../src/bench/suites.ts';
import { createOpenSslProvider } from '../../src/crypto/openssl.ts';
import type { CryptoProvider, Sealer } from '../../src/crypto/provider.ts';
import { randomPool } from '../../src/crypto/random.ts';
import { deriveKeys } from '../../src/crypto/static-key.ts';
import { Counter, Counters } from '../../src/engine/counters.ts';
import { NativeArena } from '../../src/ffi/memory.ts';
import { Batch } from '../../src/packet/batch.ts';
import { DropReason } from '../../src/packet/verdict.ts';
import { PACKET_ID_SIZE, PacketIdSender } from '../../src/protocol/packet-id.ts';
import { encodeEndpoint } from '../../src/transport/endpoint.ts';
import { Wire } from '../../src/udp/memory.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { Hub } from '../support/hub.ts';
import { PEER_DEFAULTS } from '../../src/bench/memory-engine.ts';
import { packet, SITE_ROUTES } from '../support/hub-packets.ts';
import { breatheAll } from '../support/pair.ts';
import { wayTo } from '../support/way.ts';

const BYTES_PER_BREATH = 256;
const PACKETS_PER_BREATH = 64;
const SMALLEST_OBJECT = 12;
const SHAPE = { slots: PACKETS_PER_BREATH, capacity: 2048 };

/** A peer's far end that seals a burst of one packet into the wire, and throws away what comes. */
class FarEnd {
  readonly counters = new Counters(Counters.allocate());
  received = 0;
  private readonly batch = new Batch(new NativeArena(Batch.arenaSize(SHAPE)), SHAPE);
  private readonly ids = new PacketIdSender();
  private readonly sealer: Sealer;
  private readonly wire: Wire;

  constructor(hub: Hub, index: number, provider: CryptoProvider) {
    const suite = suiteOf('AES-256-CBC', 'SHA256');
    const key = new Uint8Array(256).fill(index + 1);
    const [near, far] = [deriveKeys(key, 0, suite), deriveKeys(key, 1, suite)];
    const fill = randomPool();
    const address = encodeEndpoint(`192.0.2.${index + 1}`, 1194);
    this.wire = new Wire({
      a: encodeEndpoint('203.0.113.1', 1194),
      b: address,
      random: () => 0,
      rowSize: 2048,
    });
    this.sealer = provider.createSealer(suite, far.seal, fill);
    const settings = { ...PEER_DEFAULTS, suite, sealKeys: near.seal, openKeys: near.open };
    const crypto = {
      sealer: provider.createSealer(suite, near.seal, fill),
      opener: provider.createOpener(suite, near.open),
    };
    hub.engine.peering.addPeer(index, settings, crypto, this.counters);
    hub.engine.peering.connect(index, hub.openLink(this.wire.a, false), wayTo([address], { mss: 1300 }));
  }

  burst(bytes: Uint8Array): void {
    const { batch } = this;
    for (let slot = 0; slot < batch.slots; slot++) {
      const start = batch.packetOffset(slot);
      for (let i = 0; i < bytes.length; i++) batch.bytes[start + i] = bytes[i];
      batch.commit(slot, bytes.length);
      batch.start[slot] -= PACKET_ID_SIZE;
      batch.length[slot] += PACKET_ID_SIZE;
      this.ids.write(batch.bytes, batch.start[slot], 1_800_001_000);
    }
    this.sealer.seal(batch, 0, batch.slots);
    this.wire.b.sendBatch(batch, 0, batch.slots);
  }

  receive(): void {
    this.batch.count = 0;
    this.received += this.wire.b.recvBatch(this.batch);
  }
}

describe('allocates nothing', () => {
  const rows: [string, string, string, DropReason | undefined][] = [
    ['a packet from peer to peer', '10.1.0.5', '10.2.0.5', undefined],
    ['a spoofed packet', '10.2.0.5', '10.2.0.6', DropReason.Spoofed],
    ['a packet without a way', '10.1.0.5', '10.9.0.1', DropReason.Blackhole],
    ['an answer that the rate limit forbids', '10.1.0.5', '10.10.0.1', DropReason.Unreachable],
  ];
  it.each(rows)('%s', (_, source, destination, reason) => {
    const provider = createOpenSslProvider({ legacy: false });
    const hub = new Hub({ provider, arena: (size) => new NativeArena(size), random: randomPool() });
    const [a, b] = [0, 1].map((index) => new FarEnd(hub, index, provider));
    hub.names.set('a', 0).set('b', 1);
    hub.route([...SITE_ROUTES, '10.9.0.0/16 blackhole', '10.10.0.0/16 unreachable']);
    const bytes = packet(source, destination, { length: 1400 });
    const perBatch = bytesPerCall(() => {
      a.burst(bytes);
      breatheAll(hub.engine);
      a.receive();
      b.receive();
    }, 60);
    const sent = a.counters.get(Counter.UdpReadPackets);
    expect(sent).toBeGreaterThan(10_000);
    expect(reason === undefined ? b.received : a.counters.drops(reason)).toBe(sent);
    expect((perBatch - 2 * BYTES_PER_BREATH) / PACKETS_PER_BREATH).toBeLessThan(SMALLEST_OBJECT / 4);
  });
});
