/** Two engines joined by an in-memory wire, on a fake clock: `a` is 192.0.2.1:1194, `b` is 192.0.2.2:1194. */
import { suiteOf } from '../../src/bench/suites.ts';
import { createNobleProvider } from '../../src/crypto/noble.ts';
import type { CryptoProvider, RandomFill } from '../../src/crypto/provider.ts';
import { deriveKeys } from '../../src/crypto/static-key.ts';
import type { Clock } from '../../src/engine/clock.ts';
import { Counters } from '../../src/engine/counters.ts';
import { Engine } from '../../src/engine/engine.ts';
import type { EngineEvent, EngineSettings, PeerSettings } from '../../src/engine/messages.ts';
import type { DeviceType } from '../../src/packet/ethernet.ts';
import { onesComplementSum } from '../../src/packet/checksum.ts';
import type { Peer } from '../../src/engine/peer.ts';
import { HeapArena, type Arena } from '../../src/packet/arena.ts';
import type { DropReason } from '../../src/packet/verdict.ts';
import { MemoryTun } from '../../src/tun/memory.ts';
import { encodeEndpoint } from '../../src/transport/endpoint.ts';
import { Wire, type MemoryUdpPort, type WireFaults, type WireMtu } from '../../src/udp/memory.ts';
import { PEER_DEFAULTS } from '../../src/bench/memory-engine.ts';
import { seeded } from './random.ts';
import { wayTo, type WayOptions } from './way.ts';

export class FakeClock implements Clock {
  ms = 1_000_000;

  monotonicMs(): number {
    return this.ms;
  }

  unixSeconds(): number {
    return 1_800_000_000 + Math.floor(this.ms / 1000);
  }
}

export const ADDRESS_A = encodeEndpoint('192.0.2.1', 1194);
export const ADDRESS_B = encodeEndpoint('192.0.2.2', 1194);

/** A fixed key whose bytes all differ in both halves. */
const TEST_KEY = Uint8Array.from({ length: 256 }, (_, i) => (i * 7 + 3) & 0xff);

export interface Side {
  readonly engine: Engine;
  readonly peer: Peer;
  /** Of the peer. */
  readonly counters: Counters;
  /** Of the device. */
  readonly device: Counters;
  readonly port: MemoryUdpPort;
  readonly tun: MemoryTun;
  readonly events: EngineEvent[];
  /** Packets the host sends into the tunnel, oldest first. */
  readonly toSend: Uint8Array[];
  /** Packets that came out of the tunnel. */
  readonly delivered: Uint8Array[];
  /** At the peer and at the device. */
  drops(reason: DropReason): number;
  /** Connects the peer over a fresh link. */
  connect(remotes: readonly Uint8Array[], mss?: number): void;
}

/** Of one end, and of its way to the other. */
type SideOptions = Partial<PeerSettings> & WayOptions;

export interface PairOptions {
  readonly cipher?: string;
  readonly digest?: string;
  readonly seed?: number;
  readonly faults?: WireFaults;
  readonly mtu?: WireMtu;
  readonly provider?: CryptoProvider;
  /** Arena of each engine; heap memory unless native code must reach it. */
  readonly arena?: (size: number) => Arena;
  readonly keyDirection?: boolean;
  /** Source of IVs; seeded unless given. */
  readonly ivs?: RandomFill;
  /** Of both ends. */
  readonly deviceType?: DeviceType;
  readonly a?: SideOptions;
  readonly b?: SideOptions;
  readonly rows?: number;
  readonly rowSize?: number;
}

function testSettings(options: PairOptions, direction: 0 | 1 | undefined): PeerSettings {
  const suite = suiteOf(options.cipher ?? 'AES-256-CBC', options.digest ?? 'SHA256');
  const keys = deriveKeys(TEST_KEY, direction, suite);
  const own = { suite, sealKeys: keys.seal, openKeys: keys.open, sharedKeys: direction === undefined };
  return { ...PEER_DEFAULTS, ...own, tunMtu: 4000, anySource: true };
}

/** One peer that gets everything, as with a stock config. */
const POINT_TO_POINT: EngineSettings = {
  deviceType: 'tun',
  tunMtu: 4000,
  pointToPoint: true,
  clientToClient: false,
  address4: Uint8Array.of(10, 0, 0, 1),
  address6: undefined,
};

export class Pair {
  readonly clock = new FakeClock();
  readonly wire: Wire;
  readonly a: Side;
  readonly b: Side;

