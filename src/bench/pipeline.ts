/**
 * Two engines joined by an in-memory wire, one sending to the other: everything between TUN and UDP socket but no
 * system call. The wire's own copying (twice per packet) is part of the figures.
 */
import type { CryptoProvider, RandomFill } from '../crypto/provider.ts';
import { randomPool } from '../crypto/random.ts';
import { selectProvider } from '../crypto/select.ts';
import { deriveKeys, generateStaticKey } from '../crypto/static-key.ts';
import { systemClock } from '../engine/clock.ts';
import { Counters } from '../engine/counters.ts';
import { Engine } from '../engine/engine.ts';
import type { EngineSettings, PeerSettings } from '../engine/messages.ts';
import { NativeArena } from '../ffi/memory.ts';
import { setIpv4HeaderChecksum } from '../packet/ipv4.ts';
import { MemoryTun, type PacketSink, type PacketSource } from '../tun/memory.ts';
import { encodeEndpoint } from '../udp/endpoint.ts';
import { Wire, type MemoryUdpPort } from '../udp/memory.ts';
import { allocatedBytes } from './allocation.ts';
import type { InProcessBench, InProcessReading } from './in-process.ts';
import type { Scale } from './measurements.ts';
import { suiteOf } from './suites.ts';

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

const SUITE = suiteOf('AES-256-CBC', 'SHA256');

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
  const key = generateStaticKey();
  const sender = engineOn(wire.a, ADDRESS_B, provider, key, {
    source: (bytes, offset) => {
      if (toSend === 0) return 0;
      toSend--;
      bytes.set(packet, offset);
      return size;
    },
    sink: () => true,
  });
  const receiver = engineOn(wire.b, ADDRESS_A, provider, key, {
    source: () => 0,
    sink: () => {
      delivered++;
      return true;
    },
  });
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

function breathe(engine: Engine): void {
  engine.everythingReady();
  engine.breathe();
}

/** One peer that gets everything. */
const POINT_TO_POINT: EngineSettings = {
  tunMtu: 1500,
  pointToPoint: true,
  clientToClient: false,
  address4: undefined,
  address6: undefined,
};

function engineOn(
  port: MemoryUdpPort,
  remote: Uint8Array,
  provider: CryptoProvider,
  key: Uint8Array,
  host: { source: PacketSource; sink: PacketSink },
): Engine {
  const settings = peerSettings(key);
  const fill: RandomFill = randomPool();
  const engine = new Engine({
    arena: new NativeArena(Engine.arenaSize(POINT_TO_POINT)),
    tun: new MemoryTun('memory0', host.source, host.sink),
    settings: POINT_TO_POINT,
    clock: systemClock,
    random: fill,
    counters: new Counters(Counters.allocate()),
    emit: () => {},
  });
  const crypto = {
    sealer: provider.createSealer(settings.suite, settings.sealKeys, fill),
    opener: provider.createOpener(settings.suite, settings.openKeys),
  };
  engine.addPeer(0, settings, crypto, new Counters(Counters.allocate()));
  engine.openLink(0, port, false);
  engine.connect(0, 0, [remote], 0);
  return engine;
}

/** A peer without timers: nothing but data crosses. */
function peerSettings(key: Uint8Array): PeerSettings {
  const keys = deriveKeys(key, undefined, SUITE);
  return {
    suite: SUITE,
    sealKeys: keys.seal,
    openKeys: keys.open,
    sharedKeys: true,
    replay: { enabled: true, window: 64, timeSec: 15 },
    framing: 'off',
    float: false,
    allowRecursiveRouting: false,
    tunMtu: 1500,
    anySource: true,
    netmap: [],
    pingSec: 0,
    pingTimeoutSec: 0,
    pingTimeoutAction: 'restart',
    pingTimerNeedsRemote: false,
    exitNotify: 0,
    inactiveSec: 0,
    inactiveBytes: 0,
    sessionTimeoutSec: 0,
    occ: false,
    occOptions: 'V4,bench',
  };
}

/** UDP from 10.0.0.1 to 10.0.0.2. */
function ipv4Packet(length: number): Uint8Array {
  const packet = new Uint8Array(length).fill(0x61);
  packet.set([0x45, 0, length >> 8, length & 0xff, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
  setIpv4HeaderChecksum(packet, 0);
  return packet;
}
