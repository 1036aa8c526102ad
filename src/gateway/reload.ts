/**
 * A changed config, made true by its difference: what can be refused is refused before anything is touched; peers that are the
 * same before and after do not notice.
 */
import type { GatewayConfig } from '../config/model.ts';
import type { LoadedGateway } from '../config/load.ts';
import type { Logger } from '../control/log.ts';
import type { ReloadReport } from '../control/messages.ts';
import { ExitCode, locate, OperatorError, operatorErrors } from '../errors.ts';
import { formatPrefix } from '../packet/prefix.ts';
import { formatTarget, RoutingTable, type RouteChanges } from '../route/table.ts';
import { comparePeers, fixedChanges, peerIdentity, type PeerDifference } from './difference.ts';
import type { PeerSession } from './peer-session.ts';
import { settle, type Room } from './room.ts';
import { configRoutes } from './routing.ts';
import { inOneLine, warningsOf } from './warnings.ts';

/** Throws OperatorErrors, and changes nothing, when the new config cannot take over from the old. Keys stay the caller's. */
export async function reload(room: Room, { config: loaded, keys }: LoadedGateway): Promise<ReloadReport> {
  refuseFixed(room.config, loaded);
  const config = await room.stages.expand(loaded);
  // Contradictions among the new routes are found in a table of their own.
  new RoutingTable().replace('config', configRoutes(config));
  await room.nat.attach(config);
  const { peers, nat } = room;
  const wanted = config.peers.map((peer, i) => ({
    name: peer.name,
    identity: peerIdentity(peer, keys[i]),
    key: keys[i],
  }));
  const difference = comparePeers(peers.living, wanted);
  const going = peers.list.filter(({ name }) => !difference.kept.includes(name));
  await Promise.all(going.map((session) => peers.remove(session)));
  const coming = [...difference.added, ...difference.changed];
  const fresh = config.peers.flatMap((peer, i) =>
    coming.includes(peer.name) ? [peers.add(peer, keys[i])] : [],
  );
  const before = room.config;
  room.config = config;
  room.stages.takeOver(loaded);
  peers.reconfigure(config.peers);
  const routes = room.routing.configure(config, peers.indexes());
  nat.follow(peers.indexes());
  const problems = [...kernelProblem(room), ...(await connectAll(fresh))];
  return {
    changes: inWords(before, config, difference, routes),
    untouched: difference.kept.length,
    problems,
    warnings: warningsOf(loaded).map(({ text }) => text),
  };
}

/** A config that is wrong changes nothing. Throws what is not about the config. */
export function logRefused(log: Logger, error: unknown): void {
  const errors = operatorErrors(error);
  if (errors === undefined) throw error;
  for (const each of errors) log.error({ code: each.code }, `not reloaded: ${inOneLine(each)}`);
}

function refuseFixed(before: GatewayConfig, after: GatewayConfig): void {
  const fixed = fixedChanges(before, after);
  if (fixed.length === 0) return;
  throw new OperatorError({
    code: 'RELOAD_FIXED',
    what: `a running tunnel cannot change ${fixed.join(', ')}`,
    why: 'OpenVPN starts all over at a SIGHUP, a reload keeps the connections; nothing of the new config has been taken over',
    fix: 'start the tunnel again (`tsvpn down NAME && tsvpn up FILE`, or `systemctl restart`), or take that change back',
    exitCode: ExitCode.Failure,
  });
}

/** What the kernel refuses does not keep the peers from working. */
function kernelProblem(room: Room): string[] {
  try {
    settle(room);
    return [];
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    return [inOneLine(locate(error, room.config.lines))];
  }
}

/** Opens the links of new peers; one whose socket cannot be opened yet tries again. */
async function connectAll(sessions: readonly PeerSession[]): Promise<string[]> {
  const problems = await Promise.all(
    sessions.map(async (session) => {
      try {
        await session.connect();
        return [];
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error;
        session.keepTrying();
        return [`peer ${session.name} is tried again: ${inOneLine(error)}`];
      }
    }),
  );
  return problems.flat();
}

/** What has changed, for the operator and the log. */
export function inWords(
  before: GatewayConfig,
  after: GatewayConfig,
  { added, removed, changed }: PeerDifference,
  routes: Pick<RouteChanges, 'added' | 'removed'>,
): string[] {
  const peers = [
    ...added.map((name) => `added peer ${name}`),
    ...removed.map((name) => `removed peer ${name}`),
    ...changed.map((name) => `restarted peer ${name} with its new settings`),
  ];
  const routeLines = [
    ...routes.added.map((route) => `added route ${formatPrefix(route.prefix)} to ${formatTarget(route)}`),
    ...routes.removed.map((route) => `removed route ${formatPrefix(route.prefix)} to ${formatTarget(route)}`),
  ];
  const settings = Object.entries(SETTINGS)
    .filter(([, of]) => JSON.stringify(of(before)) !== JSON.stringify(of(after)))
    .map(([words]) => `changed ${words}`);
  return [...peers, ...shortened(routeLines), ...settings];
}

const SETTINGS: Readonly<Record<string, (config: GatewayConfig) => unknown>> = {
  'the addresses of the device': ({ device }) => [device.addresses, device.addresses6],
  'the MAC address or the bridge of the device': ({ device }) => [device.linkAddress, device.bridge],
  verb: ({ log }) => log.verb,
  txqueuelen: ({ device }) => device.txQueueLength,
  'client-to-client': ({ clientToClient }) => clientToClient,
  'route-fallthrough': ({ routeFallthrough }) => routeFallthrough,
  'the allowed sources': ({ peers }) => peers.map(({ allowedSource }) => sources(allowedSource)),
  'the nat settings': ({ nat }) => ({ ...nat, lines: nat.lines.map(({ text }) => text) }),
};

function sources(allowed: GatewayConfig['peers'][number]['allowedSource']): unknown {
  return allowed === 'any' ? allowed : allowed.prefixes.map(formatPrefix);
}

const MOST_LINES = 20;

function shortened(lines: readonly string[]): string[] {
  const left = lines.length - MOST_LINES;
  return left > 1 ? [...lines.slice(0, MOST_LINES), `and ${left} more changes of routes`] : [...lines];
}
