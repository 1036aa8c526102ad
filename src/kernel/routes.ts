/** Routes of the current network namespace, by rtnetlink(7). Names and numbers are those of linux/rtnetlink.h. */
import {
  attribute,
  concat,
  NetlinkError,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  parseAttributes,
  readU32,
  u32,
  type Netlink,
} from '../ffi/netlink.ts';
import { formatAddress, parseAddress, type Family } from '../packet/address.ts';
import { RTPROT_TSVPN } from './change.ts';
import { addressFamily } from './rtnetlink.ts';

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTN_UNICAST = 1;
export const RT_TABLE_MAIN = 254;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;

/** Metric the kernel gives an IPv6 route that names none (IP6_RT_PRIO_USER). */
const IPV6_DEFAULT_METRIC = 1024;

/** A unicast route of ours. At least one of gateway and interface is given. */
export interface Route {
  readonly family: Family;
  readonly network: string;
  readonly prefixLength: number;
  readonly gateway: string | undefined;
  readonly interfaceIndex: number | undefined;
  readonly metric: number | undefined;
  /** Main when left out. */
  readonly table?: number;
}

export interface NextHop {
  /** May be of the other family (RFC 5549). */
  readonly gateway: Uint8Array | undefined;
  readonly interfaceIndex: number;
}

/** A unicast route as the kernel tells it. */
export interface FoundRoute {
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  readonly table: number;
  /** Who made it: RTPROT_*, see protocolName(). */
  readonly protocol: number;
  readonly metric: number;
  /** One, or several of equal cost. */
  readonly nextHops: readonly NextHop[];
}

/** Adds a route as stock does: CREATE without EXCL, so that only an identical route is EEXIST. */
export function addRoute(netlink: Netlink, route: Route): void {
  const scope = route.family === 4 && route.gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  netlink.transact('RTM_NEWROUTE', RTM_NEWROUTE, NLM_F_CREATE, rtmsg(route, scope));
}

/**
 * Removes a route of ours (RTPROT_TSVPN); never anybody else's. Without a metric the kernel would take the lowest, which
 * for IPv6 may be another than ours.
 */
function deleteRoute(netlink: Netlink, route: Route): void {
  const exact = { ...route, metric: effectiveMetric(route) };
  netlink.transact('RTM_DELROUTE', RTM_DELROUTE, 0, rtmsg(exact, RT_SCOPE_NOWHERE));
}

/**
 * struct rtmsg: 0 family  1 destination length  2 source length  3 TOS  4 table  5 protocol  6 scope  7 type
 *               8 flags (u32)  12 attributes
 */
function rtmsg(route: Route, scope: number): Uint8Array {
  const { family, prefixLength, gateway, interfaceIndex, metric, table } = route;
  const header = Uint8Array.of(
    addressFamily(family), prefixLength, 0, 0, 0, RTPROT_TSVPN, scope, RTN_UNICAST, 0, 0, 0, 0,
  ); // prettier-ignore
  const parts = [
    header,
    attribute(RTA_DST, parseAddress(route.network)),
    attribute(RTA_TABLE, u32(table ?? RT_TABLE_MAIN)),
  ];
  if (gateway !== undefined) parts.push(attribute(RTA_GATEWAY, parseAddress(gateway)));
  if (interfaceIndex !== undefined) parts.push(attribute(RTA_OIF, u32(interfaceIndex)));
  if (metric !== undefined && metric > 0) parts.push(attribute(RTA_PRIORITY, u32(metric)));
  return concat(...parts);
}

/**
 * All unicast routes of a family in one table, or of one protocol. The kernel filters (strict checking, Linux 4.20); older
 * ones send everything, so we filter too.
 */
