/**
 * `redirect-gateway`: everything into the tunnel, but for what keeps the tunnel and its operator alive. Pure.
 *
 * - Routes as stock makes them: the remote by the old gateway, two halves in front of the default route (`def1`) or a
 *   default route in its place, four prefixes for IPv6.
 * - What stock does not: connections to the addresses of the old interface stay there. Their packets carry such a source, so
 *   two rules send them by the old gateway, unless a route longer than a redirected one says otherwise.
 */
import type { RedirectConfig } from '../config/model.ts';
import type { SourcePosition } from '../errors.ts';
import { addressBytes, familyOf, formatAddress, type Family } from '../packet/address.ts';
import {
  everything,
  formatPrefix,
  hostPrefix,
  maskBytes,
  prefixContains,
  type Prefix,
} from '../packet/prefix.ts';
import { RTPROT_TSVPN, type KernelChange, type RouteChange } from './change.ts';
import type { HostRoute } from './host-routes.ts';
import type { HostSnapshot } from './snapshot.ts';

const HALVES: readonly Prefix[] = [
  { bytes: Uint8Array.of(0, 0, 0, 0), length: 1 },
  { bytes: Uint8Array.of(128, 0, 0, 0), length: 1 },
];
/** As stock: all addresses in use, and no default route, which router advertisements may change. */
export const REDIRECTED_IPV6: readonly Prefix[] = [
  ['::', 3],
  ['2000::', 4],
  ['3000::', 4],
  ['fc00::', 7],
].map(([text, length]) => ({ bytes: addressBytes(text as string)!, length: length as number }));

/** Routes up to these lengths are redirected ones, or the default route they stand for. */
const REDIRECTED_LENGTH: Readonly<Record<Family, number>> = { 4: 1, 6: 7 };

/** Behind the rules people write (1 to some thousands), before `lookup main` (32766). */
const PRIORITY_SPECIFIC = 31_086;
const PRIORITY_OLD_GATEWAY = 31_087;
const RT_TABLE_MAIN = 254;
/** Metric of the route to an IPv6 remote, as stock: better than any default (1024). */
const REMOTE_METRIC6 = 1;

/** The host's way out, as it is without us. */
export interface HostGateway {
  readonly family: Family;
  /** Next hop; undefined on a point-to-point interface. */
  readonly address: string | undefined;
  readonly device: string;
  readonly metric: number;
  /** Network of the interface that the next hop lies in. */
  readonly network: Prefix | undefined;
  /** Global addresses of the interface. */
  readonly sources: readonly string[];
}

export interface RedirectHost {
  readonly gateways: { readonly [F in Family]?: HostGateway };
  /** Length of the longest route to an address, and 0 without any; those of any tsvpn do not count. */
  readonly routeLength: (address: Uint8Array) => number;
}

export const NO_HOST: RedirectHost = { gateways: {}, routeLength: () => 0 };

/** The host without the gateway's own device and the routes of any tsvpn. */
export function redirectHost(
  host: Pick<HostSnapshot, 'addresses' | 'own' | 'names' | 'routes'>,
): RedirectHost {
  const foreign = (prefix: Prefix): HostRoute[] =>
    host.routes
      .at(prefix)
      .filter(({ protocol, interfaceIndex }) => protocol !== RTPROT_TSVPN && interfaceIndex !== host.own);
  const ipv4 = hostGateway(host, foreign(everything(4)), 4);
  const ipv6 = hostGateway(host, foreign(everything(6)), 6);
  const gateways = { ...(ipv4 === undefined ? {} : { 4: ipv4 }), ...(ipv6 === undefined ? {} : { 6: ipv6 }) };
  const routeLength = (address: Uint8Array): number => {
    for (let length = address.length * 8; length > 0; length--) {
      if (foreign(network(address, length)).length > 0) return length;
    }
    return 0;
  };
  return { gateways, routeLength };
}

function hostGateway(
  { addresses, names }: Pick<HostSnapshot, 'addresses' | 'names'>,
  routes: readonly HostRoute[],
  family: Family,
): HostGateway | undefined {
  const [best] = routes.toSorted((a, b) => a.metric - b.metric);
  if (best === undefined) return undefined;
  const own = addresses.filter(
    ({ interfaceIndex, local, global }) =>
      interfaceIndex === best.interfaceIndex && familyOf(local) === family && global,
  );
  const { gateway } = best;
  const on =
    gateway && own.find(({ local, prefixLength }) => prefixContains(network(local, prefixLength), gateway));
  return {
    family,
    address: gateway && formatAddress(gateway),
    device: names.get(best.interfaceIndex) ?? '',
    metric: best.metric,
    network: on && network(on.local, on.prefixLength),
    sources: own.map(({ local }) => formatAddress(local)),
  };
}

function network(address: Uint8Array, length: number): Prefix {
  return { bytes: maskBytes(address, length), length };
}

export interface RedirectTarget {
  readonly device: string;
  /** Number of a kernel table for the old gateway. */
  readonly table: number;
  /** Outer addresses of all peers, as far as they are known. */
  readonly remotes: readonly string[];
}

