/** What the routing table takes over from the kernel: routes of routing daemons, and everything that is this host's own. Pure. */
import type { PeerConfig } from '../config/model.ts';
import { formatAddress, parseAddress } from '../packet/address.ts';
import { formatPrefix, hostPrefix, type Prefix } from '../packet/prefix.ts';
import type { Route } from '../route/route.ts';
import { RTPROT_TSVPN } from './change.ts';
import { protocolName, RTPROT_KERNEL } from './protocols.ts';
import type { HostRoute } from './host-routes.ts';
import type { HostAddress } from './snapshot.ts';

/** Names of peers by their tunnel addresses, as text. */
export type Owners = ReadonlyMap<string, string>;

export function ownersOf(peers: readonly Pick<PeerConfig, 'name' | 'tunnelAddresses'>[]): Owners {
  return new Map(
    peers.flatMap(({ name, tunnelAddresses }) =>
      tunnelAddresses.map((address) => [formatAddress(parseAddress(address)), name] as const),
    ),
  );
}

/**
 * Routes through the device with index `own` whose next hop is a peer's tunnel address, put there by a routing daemon or by
 * hand. The next hops of one route share its flows; of several routes to a prefix at one metric the first counts, as in the kernel.
 */
export function learnedRoutes(routes: Iterable<HostRoute>, own: number, owners: Owners): Route[] {
  const learned = new Map<string, Route[]>();
  for (const { prefix, gateway, interfaceIndex, protocol, metric, weight } of routes) {
    if (interfaceIndex !== own || gateway === undefined) continue;
    if (protocol === RTPROT_TSVPN || protocol === RTPROT_KERNEL) continue;
    const peer = owners.get(formatAddress(gateway));
    const key = `${formatPrefix(prefix)} ${metric}`;
    const hops = learned.get(key) ?? [];
    if (peer === undefined || (hops.length > 0 && (weight === undefined || hops[0].weight === undefined)))
      continue;
    const source = { kind: 'learned', protocol: protocolName(protocol) } as const;
    const hop: Route = { prefix, kind: 'peer', peer, metric, source };
    learned.set(key, withHop(hops, weight === undefined ? hop : { ...hop, weight }));
  }
  return [...learned.values()].flatMap((hops) => (hops.length === 1 ? withoutWeight(hops[0]) : hops));
}

/** Two next hops may be addresses of one peer. */
function withHop(hops: readonly Route[], hop: Route): Route[] {
  const same = hops.find(({ peer }) => peer === hop.peer);
  const weight = (same?.weight ?? 0) + (hop.weight ?? 0);
  return same === undefined
    ? [...hops, hop]
    : hops.map((other) => (other === same ? { ...hop, weight } : other));
}

function withoutWeight({ prefix, kind, peer, metric, source }: Route): Route {
  return { prefix, kind, peer, metric, source };
}

/**
 * Networks this host reaches by other interfaces, when `isInside` says that they lie in a larger one of a peer: everything
 * else is the kernel's without being told.
 */
export function localRoutes(
  routes: Iterable<HostRoute>,
  own: number,
  isInside: (prefix: Prefix) => boolean,
): Route[] {
  const local = new Map<string, Route>();
  for (const { prefix, interfaceIndex } of routes) {
    if (interfaceIndex === own || !isInside(prefix)) continue;
    local.set(formatPrefix(prefix), hostRoute('local', prefix));
  }
  return [...local.values()];
}

/** This host's addresses. */
export function ownRoutes(addresses: readonly HostAddress[]): Route[] {
  const own = new Map<string, Route>();
  for (const { local } of addresses) {
    if (isLoopback(local) || isLinkLocal(local)) continue;
    own.set(formatAddress(local), hostRoute('own', hostPrefix(local)));
  }
  return [...own.values()];
}

function hostRoute(kind: 'local' | 'own', prefix: Prefix): Route {
  return { prefix, kind, peer: undefined, metric: 0, source: { kind: 'kernel' } };
}

/** 127.0.0.0/8 and ::1; packets with them never get as far as the table. */
function isLoopback(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127;
  return address[15] === 1 && address.subarray(0, 15).every((byte) => byte === 0);
}

/** fe80::/10: means another host on every link, and is never forwarded. */
function isLinkLocal(address: Uint8Array): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1] & 0xc0) === 0x80;
}
