/** What the routing table takes over from the kernel: routes of routing daemons, and everything that is this host's own. */
import type { PeerConfig } from '../config/model.ts';
import { formatAddress, parseAddress } from '../packet/address.ts';
import { formatPrefix, maskBytes, type Prefix } from '../packet/prefix.ts';
import type { Route } from '../route/route.ts';
import { RTPROT_TSVPN } from './change.ts';
import { protocolName, RTPROT_KERNEL } from './protocols.ts';
import type { HostAddress, HostRoute, HostSnapshot } from './snapshot.ts';

type LearningPeer = Pick<PeerConfig, 'name' | 'tunnelAddresses' | 'peerRoutes'>;

/**
 * Routes that follow from the state of the host, besides those of the config; pure.
 *
 * - peer: routes through `device` whose next hop is a peer's tunnel address, put there by a routing daemon or by hand;
 * - local: networks this host reaches by other interfaces, when they lie inside a prefix of a peer;
 * - own: this host's addresses.
 */
export function learn(
  { addresses, routes }: HostSnapshot,
  device: string,
  peers: readonly LearningPeer[],
): Route[] {
  const learned = learnPeerRoutes(routes, device, peers);
  const prefixes = [
    ...peers.flatMap(({ peerRoutes }) => peerRoutes.map(({ prefix }) => prefix)),
    ...learned.map(({ prefix }) => prefix),
  ];
  return [...learned, ...localRoutes(routes, device, prefixes), ...ownRoutes(addresses)];
}

/** Of next hops of equal cost the first counts: the table knows backups, not balancing. */
function learnPeerRoutes(
  routes: readonly HostRoute[],
  device: string,
  peers: readonly LearningPeer[],
): Route[] {
  const owners = new Map(
    peers.flatMap(({ name, tunnelAddresses }) =>
      tunnelAddresses.map((address) => [formatAddress(parseAddress(address)), name]),
    ),
  );
  const learned = new Map<string, Route>();
  for (const { prefix, gateway, device: by, protocol, metric } of routes) {
    if (by !== device || gateway === undefined) continue;
    if (protocol === RTPROT_TSVPN || protocol === RTPROT_KERNEL) continue;
    const peer = owners.get(formatAddress(gateway));
    const key = `${formatPrefix(prefix)} ${metric}`;
    if (peer === undefined || learned.has(key)) continue;
    const source = { kind: 'learned', protocol: protocolName(protocol) } as const;
    learned.set(key, { prefix, kind: 'peer', peer, metric, source });
  }
  return [...learned.values()];
}

/** Only inside peers' prefixes, and only where more specific: everything else is the kernel's without being told. */
function localRoutes(routes: readonly HostRoute[], device: string, peerPrefixes: readonly Prefix[]): Route[] {
  const local = new Map<string, Route>();
  const inside = containment(peerPrefixes);
  for (const route of routes) {
    if (route.device === device || !inside(route.prefix)) continue;
    local.set(formatPrefix(route.prefix), hostRoute('local', route.prefix));
  }
  return [...local.values()];
}

function ownRoutes(addresses: readonly HostAddress[]): Route[] {
  const own = new Map<string, Route>();
  for (const { local } of addresses) {
    if (isLoopback(local) || isLinkLocal(local)) continue;
    own.set(formatAddress(local), hostRoute('own', { bytes: local, length: local.length * 8 }));
  }
  return [...own.values()];
}

function hostRoute(kind: 'local' | 'own', prefix: Prefix): Route {
  return { prefix, kind, peer: undefined, metric: 0, source: { kind: 'kernel' } };
}

/** Does a shorter one of `prefixes` contain the argument? Grouped by length, so that thousands cost a few look-ups. */
function containment(prefixes: readonly Prefix[]): (inner: Prefix) => boolean {
  const lengths = new Map<string, Map<number, Set<string>>>();
  for (const { bytes, length } of prefixes) {
    const family = String(bytes.length);
    const ofFamily = lengths.get(family) ?? new Map<number, Set<string>>();
    lengths.set(family, ofFamily);
    ofFamily.set(length, (ofFamily.get(length) ?? new Set()).add(formatAddress(bytes)));
  }
  return (inner) =>
    [...(lengths.get(String(inner.bytes.length)) ?? [])].some(
      ([length, networks]) =>
        length < inner.length && networks.has(formatAddress(maskBytes(inner.bytes, length))),
    );
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
