/** Routes as they cross the control socket, and as `tsvpn route` prints them. */
import type { RouteKind, RouteSource } from '../route/route.ts';
import type { Standing } from '../route/explain.ts';
import { plain, type Paint } from './colour.ts';
import { escapeText } from './escape.ts';
import { humanBytes } from './units.ts';

/**
 * - active: takes the packets of its prefix, or its share of them
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
  /** Of routes that share the flows of their prefix. */
  readonly weight?: number;
  readonly source: RouteSource;
}

/** What a route has taken since it is there. */
export interface RouteTraffic {
  readonly packets: number;
  /** Of the packets inside the tunnel. */
  readonly bytes: number;
}

export interface RouteList {
  readonly schema: 'tsvpn.routes/1';
  /** `traffic` is null where routes do not matter (`pointToPoint`), and when the data plane does not answer. */
  readonly routes: readonly (ListedRoute & {
    readonly state: RouteState;
    readonly traffic: RouteTraffic | null;
  })[];
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
  const weight = route.weight === undefined ? '' : ` weight ${route.weight}`;
  return escapeText(`${route.prefix} ${targetText(route)}${metric}${weight} ${sourceText(route.source)}`);
}

/** `peer siteB (gw.conf:12 peer-route 10.1.0.0/16)`; with several, `peer siteB or peer siteC (...)`. */
export function decisionText(...routes: readonly [ListedRoute, ...ListedRoute[]]): string {
  const { source, prefix } = routes[0];
  const line =
    source.kind === 'config'
      ? `${source.where.file}:${source.where.line} ${source.directive} ${prefix}`
      : `${prefix} ${sourceText(source)}`;
  return escapeText(`${routes.map(targetText).join(' or ')} (${line})`);
}

const STATE_COLOUR = { active: 'green', standby: 'yellow', down: 'red' } as const;
const STANDING_COLOUR = {
  decides: 'green',
  shares: 'green',
  down: 'red',
  backup: 'yellow',
  unused: 'dim',
} as const;

/** One line for each route, without a trailing line feed; the states of `peer` routes are shown. */
export function renderRoutes({ routes, pointToPoint }: RouteList, paint: Paint = plain): string {
  const lines = routes.map((route) => {
    const shown = route.kind === 'peer' || route.state !== 'active';
    const state = shown ? ` ${paint(STATE_COLOUR[route.state], route.state)}` : '';
    return `${routeText(route)}${state}${trafficText(route.traffic)}`;
  });
  return [...pointToPointNote(pointToPoint), ...lines].join('\n');
}

/** `, 28 packets, 2.30 KiB`; nothing for a route that took none. */
function trafficText(traffic: RouteTraffic | null): string {
  if (traffic === null || traffic.packets === 0) return '';
  const { packets, bytes } = traffic;
  return `, ${packets} packet${packets === 1 ? '' : 's'}, ${humanBytes(bytes)}`;
}

export function renderRouteGet(found: RouteGet, paint: Paint = plain): string {
  const { address, decision, why, candidates, pointToPoint } = found;
  const sharing = candidates.filter(({ standing }) => standing === 'shares').slice(1);
  const head = decision === null ? 'nobody' : decisionText(decision, ...sharing);
  const lines = candidates.map(
    (route) => `  ${routeText(route)} ${paint(STANDING_COLOUR[route.standing], route.standing)}`,
  );
  return [...pointToPointNote(pointToPoint), `${address} → ${head}`, `  ${why}`, ...lines].join('\n');
}

function pointToPointNote(peer: string | null): string[] {
  return peer === null ? [] : [`# point-to-point: peer ${escapeText(peer)} gets every packet of the device`];
}
