/** Answers to `tsvpn route` from the routing table. Pure. */
import type {
  ListedRoute,
  RouteGet,
  RoutePage,
  RouteSpec,
  RouteState,
  RouteTraffic,
} from '../control/routes.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { addressBytes } from '../packet/address.ts';
import { formatPrefix, maskBytes, parsePrefix, type Prefix } from '../packet/prefix.ts';
import { explain, type ExplainOptions } from '../route/explain.ts';
import { HIT_COUNTERS } from '../route/hits.ts';
import { isShared } from '../route/order.ts';
import type { Route } from '../route/route.ts';
import type { RoutingTable } from '../route/table.ts';

export function listed({ prefix, kind, peer, metric, weight, source }: Route): ListedRoute {
  const shared = weight === undefined ? {} : { weight };
  return { prefix: formatPrefix(prefix), kind, peer: peer ?? null, metric, ...shared, source };
}

/** So many make an answer of about a megabyte. */
export const PAGE_SIZE = 5000;

/**
 * Some of the table's routes; `hits` are theirs (route/hits.ts), if known. `pointToPoint`: the only peer, when the device is a
 * link to it.
 */
export function routePage(
  { routes, more }: Pick<ReturnType<RoutingTable['page']>, 'routes' | 'more'>,
  hits: Float64Array | undefined,
  isUp: (peer: string) => boolean,
  pointToPoint: string | null,
): RoutePage {
  const up = remembered(isUp);
  let prefix = '';
  let taker: Route | undefined;
  const withState = routes.map((route, at) => {
    const one = listed(route);
    // Routes to one prefix stand together, the preferred first.
    if (one.prefix !== prefix) taker = undefined;
    prefix = one.prefix;
    const state = stateOf(route, taker, up);
    if (state === 'active') taker ??= route;
    const traffic = hits === undefined ? null : trafficAt(hits, at);
    return { ...one, state, traffic };
  });
  return { schema: 'tsvpn.routes/1', routes: withState, pointToPoint, more };
}

function trafficAt(hits: Float64Array, route: number): RouteTraffic {
  const [packets, bytes] = hits.subarray(route * HIT_COUNTERS);
  return { packets, bytes };
}

/** Asks once for each peer. */
function remembered(isUp: (peer: string) => boolean): (peer: string) => boolean {
  const known = new Map<string, boolean>();
  return (peer) => {
    const up = known.get(peer) ?? isUp(peer);
    known.set(peer, up);
    return up;
  };
}

function stateOf(route: Route, taker: Route | undefined, isUp: (peer: string) => boolean): RouteState {
  if (route.kind === 'peer' && !isUp(route.peer!)) return 'down';
  return taker === undefined || isShared(taker, route) ? 'active' : 'standby';
}

/** Throws OperatorError for text that is no address. */
export function routeGet(
  table: RoutingTable,
  text: string,
  options: ExplainOptions,
  pointToPoint: string | null,
): RouteGet {
  const { prefixes, decision, why } = explain(table, parsed(text), options);
  return {
    schema: 'tsvpn.route/1',
    address: text,
    decision: decision === undefined ? null : listed(decision),
    why,
    candidates: prefixes.flatMap(({ routes }) =>
      routes.map(({ route, standing }) => ({ ...listed(route), standing })),
    ),
    pointToPoint,
  };
}

/** Throws OperatorError for text that is no address. */
export function parsed(text: string): Uint8Array {
  const bytes = addressBytes(text);
  if (bytes !== undefined) return bytes;
  throw new OperatorError({
    code: 'ADDRESS',
    what: `'${text}' is not an IP address`,
    fix: 'write an address like 10.1.2.3 or fd00::1',
    exitCode: ExitCode.Usage,
  });
}

/** What the operator wants to be added. Throws OperatorError for a prefix that is none. */
export function operatorRoute({ prefix, kind, peer, metric = 0 }: RouteSpec): Route {
  return { prefix: prefixOf(prefix), kind, peer, metric, source: { kind: 'operator' } };
}

/** Throws OperatorError for text that is no prefix, with the network that was probably meant. */
export function prefixOf(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return prefix;
  const [address, length] = text.split('/');
  const bytes = addressBytes(address);
  const bits = Number(length);
  const masked = bytes !== undefined && Number.isInteger(bits) && bits >= 0 && bits <= bytes.length * 8;
  const network = masked ? formatPrefix({ bytes: maskBytes(bytes, bits), length: bits }) : undefined;
  throw new OperatorError({
    code: 'PREFIX',
    what: `'${text}' is not a network`,
    why: network === undefined ? undefined : `there are bits set behind the first ${bits}`,
    fix:
      network === undefined ? 'write a network like 10.1.0.0/16 or fd00:1::/32' : `did you mean ${network}?`,
    exitCode: ExitCode.Usage,
  });
}
