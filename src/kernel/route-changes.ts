/** Planned routes in the kernel: many at a time, because there may be a hundred thousand. */
import type { Netlink, NetlinkError } from '../ffi/netlink.ts';
import { formatAddress, parseAddress, type Family } from '../packet/address.ts';
import { formatPrefix } from '../packet/prefix.ts';
import { RTPROT_TSVPN, type RouteChange } from './change.ts';
import { addRoutes, deleteRoutes, dumpRoutes, effectiveMetric, RT_TABLE_MAIN, type Route } from './routes.ts';
import type { Link } from './rtnetlink.ts';

export interface RouteStep {
  readonly change: RouteChange;
  /** Of the change's device; undefined for a route by gateway. */
  readonly link: Link | undefined;
}

/** Adds the routes; returns the refusals by position, EEXIST for a route that is there already. */
export function makeRoutes(netlink: Netlink, steps: readonly RouteStep[]): Map<number, NetlinkError> {
  return addRoutes(netlink, steps.map(toRoute));
}

/** Takes routes of ours back; returns the refusals by position, undefined for a route that is not there (any more). */
export function takeBackRoutes(
  netlink: Netlink,
  steps: readonly RouteStep[],
): Map<number, NetlinkError | undefined> {
  const routes = steps.map(toRoute);
  const present = presentRoutes(netlink, routes.filter(isVague));
  const refusals = new Map<number, NetlinkError | undefined>();
  const asked: number[] = [];
  routes.forEach((route, i) => {
    if (isVague(route) && !present.has(routeKey(route))) refusals.set(i, undefined);
    else asked.push(i);
  });
  const answers = deleteRoutes(
    netlink,
    asked.map((i) => routes[i]),
  );
  for (const [at, error] of answers) refusals.set(asked[at], error.code === 'ESRCH' ? undefined : error);
  return refusals;
}

/** Takes back every route of ours on a device that is the gateway's own; false when there is none. */
export function flushRoutes(netlink: Netlink, family: Family, interfaceIndex: number): boolean {
  const found = dumpRoutes(netlink, family, { protocol: RTPROT_TSVPN, interfaceIndex });
  const routes = found.map(({ prefix, metric, table, nextHops: [{ gateway }] }): Route => {
    return { prefix, gateway, interfaceIndex, metric, table };
  });
  for (const error of deleteRoutes(netlink, routes).values()) if (error.code !== 'ESRCH') throw error;
  return routes.length > 0;
}

function toRoute({ change, link }: RouteStep): Route {
  const { network, prefixLength, gateway, metric, table } = change;
  return {
    prefix: { bytes: parseAddress(network), length: prefixLength },
    gateway: gateway === undefined ? undefined : parseAddress(gateway),
    interfaceIndex: link?.index,
    metric,
    ...(table === undefined ? {} : { table }),
  };
}

/** A deletion of it would match the same route of another metric as well; see deleteRoutes(). */
function isVague(route: Route): boolean {
  return route.gateway !== undefined && effectiveMetric(route) === 0;
}

function presentRoutes(netlink: Netlink, wanted: readonly Route[]): Set<string> {
  const present = new Set<string>();
  for (const table of new Set(wanted.map((route) => route.table ?? RT_TABLE_MAIN))) {
    for (const route of dumpRoutes(netlink, 4, { protocol: RTPROT_TSVPN, table })) {
      for (const { gateway } of route.nextHops) present.add(routeKey({ ...route, gateway }));
    }
  }
  return present;
}

function routeKey(route: Pick<Route, 'prefix' | 'gateway' | 'metric' | 'table'>): string {
  const { prefix, gateway, table = RT_TABLE_MAIN } = route;
  const via = gateway === undefined ? '' : formatAddress(gateway);
  return `${formatPrefix(prefix)} ${via} ${effectiveMetric(route)} ${table}`;
}
