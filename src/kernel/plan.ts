/** What a config asks of the kernel, in the order it is done. Pure: nothing is changed or looked up here. */
import type { GatewayConfig, InterfaceAddress, PeerConfig, PeerRoute, RouteConfig } from '../config/model.ts';
import type { SourcePosition } from '../errors.ts';
import { formatAddress, parseAddress } from '../packet/address.ts';
import { commonLength, maskBytes, prefixFamily, prefixKey, type Prefix } from '../packet/prefix.ts';
import { changeKey, renderIp, type AddressChange, type KernelChange, type RouteChange } from './change.ts';

/** The changes for one gateway on the device `deviceName`: first those of the device, then the routes. */
export function planKernel(config: GatewayConfig, deviceName: string): KernelChange[] {
  return [...planDevice(config, deviceName), ...planRoutes(config, deviceName)];
}

/**
 * MTU, queue length, MAC address, bridge, addresses, up. As in stock a device without `ifconfig` (or with `ifconfig-noexec`) is
 * left as it was opened, down and with the default MTU, unless it goes into a bridge; `txqueuelen` and `lladdr` still apply.
 */
export function planDevice(config: GatewayConfig, deviceName: string): KernelChange[] {
  const { addresses, addresses6, noExec, txQueueLength, linkAddress, bridge } = config.device;
  const configured = !noExec && (addresses.length + addresses6.length > 0 || bridge !== undefined);
  const changes: KernelChange[] = [];
  if (configured) changes.push({ kind: 'mtu', device: deviceName, mtu: config.tunMtu });
  // 0 is stock's word for a length that nobody has set.
  if (txQueueLength !== undefined && txQueueLength > 0) {
    changes.push({ kind: 'txqueuelen', device: deviceName, packets: txQueueLength });
  }
  if (linkAddress !== undefined) {
    changes.push({ kind: 'link-address', device: deviceName, address: linkAddress });
  }
  if (configured) {
    if (bridge !== undefined) changes.push({ kind: 'master', device: deviceName, master: bridge });
    changes.push(...planAddresses(config.device, deviceName), { kind: 'up', device: deviceName });
  }
  return withoutRepetitions(changes);
}

/** The routes of the config; redirect.ts has those of a redirected gateway. */
function planRoutes(config: GatewayConfig, deviceName: string): KernelChange[] {
  if (config.routeNoExec) return [];
  return withoutRepetitions([
    ...planPeerRoutes(config, deviceName),
    ...config.routes.map((route) => planRoute(route, deviceName)),
    ...config.refusals.map(({ prefix, where }) => deviceRoute(prefix, deviceName, where)),
  ]);
}

/** The changes for prefixes that `tsvpn route add` put into the table, but for those that `plan` has anyway. */
export function planOperatorRoutes(
  plan: readonly KernelChange[],
  prefixes: readonly Prefix[],
  deviceName: string,
): KernelChange[] {
  const wanted = prefixes.map((prefix) => deviceRoute(prefix, deviceName));
  return besides(plan, wanted);
}

/** Those of `wanted` that `plan` has not anyway. */
export function besides(plan: readonly KernelChange[], wanted: readonly KernelChange[]): KernelChange[] {
  const networks = new Set(wanted.map((change) => (change.kind === 'route' ? change.network : '')));
  // The plan may be long: few of its routes are worth a key.
  const near = plan.filter((change) => change.kind === 'route' && networks.has(change.network));
  const had = new Set(near.map(changeKey));
  return withoutRepetitions(wanted).filter((change) => !had.has(changeKey(change)));
}

export interface KernelDifference {
  readonly toAdd: readonly KernelChange[];
  readonly toRemove: readonly KernelChange[];
}

/**
 * How to get from one plan to another; neither has a change twice. Made in this order, what both plans share is never
 * absent: a route that moves to another next hop has both for a moment. A setting with a new value is only set, not taken
 * back first.
 */
export function planDifference(
  before: readonly KernelChange[],
  after: readonly KernelChange[],
): KernelDifference {
  // Most of two long plans is the same in the same order, and needs no keys.
  const head = sameLength(before, after);
  const tail = sameLength(before.slice(head).toReversed(), after.slice(head).toReversed());
  const had = new Map(before.slice(head, before.length - tail).map((change) => [changeKey(change), change]));
  const toAdd: KernelChange[] = [];
  for (const change of after.slice(head, after.length - tail)) {
    const key = changeKey(change);
    const old = had.get(key);
    had.delete(key);
    if (old === undefined || !isSame(old, change)) toAdd.push(change);
  }
  return { toAdd, toRemove: [...had.values()].toReversed() };
}

