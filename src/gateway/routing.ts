/**
 * The routing room: owns the table people know (route/table.ts), fills it from the config, the kernel and the operator, and
 * sends the data plane what it compiles to.
 */
import type { GatewayConfig } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { learnedRoutes, localRoutes, ownersOf, ownRoutes } from '../kernel/learn.ts';
import type { HostChange } from '../kernel/monitor.ts';
import type { HostSnapshot } from '../kernel/snapshot.ts';
import { parseAddress } from '../packet/address.ts';
import { formatPrefix, hostPrefix, type Prefix } from '../packet/prefix.ts';
import { compileTables, type AllowedPrefix, type CompiledTables } from '../route/compile.ts';
import type { Route } from '../route/route.ts';
import { formatSource, RoutingTable, type RouteChanges } from '../route/table.ts';

/** Indexes of the peers by their names. */
export type PeerIndexes = ReadonlyMap<string, number>;

export interface RoutingOptions {
  readonly log: Logger;
  readonly send: (tables: CompiledTables) => void;
}

export class Routing {
  readonly table = new RoutingTable();
  /** The list that the compiled table's numbers are positions in. */
  compiledFrom: readonly Route[] = [];
  private readonly options: RoutingOptions;
  private config: GatewayConfig;
  private indexes: PeerIndexes = new Map();
  private host: HostSnapshot | undefined;
  private readonly told = new Set<string>();

  constructor(config: GatewayConfig, options: RoutingOptions) {
    this.config = config;
    this.options = options;
  }

  /**
   * Takes over a config. Throws OperatorErrors, and changes nothing, when its routes contradict each other. The data plane
   * must know the peers before it gets packets for them.
   */
  configure(config: GatewayConfig, indexes: PeerIndexes): RouteChanges {
    const changes = this.table.replace('config', configRoutes(config));
    this.config = config;
    this.indexes = indexes;
    const kept = this.routesFrom('operator').filter(({ peer }) => peer === undefined || indexes.has(peer));
    this.table.replace('operator', kept);
    this.warn(changes);
    this.takeHost();
    this.flush();
    return changes;
  }

  /** Takes over what the host has now. */
  observe({ host, prefixes }: HostChange): void {
    this.host = host;
    if (prefixes?.length !== 0 && this.takeHost(prefixes)) this.flush();
  }

  /** Throws OperatorError for a route that contradicts another, or names a peer that is not there. */
  add(route: Route): void {
    if (route.peer !== undefined && !this.indexes.has(route.peer))
      throw unknownPeer(route.peer, this.indexes);
    this.table.add(route);
    this.flush();
  }

  /** Deletes what the operator added, and returns it. Throws OperatorError when there is no such route. */
  delete(prefix: Prefix, metric: number | undefined): readonly Route[] {
    const matches = (route: Route) => metric === undefined || route.metric === metric;
    const deleted = this.table.delete(prefix, (route) => route.source.kind === 'operator' && matches(route));
    if (deleted.length === 0) throw notDeletable(prefix, this.table.at(prefix).find(matches));
    this.flush();
    return deleted;
  }

  /** What the operator added: the kernel's routes follow. */
  operatorPrefixes(): readonly Prefix[] {
    return this.routesFrom('operator').map(({ prefix }) => prefix);
  }

  /** The operator wants packets dropped that would otherwise go to the only peer. */
  get refuses(): boolean {
    return this.routesFrom('operator').some(({ kind }) => kind !== 'peer');
  }

  private routesFrom(kind: Route['source']['kind']): readonly Route[] {
    return this.table.list().filter(({ source }) => source.kind === kind);
  }

  /** Of what is learned the routes to `prefixes`, or all; of the host's own everything. Returns whether anything has changed. */
  private takeHost(prefixes?: readonly Prefix[]): boolean {
    const { host, config, table } = this;
    const changes: RouteChanges[] = [];
    const own = ownAddresses(config);
    if (host !== undefined) {
      changes.push(this.takeLearned(host, prefixes));
      const isInside = (prefix: Prefix) => table.isInside(prefix, isBehindPeer);
      own.push(...ownRoutes(host.addresses), ...localRoutes(host.routes, host.own, isInside));
    }
    changes.push(table.replace('kernel', own));
    for (const each of changes) this.warn(each);
    return changes.some(({ added, removed }) => added.length + removed.length > 0);
  }

