/** The two ends of the lab's tunnel: their configs, the processes, and the wait until both are up. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { formatStaticKey, generateStaticKey } from '../crypto/static-key.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { inNamespace, type NetworkNamespace } from './namespaces.ts';
import { findProgram } from './programs.ts';
import type { Reaper } from './reaper.ts';
import type { Implementation } from './report.ts';
import { otherSite, SITE_A, SITE_B, TUNNEL_DEVICE, type Site } from './topology.ts';

const KEY_FILE = 'static.key';
const UP_TIMEOUT_MS = 20_000;
const POLL_MS = 50;
const STOP_TIMEOUT_MS = 3000;
const LOG_TAIL_LINES = 12;
/** OpenVPN's milestone: the tunnel is open and the peer has answered. */
const UP_MILESTONE = 'Initialization Sequence Completed';

export interface Gateway {
  readonly site: Site;
  readonly implementation: Implementation;
  readonly child: ChildProcess;
  readonly logFile: string;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
}

/** Writes the key and both configs: `static.key`, `site-a.conf`, `site-b.conf`. */
export function writeConfigs(folder: string, implementations: ReadonlyMap<Site, Implementation>): void {
  const key = generateStaticKey();
  writeFileSync(join(folder, KEY_FILE), formatStaticKey(key), { mode: 0o600 });
  key.fill(0);
  for (const [site, implementation] of implementations) {
    writeFileSync(join(folder, configName(site)), configText(site, implementation));
  }
}

function configName(site: Site): string {
  return `site-${site.letter.toLowerCase()}.conf`;
}

/** An ordinary OpenVPN static-key config; the other site's is its mirror image. */
function configText(site: Site, implementation: Implementation): string {
  const peer = otherSite(site);
  const lines = [
    `dev ${TUNNEL_DEVICE}`,
    'proto udp',
    'port 1194',
    `remote ${peer.gatewayWan}`,
    `ifconfig ${site.tunnel} ${peer.tunnel}`,
    `route ${peer.network} 255.255.0.0`,
    `secret ${KEY_FILE}`,
    'cipher AES-256-CBC',
    'auth SHA256',
    'keepalive 1 10',
    'verb 3',
  ];
  if (implementation === 'openvpn' && stockMinorVersion() >= 7) {
    lines.push('allow-deprecated-insecure-static-crypto');
  }
  return `${lines.join('\n')}\n`;
}

/** 6 for OpenVPN 2.6.x. From 2.7 on, static-key mode must be asked for by name. */
export function stockMinorVersion(): number {
  const { stdout } = spawnSync(openvpnProgram(), ['--version'], { encoding: 'utf8' });
  return Number(/^OpenVPN 2\.(\d+)/.exec(stdout)?.[1] ?? 0);
}

/** Path of stock OpenVPN. Throws OperatorError where it is not installed. */
export function openvpnProgram(): string {
  const found = findProgram('openvpn');
  if (found !== undefined) return found;
  throw new OperatorError({
    code: 'LAB_NO_OPENVPN',
    what: 'stock OpenVPN is not installed here',
    fix: 'apt-get install openvpn, or leave out --peer openvpn to have tsvpn on both ends',
    exitCode: ExitCode.Failure,
  });
}

export interface GatewayStart {
  readonly site: Site;
  readonly implementation: Implementation;
  readonly namespace: NetworkNamespace;
  readonly folder: string;
  readonly tsvpnCommand: readonly string[];
  readonly reaper: Reaper;
}

/** Starts the process inside the namespace, in a session of its own: a Ctrl-C is the lab's business. */
export function startGateway(start: GatewayStart): Gateway {
  const { site, implementation, namespace, folder, reaper } = start;
  const config = configName(site);
  const [program, ...words] =
    implementation === 'openvpn'
      ? [openvpnProgram(), '--config', config]
      : [...start.tsvpnCommand, 'up', config, '--name', `lab-${site.letter.toLowerCase()}`];
  const logFile = join(folder, config.replace('.conf', '.log'));
  const log = openSync(logFile, 'w');
  const child = inNamespace(namespace, () =>
    spawn(program, words, {
      cwd: folder,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, TSVPN_RUNTIME_DIR: join(folder, 'run'), NO_COLOR: '1' },
    }),
  );
  closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      writeFileSync(logFile, `${error.message}\n`, { flag: 'a' });
      resolve();
    });
    child.once('exit', () => {
      reaper.tell(`ended ${child.pid}`);
      resolve();
    });
  });
  if (child.pid !== undefined) reaper.tell(`process ${child.pid}`);
  return { site, implementation, child, logFile, ended };
}

/** Resolves when the milestone stands in the logs of all. Throws OperatorError with the log's end otherwise. */
export async function waitUntilUp(gateways: readonly Gateway[], signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + UP_TIMEOUT_MS;
  for (const gateway of gateways) {
    while (!readFileSync(gateway.logFile, 'utf8').includes(UP_MILESTONE)) {
      signal.throwIfAborted();
      const dead = gateways.find(({ child }) => hasEnded(child));
      if (dead !== undefined) throw gatewayFailed(dead, 'ended before the tunnel was up');
      if (performance.now() > deadline) {
        throw gatewayFailed(gateway, `was not up within ${UP_TIMEOUT_MS / 1000} seconds`);
      }
      await pause(POLL_MS);
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

function gatewayFailed(gateway: Gateway, how: string): OperatorError {
  return new OperatorError({
    code: 'LAB_GATEWAY',
    what: `${gateway.implementation} on gateway ${gateway.site.letter} ${how}`,
    why: `the end of its log:\n${logTail(gateway)}`,
    fix: `read the whole of both logs: ${gateway.logFile} and its neighbour`,
    exitCode: ExitCode.Failure,
  });
}

/** The last lines of what the process wrote. */
export function logTail({ logFile }: Gateway): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}

/** Asks the processes to end; those that do not in time are left to the reaper. */
export async function stopGateways(gateways: readonly Gateway[]): Promise<void> {
  for (const { child } of gateways) if (!hasEnded(child)) child.kill('SIGTERM');
  const limit = new AbortController();
  const timeout = pause(STOP_TIMEOUT_MS, undefined, { signal: limit.signal }).catch(() => {});
  await Promise.race([Promise.all(gateways.map(({ ended }) => ended)), timeout]);
  limit.abort();
}

export const SITES: readonly Site[] = [SITE_A, SITE_B];
