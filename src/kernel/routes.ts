/** Routes of the current network namespace, by rtnetlink(7). Names and numbers are those of linux/rtnetlink.h. */
import { AF_INET } from '../ffi/constants.ts';
import {
  attribute,
  concat,
  eachAttribute,
  NetlinkError,
  NLM_F_CREATE,
  readU32,
  u32,
  type Netlink,
} from '../ffi/netlink.ts';
import type { Family } from '../packet/address.ts';
import { prefixFamily, type Prefix } from '../packet/prefix.ts';
import { RTPROT_TSVPN } from './change.ts';
import { addressFamily } from './rtnetlink.ts';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

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
/** A copy made for one destination, no entry of the table. */
const RTM_F_CLONED = 0x200;

/** Metric the kernel gives an IPv6 route that names none (IP6_RT_PRIO_USER). */
const IPV6_DEFAULT_METRIC = 1024;

/** A unicast route of ours. At least one of gateway and interface is given. */
export interface Route {
  readonly prefix: Prefix;
  readonly gateway: Uint8Array | undefined;
  readonly interfaceIndex: number | undefined;
  readonly metric: number | undefined;
  /** Main when left out. */
  readonly table?: number;
}

export interface NextHop {
  /** May be of the other family (RFC 5549). */
  readonly gateway: Uint8Array | undefined;
  readonly interfaceIndex: number;
  /** How much of the traffic it gets, against the other next hops of the route. */
  readonly weight: number;
}

/** A unicast route as the kernel tells it. */
export interface FoundRoute {
  readonly prefix: Prefix;
  /** DSCP, in the place of the old type of service: part of a route's identity, and 0 but for exotic set-ups. */
  readonly tos: number;
  readonly table: number;
  /** Who made it: RTPROT_*, see protocolName(). */
  readonly protocol: number;
  readonly metric: number;
  /** One, or several of equal cost. */
  readonly nextHops: readonly NextHop[];
}

/**
 * Adds routes as stock does: CREATE without EXCL, so that only an identical route is EEXIST. Returns the refusals by
 * position.
 */
export function addRoutes(netlink: Netlink, routes: readonly Route[]): Map<number, NetlinkError> {
  return netlink.transactAll('RTM_NEWROUTE', RTM_NEWROUTE, NLM_F_CREATE, routes.map(rtmsg));
}

/** Adds one route. Throws NetlinkError when the kernel refuses. */
export function addRoute(netlink: Netlink, route: Route): void {
  for (const refusal of addRoutes(netlink, [route]).values()) throw refusal;
}

/**
 * Removes routes of ours (RTPROT_TSVPN); never anybody else's. Returns the refusals by position, ESRCH for what is not there.
 * The scope keeps a route without a gateway from matching one with it, and without a metric the kernel would take the lowest,
 * which for IPv6 may be another than ours. One thing the request cannot say: with the metric 0 IPv4 takes any.
 */
export function deleteRoutes(netlink: Netlink, routes: readonly Route[]): Map<number, NetlinkError> {
  const exact = routes.map((route) => rtmsg({ ...route, metric: effectiveMetric(route) }));
  return netlink.transactAll('RTM_DELROUTE', RTM_DELROUTE, 0, exact);
}

/** The metric that a route has in the kernel. */
export function effectiveMetric({ prefix, metric = 0 }: Pick<Route, 'prefix' | 'metric'>): number {
  return metric === 0 && prefixFamily(prefix) === 6 ? IPV6_DEFAULT_METRIC : metric;
}

/**
 * struct rtmsg: 0 family  1 destination length  2 source length  3 TOS  4 table  5 protocol  6 scope  7 type
 *               8 flags (u32)  12 attributes
 */
function rtmsg({ prefix, gateway, interfaceIndex, metric, table }: Route): Uint8Array {
  const family = prefixFamily(prefix);
  const scope = family === 4 && gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  const header = Uint8Array.of(
    addressFamily(family), prefix.length, 0, 0, 0, RTPROT_TSVPN, scope, RTN_UNICAST, 0, 0, 0, 0,
  ); // prettier-ignore
  const parts: Uint8Array[] = [
    header,
    attribute(RTA_DST, prefix.bytes),
    attribute(RTA_TABLE, u32(table ?? RT_TABLE_MAIN)),
  ];
  if (gateway !== undefined) parts.push(attribute(RTA_GATEWAY, gateway));
  if (interfaceIndex !== undefined) parts.push(attribute(RTA_OIF, u32(interfaceIndex)));
  if (metric !== undefined && metric > 0) parts.push(attribute(RTA_PRIORITY, u32(metric)));
  return concat(...parts);
}

export interface RouteFilter {
  readonly table?: number;
  readonly protocol?: number;
  /** Of one of the next hops. */
  readonly interfaceIndex?: number;
  /** Leaves out messages, with their payload in `bytes[offset .. end)`, before they are parsed. */
  readonly skip?: (bytes: Uint8Array, offset: number, end: number) => boolean;
}

/**
 * Hands over the unicast routes of a family that fit the filter. The kernel filters (strict checking, Linux 4.20); older
 * ones send everything, so we filter too.
 */
