/** Routes: resolved gateways, networks without host bits, and a word about those that would loop. */
import type { SourcePosition } from '../../errors.ts';
import { clearHostBits, hasHostBits, maskLength, samePrefix, splitPrefix } from '../address.ts';
import { addressBytes, formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../packet/address.ts';
import type { Draft, DraftRoute, DraftRoute6, Setting } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { DeviceType } from '../../packet/ethernet.ts';
import type { LateRoute, PeerConfig, RouteConfig } from '../model.ts';
import { isLate } from './late-routes.ts';

/** A route line with its gateway. */
export interface ResolvedRoute {
  readonly route: RouteConfig;
  /** The line names no gateway, or `vpn_gateway`. */
  readonly intoTunnel: boolean;
}

/** The lines of one peer, or of a file's outside. */
export interface ResolvedRoutes {
  readonly routes: readonly ResolvedRoute[];
  /** Those that only the running host can resolve. */
  readonly late: readonly LateRoute[];
}

const HOST_MASK = '255.255.255.255';

function metricOf(metric: number | undefined, draft: Draft): number | undefined {
  const value = metric ?? draft.settings.routeMetric?.value ?? 0;
  return value === 0 ? undefined : value;
}

/** The IPv4 address in `word`, or undefined (recorded). */
function routeAddress(draft: Draft, word: string, part: string, where: SourcePosition): number | undefined {
  const address = parseIpv4(word);
  if (address === undefined) {
    const what = `route: the ${part} ${JSON.stringify(word)} is not an IPv4 address`;
    refuse(draft.findings, where, 'CONFIG_ROUTE', what, { fix: 'route 10.1.0.0 255.255.0.0' });
  }
  return address;
}

/** `route-gateway`, or the peer's address inside the tunnel. */
export function defaultGateway(draft: Draft, tunnelAddresses: readonly string[]): string | undefined {
  return (
    draft.settings.routeGateway?.value ?? tunnelAddresses.find((address) => parseIpv4(address) !== undefined)
  );
}

/** Whether a route line leaves the gateway to the tunnel. */
function namesNoGateway({ value: { gateway } }: Setting<DraftRoute>): boolean {
  return gateway === undefined || gateway === 'vpn_gateway';
}

function gatewayOf(
  draft: Draft,
  route: Setting<DraftRoute>,
  fallback: string | undefined,
): string | undefined {
  const { gateway } = route.value;
  if (gateway !== undefined && !namesNoGateway(route)) return gateway;
  if (fallback !== undefined) return fallback;
  if (draft.settings.ifconfig !== undefined || !draft.mentioned.has('ifconfig')) {
    warn(
      draft.findings,
      route.where,
      'CONFIG_ROUTE_GATEWAY',
      `route ${route.value.network} is left out: it has no gateway`,
      {
        why: 'only a pair of addresses (`ifconfig LOCAL REMOTE`) tells the gateway by itself; OpenVPN leaves it out too',
        fix: "route-gateway ADDRESS\n(the peer's address inside the tunnel)",
      },
    );
  }
  return undefined;
}

/** Length of the mask when network and mask fit together, or undefined (recorded). */
function checkedLength(
  draft: Draft,
  network: number,
  mask: number,
  where: SourcePosition,
): number | undefined {
  const { findings } = draft;
  const length = maskLength(mask);
  if (length === undefined) {
    refuse(findings, where, 'CONFIG_ROUTE', `route: ${formatIpv4(mask)} is not a netmask`, {
      why: 'its one bits are not contiguous, and the kernel refuses such a route',
      fix: 'for example 255.255.0.0',
    });
    return undefined;
  }
  const trimmed = (network & mask) >>> 0;
  if (trimmed !== network) {
    const what = `route: ${formatIpv4(network)} with mask ${formatIpv4(mask)} has bits set behind the mask`;
    refuse(findings, where, 'CONFIG_ROUTE', what, {
      why: 'the kernel refuses such a route',
      fix: `route ${formatIpv4(trimmed)} ${formatIpv4(mask)}`,
    });
    return undefined;
  }
  return length;
}

function resolveRoute(
  draft: Draft,
  route: Setting<DraftRoute>,
  fallback: string | undefined,
  peer: string | undefined,
): ResolvedRoutes {
  const { value, where } = route;
  const nothing = { routes: [], late: [] };
  const mask = routeAddress(draft, value.netmask ?? HOST_MASK, 'netmask', where);
  const gateway = gatewayOf(draft, route, fallback);
  const network = value.network === 'vpn_gateway' ? (fallback ?? value.network) : value.network;
  const metric = metricOf(value.metric, draft);
  const intoTunnel = namesNoGateway(route);
  if (isLate(network) || (gateway !== undefined && isLate(gateway))) {
    const prefixLength = mask === undefined ? undefined : maskLength(mask);
    if (gateway === undefined || prefixLength === undefined) return nothing;
    return { routes: [], late: [{ peer, network, prefixLength, gateway, intoTunnel, metric, where }] };
  }
  const address = routeAddress(draft, network, 'network', where);
  if (address === undefined || mask === undefined) return nothing;
  const prefixLength = checkedLength(draft, address, mask, where);
  const badGateway = gateway !== undefined && routeAddress(draft, gateway, 'gateway', where) === undefined;
  if (prefixLength === undefined || gateway === undefined || badGateway) return nothing;
  const family = 4 as const;
  const resolved = { family, network: formatIpv4(address), prefixLength, gateway, metric, where };
  return { routes: [{ route: resolved, intoTunnel }], late: [] };
}

/** `route-ipv6-gateway`, or the second address of `ifconfig-ipv6`. */
export function defaultGateway6({ settings }: Draft): string | undefined {
  return settings.routeGateway6?.value ?? settings.ifconfig6?.value.remote;
}

/** On a tap device; undefined (recorded) when there is none. */
function gateway6Of(draft: Draft, { value, where }: Setting<DraftRoute6>): string | undefined {
  const gateway = value.gateway ?? defaultGateway6(draft);
  if (gateway === undefined) {
    warn(
      draft.findings,
      where,
      'CONFIG_ROUTE_GATEWAY',
      `route-ipv6 ${value.prefix} is left out: it has no gateway`,
      {
        why: 'a tap device leads to a network, not to one peer; OpenVPN leaves it out too',
        fix: 'route-ipv6-gateway ADDRESS\n(of the router for it on that network)',
      },
    );
    return undefined;
  }
  const bytes = parseIpv6(gateway);
  if (bytes !== undefined) return formatIpv6(bytes);
  const what = `route-ipv6: the gateway ${JSON.stringify(gateway)} is not an IPv6 address`;
  refuse(draft.findings, where, 'CONFIG_ROUTE', what, { fix: 'route-ipv6 fd00:1::/64 fd00::2' });
  return undefined;
}

/** On a tun device stock names no gateway for IPv6, whatever the line says. */
function resolveRoute6(draft: Draft, route: Setting<DraftRoute6>, type: DeviceType): ResolvedRoute[] {
  const { value, where } = route;
  const split = splitPrefix(value.prefix);
  const network = split === undefined ? undefined : parseIpv6(split.address);
  // As in stock: an address without a length is a network of 64 bits.
  const prefixLength = split?.length ?? 64;
  if (network === undefined || prefixLength > 128) {
    const what = `route-ipv6: ${JSON.stringify(value.prefix)} is not an IPv6 network`;
    refuse(draft.findings, where, 'CONFIG_ROUTE', what, { fix: 'route-ipv6 fd00:1::/64' });
    return [];
  }
  // Unlike for IPv4, the kernel clears the bits behind the length itself, so configs with them work in stock.
  const prefix = formatIpv6(clearHostBits(network, prefixLength));
  if (hasHostBits(network, prefixLength)) {
    warn(
      draft.findings,
      where,
      'CONFIG_ROUTE',
      `route-ipv6: ${value.prefix} has bits set behind its length`,
      {
        why: `the route is to ${prefix}/${prefixLength}`,
        fix: `route-ipv6 ${prefix}/${prefixLength}`,
      },
    );
  }
  const metric = metricOf(value.metric, draft);
  const gateway = type === 'tap' ? gateway6Of(draft, route) : undefined;
  if (type === 'tap' && gateway === undefined) return [];
  const namedGateway = value.gateway ?? defaultGateway6(draft);
  const resolved = {
    family: 6 as const,
    network: prefix,
    prefixLength,
    gateway,
    ...(namedGateway === undefined ? {} : { namedGateway }),
    metric,
    where,
  };
  return [{ route: resolved, intoTunnel: true }];
}

function covers(route: RouteConfig, address: string): boolean {
  const network = addressBytes(route.network);
  const bytes = addressBytes(address);
  return network !== undefined && bytes !== undefined && samePrefix(network, bytes, route.prefixLength);
}

function warnAboutLoops(
  draft: Draft,
  routes: readonly ResolvedRoute[],
  remotes: readonly { host: string }[],
): void {
  for (const { route } of routes) {
    for (const { host } of remotes) {
      if (!covers(route, host)) continue;
      const what = `the route to ${route.network}/${route.prefixLength} covers the peer's own address ${host}`;
      warn(draft.findings, route.where, 'CONFIG_ROUTE_LOOP', what, {
        why: 'packets to the peer would go into the tunnel they are made for',
        fix: `give ${host} a route of its own outside of the tunnel, or name a smaller network`,
      });
    }
  }
}

function warnAboutDuplicates(draft: Draft, routes: readonly RouteConfig[]): void {
  const seen = new Set<string>();
  for (const route of routes) {
    const key = `${route.network}/${route.prefixLength} ${route.metric ?? 0}`;
    if (seen.has(key)) {
      const what = `the route to ${route.network}/${route.prefixLength} is there twice`;
      warn(draft.findings, route.where, 'CONFIG_ROUTE_TWICE', what, { fix: 'remove this line' });
    }
    seen.add(key);
  }
}

function checkRouteGateway(draft: Draft): void {
  const setting = draft.settings.routeGateway;
  if (setting === undefined || parseIpv4(setting.value) !== undefined) return;
  const why =
    setting.value === 'dhcp' ? 'a static-key tunnel has no DHCP server' : 'it is not an IPv4 address';
  refuse(draft.findings, setting.where, 'CONFIG_ROUTE', `route-gateway ${setting.value} cannot be used`, {
    why,
    fix: "route-gateway ADDRESS\n(the peer's address inside the tunnel)",
  });
}

/** Whose lines they are; no name and no addresses for those outside of all peers. */
export interface RoutesOwner extends Pick<PeerConfig['transport'], 'remotes' | 'allowRecursiveRouting'> {
  readonly peer: string | undefined;
  /** Of the peer inside the tunnel. */
  readonly addresses: readonly string[];
  readonly device: Pick<PeerConfig['device'], 'type'>;
}

/** The `route` and `route-ipv6` lines. */
export function resolveRoutes(draft: Draft, owner: RoutesOwner): ResolvedRoutes {
  checkRouteGateway(draft);
  const fallback = defaultGateway(draft, owner.addresses);
  const parts = draft.routes.map((route) => resolveRoute(draft, route, fallback, owner.peer));
  const resolved = [
    ...parts.flatMap((part) => part.routes),
    ...draft.routes6.flatMap((route) => resolveRoute6(draft, route, owner.device.type)),
  ];
  const routes = resolved.map(({ route }) => route);
  warnAboutDuplicates(draft, routes);
  if (!owner.allowRecursiveRouting) warnAboutLoops(draft, resolved, owner.remotes);
  return { routes: resolved, late: parts.flatMap(({ late }) => late) };
}
