/**
 * A hub and the spokes around it, on one switch:
 *
 *                 ┌── spoke 1   192.0.2.2   in the tunnel 10.8.0.2, fd00:8::2   behind it 10.1.0.1, fd00:1::1
 *   hub ── switch ┼── spoke 2   192.0.2.3                 10.8.0.3, fd00:8::3             10.2.0.1, fd00:2::1
 *   192.0.2.1     └── ...
 *   10.8.0.1, fd00:8::1
 *
 * Which of them run tsvpn, and with which lines, is each test's.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from '../../src/control/client.ts';
import type { TunnelStatus } from '../../src/control/status.ts';
import { COMPLETED, startGateway, tsvpn, TSVPN, type Implementation } from './gateway.ts';
import { staticKeyText } from './keys.ts';
import { createLab, type Lab, type Namespace } from './netns.ts';
import { PATIENCE_MS, mustRun, type Daemon } from './process.ts';

export interface Spoke {
  /** 1..250 */
  readonly number: number;
  /** Its name as a peer of the hub. */
  readonly name: string;
  readonly namespace: Namespace;
  readonly outer: string;
  readonly address: string;
  readonly address6: string;
  /** Inside the tunnel; it has it when a test gives it one. */
  readonly linkLocal: string;
  /** An address of the network behind it. */
  readonly inside: string;
  readonly inside6: string;
}

export interface Star extends Lab {
  readonly hub: Namespace;
  readonly spokes: readonly Spoke[];
  /** Of the switch's port to a spoke: longer frames in either direction are dropped without a word. */
  setPortMtu(spoke: Spoke, mtu: number): Promise<unknown>;
}

export const HUB = {
  name: 'hub',
  outer: '192.0.2.1',
  address: '10.8.0.1',
  address6: 'fd00:8::1',
  linkLocal: 'fe80::1',
  /** The one socket of peers that are told apart by their addresses. */
  sharedPort: 1194,
} as const;

export async function createStar(count: number): Promise<Star> {
  const lab = createLab();
  const middle = await lab.namespace('switch');
  await middle.ip('link', 'add', 'bridge', 'up', 'type', 'bridge');
  const attach = async (name: string, outer: string) => {
    const namespace = await lab.namespace(name);
    await lab.connect(namespace, 'outer', middle, name);
    await namespace.ip('address', 'add', `${outer}/24`, 'dev', 'outer');
    await middle.ip('link', 'set', name, 'master', 'bridge');
    return namespace;
  };
  const hub = await attach(HUB.name, HUB.outer);
  const spokes: Spoke[] = [];
  for (let number = 1; number <= count; number++) {
    const name = `s${number}`;
    const outer = `192.0.2.${number + 1}`;
    const namespace = await attach(name, outer);
    const spoke = { number, name, namespace, outer, ...innerAddresses(number) };
    await addInside(spoke);
    spokes.push(spoke);
  }
  const setPortMtu = ({ name }: Spoke, mtu: number) => middle.ip('link', 'set', name, 'mtu', String(mtu));
  return { ...lab, hub, spokes, setPortMtu };
}

function innerAddresses(number: number) {
  return {
    address: `10.8.0.${number + 1}`,
    address6: `fd00:8::${(number + 1).toString(16)}`,
    linkLocal: `fe80::${(number + 1).toString(16)}`,
    inside: `10.${number + 10}.0.1`,
    inside6: `fd00:${(number + 0x100).toString(16)}::1`,
  };
}

async function addInside({ namespace, inside, inside6 }: Spoke): Promise<void> {
  const commands = `address add ${inside}/32 dev lo\naddress add ${inside6}/128 dev lo nodad\n`;
  await mustRun(['ip', '-n', namespace.name, '-batch', '-'], { input: commands });
}

/** `10.11.0.0/16` and `fd00:101::/32`, behind the first spoke. */
export function networkBehind({ inside }: Spoke): string {
  return inside.replace(/0\.1$/, '0.0/16');
}

export function networkBehind6({ inside6 }: Spoke): string {
  return inside6.replace(/::1$/, '::/32');
}

export interface HubOptions {
  readonly lines?: readonly string[];
  /** The peers' `<peer>` blocks; all spokes with `peerBlock` unless given. */
  readonly blocks?: readonly string[];
  readonly name?: string;
}

const COMMON = ['dev tun', 'topology subnet', 'cipher AES-256-CBC', 'auth SHA256', 'keepalive 1 4', 'verb 3'];

export function hubConfig({ lines = ['client-to-client'], blocks = [] }: HubOptions): string {
  return [
    ...COMMON,
    `ifconfig ${HUB.address} 255.255.255.0`,
    `ifconfig-ipv6 ${HUB.address6}/64 ${HUB.address6}2`,
    ...lines,
    ...blocks,
  ].join('\n');
}

/** The port of the hub that only this spoke sends to. */
export const ownPort = ({ number }: Spoke) => 2000 + number;

