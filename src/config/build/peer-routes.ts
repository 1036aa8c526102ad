/** What lies behind a peer: its own addresses inside the tunnel, and the networks it leads to. */
import { parseAddress } from '../../packet/address.ts';
import { maskBytes, prefixContains } from '../../packet/prefix.ts';
import type { Prefix } from '../../packet/prefix.ts';
import type { SourcePosition } from '../../errors.ts';
import type { Draft } from '../draft.ts';
import type { PeerConfig, PeerRoute, RouteConfig } from '../model.ts';
import type { ResolvedRoute } from './routes.ts';

type Device = Pick<PeerConfig['device'], 'address' | 'address6'>;

function unique(addresses: readonly string[]): string[] {
  return [...new Set(addresses)];
}

/** The second address of `ifconfig LOCAL REMOTE` and of `ifconfig-ipv6`. */
export function tunnelAddresses({ address, address6 }: Device): string[] {
  return unique([
    ...(address?.kind === 'p2p' ? [address.remote] : []),
    ...(address6 === undefined ? [] : [address6.remote]),
  ]);
}

export function hostPrefix(address: string): Prefix {
  const bytes = parseAddress(address);
  return { bytes, length: bytes.length * 8 };
}

function networkOf(address: string, length: number): Prefix {
  return { bytes: maskBytes(parseAddress(address), length), length };
}

/** Networks of the device that lie behind its only peer: with `topology subnet`, and always for IPv6. */
function deviceNetworks({ address, address6 }: Device): Prefix[] {
  return [
    ...(address?.kind === 'subnet' ? [networkOf(address.local, address.prefixLength)] : []),
    ...(address6 === undefined ? [] : [networkOf(address6.local, address6.prefixLength)]),
  ];
}

/** A prefix the kernel knows from the device's own addresses. */
function connected(prefix: Prefix, directive: string, where: SourcePosition): PeerRoute {
  return { prefix, metric: 0, kernel: false, directive, where };
}

/**
 * Routes to the peer itself. Behind the only peer of a file lies the whole network of `topology subnet`, as in stock,
 * which sends it every packet.
 */
export function addressRoutes(
  draft: Draft,
  device: Device,
  addresses: readonly string[],
  only: boolean,
  top: SourcePosition,
): PeerRoute[] {
  const { ifconfig, ifconfig6 } = draft.settings;
  const directiveOf = (bytes: Uint8Array): [string, SourcePosition] =>
    bytes.length === 4 ? ['ifconfig', ifconfig?.where ?? top] : ['ifconfig-ipv6', ifconfig6?.where ?? top];
  const prefixes = [...addresses.map(hostPrefix), ...(only ? deviceNetworks(device) : [])];
  return prefixes.map((prefix) => connected(prefix, ...directiveOf(prefix.bytes)));
}

/** Whether the gateway of a `route` line lies behind the peer. */
function leadsTo(peer: readonly PeerRoute[], { gateway }: RouteConfig): boolean {
  if (gateway === undefined) return false;
  const bytes = parseAddress(gateway);
  return peer.some(({ prefix }) => prefixContains(prefix, bytes));
}

/** A `route` line as a route to a peer. */
export function peerRoute(route: RouteConfig, kernel: boolean): PeerRoute {
  return {
    prefix: { bytes: parseAddress(route.network), length: route.prefixLength },
    metric: route.metric ?? 0,
    kernel,
    directive: route.family === 6 ? 'route-ipv6' : 'route',
    where: route.where,
  };
}

/** Tells the `route` lines that lead to the peer from those with another gateway. */
export function splitRoutes(
  resolved: readonly ResolvedRoute[],
  own: readonly PeerRoute[],
  kernel: boolean,
): { toPeer: PeerRoute[]; others: RouteConfig[] } {
  const isOwn = ({ route, intoTunnel }: ResolvedRoute) => intoTunnel || leadsTo(own, route);
  return {
    toPeer: resolved.filter(isOwn).map(({ route }) => peerRoute(route, kernel)),
    others: resolved.filter((each) => !isOwn(each)).map(({ route }) => route),
  };
}