  private takeLearned({ routes, own }: HostSnapshot, prefixes: readonly Prefix[] | undefined): RouteChanges {
    const owners = ownersOf(this.config.peers);
    if (prefixes === undefined) return this.table.replace('learned', learnedRoutes(routes, own, owners));
    const found = prefixes.flatMap((prefix) => routes.at(prefix));
    return this.table.replaceAt('learned', prefixes, learnedRoutes(found, own, owners));
  }

  /** Says once of each route that it contradicts another. */
  private warn({ refused }: RouteChanges): void {
    for (const { error } of refused) {
      const text = `${error.what}; ${error.why}`;
      if (this.told.has(text)) continue;
      this.told.add(text);
      this.options.log.warn({ code: error.code }, text);
    }
  }

  private flush(): void {
    const options = { fallthrough: this.config.routeFallthrough, before: this.compiledFrom };
    this.compiledFrom = this.table.list();
    this.options.send(compileTables(this.compiledFrom, allowedSources(this.config), this.indexes, options));
  }
}

/** What lies inside of such a route is an exception, when the host reaches it otherwise. */
function isBehindPeer({ kind, source }: Route): boolean {
  return kind === 'peer' && (source.kind === 'config' || source.kind === 'learned');
}

/** Pure: what the config says of routes. */
export function configRoutes({ peers, refusals }: GatewayConfig): Route[] {
  const toPeers = peers.flatMap(({ name, peerRoutes }) =>
    peerRoutes.map(({ prefix, metric, directive, where }): Route => {
      const source = { kind: 'config', where, directive } as const;
      return { prefix, kind: 'peer', peer: name, metric, source };
    }),
  );
  const toNobody = refusals.map(({ kind, prefix, metric, where }): Route => {
    return { prefix, kind, peer: undefined, metric, source: { kind: 'config', where, directive: kind } };
  });
  return [...toPeers, ...toNobody];
}

/** The addresses of our device, whether the kernel has them yet or not. */
function ownAddresses({ device }: GatewayConfig): Route[] {
  return [...device.addresses, ...device.addresses6].map(({ local }) => {
    const prefix = hostPrefix(parseAddress(local));
    return { prefix, kind: 'own', peer: undefined, metric: 0, source: { kind: 'kernel' } };
  });
}

function allowedSources({ peers }: GatewayConfig): AllowedPrefix[] {
  return peers.flatMap(({ name, allowedSource }) =>
    allowedSource === 'any' ? [] : allowedSource.prefixes.map((prefix) => ({ prefix, peer: name })),
  );
}

export function unknownPeer(name: string, known: ReadonlyMap<string, unknown>): OperatorError {
  return new OperatorError({
    code: 'PEER_UNKNOWN',
    what: `there is no peer '${name}' in this tunnel`,
    fix: `name one of: ${[...known.keys()].join(', ')}`,
    exitCode: ExitCode.Usage,
  });
}

function notDeletable(prefix: Prefix, found: Route | undefined): OperatorError {
  const text = formatPrefix(prefix);
  if (found === undefined) {
    return new OperatorError({
      code: 'ROUTE_UNKNOWN',
      what: `there is no such route to ${text}`,
      fix: '`tsvpn route list` shows what is there',
      exitCode: ExitCode.Failure,
    });
  }
  const byConfig = found.source.kind === 'config';
  return new OperatorError({
    code: 'ROUTE_NOT_OURS',
    what: `the route to ${text} was not added by \`tsvpn route add\``,
    why: `it is from ${formatSource(found.source)}`,
    fix: byConfig
      ? 'remove the line and run `tsvpn reload`'
      : 'take it away where it comes from, and it goes here as well',
    exitCode: ExitCode.Failure,
  });
}