/** How many changes at the start of both are the same. */
function sameLength(a: readonly KernelChange[], b: readonly KernelChange[]): number {
  let length = 0;
  while (length < a.length && length < b.length && isSame(a[length], b[length])) length++;
  return length;
}

function isSame(a: KernelChange, b: KernelChange): boolean {
  if (a.kind !== 'route' || b.kind !== 'route') return renderIp(a) === renderIp(b);
  return (
    a.network === b.network &&
    a.prefixLength === b.prefixLength &&
    a.gateway === b.gateway &&
    a.device === b.device &&
    (a.metric ?? 0) === (b.metric ?? 0) &&
    a.table === b.table
  );
}

function planAddresses(
  { addresses, addresses6 }: Pick<GatewayConfig['device'], 'addresses' | 'addresses6'>,
  device: string,
): AddressChange[] {
  const ipv4 = addresses.map((address): AddressChange => {
    const p2p = address.kind === 'p2p';
    const peer = p2p ? address.remote : undefined;
    const prefixLength = p2p ? 32 : address.prefixLength;
    return { kind: 'address', device, family: 4, local: address.local, peer, prefixLength };
  });
  const ipv6 = addresses6.map(({ local, prefixLength }): AddressChange => {
    return { kind: 'address', device, family: 6, local, peer: undefined, prefixLength };
  });
  return [...ipv4, ...ipv6];
}

/**
 * One kernel route for each prefix of the table, whichever peers have it: which of them gets the packet is the table's
 * decision. A prefix that a `route` line names is routed as stock does, by way of its gateway. What lies in a network of the
 * device itself, as peers' own addresses do, needs no route.
 */
function planPeerRoutes(config: GatewayConfig, device: string): RouteChange[] {
  const connected = connectedNetworks(config.device);
  const best = new Map<string, { readonly route: PeerRoute; readonly line: RouteConfig | undefined }>();
  for (const peer of config.peers) {
    const lines = routeLines(peer);
    for (const route of peer.peerRoutes) {
      const key = prefixKey(route.prefix);
      const line = lines.get(key);
      if (!route.kernel || (best.get(key)?.route.metric ?? Infinity) <= route.metric) continue;
      if (line === undefined && connected.some((network) => contains(network, route.prefix))) continue;
      best.set(key, { route, line });
    }
  }
  return [...best.values()].map(({ route, line }) =>
    line === undefined ? deviceRoute(route.prefix, device, route.where) : planRoute(line, device),
  );
}

/** The peer's `route` lines by their prefixes. */
function routeLines({ routes }: PeerConfig): Map<string, RouteConfig> {
  return new Map(
    routes.map((line) => [prefixKey({ bytes: parseAddress(line.network), length: line.prefixLength }), line]),
  );
}

/** Networks the kernel has routes to as soon as the device has its addresses. */
function connectedNetworks({ addresses, addresses6 }: GatewayConfig['device']): Prefix[] {
  return [
    ...addresses.map(connectedNetwork),
    ...addresses6.map(({ local, prefixLength }) => network(local, prefixLength)),
  ];
}

function connectedNetwork(address: InterfaceAddress): Prefix {
  return address.kind === 'p2p' ? network(address.remote, 32) : network(address.local, address.prefixLength);
}

function network(address: string, length: number): Prefix {
  return { bytes: maskBytes(parseAddress(address), length), length };
}

function contains(outer: Prefix, inner: Prefix): boolean {
  return outer.bytes.length === inner.bytes.length && commonLength(outer, inner) === outer.length;
}

/** A route that hands everything for `prefix` to this process; the next hop is found there. */
export function deviceRoute(prefix: Prefix, device: string, where?: SourcePosition): RouteChange {
  return {
    kind: 'route',
    family: prefixFamily(prefix),
    network: formatAddress(prefix.bytes),
    prefixLength: prefix.length,
    gateway: undefined,
    device,
    metric: undefined,
    ...(where === undefined ? {} : { where }),
  };
}

/**
 * As stock: IPv4 routes name the gateway and the kernel finds the device; IPv6 routes name the device, and the gateway on a
 * tap device.
 */
function planRoute(route: RouteConfig, deviceName: string): RouteChange {
  const { family, network, prefixLength, gateway, metric, where } = route;
  const device = family === 6 || gateway === undefined ? deviceName : undefined;
  return { kind: 'route', family, network, prefixLength, gateway, device, metric, where };
}

/** The first of each key. */
export function withoutRepetitions(changes: readonly KernelChange[]): KernelChange[] {
  const seen = new Set<string>();
  return changes.filter((change) => seen.size < seen.add(changeKey(change)).size);
}