  constructor(options: PairOptions = {}) {
    const random = seeded(options.seed ?? 1);
    const seededFill: RandomFill = (bytes, offset, length) => {
      for (let i = 0; i < length; i++) bytes[offset + i] = Math.floor(random() * 256);
    };
    const fill = options.ivs ?? seededFill;
    this.wire = new Wire({
      a: ADDRESS_A,
      b: ADDRESS_B,
      random,
      ...(options.faults === undefined ? {} : { faults: options.faults }),
      ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
      rows: options.rows ?? 256,
      rowSize: options.rowSize ?? 4096,
    });
    const provider = options.provider ?? createNobleProvider();
    const directed = options.keyDirection === true;
    const make = (port: MemoryUdpPort, direction: 0 | 1 | undefined, extra: SideOptions = {}): Side => {
      const settings = { ...testSettings(options, direction), ...extra };
      const counters = new Counters(Counters.allocate());
      const device = new Counters(Counters.allocate());
      const deviceType = options.deviceType ?? 'tun';
      const engineSettings = { ...POINT_TO_POINT, deviceType, tunMtu: settings.tunMtu };
      const events: EngineEvent[] = [];
      const toSend: Uint8Array[] = [];
      const delivered: Uint8Array[] = [];
      const tun = new MemoryTun(
        'memory0',
        (bytes, offset) => {
          const packet = toSend.shift();
          if (packet === undefined) return 0;
          bytes.set(packet, offset);
          return packet.length;
        },
        (bytes, offset, length) => {
          delivered.push(bytes.slice(offset, offset + length));
          return true;
        },
      );
      const size = Engine.arenaSize(engineSettings);
      const engine = new Engine({
        arena: options.arena?.(size) ?? new HeapArena(size),
        tun,
        settings: engineSettings,
        clock: this.clock,
        random: fill,
        counters: device,
        emit: (event) => events.push(event),
      });
      const crypto = {
        sealer: provider.createSealer(settings.suite, settings.sealKeys, fill),
        opener: provider.createOpener(settings.suite, settings.openKeys),
      };
      const peer = engine.peering.addPeer(0, settings, crypto, counters);
      let links = 0;
      return {
        engine,
        peer,
        counters,
        device,
        port,
        tun,
        events,
        toSend,
        delivered,
        drops: (reason) => counters.drops(reason) + device.drops(reason),
        connect: (remotes, mss = 0) => {
          engine.peering.openLink(++links, port, false);
          engine.peering.connect(0, links, wayTo(remotes, { ...extra, mss }));
        },
      };
    };
    this.a = make(this.wire.a, directed ? 0 : undefined, options.a);
    this.b = make(this.wire.b, directed ? 1 : undefined, options.b);
  }

  /** Both sides know each other's address. */
  connect(): this {
    this.a.connect([ADDRESS_B]);
    this.b.connect([ADDRESS_A]);
    return this;
  }

  /** Breathes both engines until nothing moves any more. */
  settle(): void {
    for (let i = 0; i < 100_000; i++) {
      const moreA = breatheAll(this.a.engine);
      const moreB = breatheAll(this.b.engine);
      const idle = [this.a, this.b].every(
        ({ peer, port, toSend }) =>
          peer.state !== 'running' || (port.inbox.waiting === 0 && toSend.length === 0),
      );
      if (!moreA && !moreB && idle) return;
    }
    throw new Error('the pair does not come to rest');
  }

  /** Lets `ms` pass in steps of at most `stepMs`, breathing both engines at each. */
  advance(ms: number, stepMs = 100): void {
    const end = this.clock.ms + ms;
    while (this.clock.ms < end) {
      this.clock.ms = Math.min(end, this.clock.ms + stepMs);
      this.settle();
    }
  }
}

/** One round with every door taken for ready. */
export function breatheAll(engine: Engine): boolean {
  engine.everythingReady();
  return engine.breathe();
}

/** An IPv4 packet of `length` bytes with recognisable content; `mark` (32 bits) goes behind the header. */
export function ipv4Packet(length: number, mark = 0, destination = [10, 0, 0, 2]): Uint8Array {
  const packet = new Uint8Array(length);
  for (let i = 20; i < length; i++) packet[i] = (i * 31 + mark) & 0xff;
  packet[0] = 0x45;
  packet[2] = length >> 8;
  packet[3] = length & 0xff;
  packet[8] = 64;
  packet[9] = 17;
  packet.set([10, 0, 0, 1], 12);
  packet.set(destination, 16);
  const checksum = ~onesComplementSum(packet, 0, 20) & 0xffff;
  packet[10] = checksum >> 8;
  packet[11] = checksum & 0xff;
  if (length >= 24) new DataView(packet.buffer).setUint32(20, mark);
  return packet;
}