export function dumpRoutes(
  netlink: Netlink,
  family: Family,
  filter: { readonly table?: number; readonly protocol?: number },
): FoundRoute[] {
  const { table, protocol } = filter;
  const header = new Uint8Array(12);
  header[0] = addressFamily(family);
  header[5] = protocol ?? 0;
  header[7] = RTN_UNICAST;
  const request = table === undefined ? header : concat(header, attribute(RTA_TABLE, u32(table)));
  return transactDump(netlink, request)
    .filter((message) => message[7] === RTN_UNICAST)
    .map((message) => parseRoute(family, message))
    .filter(
      (route) =>
        (table === undefined || route.table === table) &&
        (protocol === undefined || route.protocol === protocol),
    );
}

/** Attributes of a route that the kernel tells but does not take. */
const RTA_CACHEINFO = 12;
const RTNH_F_ONLINK = 4;

/** A foreign route of table main, as rtnetlink tells it, and so as it can be made again; undefined when there is none. */
export function findForeignRoute(
  netlink: Netlink,
  wanted: Omit<Route, 'table'> & { readonly interfaceIndex: number },
): Uint8Array | undefined {
  const header = new Uint8Array(12);
  header[0] = addressFamily(wanted.family);
  header[7] = RTN_UNICAST;
  const request = concat(header, attribute(RTA_TABLE, u32(RT_TABLE_MAIN)));
  const text = routeKey(wanted);
  return transactDump(netlink, request)
    .filter((message) => message[7] === RTN_UNICAST)
    .find((message) => {
      const { destination, table, protocol, metric, nextHops } = parseRoute(wanted.family, message);
      if (table !== RT_TABLE_MAIN || protocol === RTPROT_TSVPN) return false;
      const [{ gateway, interfaceIndex }] = nextHops;
      const { family, prefixLength } = { family: wanted.family, prefixLength: message[1] };
      const network = formatAddress(destination);
      const key = routeKey({
        family,
        network,
        prefixLength,
        gateway: gateway && formatAddress(gateway),
        metric,
      });
      return interfaceIndex === wanted.interfaceIndex && key === text;
    });
}

/** Takes a route away that findForeignRoute() has found. */
export function removeForeignRoute(netlink: Netlink, message: Uint8Array): void {
  netlink.transact('RTM_DELROUTE', RTM_DELROUTE, 0, restorable(message));
}

/** Makes it again. False when there is one to the same destination by now: somebody else has taken care of it. */
export function restoreForeignRoute(netlink: Netlink, message: Uint8Array): boolean {
  try {
    netlink.transact('RTM_NEWROUTE', RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, restorable(message));
    return true;
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'EEXIST') return false;
    throw error;
  }
}

function restorable(message: Uint8Array): Uint8Array {
  const header = message.slice(0, 12);
  // Of the flags only this one is a property; the others tell a state (dead, link down).
  header.set([message[8] & RTNH_F_ONLINK, 0, 0, 0], 8);
  const attributes = [...parseAttributes(message, 12)].filter(([type]) => type !== RTA_CACHEINFO);
  return concat(header, ...attributes.map(([type, value]) => attribute(type, value)));
}

/** A table nobody has used yet does not exist, which strict checking reports as ENOENT: then there are no routes. */
function transactDump(netlink: Netlink, request: Uint8Array): Uint8Array[] {
  try {
    return netlink.transact('RTM_GETROUTE', RTM_GETROUTE, NLM_F_DUMP, request);
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENOENT') return [];
    throw error;
  }
}

function parseRoute(family: Family, message: Uint8Array): FoundRoute {
  const attributes = parseAttributes(message, 12);
  const table = attributes.get(RTA_TABLE);
  const priority = attributes.get(RTA_PRIORITY);
  const multipath = attributes.get(RTA_MULTIPATH);
  return {
    destination: attributes.get(RTA_DST) ?? new Uint8Array(family === 4 ? 4 : 16),
    prefixLength: message[1],
    table: table === undefined ? message[4] : readU32(table),
    protocol: message[5],
    metric: priority === undefined ? 0 : readU32(priority),
    nextHops: multipath === undefined ? [parseNextHop(attributes)] : parseNextHops(multipath),
  };
}

