/** Routes of somebody else that are taken out of the way for a while, and put back exactly as they were. */
import {
  attribute,
  concat,
  NetlinkError,
  NLM_F_CREATE,
  NLM_F_EXCL,
  parseAttributes,
  u32,
  type Netlink,
} from '../ffi/netlink.ts';
import { formatAddress } from '../packet/address.ts';
import { formatPrefix, prefixFamily } from '../packet/prefix.ts';
import { RTPROT_TSVPN } from './change.ts';
import {
  effectiveMetric,
  parseRoute,
  RT_TABLE_MAIN,
  RTM_DELROUTE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  type Route,
} from './routes.ts';
import { addressFamily } from './rtnetlink.ts';

/** Attributes and flags of a route that the kernel tells but does not take. */
const RTA_CACHEINFO = 12;
const RTA_TABLE = 15;
const RTNH_F_ONLINK = 4;

/** Of table main. */
export interface ForeignRoute extends Omit<Route, 'table'> {
  readonly interfaceIndex: number;
}

/** The route as rtnetlink tells it, and so as it can be made again; undefined when there is none. */
export function findForeignRoute(netlink: Netlink, wanted: ForeignRoute): Uint8Array | undefined {
  const header = new Uint8Array(12);
  header[0] = addressFamily(prefixFamily(wanted.prefix));
  const request = concat(header, attribute(RTA_TABLE, u32(RT_TABLE_MAIN)));
  const text = routeText(wanted);
  let found: Uint8Array | undefined;
  netlink.dump('RTM_GETROUTE', RTM_GETROUTE, request, (_type, _flags, bytes, offset, end) => {
    const route = parseRoute(bytes, offset, end);
    if (route === undefined || route.table !== RT_TABLE_MAIN || route.protocol === RTPROT_TSVPN) return;
    const [hop] = route.nextHops;
    if (routeText({ ...route, ...hop }) === text) found ??= bytes.slice(offset, end);
  });
  return found;
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

function routeText(route: ForeignRoute): string {
  const via = route.gateway === undefined ? '' : formatAddress(route.gateway);
  return `${formatPrefix(route.prefix)} ${via} ${route.interfaceIndex} ${effectiveMetric(route)}`;
}
