/** Starts OpenVPN static-key tunnels: stock OpenVPN or tsvpn on either end, from the same config. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatStaticKey, generateStaticKey } from '../../crypto/static-key.ts';
import { openvpnProgram, stockMinorVersion } from '../../lab/gateways.ts';
import { startDaemon, type Daemon } from '../processes.ts';
import { ENDS, otherEnd, type EndName, type Testbed } from '../testbed.ts';
import type { Daemons, Place } from '../tunnel.ts';

export const KEY_FILE = 'static.key';

export interface StaticKeyEnd {
  readonly implementation: 'openvpn' | 'tsvpn';
  readonly env?: Readonly<Record<string, string>>;
  /** Further words for `tsvpn up`. */
  readonly args?: readonly string[];
  /** Further config lines of this end. */
  readonly lines?: readonly string[];
}

export interface StaticKeyShape {
  readonly cipher: string;
  readonly auth: string;
  /** Further config lines of both ends. */
  readonly lines: readonly string[];
}

export const DEFAULT_SHAPE: StaticKeyShape = { cipher: 'AES-256-CBC', auth: 'SHA256', lines: [] };

export async function startStaticKey(
  place: Place,
  ends: Readonly<Record<EndName, StaticKeyEnd>>,
  shape: StaticKeyShape,
  tsvpnCommand: readonly string[],
): Promise<Daemons> {
  writeKey(place.testbed, KEY_FILE);
  const started: Partial<Record<EndName, Daemon>> = {};
  for (const end of ENDS) started[end] = await startEnd(place, end, ends[end], shape, tsvpnCommand);
  return started;
}

/** Starts one end of a tunnel; its key must be there. */
export function startEnd(
  place: Place,
  end: EndName,
  options: StaticKeyEnd,
  shape: StaticKeyShape,
  tsvpnCommand: readonly string[],
): Promise<Daemon> {
  const lines = [...configLines(place, end, shape), ...(options.lines ?? [])];
  return startConfig(place, end, options, lines, tsvpnCommand);
}

/** Starts a daemon with a config of its own. */
export function startConfig(
  { testbed, device }: Place,
  end: EndName,
  { implementation, env = {}, args = [] }: StaticKeyEnd,
  configured: readonly string[],
  tsvpnCommand: readonly string[],
): Promise<Daemon> {
  const name = `${device}-${end}`;
  const lines = [...configured];
  if (implementation === 'openvpn' && stockMinorVersion() >= 7) {
    lines.push('allow-deprecated-insecure-static-crypto');
  }
  const config = join(testbed.folder, `${name}.conf`);
  writeFileSync(config, `${lines.join('\n')}\n`);
  const words =
    implementation === 'openvpn'
      ? [openvpnProgram(), '--config', config]
      : [...tsvpnCommand, 'up', config, '--name', name, ...args];
  const runtimeDir = join(testbed.folder, 'run');
  return startDaemon(testbed, end, name, words, { env: { TSVPN_RUNTIME_DIR: runtimeDir, ...env } });
}

function configLines(place: Place, end: EndName, { cipher, auth, lines }: StaticKeyShape): string[] {
  const { device, port, address, testbed } = place;
  const other = otherEnd(end);
  return [
    `dev ${device}`,
    'dev-type tun',
    'proto udp',
    `port ${port}`,
    `remote ${testbed.outer[other]}`,
    `ifconfig ${address[end]} ${address[other]}`,
    `secret ${KEY_FILE}`,
    `cipher ${cipher}`,
    `auth ${auth}`,
    ...lines,
    'verb 3',
  ];
}

/** Leaves a key that is there: one serves all tunnels of the testbed. */
export function writeKey(testbed: Testbed, file: string): void {
  const path = join(testbed.folder, file);
  if (existsSync(path)) return;
  const key = generateStaticKey();
  writeFileSync(path, formatStaticKey(key), { mode: 0o600 });
  key.fill(0);
}
