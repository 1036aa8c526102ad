/**
 * One tunnel between the two gateways of a Link. Many run in one link at a time: the number of a tunnel sets its
 * port, device name and inner addresses.
 */
import { COMPLETED, startGateway, writeKey, type Implementation } from './gateway.ts';
import { staticKeyText } from './keys.ts';
import type { Namespace } from './netns.ts';
import type { Daemon } from './process.ts';
import type { Stock } from './releases.ts';
import { OUTER, type Link } from './topology.ts';

export interface TunnelOptions {
  /** 1..250, unique in the link; the next one unless given. */
  readonly number?: number;
  /** Gateway A waits to be called, gateway B has a `remote` line. */
  readonly listener: Implementation;
  readonly caller: Implementation;
  readonly cipher?: string;
  readonly auth?: string;
  /** `0-1`: direction 0 on the listener; `1-0`: on the caller. */
  readonly direction?: 'none' | '0-1' | '1-0';
  readonly device?: 'p2p' | 'subnet' | 'tap';
  readonly outer?: 'ipv4' | 'ipv6';
  /** UDP unless told. */
  readonly protocol?: 'udp' | 'tcp';
  /** Inner IPv6 addresses, and a route from the caller to a network behind the listener. */
  readonly inner6?: boolean;
  /** Further lines for both ends, or for one. */
  readonly lines?: readonly string[];
  readonly listenerLines?: readonly string[];
  readonly callerLines?: readonly string[];
  /** The static key's 256 bytes; random when not given. */
  readonly key?: Uint8Array;
  /** In place of the caller's `remote` line. */
  readonly remotes?: readonly string[];
  /** In place of the OpenVPN that is installed. */
  readonly stock?: Stock;
}

/** One end; `daemon` is the process that runs now, a restarted end has a new one. */
export interface End {
  readonly name: string;
  readonly namespace: Namespace;
  readonly implementation: Implementation;
  readonly stock: Stock | undefined;
  readonly config: string;
  readonly device: string;
  readonly address: string;
  readonly address6: string;
  daemon: Daemon;
}

export interface Tunnel {
  readonly port: number;
  readonly listener: End;
  readonly caller: End;
  /** An address behind the listener that only the caller's `route-ipv6` leads to. */
  readonly hostBehind6: string;
}

type Role = 'listener' | 'caller';
type Numbered = TunnelOptions & { readonly number: number };

/** Lowest port in use; tunnel `n` has port BASE_PORT + n. */
const BASE_PORT = 2000;

export async function startTunnel(link: Link, options: TunnelOptions): Promise<Tunnel> {
  const tunnel = prepareTunnel(link, options);
  await completed(tunnel);
  return tunnel;
}

const taken = new WeakMap<Link, number>();

/** A number that no other tunnel of the link has. */
export function nextNumber(link: Link): number {
  const number = (taken.get(link) ?? 0) + 1;
  taken.set(link, number);
  return number;
}

/** Starts both ends without waiting for anything. */
export function prepareTunnel(link: Link, { number = nextNumber(link), ...given }: TunnelOptions): Tunnel {
  const options = { number, ...given };
  const key = writeKey(link, `${number}.key`, staticKeyText(options.key));
  const end = (role: Role): End => {
    const name = `t${number}-${role}`;
    const namespace = role === 'listener' ? link.a : link.b;
    const implementation = options[role];
    const { stock } = options;
    const config = endConfig(options, role, key);
    return {
      name,
      namespace,
      implementation,
      stock,
      config,
      device: `t${number}`,
      address: innerAddress(number, role),
      address6: innerAddress6(number, role),
      daemon: startGateway(link, namespace, { implementation, stock, name, config }),
    };
  };
  return {
    port: BASE_PORT + number,
    listener: end('listener'),
    caller: end('caller'),
    hostBehind6: `${networkBehind6(number)}1`,
  };
}

export async function completed(tunnel: Tunnel): Promise<void> {
  await Promise.all([tunnel.listener.daemon.waitFor(COMPLETED), tunnel.caller.daemon.waitFor(COMPLETED)]);
}

/** Starts an end again with its old config; the caller of this function has ended the old process. */
export function restart(link: Link, end: End): void {
  end.daemon = startGateway(link, end.namespace, end);
}

export async function stopTunnel(tunnel: Tunnel): Promise<void> {
  await Promise.all([tunnel.listener.daemon.stop(), tunnel.caller.daemon.stop()]);
}

function innerAddress(number: number, role: Role): string {
  return `10.4.${number}.${role === 'listener' ? 1 : 2}`;
}

function innerAddress6(number: number, role: Role): string {
  return `fd00:4:${number}::${role === 'listener' ? 1 : 2}`;
}

function networkBehind6(number: number): string {
  return `fd00:5:${number}::`;
}

function endConfig(options: Numbered, role: Role, key: string): string {
  const { number, cipher = 'AES-256-CBC', auth = 'SHA256', outer = 'ipv4' } = options;
  const port = BASE_PORT + number;
  const remotes = options.remotes ?? [`${OUTER.a[outer]} ${port}`];
  const ownLines = role === 'listener' ? options.listenerLines : options.callerLines;
  return [
    `dev t${number}`,
    `dev-type ${options.device === 'tap' ? 'tap' : 'tun'}`,
    `proto ${protocolWord(options.protocol, outer, role)}`,
    `port ${port}`,
    ...(role === 'caller' ? remotes.map((remote) => `remote ${remote}`) : []),
    `secret ${key}${keyDirection(options.direction, role)}`,
    `cipher ${cipher}`,
    `auth ${auth}`,
    ...addressLines(options, role),
    'ping 1',
    'verb 3',
    ...(options.lines ?? []),
    ...(ownLines ?? []),
  ].join('\n');
}

function protocolWord(protocol: 'udp' | 'tcp' = 'udp', outer: 'ipv4' | 'ipv6', role: Role): string {
  const digit = outer === 'ipv6' ? '6' : '';
  if (protocol === 'udp') return `udp${digit}`;
  return `tcp${digit}-${role === 'listener' ? 'server' : 'client'}`;
}

function keyDirection(direction: TunnelOptions['direction'] = 'none', role: Role): string {
  if (direction === 'none') return '';
  return ` ${direction.split('-')[role === 'listener' ? 0 : 1]}`;
}

function addressLines(options: Numbered, role: Role): string[] {
  const { number, device = 'p2p' } = options;
  const other = role === 'listener' ? 'caller' : 'listener';
  const local = innerAddress(number, role);
  const lines =
    device === 'p2p'
      ? [`ifconfig ${local} ${innerAddress(number, other)}`]
      : ['topology subnet', `ifconfig ${local} 255.255.255.0`];
  if (options.inner6 !== true) return lines;
  lines.push(`ifconfig-ipv6 ${innerAddress6(number, role)}/64 ${innerAddress6(number, other)}`);
  if (role === 'caller') lines.push(`route-ipv6 ${networkBehind6(number)}/64`);
  return lines;
}
