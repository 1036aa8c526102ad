/** Routes as they cross the control socket, and as `tsvpn route` prints them. */
import type { RouteKind, RouteSource } from '../route/route.ts';
import type { Standing } from '../route/explain.ts';
import { plain, type Paint } from './colour.ts';
import { escapeText } from './escape.ts';

/**
 * - active: takes the packets of its prefix
 * - standby: takes them when the routes before it are down
 * - down: its peer is down
 */
export type RouteState = 'active' | 'standby' | 'down';

export interface ListedRoute {
  readonly prefix: string;
  readonly kind: RouteKind;
  /** Of kind `peer` only. */
  readonly peer: string | null;
  readonly metric: number;
  readonly source: RouteSource;
}

export interface RouteList {
  readonly schema: 'tsvpn.routes/1';
  readonly routes: readonly (ListedRoute & { readonly state: RouteState })[];
  /** The device is a link to one peer, as stock's: it gets every packet, whatever the routes say. */
  readonly pointToPoint: string | null;
}

/** A part of the list: a table may have a hundred thousand routes, and nobody should wait for all of them at once. */
export interface RoutePage extends RouteList {
  /** There are routes behind these: ask for those after the last prefix. */
  readonly more: boolean;
}

export interface RouteGet {
  readonly schema: 'tsvpn.route/1';
  readonly address: string;
  readonly decision: ListedRoute | null;
  readonly why: string;
  /** Everything that contains the address, the longest prefix first. */
  readonly candidates: readonly (ListedRoute & { readonly standing: Standing })[];
  readonly pointToPoint: string | null;
}

/** What `route add` asks for. */
export interface RouteSpec {
  readonly prefix: string;
  readonly kind: 'peer' | 'blackhole' | 'unreachable' | 'prohibit';
  readonly peer?: string;
  readonly metric?: number;
}

/** `peer siteB`, `blackhole`. */
function targetText({ kind, peer }: Pick<ListedRoute, 'kind' | 'peer'>): string {
  return kind === 'peer' ? `peer ${peer}` : kind;
}

/** `from gw.conf:12`, in the place where ip-route(8) has `proto`. */
function sourceText(source: RouteSource): string {
  switch (source.kind) {
    case 'config':
      return `from ${source.where.file}:${source.where.line}`;
    case 'learned':
      return `from ${source.protocol}`;
    case 'kernel':
      return 'from kernel';
    case 'operator':
      return 'from operator';
  }
}

/** `10.1.0.0/16 peer siteB metric 10 from gw.conf:12`, as `ip route` would. */
export function routeText(route: ListedRoute): string {
  const metric = route.metric === 0 ? '' : ` metric ${route.metric}`;
  return escapeText(`${route.prefix} ${targetText(route)}${metric} ${sourceText(route.source)}`);
}

/** `peer siteB (gw.conf:12 peer-route 10.1.0.0/16)`. */
export function decisionText(route: ListedRoute): string {
  const { source, prefix } = route;
  const line =
    source.kind === 'config'
      ? `${source.where.file}:${source.where.line} ${source.directive} ${prefix}`
      : `${prefix} ${sourceText(source)}`;
  return escapeText(`${targetText(route)} (${line})`);
}

const STATE_COLOUR = { active: 'green', standby: 'yellow', down: 'red' } as const;
const STANDING_COLOUR = { decides: 'green', down: 'red', backup: 'yellow', unused: 'dim' } as const;

/** One line for each route, without a trailing line feed; the states of `peer` routes are shown. */
export function renderRoutes({ routes, pointToPoint }: RouteList, paint: Paint = plain): string {
  const lines = routes.map((route) => {
    const shown = route.kind === 'peer' || route.state !== 'active';
    return shown ? `${routeText(route)} ${paint(STATE_COLOUR[route.state], route.state)}` : routeText(route);
  });
  return [...pointToPointNote(pointToPoint), ...lines].join('\n');
}

export function renderRouteGet(found: RouteGet, paint: Paint = plain): string {
  const { address, decision, why, candidates, pointToPoint } = found;
  const head = decision === null ? 'nobody' : decisionText(decision);
  const lines = candidates.map(
    (route) => `  ${routeText(route)} ${paint(STANDING_COLOUR[route.standing], route.standing)}`,
  );
  return [...pointToPointNote(pointToPoint), `${address} → ${head}`, `  ${why}`, ...lines].join('\n');
}

function pointToPointNote(peer: string | null): string[] {
  return peer === null ? [] : [`# point-to-point: peer ${escapeText(peer)} gets every packet of the device`];
}