export function eachRoute(
  netlink: Netlink,
  family: Family,
  filter: RouteFilter,
  onRoute: (route: FoundRoute) => void,
): void {
  const { table, protocol, interfaceIndex, skip } = filter;
  const header = new Uint8Array(12);
  header[0] = addressFamily(family);
  header[5] = protocol ?? 0;
  header[7] = RTN_UNICAST;
  const parts: Uint8Array[] = [header];
  if (table !== undefined) parts.push(attribute(RTA_TABLE, u32(table)));
  if (interfaceIndex !== undefined) parts.push(attribute(RTA_OIF, u32(interfaceIndex)));
  try {
    netlink.dump('RTM_GETROUTE', RTM_GETROUTE, concat(...parts), (_type, _flags, bytes, offset, end) => {
      if (skip?.(bytes, offset, end) === true) return;
      const route = parseRoute(bytes, offset, end);
      if (route !== undefined && fits(route, filter)) onRoute(route);
    });
  } catch (error) {
    // A table nobody has used yet does not exist, which strict checking reports: then there are no routes.
    if (!(error instanceof NetlinkError && error.code === 'ENOENT')) throw error;
  }
}

function fits(route: FoundRoute, { table, protocol, interfaceIndex }: RouteFilter): boolean {
  return (
    (table === undefined || route.table === table) &&
    (protocol === undefined || route.protocol === protocol) &&
    (interfaceIndex === undefined || route.nextHops.some((hop) => hop.interfaceIndex === interfaceIndex))
  );
}

/** As `eachRoute`, for few. */
export function dumpRoutes(netlink: Netlink, family: Family, filter: RouteFilter): FoundRoute[] {
  const routes: FoundRoute[] = [];
  eachRoute(netlink, family, filter, (route) => routes.push(route));
  return routes;
}

/** RTPROT_* of a route message with its payload at `bytes[offset ..)`: cheaper than parsing it. */
export function protocolOf(bytes: Uint8Array, offset: number): number {
  return bytes[offset + 5];
}

/** Index of the interface of a route message with its payload in `bytes[offset .. end)`; 0 when it has several or none. */
export function interfaceOf(bytes: Uint8Array, offset: number, end: number): number {
  let index = 0;
  eachAttribute(bytes, offset + 12, end, (type, at) => {
    if (type === RTA_OIF) index = readU32(bytes, at);
  });
  return index;
}

/** The route of a message with its payload in `bytes[offset .. end)`; undefined for another kind than unicast. */
export function parseRoute(bytes: Uint8Array, offset: number, end: number): FoundRoute | undefined {
  if (bytes[offset + 7] !== RTN_UNICAST || (readU32(bytes, offset + 8) & RTM_F_CLONED) !== 0)
    return undefined;
  let address: Uint8Array | undefined;
  let table = bytes[offset + 4];
  let metric = 0;
  let multipath: NextHop[] | undefined;
  eachAttribute(bytes, offset + 12, end, (type, at, to) => {
    if (type === RTA_DST) address = bytes.slice(at, to);
    else if (type === RTA_TABLE) table = readU32(bytes, at);
    else if (type === RTA_PRIORITY) metric = readU32(bytes, at);
    else if (type === RTA_MULTIPATH) multipath = parseNextHops(bytes, at, to);
  });
  return {
    prefix: {
      bytes: address ?? new Uint8Array(bytes[offset] === AF_INET ? 4 : 16),
      length: bytes[offset + 1],
    },
    tos: bytes[offset + 3],
    table,
    protocol: bytes[offset + 5],
    metric,
    nextHops: multipath ?? [parseNextHop(bytes, offset + 12, end, 0, 1)],
  };
}

/** The next hop in the attributes `bytes[offset .. end)`. */
function parseNextHop(
  bytes: Uint8Array,
  offset: number,
  end: number,
  index: number,
  weight: number,
): NextHop {
  let gateway: Uint8Array | undefined;
  let interfaceIndex = index;
  eachAttribute(bytes, offset, end, (type, at, to) => {
    if (type === RTA_GATEWAY) gateway = bytes.slice(at, to);
    // struct rtvia: family (u16), address.
    else if (type === RTA_VIA) gateway = bytes.slice(at + 2, to);
    else if (type === RTA_OIF) interfaceIndex = readU32(bytes, at);
  });
  return { gateway, interfaceIndex, weight };
}

/** struct rtnexthop: 0 length (u16)  2 flags  3 weight - 1  4 interface (u32)  8 attributes */
function parseNextHops(bytes: Uint8Array, offset: number, end: number): NextHop[] {
  const hops: NextHop[] = [];
  for (let at = offset; at + 8 <= end;) {
    const length = bytes[at] | (bytes[at + 1] << 8);
    if (length < 8) break;
    const to = Math.min(end, at + length);
    hops.push(parseNextHop(bytes, at + 8, to, readU32(bytes, at + 4), bytes[at + 3] + 1));
    at += (length + 3) & ~3;
  }
  return hops;
}
