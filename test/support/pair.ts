/** Two engines joined by an in-memory wire, on a fake clock: `a` is 192.0.2.1:1194, `b` is 192.0.2.2:1194. */
import { createNobleProvider } from '../../src/crypto/noble.ts';
import type { CryptoProvider, RandomFill } from '../../src/crypto/provider.ts';
import { deriveKeys } from '../../src/crypto/static-key.ts';
import { lookupCipher, lookupDigest } from '../../src/crypto/algorithms.ts';
import type { Clock } from '../../src/engine/clock.ts';
import { Counters } from '../../src/engine/counters.ts';
import { Engine, Ready } from '../../src/engine/engine.ts';
import type { EngineEvent, PeerSettings } from '../../src/engine/messages.ts';
import { HeapArena, type Arena } from '../../src/packet/arena.ts';
import type { DropReason } from '../../src/packet/verdict.ts';
import { MemoryTun } from '../../src/tun/memory.ts';
import { encodeEndpoint } from '../../src/udp/endpoint.ts';
import { Wire, type MemoryUdpPort, type WireFaults } from '../../src/udp/memory.ts';
import { seeded } from './random.ts';

class FakeClock implements Clock {
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
  readonly counters: Counters;
  readonly port: MemoryUdpPort;
  readonly tun: MemoryTun;
  readonly events: EngineEvent[];
  /** Packets the host sends into the tunnel, oldest first. */
  readonly toSend: Uint8Array[];
  /** Packets that came out of the tunnel. */
  readonly delivered: Uint8Array[];
  drops(reason: DropReason): number;
}

export interface PairOptions {
  readonly cipher?: string;
  readonly digest?: string;
  readonly seed?: number;
  readonly faults?: WireFaults;
  readonly provider?: CryptoProvider;
  /** Arena of each engine; heap memory unless native code must reach it. */
  readonly arena?: (size: number) => Arena;
  readonly keyDirection?: boolean;
  /** Source of IVs; seeded unless given. */
  readonly ivs?: RandomFill;
  readonly a?: Partial<PeerSettings>;
  readonly b?: Partial<PeerSettings>;
  readonly rows?: number;
  readonly rowSize?: number;
}

function spec<T>(lookup: { spec: T } | { refusal: string }): T {
  if (!('spec' in lookup)) throw new Error(lookup.refusal);
  return lookup.spec;
}

function testSettings(options: PairOptions, direction: 0 | 1 | undefined): PeerSettings {
  const suite = {
    cipher: spec(lookupCipher(options.cipher ?? 'AES-256-CBC')),
    digest: spec(lookupDigest(options.digest ?? 'SHA256')),
  };
  const keys = deriveKeys(TEST_KEY, direction, suite);
  return {
    suite,
    sealKeys: keys.seal,
    openKeys: keys.open,
    sharedKeys: direction === undefined,
    replay: { enabled: true, window: 64, timeSec: 15 },
    framing: 'off',
    float: false,
    allowRecursiveRouting: false,
    tunMtu: 4000,
    pingSec: 0,
    pingTimeoutSec: 0,
    pingTimeoutAction: 'restart',
    pingTimerNeedsRemote: false,
    exitNotify: 0,
    inactiveSec: 0,
    inactiveBytes: 0,
    sessionTimeoutSec: 0,
    occ: false,
    occOptions: 'V4,test',
  };
}

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
      rows: options.rows ?? 256,
      rowSize: options.rowSize ?? 4096,
    });
    const provider = options.provider ?? createNobleProvider();
    const directed = options.keyDirection === true;
    const make = (
      port: MemoryUdpPort,
      direction: 0 | 1 | undefined,
      extra: Partial<PeerSettings> | undefined,
    ): Side => {
      const settings = { ...testSettings(options, direction), ...extra };
      const counters = new Counters(Counters.allocate());
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
      const engine = new Engine({
        arena: options.arena?.(Engine.arenaSize(settings)) ?? new HeapArena(Engine.arenaSize(settings)),
        tun,
        crypto: {
          sealer: provider.createSealer(settings.suite, settings.sealKeys, fill),
          opener: provider.createOpener(settings.suite, settings.openKeys),
        },
        settings,
        clock: this.clock,
        random: fill,
        counters,
        emit: (event) => events.push(event),
      });
      return {
        engine,
        counters,
        port,
        tun,
        events,
        toSend,
        delivered,
        drops: (reason) => counters.drops(reason),
      };
    };
    this.a = make(this.wire.a, directed ? 0 : undefined, options.a);
    this.b = make(this.wire.b, directed ? 1 : undefined, options.b);
  }

  /** Both sides know each other's address. */
  connect(): this {
    this.a.engine.connect(this.a.port, [ADDRESS_B], 0);
    this.b.engine.connect(this.b.port, [ADDRESS_A], 0);
    return this;
  }

  /** Breathes both engines until nothing moves any more. */
  settle(): void {
    for (let i = 0; i < 100_000; i++) {
      const moreA = this.a.engine.breathe(Ready.Everything);
      const moreB = this.b.engine.breathe(Ready.Everything);
      const idle = [this.a, this.b].every(
        ({ engine, port, toSend }) =>
          engine.state !== 'running' || (port.inbox.waiting === 0 && toSend.length === 0),
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
  if (length >= 24) new DataView(packet.buffer).setUint32(20, mark);
  return packet;
}
