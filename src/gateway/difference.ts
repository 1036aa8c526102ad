/** What a changed config asks of a running gateway. Pure: nothing is changed here. */
import { createHash } from 'node:crypto';
import type { GatewayConfig, PeerConfig } from '../config/model.ts';
import { occOptions } from './settings.ts';

/**
 * Everything about a peer that its session in the data plane depends on, as text: what lies behind it does not
 * belong to it, nor where its lines stand. The key is in it as a hash.
 */
export function peerIdentity(config: PeerConfig, key: Uint8Array): string {
  const { cipher, digest, replay, transport, timers, mtu, framing, occ, netmap, allowedSource } = config;
  const parts = {
    key: createHash('sha256').update(key).digest('hex'),
    direction: config.key.direction,
    suite: [cipher.name, digest.name],
    replay,
    transport,
    timers,
    mtu,
    framing,
    occ: [occ, occOptions(config)],
    netmap,
    anySource: allowedSource === 'any',
  };
  return JSON.stringify(parts, (name, value: unknown) => {
    if (name === 'where' || name === 'lines') return undefined;
    // JSON has no Infinity (`resolv-retry infinite`).
    return value === Infinity ? 'infinite' : value;
  });
}

export interface NamedIdentity {
  readonly name: string;
  readonly identity: string;
}

export interface PeerDifference {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** To be removed and added again. */
  readonly changed: readonly string[];
  readonly kept: readonly string[];
}

export function comparePeers(
  before: readonly NamedIdentity[],
  after: readonly NamedIdentity[],
): PeerDifference {
  const old = new Map(before.map(({ name, identity }) => [name, identity]));
  const names = new Set(after.map(({ name }) => name));
  const namesWhere = (test: (peer: NamedIdentity) => boolean) => after.filter(test).map(({ name }) => name);
  return {
    added: namesWhere(({ name }) => !old.has(name)),
    removed: before.filter(({ name }) => !names.has(name)).map(({ name }) => name),
    changed: namesWhere(({ name, identity }) => old.has(name) && old.get(name) !== identity),
    kept: namesWhere(({ name, identity }) => old.get(name) === identity),
  };
}

/** Settings that are fixed when the process starts, by the words of their directives. */
const FIXED: Readonly<Record<string, (config: GatewayConfig) => unknown>> = {
  'the device name (`dev`)': ({ device }) => device.name,
  'the type of the device (`dev-type`)': ({ device }) => device.type,
  '`dev-node`': ({ device }) => device.node,
  '`ifconfig-noexec`': ({ device }) => device.noExec,
  'the MTU of the device (the largest `tun-mtu`)': ({ tunMtu }) => tunMtu,
  '`mute`': ({ log }) => log.mute,
  '`suppress-timestamps`': ({ log }) => log.timestamps,
  'the status file (`status`)': ({ statusFile }) => statusFile,
  'the pid file (`writepid`)': ({ pidFile }) => pidFile,
  '`daemon`': ({ process }) => process.daemon,
  'the log file (`log`)': ({ process }) => process.logFile,
  'the name for `syslog`': ({ process }) => process.syslog,
  '`machine-readable-output`': ({ process }) => process.machineReadable,
  '`nice`': ({ process }) => process.nice,
  '`user`': ({ process }) => process.user,
  '`group`': ({ process }) => process.group,
  'the management interface': ({ management }) => management && { ...management, where: undefined },
  '`up-delay`': ({ scripts }) => scripts.upDelay,
};

/** What has changed and cannot at run time; `providers legacy` may go, but not come. */
export function fixedChanges(before: GatewayConfig, after: GatewayConfig): string[] {
  const changes = Object.entries(FIXED)
    .filter(([, of]) => JSON.stringify(of(before)) !== JSON.stringify(of(after)))
    .map(([words]) => words);
  return needsLegacy(after) && !needsLegacy(before) ? [...changes, '`providers legacy`'] : changes;
}

export function needsLegacy({ peers }: GatewayConfig): boolean {
  return peers.some(({ legacyProvider }) => legacyProvider);
}
