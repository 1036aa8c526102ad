/** What operators ask of a running gateway by the control socket, status and its end aside. */
import type { Params, Results } from '../control/messages.ts';
import type { TraceStep } from '../engine/trace.ts';
import { OperatorError } from '../errors.ts';
import { ZONE_TUN } from '../packet/zone.ts';
import { routeText } from '../control/routes.ts';
import { linkedPeer, settle, type Room } from './room.ts';
import { listed, operatorRoute, prefixOf, routeGet, routeList } from './route-answers.ts';
import { tracedPacket, traceReport } from './tracing.ts';

/** Each throws OperatorError for what cannot be done. */
type Operation = {
  readonly [M in 'route-list' | 'route-get' | 'route-add' | 'route-del']: (params: Params[M]) => Results[M];
} & {
  readonly [M in 'trace' | 'nat-list' | 'nat-rules' | 'nat-flush']: (
    params: Params[M],
  ) => Promise<Results[M]>;
};
export type Operations = Operation;

export function operationsOf(room: Room): Operations {
  const { routing, peers, plane } = room;
  const isUp = (peer: string) => peers.isUsable(peer);
  return {
    'route-list': () => routeList(routing.table.list(), isUp, linkedPeer(room)),
    'route-get': ({ address }) => {
      const options = { isUp, fallthrough: room.config.routeFallthrough };
      return routeGet(routing.table, address, options, linkedPeer(room));
    },
    'route-add': (spec) => addRoute(room, spec),
    'route-del': (spec) => deleteRoutes(room, spec),
    trace: (request) => trace(room, request),
    'nat-list': () => plane.query({ kind: 'nat-list' }),
    'nat-rules': () => plane.query({ kind: 'nat-rules' }),
    'nat-flush': () => plane.query({ kind: 'nat-flush' }),
  };
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
