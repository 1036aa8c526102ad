/** `route` lines that name what only the running host knows, and what becomes of them when it does. */
import { formatAddress, parseAddress, parseIpv4 } from '../../packet/address.ts';
import { maskBytes } from '../../packet/prefix.ts';
import { host } from '../arguments.ts';
import type { GatewayConfig, LateRoute, PeerConfig, RouteConfig } from '../model.ts';
import { leadsTo, peerRoute } from './peer-routes.ts';

/** The next hop of the host's default route, and the outer address of the peer. */
const LATE_WORDS: readonly string[] = ['net_gateway', 'remote_host'];

/** A word for something late, or the name of a host. `default` means an argument that is left out, not a host. */
export function isLate(word: string): boolean {
  if (LATE_WORDS.includes(word)) return true;
  if (word === 'default' || word === 'vpn_gateway' || parseIpv4(word) !== undefined) return false;
  return 'value' in host.read(word);
}

/** What late words mean, as IPv4 addresses; several for the name of a host. */
export type Meaning = (word: string, route: LateRoute) => readonly string[];

/**
 * The config with its late routes among the others. Routes with a word that means nothing now are left out; `missing` is told of them.
 */
export function expandRoutes(
  config: GatewayConfig,
  meaning: Meaning,
  missing: (route: LateRoute, word: string) => void,
): GatewayConfig {
  const made = config.lateRoutes.flatMap((late) =>
    routesOf(late, meaning, missing).map((route) => ({ late, route })),
  );
  if (made.length === 0) return config;
  const taken = new Set<RouteConfig>();
  const peers = config.peers.map((peer) => {
    const own = made.filter(({ late }) => late.peer === peer.name || late.peer === undefined);
    const isToPeer = ({ late, route }: (typeof own)[number]) =>
      late.intoTunnel ? late.peer === peer.name : leadsTo(peer.peerRoutes, route);
    const toPeer = config.device.type === 'tap' ? [] : own.filter(isToPeer);
    for (const { route } of toPeer) taken.add(route);
    return withRoutes(
      peer,
      own.map(({ route }) => route),
      toPeer.map(({ route }) => route),
    );
  });
  const others = made.filter(({ route }) => !taken.has(route)).map(({ route }) => route);
  return { ...config, peers, routes: config.routeNoExec ? config.routes : [...config.routes, ...others] };
}

function withRoutes(
  peer: PeerConfig,
  routes: readonly RouteConfig[],
  toPeer: readonly RouteConfig[],
): PeerConfig {
  const inOrder = [...peer.routes, ...routes].sort(
    (a, b) => a.family - b.family || a.where.line - b.where.line,
  );
  const kernel = !peer.routeNoExec;
  return {
    ...peer,
    routes: inOrder,
    peerRoutes: [...peer.peerRoutes, ...toPeer.map((route) => peerRoute(route, kernel))],
  };
}

function routesOf(
  late: LateRoute,
  meaning: Meaning,
  missing: (route: LateRoute, word: string) => void,
): RouteConfig[] {
  const resolve = (word: string): readonly string[] => {
    const addresses = parseIpv4(word) === undefined ? meaning(word, late) : [word];
    if (addresses.length === 0) missing(late, word);
    return addresses;
  };
  const [gateway] = resolve(late.gateway);
  if (gateway === undefined) return [];
  const { prefixLength, metric, where } = late;
  return resolve(late.network).map((address) => ({
    family: 4,
    network: formatAddress(maskBytes(parseAddress(address), prefixLength)),
    prefixLength,
    gateway,
    metric,
    where,
  }));
}
