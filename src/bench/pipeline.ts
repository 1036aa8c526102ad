/**
 * Two engines joined by an in-memory wire, one sending to the other: everything between TUN and UDP socket but no
 * system call. The wire's own copying (twice per packet) is part of the figures.
 */
import type { CryptoProvider } from '../crypto/provider.ts';
import { selectProvider } from '../crypto/select.ts';
import { generateStaticKey } from '../crypto/static-key.ts';
import { encodeEndpoint } from '../transport/endpoint.ts';
import { Wire } from '../udp/memory.ts';
import { allocatedBytes } from './allocation.ts';
import type { InProcessBench, InProcessReading } from './in-process.ts';
import type { Scale } from './measurements.ts';
import {
  addPeer,
  breathe,
  ipv4Packet,
  memoryEngine,
  peerSettings,
  POINT_TO_POINT,
  SUITE,
} from './memory-engine.ts';

const SIZES = [64, 512, 1400];
const WARM_UP_PACKETS = 30_000;
const ALLOCATION_PACKETS = 4096;
const ROUND_MS = 1000;
const QUICK_ROUND_MS = 300;
const WIRE_ROWS = 4096;
const ROW_SIZE = 2048;

const ADDRESS_A = encodeEndpoint('192.0.2.1', 1194);
const ADDRESS_B = encodeEndpoint('192.0.2.2', 1194);

export const pipeline: InProcessBench = {
  name: 'pipeline',
  title: 'Two engines and a wire in memory, AES-256-CBC/SHA256 (one core)',
  run: measureSizes,
};

function* measureSizes({ quick }: Scale): Generator<InProcessReading> {
  for (const size of SIZES) {
    const provider = selectProvider(SUITE, { legacy: false });
    const move = joinEngines(provider, size);
    move(WARM_UP_PACKETS);
    const pps = packetsPerSecond(move, quick ? QUICK_ROUND_MS : ROUND_MS);
    const allocated = allocatedBytes(() => move(ALLOCATION_PACKETS)) / ALLOCATION_PACKETS;
    const gbps = (pps * size * 8) / 1e9;
    yield { contender: `${provider.name}, ${size} bytes`, values: { pps, gbps, allocated } };
  }
}

function packetsPerSecond(move: (packets: number) => void, milliseconds: number): number {
  const start = performance.now();
  let packets = 0;
  while (performance.now() - start < milliseconds) {
    move(ALLOCATION_PACKETS);
    packets += ALLOCATION_PACKETS;
  }
  return (packets * 1000) / (performance.now() - start);
}

/** Returns what carries that many packets from one engine's TUN to the other's; it throws when one is lost. */
function joinEngines(provider: CryptoProvider, size: number): (packets: number) => void {
  const wire = new Wire({
    a: ADDRESS_A,
    b: ADDRESS_B,
    random: Math.random,
    rows: WIRE_ROWS,
    rowSize: ROW_SIZE,
  });
  const packet = ipv4Packet(size);
  let toSend = 0;
  let delivered = 0;
  const settings = peerSettings(generateStaticKey());
  const sender = memoryEngine(POINT_TO_POINT, {
    source: (bytes, offset) => {
      if (toSend === 0) return 0;
      toSend--;
      bytes.set(packet, offset);
      return size;
    },
    sink: () => true,
  });
  const receiver = memoryEngine(POINT_TO_POINT, {
    source: () => 0,
    sink: () => {
      delivered++;
      return true;
    },
  });
  addPeer(sender, 0, settings, provider, { port: wire.a, remote: ADDRESS_B });
  addPeer(receiver, 0, settings, provider, { port: wire.b, remote: ADDRESS_A });
  return (packets) => {
    toSend = packets;
    delivered = 0;
    while (toSend > 0) {
      breathe(sender);
      while (wire.b.inbox.waiting > 0) breathe(receiver);
    }
    if (delivered < packets) throw new Error(`${packets - delivered} of ${packets} packets were lost`);
  };
}
