/** The routes of this host, but for the gateway's own, kept up to date by what the kernel tells of changes. */
import type { Netlink } from '../ffi/netlink.ts';
import type { Family } from '../packet/address.ts';
import { prefixKey, type Prefix } from '../packet/prefix.ts';
import { RTPROT_TSVPN } from './change.ts';
import { eachRoute, interfaceOf, protocolOf, RT_TABLE_MAIN, type FoundRoute } from './routes.ts';

/** One next hop of a route; a route with several (of equal cost) appears as several. */
export interface HostRoute {
  readonly prefix: Prefix;
  /** May be of the other family (RFC 5549); undefined for a network on the link itself. */
  readonly gateway: Uint8Array | undefined;
  readonly interfaceIndex: number;
  /** RTPROT_*, see protocolName(). */
  readonly protocol: number;
  readonly metric: number;
  /** Of one of several: its part of the flows, against theirs. */
  readonly weight?: number;
}

/** What the kernel says of one route. */
export interface RouteNews {
  readonly kind: 'added' | 'deleted';
  /** Added in place of the first of the same prefix and metric. */
  readonly replaces: boolean;
  readonly route: FoundRoute;
}

const FAMILIES: readonly Family[] = [4, 6];

export class HostRoutes {
  /** By prefixKey. */
  readonly #byPrefix = new Map<string, readonly FoundRoute[]>();

  /** Routes to exactly this prefix. */
  at(prefix: Prefix): HostRoute[] {
    return (this.#byPrefix.get(prefixKey(prefix)) ?? []).flatMap(hopsOf);
  }

  *[Symbol.iterator](): Generator<HostRoute> {
    for (const routes of this.#byPrefix.values()) for (const route of routes) yield* hopsOf(route);
  }

  add(route: FoundRoute): void {
    const key = prefixKey(route.prefix);
    this.#byPrefix.set(key, [...(this.#byPrefix.get(key) ?? []), route]);
  }

  /**
   * Takes over a change. False when it does not tell for certain what the kernel has now, as with several routes of one
   * metric to a prefix: then all have to be read again.
   */
  apply({ kind, replaces, route }: RouteNews): boolean {
    const key = prefixKey(route.prefix);
    const routes = this.#byPrefix.get(key) ?? [];
    const same = routes.filter(({ metric, tos }) => metric === route.metric && tos === route.tos);
    const rest = routes.filter((other) => !same.includes(other));
    if (same.length > 1) return false;
    if (kind === 'added') {
      if (same.length === 1 && !replaces) return isEqual(same[0], route);
      this.#byPrefix.set(key, [...rest, route]);
    } else {
      if (same.length === 1 && !isEqual(same[0], route)) return false;
      if (rest.length > 0) this.#byPrefix.set(key, rest);
      else this.#byPrefix.delete(key);
    }
    return true;
  }
}

/** All routes of table main but those of ours on the device with index `own`. */
export function readHostRoutes(netlink: Netlink, own: number): HostRoutes {
  const routes = new HostRoutes();
  const filter = {
    table: RT_TABLE_MAIN,
    skip: (bytes: Uint8Array, offset: number, end: number) => isOwnRoute(bytes, offset, end, own),
  };
  for (const family of FAMILIES) eachRoute(netlink, family, filter, (route) => routes.add(route));
  return routes;
}

/** Is the route message with its payload in `bytes[offset .. end)` about a route of ours on the device with index `own`? */
export function isOwnRoute(bytes: Uint8Array, offset: number, end: number, own: number): boolean {
  return protocolOf(bytes, offset) === RTPROT_TSVPN && interfaceOf(bytes, offset, end) === own;
}

function hopsOf({ prefix, protocol, metric, nextHops }: FoundRoute): HostRoute[] {
  return nextHops.map(({ weight, ...hop }) => {
    return { prefix, protocol, metric, ...hop, ...(nextHops.length > 1 && { weight }) };
  });
}

function isEqual(a: FoundRoute, b: FoundRoute): boolean {
  const hops = ({ nextHops }: FoundRoute) =>
    nextHops
      .map(({ gateway, interfaceIndex, weight }) => `${gateway?.join() ?? ''} ${interfaceIndex} ${weight}`)
      .join();
  return a.protocol === b.protocol && hops(a) === hops(b);
}
