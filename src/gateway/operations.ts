/** What operators ask of a running gateway by the control socket, status and its end aside. */
import type { Params, Results } from '../control/messages.ts';
import type { SessionChoice } from '../control/nat.ts';
import type { NatStatus } from '../control/status.ts';
import type { TraceStep } from '../engine/trace.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import type { ListedRule, ListedSession, NatStats, SessionPage } from '../nat/list.ts';
import { networkOf } from '../nat/rule-book.ts';
import type { SessionFilter } from '../nat/session-filter.ts';
import { prefixFamily } from '../packet/prefix.ts';
import { isPeer, ZONE_TUN, type Zone } from '../packet/zone.ts';
import { routeText } from '../control/routes.ts';
import { linkedPeer, settle, type Room } from './room.ts';
import { listed, operatorRoute, PAGE_SIZE, prefixOf, routeGet, routePage } from './route-answers.ts';
import { measureMtu } from './mtu-answer.ts';
import { tracedPacket, traceReport } from './tracing.ts';

/** So many make an answer of about two megabytes. */
const NAT_PAGE_SIZE = 5000;

/** Each throws OperatorError for what cannot be done. */
export type Operations = {
  readonly [M in 'route-get' | 'route-add' | 'route-del']: (params: Params[M]) => Results[M];
} & {
  readonly [M in 'route-list' | 'mtu' | 'trace' | 'nat-list' | 'nat-rules' | 'nat-flush']: (
    params: Params[M],
  ) => Promise<Results[M]>;
};

export function operationsOf(room: Room): Operations {
  const { routing, peers, plane } = room;
  const isUp = (peer: string) => peers.isUsable(peer);
  return {
    'route-list': async ({ after }) => {
      const from = after === undefined ? undefined : prefixOf(after);
      const page = routing.table.page(from, PAGE_SIZE);
      return routePage(page, await routeHits(room, page), isUp, linkedPeer(room));
    },
    'route-get': ({ address }) => {
      const options = { isUp, fallthrough: room.config.routeFallthrough };
      return routeGet(routing.table, address, options, linkedPeer(room));
    },
    'route-add': (spec) => {
      refuseOnTap(room, 'a route');
      return addRoute(room, spec);
    },
    'route-del': (spec) => deleteRoutes(room, spec),
    mtu: (request) => measureMtu(room, request),
    trace: (request) => {
      refuseOnTap(room, 'a packet to follow');
      return trace(room, request);
    },
    'nat-list': (request) => natList(room, request),
    'nat-rules': () => natRules(room),
    'nat-flush': async (choice) => ({
      sessions: (await plane.query({ kind: 'nat-flush', filter: filterOf(choice) })) as number,
    }),
  };
}

/** Undefined where routes do not matter; and of a data plane that does not answer the routes are news all the same. */
async function routeHits(
  room: Room,
  { first, routes }: { readonly first: number; readonly routes: readonly unknown[] },
): Promise<Float64Array | undefined> {
  if (linkedPeer(room) !== null) return undefined;
  // Commands are carried out in order: the counters are of this list.
  const query = { kind: 'route-hits', first, end: first + routes.length } as const;
  return (await room.plane.query(query).catch(() => undefined)) as Float64Array | undefined;
}

/** On a tap device there is nothing to decide: every frame goes to the peer. */
function refuseOnTap({ config, tun }: Room, what: string): void {
  if (config.device.type === 'tun') return;
  throw new OperatorError({
    code: 'TAP_NO_ROUTING',
    what: `${tun.name} is a tap device: it has no table for ${what}`,
    why: `every Ethernet frame of the kernel goes to ${config.peers[0].name} as it is, and every frame from there to the kernel`,
    fix: `ask the kernel: ip route get ADDRESS, bridge fdb show, tcpdump -e -i ${tun.name}`,
    exitCode: ExitCode.Usage,
  });
}

