/** A tunnel between the two sites of a path; end a is tsvpn, end b either. */
import { join } from 'node:path';
import { expect } from 'vitest';
import type { MtuReport } from '../../src/control/mtu.ts';
import { PATH_A, PATH_B, type PathSite } from '../../src/lab/path.ts';
import { COMPLETED, startGateway, tsvpn, TSVPN, writeKey, type Implementation } from './gateway.ts';
import { staticKeyText } from './keys.ts';
import type { Namespace } from './netns.ts';
import { createPathLab, type PathLab, type PathLabOptions } from './path.ts';
import { PATIENCE_MS, type Daemon } from './process.ts';
import type { Stock } from './releases.ts';

export interface PathTunnelOptions extends PathLabOptions {
  /** At end b. */
  readonly peer: Implementation;
  /** In place of the OpenVPN that is installed. */
  readonly stock?: Stock;
  readonly outer?: 'ipv4' | 'ipv6';
  /** Further config lines. */
  readonly lines?: readonly string[];
  /** Of tsvpn's ends only. */
  readonly ourLines?: readonly string[];
  /** Of end b only. */
  readonly peerLines?: readonly string[];
  /** What is to be done to the network before the tunnel starts. */
  readonly prepare?: (lab: PathLab) => Promise<unknown>;
}

export interface PathTunnel extends PathLab {
  readonly a: Daemon;
  readonly b: Daemon;
}

/** Names of the tunnels: of their config files and devices, too. */
export const NAME = { a: 'site-a', b: 'site-b' } as const;

const ENDS = {
  a: { own: PATH_A, other: PATH_B, inner: ['10.9.0.1', '10.9.0.2'], inner6: ['fd00:9::1', 'fd00:9::2'] },
  b: { own: PATH_B, other: PATH_A, inner: ['10.9.0.2', '10.9.0.1'], inner6: ['fd00:9::2', 'fd00:9::1'] },
} as const;

/** Starts a tunnel, uses it, and removes it with its path. */
export async function onPath(
  options: PathTunnelOptions,
  use: (tunnel: PathTunnel) => Promise<void>,
): Promise<void> {
  const tunnel = await startPathTunnel(options);
  try {
    await use(tunnel);
  } finally {
    await tunnel.destroy();
  }
}

/** Both sites reach each other; with `ipv6` in both families. Resolves when both ends have heard each other. */
async function startPathTunnel(options: PathTunnelOptions): Promise<PathTunnel> {
  const lab = createPathLab(options);
  try {
    for (const gateway of [lab.gatewayA, lab.gatewayB]) await gateway.sysctl('net/ipv4/ip_forward', 1);
    await options.prepare?.(lab);
    const secret = writeKey(lab, 'static.key', staticKeyText());
    const start = (end: 'a' | 'b', namespace: Namespace, implementation: Implementation) =>
      startGateway(lab, namespace, {
        implementation,
        stock: options.stock,
        name: NAME[end],
        config: configOf(options, end, implementation, secret),
      });
    const a = start('a', lab.gatewayA, TSVPN);
    const b = start('b', lab.gatewayB, options.peer);
    await Promise.all([a.waitFor(COMPLETED), b.waitFor(COMPLETED)]);
    return { ...lab, a, b };
  } catch (error) {
    await lab.destroy();
    throw error;
  }
}

function configOf(
  { outer = 'ipv4', ipv6, lines = [], ourLines = [], peerLines = [] }: PathTunnelOptions,
  end: 'a' | 'b',
  implementation: Implementation,
  secret: string,
): string {
  const { other, inner, inner6 } = ENDS[end];
  return [
    'dev tun0',
    `proto ${outer === 'ipv6' ? 'udp6' : 'udp'}`,
    'port 1194',
    `remote ${outer === 'ipv6' ? other.outer6 : other.outer}`,
    `secret ${secret}`,
    'cipher AES-256-CBC',
    'auth SHA256',
    `ifconfig ${inner.join(' ')}`,
    `route ${other.network} 255.255.0.0`,
    ...(ipv6 ? [`ifconfig-ipv6 ${inner6[0]}/64 ${inner6[1]}`, `route-ipv6 ${other.network6}/32`] : []),
    'ping 1',
    'verb 3',
    ...lines,
    ...(implementation === TSVPN ? ourLines : []),
    ...(end === 'b' ? peerLines : []),
  ].join('\n');
}

const MEASUREMENTS = 3;

/** On a machine that stands still for a while a measurement does not come to its end, and says so: it is made again. */
export async function measureMtu(tunnel: PathTunnel, end: 'a' | 'b' = 'a'): Promise<MtuReport> {
  const gateway = end === 'a' ? tunnel.gatewayA : tunnel.gatewayB;
  let report = await mtuReport(tunnel, gateway, NAME[end]);
  for (let i = 1; i < MEASUREMENTS && report.toPeer?.upTo === null; i++) {
    report = await mtuReport(tunnel, gateway, NAME[end]);
  }
  return report;
}

async function mtuReport(lab: PathLab, namespace: Namespace, name: string): Promise<MtuReport> {
  const { code, stdout, stderr } = await tsvpn(lab, namespace, 'mtu', '--tunnel', name, '--json');
  if (code !== 0) throw new Error(`tsvpn mtu: exit code ${code}\n${stdout}${stderr}`);
  return JSON.parse(stdout) as MtuReport;
}

const HOST = join(import.meta.dirname, 'path-host.mjs');
const RESULT = /^\[.*\]\n/m;

/** What the hosts of both sites see of each other: of each address, and in each direction. */
interface Meeting {
  readonly host: string;
  /** A hello of 2 kB was answered by 100 kB, over a new connection. */
  readonly handshake: boolean;
  /** Random bytes arrived whole. */
  readonly bulk: boolean;
}

/** The hosts exchange handshakes and `bulkBytes` each way, all at the same time, in both families with `ipv6`. */
export async function meet(
  { hostA, hostB }: PathTunnel,
  { ipv6 = false, bulkBytes = 1_000_000, limitMs = PATIENCE_MS } = {},
): Promise<Meeting[]> {
  const addresses = ({ host, host6 }: PathSite) => (ipv6 ? `${host},${host6}` : host);
  const start = (at: Namespace, own: PathSite, peer: PathSite) =>
    at.spawn([process.execPath, HOST, addresses(own), addresses(peer), `${bulkBytes}`, `${limitMs}`]);
  const hosts = [start(hostA, PATH_A, PATH_B), start(hostB, PATH_B, PATH_A)];
  try {
    await Promise.all(hosts.map((host) => host.waitFor(/listening/)));
    for (const host of hosts) host.signal('SIGUSR2');
    await Promise.all(hosts.map((host) => host.waitFor(/\]\n/, 2 * limitMs + PATIENCE_MS)));
    return hosts.flatMap(({ log }) => JSON.parse(RESULT.exec(log)![0]) as Meeting[]);
  } finally {
    await Promise.all(hosts.map((host) => host.stop('SIGKILL')));
  }
}

/** As `meet`, and everything must pass. */
export async function expectMeeting(...words: Parameters<typeof meet>): Promise<void> {
  for (const { host, handshake, bulk } of await meet(...words)) {
    expect({ handshake, bulk }, `what ${host} answers`).toEqual({ handshake: true, bulk: true });
  }
}
