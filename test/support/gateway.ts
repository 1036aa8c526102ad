/**
 * Starting one end of a tunnel, stock OpenVPN or tsvpn, from the same config text.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Lab, Namespace } from './netns.ts';
import type { Daemon, RunOptions } from './process.ts';
import type { Stock } from './releases.ts';

export type Implementation = 'openvpn' | 'tsvpn';

/** TSVPN_TEST_IMPLEMENTATION=openvpn puts stock where the tests have tsvpn, to try the harness itself. */
export const TSVPN: Implementation =
  process.env.TSVPN_TEST_IMPLEMENTATION === 'openvpn' ? 'openvpn' : 'tsvpn';

export const PEER_CONNECTED = /Peer Connection Initiated with/;
export const COMPLETED = /Initialization Sequence Completed/;

export const TSVPN_BIN = resolve(import.meta.dirname, '../../bin/tsvpn');

export interface GatewayOptions {
  readonly implementation: Implementation;
  /** Unique in the lab: the tunnel's name, and the name of its config file. */
  readonly name: string;
  readonly config: string;
  /** In place of the OpenVPN that is installed. */
  readonly stock?: Stock | undefined;
}

/** Runs the config in the namespace, in the foreground; the milestones of OpenVPN stand in its log. */
export function startGateway(lab: Lab, namespace: Namespace, options: GatewayOptions): Daemon {
  const file = writeConfig(lab, options.name, options.config);
  if (options.implementation === 'tsvpn') {
    return namespace.spawn([TSVPN_BIN, 'up', file, '--name', options.name], inLab(lab));
  }
  return namespace.spawn([...(options.stock?.argv ?? ['openvpn']), '--config', file], inLab(lab));
}

/** Runs one tsvpn command in the namespace to its end. */
export function tsvpn(lab: Lab, namespace: Namespace, ...words: string[]) {
  return namespace.run([TSVPN_BIN, ...words], inLab(lab));
}

/** Relative file names in a config are relative to the lab's folder, as is everything tsvpn keeps at run time. */
export function inLab(lab: Lab): RunOptions {
  const runtime = join(lab.folder, 'run');
  mkdirSync(runtime, { recursive: true });
  return { cwd: lab.folder, env: { TSVPN_RUNTIME_DIR: runtime, NO_COLOR: '1' } };
}

export function writeConfig(lab: Lab, name: string, text: string): string {
  const file = join(lab.folder, `${name}.conf`);
  writeFileSync(file, `${text.trim()}\n`);
  return file;
}

/** Writes a static key file in OpenVPN's format, 0600, and returns its path. */
export function writeKey(lab: Lab, name: string, text: string, mode = 0o600): string {
  const file = join(lab.folder, name);
  writeFileSync(file, text, { mode });
  return file;
}
