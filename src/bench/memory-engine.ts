/** Engines over memory devices: everything between TUN and UDP socket but no system call. */
import type { CryptoProvider } from '../crypto/provider.ts';
import { randomPool } from '../crypto/random.ts';
import { deriveKeys } from '../crypto/static-key.ts';
import { systemClock } from '../engine/clock.ts';
import { Counters } from '../engine/counters.ts';
import { Engine, type NatSurroundings } from '../engine/engine.ts';
import type { EngineSettings, PeerSettings } from '../engine/messages.ts';
import { NativeArena } from '../ffi/memory.ts';
import { setIpv4HeaderChecksum } from '../packet/ipv4.ts';
import { MemoryTun, type PacketSink, type PacketSource } from '../tun/memory.ts';
import type { TransportPort } from '../transport/port.ts';
import { suiteOf } from './suites.ts';

export const SUITE = suiteOf('AES-256-CBC', 'SHA256');

/** One peer that gets everything. */
export const POINT_TO_POINT: EngineSettings = {
  deviceType: 'tun',
  tunMtu: 1500,
  pointToPoint: true,
  clientToClient: false,
  address4: undefined,
  address6: undefined,
};

/** The host behind an engine's TUN device. */
export interface MemoryHost {
  readonly source: PacketSource;
  readonly sink: PacketSink;
}

export function memoryEngine(settings: EngineSettings, host: MemoryHost, nat?: NatSurroundings): Engine {
  return new Engine({
    arena: new NativeArena(Engine.arenaSize(settings)),
    tun: new MemoryTun('memory0', host.source, host.sink),
    settings,
    clock: systemClock,
    random: randomPool(),
    counters: new Counters(Counters.allocate()),
    emit: () => {},
    ...(nat === undefined ? {} : { nat }),
  });
}

/** A peer at `remote`, with a link of its own. Peer and link have the same number. */
export function addPeer(
  engine: Engine,
  index: number,
  settings: PeerSettings,
  provider: CryptoProvider,
  { port, remote }: { readonly port: TransportPort; readonly remote: Uint8Array },
): void {
  const fill = randomPool();
  const crypto = {
    sealer: provider.createSealer(settings.suite, settings.sealKeys, fill),
    opener: provider.createOpener(settings.suite, settings.openKeys),
  };
  engine.peering.addPeer(index, settings, crypto, new Counters(Counters.allocate()));
  engine.peering.openLink(index, port, false);
  const way = { remotes: [remote], float: false, keep: false, mss: 0, exitNotify: 0, occOptions: 'V4,bench' };
  engine.peering.connect(index, index, way);
}

/** One round over all doors. */
export function breathe(engine: Engine): void {
  engine.everythingReady();
  engine.breathe();
}

/** A peer without timers: nothing but data crosses. */
export const PEER_DEFAULTS: Omit<PeerSettings, 'suite' | 'sealKeys' | 'openKeys'> = {
  sharedKeys: false,
  replay: { enabled: true, window: 64, timeSec: 15 },
  framing: 'off',
  maxFragment: 0,
  allowRecursiveRouting: false,
  passTos: false,
  shaperBytesPerSec: 0,
  tunMtu: 1500,
  tunMtuExtra: 0,
  anySource: false,
  netmap: [],
  linkHeader: 0,
  mtuProbe: 'off',
  pingSec: 0,
  pingTimeoutSec: 0,
  pingTimeoutAction: 'restart',
  pingTimerNeedsRemote: false,
  inactiveSec: 0,
  inactiveBytes: 0,
  sessionTimeoutSec: 0,
  occ: false,
};

export function peerSettings(key: Uint8Array, { anySource = true } = {}): PeerSettings {
  const keys = deriveKeys(key, undefined, SUITE);
  return {
    ...PEER_DEFAULTS,
    suite: SUITE,
    sealKeys: keys.seal,
    openKeys: keys.open,
    sharedKeys: true,
    anySource,
  };
}

/** UDP from 10.0.0.1 to 10.0.0.2. */
export function ipv4Packet(length: number): Uint8Array {
  const packet = new Uint8Array(length).fill(0x61);
  packet.set([0x45, 0, length >> 8, length & 0xff, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
  setIpv4HeaderChecksum(packet, 0);
  return packet;
}