function parseNextHop(attributes: ReadonlyMap<number, Uint8Array>, interfaceIndex?: number): NextHop {
  const oif = attributes.get(RTA_OIF);
  // struct rtvia: family (u16), address.
  const gateway = attributes.get(RTA_GATEWAY) ?? attributes.get(RTA_VIA)?.subarray(2);
  return { gateway, interfaceIndex: interfaceIndex ?? (oif === undefined ? 0 : readU32(oif)) };
}

/** struct rtnexthop: 0 length (u16)  2 flags  3 weight - 1  4 interface (u32)  8 attributes */
function parseNextHops(bytes: Uint8Array): NextHop[] {
  const hops: NextHop[] = [];
  for (let offset = 0; offset + 8 <= bytes.length;) {
    const length = bytes[offset] | (bytes[offset + 1] << 8);
    if (length < 8) break;
    const hop = bytes.subarray(offset, offset + length);
    hops.push(parseNextHop(parseAttributes(hop, 8), readU32(hop.subarray(4))));
    offset += (length + 3) & ~3;
  }
  return hops;
}

/**
 * The routes tsvpn (some instance of it) has put into the kernel, read once and then kept up to date by hand: with
 * thousands of routes, asking for each one would be quadratic.
 */
export class OwnRoutes {
  private readonly netlink: Netlink;
  /** By family and table: interfaces by routeKey(). */
  private readonly known = new Map<string, Map<string, Set<number>>>();

  constructor(netlink: Netlink) {
    this.netlink = netlink;
  }

  /** Is exactly this route there? Without an interface: on any. */
  has(route: Route): boolean {
    const interfaces = this.routes(route).get(routeKey(route));
    if (interfaces === undefined) return false;
    return route.interfaceIndex === undefined ? interfaces.size > 0 : interfaces.has(route.interfaceIndex);
  }

  add(route: Route): void {
    addRoute(this.netlink, route);
    // The kernel chooses what the route leaves open.
    this.known.delete(tableKey(route));
  }

  /** False when exactly this route is not there: a deletion names few enough attributes to match a similar one. */
  delete(route: Route): boolean {
    if (!this.has(route)) return false;
    deleteRoute(this.netlink, route);
    if (route.interfaceIndex === undefined) this.known.delete(tableKey(route));
    else this.routes(route).get(routeKey(route))?.delete(route.interfaceIndex);
    return true;
  }

  private routes({ family, table = RT_TABLE_MAIN }: Route): Map<string, Set<number>> {
    const key = tableKey({ family, table });
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const routes = new Map<string, Set<number>>();
    for (const found of dumpRoutes(this.netlink, family, { protocol: RTPROT_TSVPN, table })) {
      for (const { gateway, interfaceIndex } of found.nextHops) {
        const { destination, prefixLength, metric } = found;
        const via = gateway && formatAddress(gateway);
        const text = routeKey({
          family,
          network: formatAddress(destination),
          prefixLength,
          gateway: via,
          metric,
        });
        routes.set(text, (routes.get(text) ?? new Set()).add(interfaceIndex));
      }
    }
    this.known.set(key, routes);
    return routes;
  }
}

function tableKey({ family, table }: Pick<Route, 'family' | 'table'>): string {
  return `${family} ${table ?? RT_TABLE_MAIN}`;
}

function routeKey(route: Omit<Route, 'interfaceIndex' | 'table'>): string {
  const { network, prefixLength, gateway } = route;
  const via = gateway === undefined ? '' : formatAddress(parseAddress(gateway));
  return `${formatAddress(parseAddress(network))}/${prefixLength} ${via} ${effectiveMetric(route)}`;
}

function effectiveMetric({ family, metric }: Pick<Route, 'family' | 'metric'>): number {
  return metric === undefined || metric === 0 ? (family === 6 ? IPV6_DEFAULT_METRIC : 0) : metric;
}
