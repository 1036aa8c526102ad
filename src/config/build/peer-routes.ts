/** What lies behind a peer: its own addresses inside the tunnel, and the networks it leads to. */
import { parseAddress } from '../../packet/address.ts';
import { hostPrefix, maskBytes, prefixContains, type Prefix } from '../../packet/prefix.ts';
import type { Draft } from '../draft.ts';
import type { PeerConfig, PeerRoute, RouteConfig } from '../model.ts';
import type { PeerDraft } from '../peer-block.ts';
import type { ResolvedRoute } from './routes.ts';

type Device = Pick<PeerConfig['device'], 'address' | 'address6'>;

/** The peer's addresses: the second ones of `ifconfig LOCAL REMOTE` and `ifconfig-ipv6`, and `peer-address`. */
export function tunnelAddresses(draft: Draft, { address, address6 }: Device): string[] {
  const { settings, inherited, peerAddresses } = draft;
  const ownIpv6 = settings.ifconfig6 !== inherited.ifconfig6;
  return [
    ...new Set([
      ...(address?.kind === 'p2p' ? [address.remote] : []),
      ...(ownIpv6 && address6 !== undefined ? [address6.remote] : []),
      ...peerAddresses.map(({ value }) => value),
    ]),
  ];
}

function networkOf(address: string, length: number): Prefix {
  return { bytes: maskBytes(parseAddress(address), length), length };
}

/**
 * Networks of the device that lie behind the peer as a whole, as in stock, which sends it every packet: that of
 * `topology subnet` when the file has no other peer and no `peer-address`, that of `ifconfig-ipv6` for an only peer.
 */
function deviceNetworks(
  { draft, onlyOfFile }: PeerDraft,
  onlyOne: boolean,
  { address, address6 }: Device,
): Prefix[] {
  const subnet = address?.kind === 'subnet' && onlyOfFile && draft.peerAddresses.length === 0;
  return [
    ...(subnet ? [networkOf(address.local, address.prefixLength)] : []),
    ...(onlyOne && address6 !== undefined ? [networkOf(address6.local, address6.prefixLength)] : []),
  ];
}

/** Routes to the peer itself; to those of `ifconfig` the kernel has its own. */
export function addressRoutes(
  peer: PeerDraft,
  onlyOne: boolean,
  device: Device,
  addresses: readonly string[],
): PeerRoute[] {
  const { settings, peerAddresses } = peer.draft;
  const given = new Map(peerAddresses.map(({ value, where }) => [value, where]));
  const connected = (prefix: Prefix): PeerRoute => {
    const ipv4 = prefix.bytes.length === 4;
    const where = (ipv4 ? settings.ifconfig : settings.ifconfig6)?.where ?? peer.where;
    return { prefix, metric: 0, kernel: false, directive: ipv4 ? 'ifconfig' : 'ifconfig-ipv6', where };
  };
  const hosts = addresses.map((address): PeerRoute => {
    const prefix = hostPrefix(parseAddress(address));
    const where = given.get(address);
    if (where === undefined) return connected(prefix);
    return { prefix, metric: 0, kernel: true, directive: 'peer-address', where };
  });
  return [...hosts, ...deviceNetworks(peer, onlyOne, device).map(connected)];
}

/** Whether the gateway of a `route` line lies behind the peer. */
export function leadsTo(peer: readonly PeerRoute[], { gateway }: RouteConfig): boolean {
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