export interface PeerOptions {
  /** Its socket is the hub's one for all. */
  readonly shared?: boolean;
  /** In place of the routes to the networks behind the spoke. */
  readonly routes?: readonly string[];
  /** Lines of the spoke in place of its routes to everything behind the hub. */
  readonly farRoutes?: readonly string[];
  /** In place of the spoke's own key and direction. */
  readonly secret?: string;
  readonly lines?: readonly string[];
}

/** A `<peer>` block of the hub. A spoke with a port of its own is not known by address: it calls first. */
export function peerBlock(star: Star, spoke: Spoke, options: PeerOptions = {}): string {
  const socket =
    options.shared === true
      ? [`lport ${HUB.sharedPort}`, `remote ${spoke.outer} 1194`]
      : [`lport ${ownPort(spoke)}`];
  const { routes = [networkBehind(spoke), networkBehind6(spoke)] } = options;
  return [
    '<peer>',
    `name ${spoke.name}`,
    ...socket,
    `secret ${options.secret ?? `${secretOf(star, spoke)} 0`}`,
    `peer-address ${spoke.address} ${spoke.address6}`,
    ...routes.map((route) => `peer-route ${route}`),
    ...(options.lines ?? []),
    '</peer>',
  ].join('\n');
}

function spokeConfig(star: Star, spoke: Spoke, options: PeerOptions = {}): string {
  const { farRoutes = ['route 10.0.0.0 255.0.0.0', 'route-ipv6 fd00::/16'] } = options;
  return [
    ...COMMON,
    `ifconfig ${spoke.address} 255.255.255.0`,
    `ifconfig-ipv6 ${spoke.address6}/64 ${HUB.address6}`,
    `route-gateway ${HUB.address}`,
    'lport 1194',
    `remote ${HUB.outer} ${options.shared === true ? HUB.sharedPort : ownPort(spoke)}`,
    `secret ${options.secret ?? `${secretOf(star, spoke)} 1`}`,
    ...farRoutes,
    ...(options.lines ?? []),
  ].join('\n');
}

/** The file with the key of a spoke, made at its first use. */
export function secretOf({ folder }: Star, { name }: Spoke): string {
  const file = join(folder, `${name}.key`);
  if (!existsSync(file)) writeFileSync(file, staticKeyText(), { mode: 0o600 });
  return file;
}

export function startHub(star: Star, options: HubOptions = {}): Daemon {
  const { name = HUB.name, blocks = star.spokes.map((spoke) => peerBlock(star, spoke)) } = options;
  const config = hubConfig({ ...options, blocks });
  return startGateway(star, star.hub, { implementation: TSVPN, name, config });
}

export function startSpoke(
  star: Star,
  spoke: Spoke,
  implementation: Implementation = 'openvpn',
  options: PeerOptions = {},
): Daemon {
  const config = spokeConfig(star, spoke, options);
  return startGateway(star, spoke.namespace, { implementation, name: spoke.name, config });
}

export interface RunningStar extends Star {
  readonly hubDaemon: Daemon;
  readonly daemons: readonly Daemon[];
}

export interface RunningOptions extends HubOptions {
  /** How many of the spokes the hub knows at first; all unless told. */
  readonly peers?: number;
  /** Of the hub's block for a spoke. */
  readonly block?: (spoke: Spoke) => PeerOptions;
  /** Of a spoke's config. */
  readonly spoke?: (spoke: Spoke) => PeerOptions;
}

/** A star of stock spokes, connected. */
export async function startStar(count: number, options: RunningOptions = {}): Promise<RunningStar> {
  const { peers = count, block = () => ({}), spoke: end = () => ({}), ...hub } = options;
  const star = await createStar(count);
  const blocks = star.spokes.slice(0, peers).map((spoke) => peerBlock(star, spoke, block(spoke)));
  const hubDaemon = startHub(star, { ...hub, blocks });
  await hubDaemon.waitFor(/UDPv4 link/);
  const daemons = star.spokes.map((spoke) => startSpoke(star, spoke, 'openvpn', end(spoke)));
  // Twice: one of 100 000 routes has much to tell the kernel first.
  await hubDaemon.waitFor(COMPLETED, 2 * PATIENCE_MS, peers);
  return { ...star, hubDaemon, daemons };
}

/** What `tsvpn status` would print, without the cost of a process. */
export function hubStatus(star: Star): Promise<TunnelStatus> {
  return request(join(star.folder, 'run'), HUB.name, 'status');
}

/** Packets by the reason for which the hub dropped them, for the peer named or in all. */
export async function hubDrops(star: Star, peer?: string): Promise<Record<string, number>> {
  const status = await hubStatus(star);
  return { ...(peer === undefined ? status : status.peers.find(({ name }) => name === peer))?.drops };
}

/** What a tsvpn command says in the hub's namespace; a failure is an error. */
export async function hubSays(star: Star, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await tsvpn(star, star.hub, ...words);
  if (code !== 0) throw new Error(`tsvpn ${words.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
  return stdout;
}
