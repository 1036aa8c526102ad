/** Which route decides for an address, and why, in words: for `tsvpn route get` and `tsvpn trace`. */
import { formatAddress } from '../packet/address.ts';
import { formatPrefix, maskBytes, type Prefix } from '../packet/prefix.ts';
import type { Route } from './route.ts';
import { isShared } from './order.ts';
import type { RoutingTable } from './table.ts';

/**
 * - decides: takes the packet
 * - shares: takes it if its flow is among its share
 * - down: would come first, but its peer is down
 * - backup: takes over when the routes before it are down
 * - unused: never reached while the routes before it exist
 */
export type Standing = 'decides' | 'shares' | 'down' | 'backup' | 'unused';

export interface ExplainedRoute {
  readonly route: Route;
  readonly standing: Standing;
}

export interface ExplainedPrefix {
  readonly prefix: Prefix;
  /** The preferred first. */
  readonly routes: readonly ExplainedRoute[];
}

export interface Explanation {
  /** All prefixes of the table that contain the address, the longest first. */
  readonly prefixes: readonly ExplainedPrefix[];
  /** The first of those that share. Undefined when there is no route, or every peer that could take the packet is down. */
  readonly decision: Route | undefined;
  /** One line, no full stop. */
  readonly why: string;
}

export interface ExplainOptions {
  readonly isUp: (peer: string) => boolean;
  /** As for `compile`. */
  readonly fallthrough: boolean;
}

/** `address` has 4 or 16 bytes. */
export function explain(table: RoutingTable, address: Uint8Array, options: ExplainOptions): Explanation {
  const prefixes: ExplainedPrefix[] = [];
  let decision: Route | undefined;
  let isReached = true;
  for (let length = address.length * 8; length >= 0; length--) {
    const prefix = { bytes: maskBytes(address, length), length };
    const candidates = table.at(prefix);
    if (candidates.length === 0) continue;
    if (prefixes.length > 0) isReached &&= options.fallthrough;
    const routes = candidates.map((route) => {
      const standing = isReached ? standingOf(route, decision, options) : 'unused';
      if (standing === 'decides') decision = route;
      // Only a peer can be down: what follows anything else is never reached.
      if (route.kind !== 'peer') isReached = false;
      return { route, standing };
    });
    prefixes.push({ prefix, routes: withShares(routes) });
  }
  return { prefixes, decision, why: reason(address, prefixes, decision, options) };
}

function standingOf(route: Route, decision: Route | undefined, { isUp }: ExplainOptions): Standing {
  if (decision !== undefined && !(isShared(decision, route) && isUp(route.peer!))) return 'backup';
  if (decision !== undefined) return 'shares';
  return route.kind === 'peer' && !isUp(route.peer!) ? 'down' : 'decides';
}

/** Who decides does not do so alone when others share. */
function withShares(routes: readonly ExplainedRoute[]): readonly ExplainedRoute[] {
  if (!routes.some(({ standing }) => standing === 'shares')) return routes;
  return routes.map(({ route, standing }) => {
    return { route, standing: standing === 'decides' ? 'shares' : standing };
  });
}

function reason(
  address: Uint8Array,
  prefixes: readonly ExplainedPrefix[],
  decision: Route | undefined,
  { fallthrough }: ExplainOptions,
): string {
  if (prefixes.length === 0) return `no prefix contains ${formatAddress(address)}`;
  const [{ prefix, routes }] = prefixes;
  const longest = formatPrefix(prefix);
  if (decision === undefined) {
    const advice = prefixes.length > 1 && !fallthrough ? ', and shorter prefixes need route-fallthrough' : '';
    return `${longest} is the longest prefix; every peer of it is down${advice}`;
  }
  if (routes.some(({ standing }) => standing === 'shares'))
    return `${longest} is the longest prefix; peers of equal cost share its flows`;
  const at = routes.findIndex(({ route }) => route === decision);
  if (at < 0)
    return `every peer of longer prefixes is down, and route-fallthrough lets ${formatPrefix(decision.prefix)} decide`;
  if (at > 0) return `${longest} is the longest prefix; peers of lower metric are down`;
  return `${longest} is the longest prefix${routes.length > 1 ? ', and this its lowest metric' : ''}`;
}