/** In the order they are to be made: what keeps the tunnel alive comes before what would cut it off. */
export function planRedirect(
  redirect: RedirectConfig,
  target: RedirectTarget,
  host: RedirectHost,
): KernelChange[] {
  const ipv4 = redirect.ipv4 !== 'off';
  const remotes = target.remotes.flatMap((text) => addressBytes(text) ?? []);
  return [
    ...(ipv4 && !redirect.local ? remoteRoutes(remotes, 4, host, redirect.where) : []),
    ...(redirect.ipv6 ? remoteRoutes(remotes, 6, host, redirect.where) : []),
    ...(redirect.ipv4 === 'gateway' ? keptConnections(4, target, host) : []),
    ...(redirect.ipv6 ? keptConnections(6, target, host) : []),
    ...(ipv4 && redirect.blockLocal ? blockLocal(redirect, remotes, target, host) : []),
    ...(redirect.ipv4 === 'gateway' ? defaultRoutes(redirect, target, host) : []),
    ...(redirect.ipv6 ? REDIRECTED_IPV6.map((prefix) => tunnelRoute(prefix, redirect, target)) : []),
  ];
}

/** A remote on a connected network, or with a route of its own, needs none: such routes win over the redirected ones. */
function remoteRoutes(
  remotes: readonly Uint8Array[],
  family: Family,
  { gateways, routeLength }: RedirectHost,
  where: SourcePosition,
): KernelChange[] {
  const gateway = gateways[family];
  if (gateway === undefined) return [];
  return remotes
    .filter((address) => familyOf(address) === family)
    .filter((address) => routeLength(address) <= REDIRECTED_LENGTH[family])
    .map((address) => {
      const prefix = hostPrefix(address);
      return { ...routeBy(prefix, gateway, where), metric: family === 4 ? undefined : REMOTE_METRIC6 };
    });
}

function routeBy(
  prefix: Prefix,
  { family, address, device }: HostGateway,
  where?: SourcePosition,
): RouteChange {
  return {
    kind: 'route',
    family,
    network: formatAddress(prefix.bytes),
    prefixLength: prefix.length,
    gateway: address,
    device,
    metric: undefined,
    ...(where === undefined ? {} : { where }),
  };
}

function keptConnections(
  family: Family,
  { table }: RedirectTarget,
  { gateways }: RedirectHost,
): KernelChange[] {
  const gateway = gateways[family];
  if (gateway === undefined || gateway.sources.length === 0) return [];
  const rules = gateway.sources.flatMap((source): KernelChange[] => {
    const from = formatPrefix({ bytes: addressBytes(source)!, length: family === 4 ? 32 : 128 });
    const rule = { kind: 'rule', family, from, protocol: RTPROT_TSVPN } as const;
    return [
      {
        ...rule,
        priority: PRIORITY_SPECIFIC,
        table: RT_TABLE_MAIN,
        suppressPrefixLength: REDIRECTED_LENGTH[family],
      },
      { ...rule, priority: PRIORITY_OLD_GATEWAY, table },
    ];
  });
  return [{ ...routeBy(everything(family), gateway), table }, ...rules];
}

/** The gateway's network in two halves, which win over the connected route, and the gateway itself as it was. */
function blockLocal(
  redirect: RedirectConfig,
  remotes: readonly Uint8Array[],
  target: RedirectTarget,
  { gateways }: RedirectHost,
): KernelChange[] {
  const gateway = gateways[4];
  if (gateway?.address === undefined || gateway.network === undefined) return [];
  const { network: local, address } = gateway;
  if (local.length >= 31 || remotes.some((remote) => prefixContains(local, remote))) return [];
  const length = local.length + 1;
  const upper = local.bytes.slice();
  upper[local.length >> 3] |= 0x80 >>> (local.length & 7);
  const self = { bytes: addressBytes(address)!, length: 32 };
  return [
    routeBy(self, gateway, redirect.where),
    tunnelRoute({ bytes: local.bytes, length }, redirect, target),
    tunnelRoute({ bytes: upper, length }, redirect, target),
  ];
}

/** A default route with a metric may stay: ours has none, and wins. */
function defaultRoutes(
  redirect: RedirectConfig,
  target: RedirectTarget,
  { gateways }: RedirectHost,
): KernelChange[] {
  if (redirect.def1) return HALVES.map((prefix) => tunnelRoute(prefix, redirect, target));
  const old = gateways[4];
  const ours = tunnelRoute(everything(4), redirect, target);
  if (old === undefined || old.metric > 0) return [ours];
  const { family, device, metric, address: gateway } = old;
  const displaced = { network: '0.0.0.0', prefixLength: 0, gateway, device, metric };
  return [{ kind: 'displaced-route', family, ...displaced }, ours];
}

function tunnelRoute(
  prefix: Prefix,
  { gateway, gateway6, where }: RedirectConfig,
  { device }: RedirectTarget,
): RouteChange {
  const ipv4 = prefix.bytes.length === 4;
  const via = ipv4 ? gateway : gateway6;
  return {
    kind: 'route',
    family: ipv4 ? 4 : 6,
    network: formatAddress(prefix.bytes),
    prefixLength: prefix.length,
    gateway: via,
    device: ipv4 && via !== undefined ? undefined : device,
    metric: undefined,
    where,
  };
}
