/** Networks behind peers: each belongs to one peer, unless the metric says which is the backup. */
import { formatPosition } from '../../errors.ts';
import type { SourcePosition } from '../../errors.ts';
import { addressBytes } from '../../packet/address.ts';
import { formatPrefix, maskBytes, prefixKey } from '../../packet/prefix.ts';
import type { Prefix } from '../../packet/prefix.ts';
import { warn } from '../findings.ts';
import type { Findings } from '../findings.ts';
import type { PeerConfig, PeerRoute, RefusalRoute } from '../model.ts';
import { refusePair } from './pair.ts';
import type { BuiltPeer } from './pair.ts';

interface Claim {
  readonly route: Pick<PeerRoute, 'prefix' | 'metric' | 'where'> & { readonly directive: string };
  /** The peer's name; undefined for a refusal. */
  readonly peer: string | undefined;
}

function claims(peers: readonly BuiltPeer[], refusals: readonly RefusalRoute[]): Claim[] {
  return [
    ...peers.flatMap(({ config }) => config.peerRoutes.map((route) => ({ route, peer: config.name }))),
    ...refusals.map((route) => ({ route: { ...route, directive: route.kind }, peer: undefined })),
  ];
}

/** An address of the peer itself; two peers with the same one are a fault of their addresses. */
function isAddress({ route: { directive, prefix } }: Claim): boolean {
  const host = prefix.length === prefix.bytes.length * 8;
  return directive === 'peer-address' || (directive.startsWith('ifconfig') && host);
}

function samePosition(a: SourcePosition, b: SourcePosition): boolean {
  return formatPosition(a) === formatPosition(b);
}

function compare(first: Claim, second: Claim, findings: Findings): void {
  const { prefix, where, metric, directive } = second.route;
  const network = formatPrefix(prefix);
  const lines = [first.route.directive, directive];
  if (first.peer === second.peer) {
    // Warned about already when both are `route` lines (build/routes.ts).
    const written = lines.every((each) => each === 'peer-route') || second.peer === undefined;
    if (!written || samePosition(first.route.where, where)) return;
    warn(findings, where, 'CONFIG_ROUTE_TWICE', `the route to ${network} is there twice`, {
      fix: 'remove this line',
    });
    return;
  }
  if (isAddress(first) && isAddress(second)) return;
  const owners = [first.peer ?? first.route.directive, second.peer ?? directive];
  refusePair(findings, first.route.where, where, {
    code: 'CONFIG_SAME_PREFIX',
    what: `${network} leads to both ${owners.join(' and ')}`,
    why: `both routes have metric ${metric}`,
    fix: `give the one that should only be the backup a higher metric: peer-route ${network} metric ${metric + 10}`,
  });
}

/** Records networks that two peers, or a peer and a refusal, claim with the same metric. */
export function checkPrefixes(
  peers: readonly BuiltPeer[],
  refusals: readonly RefusalRoute[],
  findings: Findings,
): void {
  const known = new Map<string, Claim>();
  for (const claim of claims(peers, refusals)) {
    const key = `${prefixKey(claim.route.prefix)}${claim.route.metric}`;
    const first = known.get(key);
    if (first === undefined) known.set(key, claim);
    else compare(first, claim, findings);
  }
}

interface OwnedRoute {
  readonly peer: PeerConfig;
  readonly route: PeerRoute;
}

/** Kernel routes to peers that contain one of the addresses, by their prefix: a table may be long, and so may the list of peers. */
function routesAround(
  addresses: readonly Uint8Array[],
  peers: readonly BuiltPeer[],
): (address: Uint8Array) => OwnedRoute[] {
  const around = new Map<string, OwnedRoute[]>();
  for (const prefix of addresses.flatMap(prefixesAround)) around.set(prefixKey(prefix), []);
  for (const { config: peer } of around.size === 0 ? [] : peers) {
    for (const route of peer.peerRoutes) {
      if (route.kernel) around.get(prefixKey(route.prefix))?.push({ peer, route });
    }
  }
  return (address) => prefixesAround(address).flatMap((prefix) => around.get(prefixKey(prefix)) ?? []);
}

function prefixesAround(address: Uint8Array): Prefix[] {
  return Array.from({ length: address.length * 8 + 1 }, (_, length) => {
    return { bytes: maskBytes(address, length), length };
  });
}

/** Warns about networks that contain the outer address of a peer. */
export function checkLoops(peers: readonly BuiltPeer[], findings: Findings): void {
  const remotes = peers.flatMap(({ config: other }) =>
    other.transport.allowRecursiveRouting
      ? []
      : other.transport.remotes.map(({ host }) => ({ other, host, address: addressBytes(host) })),
  );
  const covering = routesAround(
    remotes.flatMap(({ address }) => address ?? []),
    peers,
  );
  for (const { other, host, address } of remotes) {
    for (const { peer, route } of address === undefined ? [] : covering(address)) {
      // `route` lines over the peer's own address are warned about in build/routes.ts.
      if (other === peer && route.directive !== 'peer-route') continue;
      const what = `the route to ${formatPrefix(route.prefix)} covers the outer address ${host} of ${other.name}`;
      warn(findings, route.where, 'CONFIG_ROUTE_LOOP', what, {
        why: `packets to ${other.name} would go into the tunnel of ${peer.name}`,
        fix: `give ${host} a route of its own outside of the tunnel, or name a smaller network`,
      });
    }
  }
}

/** Warns about a peer among several that has nothing behind it: packets neither reach it nor are taken from it. */
export function checkReached(peers: readonly BuiltPeer[], findings: Findings): void {
  if (peers.length < 2) return;
  for (const { config } of peers) {
    if (config.peerRoutes.length > 0) continue;
    warn(findings, config.where, 'CONFIG_NOTHING_BEHIND', `nothing leads to ${config.name}`, {
      why: 'with several peers each gets what is routed to it',
      fix: `peer-address ADDRESS\n(its address inside the tunnel), or peer-route NETWORK`,
    });
  }
}
