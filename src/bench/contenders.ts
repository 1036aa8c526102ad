/** Who is measured: a table of tunnels, each with what runs on its two ends. */
import { spawnSync } from 'node:child_process';
import { PROVIDER_NAMES, selectProvider } from '../crypto/select.ts';
import { findProgram } from '../lab/programs.ts';
import { startFastd } from './drivers/fastd.ts';
import { startHub } from './drivers/hub.ts';
import {
  DEFAULT_SHAPE,
  startStaticKey,
  type StaticKeyEnd,
  type StaticKeyShape,
} from './drivers/static-key.ts';
import { startWireguard } from './drivers/wireguard.ts';
import { suiteOf } from './suites.ts';
import { OUTER, type EndName } from './testbed.ts';
import type { Place, StartedTunnel } from './tunnel.ts';

export interface Contender {
  /** As given to --contenders. */
  readonly name: string;
  /** What runs on end a and on end b, for reports. */
  readonly title: string;
  /** Why it cannot run here, or undefined when it can. */
  missing(): string | undefined;
  start(place: Place): Promise<StartedTunnel>;
}

const STOCK: StaticKeyEnd = { implementation: 'openvpn' };
const TSVPN: StaticKeyEnd = { implementation: 'tsvpn' };

/** Measured unless --contenders says otherwise. */
export const MAIN = ['stock', 'tsvpn', 'tsvpn-stock', 'stock-tsvpn', 'wireguard-go', 'fastd', 'veth'];
/** tsvpn on both ends, one thing different from its default. */
export const VARIANTS = [...PROVIDER_NAMES, 'no-offload'].map((word) => `tsvpn-${word}`);

/** All contenders by name. `tsvpnCommand` starts tsvpn, for example `[process.execPath, 'dist/cli/main.js']`. */
export function contenders(tsvpnCommand: readonly string[]): Map<string, Contender> {
  const pair = (
    name: string,
    title: string,
    a: StaticKeyEnd,
    b: StaticKeyEnd,
    missing: () => string | undefined,
  ) => staticKeyContender({ name, title, ends: { a, b }, shape: DEFAULT_SHAPE, missing, tsvpnCommand });
  const provider = (word: string) => {
    const end: StaticKeyEnd = { implementation: 'tsvpn', env: { TSVPN_CRYPTO: word } };
    return pair(`tsvpn-${word}`, `tsvpn with TSVPN_CRYPTO=${word}`, end, end, () => providerMissing(word));
  };
  const noOffload: StaticKeyEnd = { implementation: 'tsvpn', args: ['--no-offload'] };
  const all: Contender[] = [
    pair('stock', 'OpenVPN ↔ OpenVPN', STOCK, STOCK, programMissing('openvpn', 'openvpn')),
    pair('tsvpn', 'tsvpn ↔ tsvpn', TSVPN, TSVPN, nothingMissing),
    pair('tsvpn-stock', 'tsvpn → OpenVPN', TSVPN, STOCK, programMissing('openvpn', 'openvpn')),
    pair('stock-tsvpn', 'OpenVPN → tsvpn', STOCK, TSVPN, programMissing('openvpn', 'openvpn')),
    ...PROVIDER_NAMES.map(provider),
    pair('tsvpn-no-offload', 'tsvpn with --no-offload', noOffload, noOffload, () =>
      optionMissing('--no-offload', tsvpnCommand),
    ),
    wireguard,
    fastd,
    veth,
  ];
  return new Map(all.map((contender) => [contender.name, contender]));
}

const wireguard: Contender = {
  name: 'wireguard-go',
  title: 'wireguard-go',
  missing: () =>
    programMissing('wireguard-go', 'wireguard-go')() ?? programMissing('wg', 'wireguard-tools')(),
  start: async (place) => ({ address: place.address, daemons: await startWireguard(place) }),
};

const fastd: Contender = {
  name: 'fastd',
  title: 'fastd',
  missing: programMissing('fastd', 'fastd'),
  start: async (place) => ({ address: place.address, daemons: await startFastd(place) }),
};

/** The cable itself: what a tunnel without any cost would reach. */
const veth: Contender = {
  name: 'veth',
  title: 'no tunnel (veth)',
  missing: nothingMissing,
  start: () => Promise.resolve({ address: OUTER, daemons: {} }),
};

/** tsvpn with so many peers at end b, of which end a is one. */
export function hubContender(peers: number, tsvpnCommand: readonly string[]): Contender {
  return {
    name: `tsvpn-${peers}-peers`,
    title: `tsvpn ↔ tsvpn with ${peers} peers`,
    missing: nothingMissing,
    start: async (place) => ({
      address: place.address,
      daemons: await startHub(place, peers, tsvpnCommand),
    }),
  };
}

export interface StaticKeyContender {
  readonly name: string;
  readonly title: string;
  readonly ends: Readonly<Record<EndName, StaticKeyEnd>>;
  readonly shape: StaticKeyShape;
  readonly tsvpnCommand: readonly string[];
  readonly missing: () => string | undefined;
}

export function staticKeyContender(pair: StaticKeyContender): Contender {
  return {
    name: pair.name,
    title: pair.title,
    missing: pair.missing,
    start: async (place) => ({
      address: place.address,
      daemons: await startStaticKey(place, pair.ends, pair.shape, pair.tsvpnCommand),
    }),
  };
}

export function nothingMissing(): undefined {
  return undefined;
}

export function programMissing(program: string, debianPackage: string): () => string | undefined {
  return () =>
    findProgram(program) === undefined ? `not installed (apt-get install ${debianPackage})` : undefined;
}

function providerMissing(name: string): string | undefined {
  try {
    const suite = suiteOf(DEFAULT_SHAPE.cipher, DEFAULT_SHAPE.auth);
    selectProvider(suite, { forced: name, legacy: false }).dispose();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function optionMissing(option: string, tsvpnCommand: readonly string[]): string | undefined {
  const [program, ...args] = tsvpnCommand;
  const { stdout } = spawnSync(program, [...args, 'up', '--help'], { encoding: 'utf8' });
  return stdout.includes(option) ? undefined : `this tsvpn has no ${option}`;
}