/** A route that the kernel refuses does not stay in the table. */
function addRoute(room: Room, spec: Params['route-add']): Results['route-add'] {
  const { routing, log } = room;
  const route = operatorRoute(spec);
  routing.add(route);
  try {
    settle(room);
  } catch (error) {
    if (error instanceof OperatorError) routing.delete(route.prefix, route.metric);
    throw error;
  }
  const added = routeText(listed(route));
  log.info(`route added: ${added}`);
  return { added };
}

function deleteRoutes(room: Room, { prefix, metric }: Params['route-del']): Results['route-del'] {
  const { routing, log } = room;
  const deleted = routing.delete(prefixOf(prefix), metric).map((route) => routeText(listed(route)));
  settle(room);
  for (const route of deleted) log.info(`route deleted: ${route}`);
  return { deleted };
}

async function trace(room: Room, request: Params['trace']): Promise<Results['trace']> {
  const { routing, peers, plane, config } = room;
  const packet = tracedPacket(request);
  const from = request.peer === undefined ? ZONE_TUN : peers.named(request.peer).index;
  // Commands are carried out in order: the answer is about this list.
  const routes = routing.compiledFrom;
  const steps = (await plane.query({ kind: 'trace', from, packet })) as TraceStep[];
  return traceReport(request, packet.length, steps, {
    routes,
    natLines: config.nat.lines,
    peerName: (index) => peers.at(index)?.name,
  });
}

/** The data plane gives small pages, so that packets do not wait for it. */
async function natList({ plane, peers }: Room, request: Params['nat-list']): Promise<Results['nat-list']> {
  const filter = filterOf(request);
  const sessions: ListedSession[] = [];
  let next: number | undefined = request.from ?? 0;
  while (next !== undefined && sessions.length < NAT_PAGE_SIZE) {
    const page = (await plane.query({ kind: 'nat-list', from: next, filter })) as SessionPage;
    sessions.push(...page.sessions);
    next = page.next;
  }
  const nameOf = (zone: Zone) => (isPeer(zone) ? (peers.at(zone)?.name ?? `peer ${zone}`) : 'tun');
  const named = sessions.map((each) => ({ ...each, from: nameOf(each.from), to: nameOf(each.to) }));
  return { schema: 'tsvpn.nat/1', sessions: named, next: next ?? null };
}

function filterOf({ network, port, protocol, state }: SessionChoice): SessionFilter {
  const prefix = network === undefined ? undefined : prefixOf(network);
  if (prefix === undefined || prefixFamily(prefix) === 4)
    return { network: prefix && networkOf(prefix), port, protocol, state };
  throw new OperatorError({
    code: 'NAT_IPV6_SESSIONS',
    what: `there are no sessions of ${network}`,
    why: 'IPv6 is translated without sessions',
    fix: 'name an IPv4 address or network',
    exitCode: ExitCode.Usage,
  });
}

/** Null without `nat` lines. */
export async function natStatus(room: Room): Promise<NatStatus | null> {
  const { stats } = room.config.nat.lines.length === 0 ? { stats: null } : await natRules(room);
  if (stats === null) return null;
  const { sessions, maxSessions, halfOpen } = stats;
  const ports = stats.ports
    .filter(({ used }) => used > 0)
    .map(({ address, protocol, used, total }) => ({ address, protocol, used, total }));
  return { sessions, maxSessions, halfOpen, ports };
}

async function natRules({ plane, config }: Room): Promise<Results['nat-rules']> {
  const answer = (await plane.query({ kind: 'nat-rules' })) as { rules: ListedRule[]; stats?: NatStats };
  const place = (id: number) => {
    const where = config.nat.lines[id]?.where;
    return where === undefined ? '' : `${where.file}:${where.line}`;
  };
  const rules = answer.rules.map((rule) => ({ ...rule, where: place(rule.id) }));
  return { schema: 'tsvpn.nat-rules/1', rules, stats: answer.stats ?? null };
}
