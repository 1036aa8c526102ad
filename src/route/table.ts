/**
 * The routing table as people know it: the truth from which the data plane's table is compiled. Routes come from several
 * sources, each of which can be replaced as a whole without touching the others.
 */
import { ExitCode, formatPosition, OperatorError, OperatorErrors } from '../errors.ts';
import { formatPrefix, type Prefix } from '../packet/prefix.ts';
import { compareCandidates, comparePrefixes } from './order.ts';
import type { Route, RouteSource } from './route.ts';

/** What `replace` did. Routes that stay are in none of the lists, even if their position in the config has changed. */
export interface RouteChanges {
  readonly added: readonly Route[];
  readonly removed: readonly Route[];
  /** Routes that conflict with others and are not in the table, each with the reason. */
  readonly refused: readonly { readonly route: Route; readonly error: OperatorError }[];
}

export class RoutingTable {
  /** By prefixKey; the routes of each in the order of compareCandidates. */
  #byPrefix = new Map<string, Route[]>();
  #list: readonly Route[] | undefined;

  /** All routes: by prefix, a prefix before those inside it, and the preferred route of a prefix first. */
  list(): readonly Route[] {
    this.#list ??= [...this.#byPrefix.values()]
      .sort(([a], [b]) => comparePrefixes(a.prefix, b.prefix))
      .flat();
    return this.#list;
  }

  /** Routes to exactly this prefix, the preferred first. */
  at(prefix: Prefix): readonly Route[] {
    return this.#byPrefix.get(prefixKey(prefix)) ?? [];
  }

  /**
   * Adds a route; a duplicate from the same source adds nothing. Throws OperatorError when another route to the prefix
   * has this metric and a different target (2 for config routes, else 1), or when the operator adds a route twice (1).
   */
  add(route: Route): void {
    const key = prefixKey(route.prefix);
    const routes = this.#byPrefix.get(key) ?? [];
    const rival = routes.find((other) => conflicts(other, route));
    if (rival !== undefined) throw conflictError(rival, route);
    if (routes.some((other) => isLike(other, route))) {
      if (route.source.kind === 'operator') throw duplicateError(route);
      return;
    }
    routes.push(route);
    this.#byPrefix.set(key, routes.sort(compareCandidates));
    this.#list = undefined;
  }

  /** Deletes the routes to the prefix for which `matches` holds, and returns them. */
  delete(prefix: Prefix, matches: (route: Route) => boolean): readonly Route[] {
    const routes = this.at(prefix);
    const deleted = routes.filter(matches);
    if (deleted.length === 0) return deleted;
    const kept = routes.filter((route) => !matches(route));
    if (kept.length > 0) this.#byPrefix.set(prefixKey(prefix), kept);
    else this.#byPrefix.delete(prefixKey(prefix));
    this.#list = undefined;
    return deleted;
  }

  /**
   * Replaces all routes of one source. Config routes stand against all others; of the rest, what is in the table stands
   * against what is new. Throws OperatorErrors, and changes nothing, when config routes conflict with each other.
   */
  replace(source: RouteSource['kind'], routes: readonly Route[]): RouteChanges {
    const before = [...this.#byPrefix.values()].flat();
    const others = before.filter((route) => route.source.kind !== source);
    const next = new RoutingTable();
    const refused: { route: Route; error: OperatorError }[] = [];
    if (source === 'config') {
      const errors = next.#addAll(routes).map(({ error }) => error);
      if (errors.length > 0) throw new OperatorErrors(errors);
      refused.push(...next.#addAll(others));
    } else {
      next.#addAll(others);
      refused.push(...next.#addAll(routes));
    }
    const after = [...next.#byPrefix.values()].flat();
    const added = after.filter((route) => !this.#hasLike(route));
    const removed = before.filter((route) => !next.#hasLike(route));
    this.#byPrefix = next.#byPrefix;
    this.#list = undefined;
    return { added, removed, refused };
  }

  /** Is there a route with the same effect from the same kind of source? */
  #hasLike(route: Route): boolean {
    return this.at(route.prefix).some((other) => isLike(other, route));
  }

  /** Adds what can be added and returns the rest. */
  #addAll(routes: readonly Route[]): { route: Route; error: OperatorError }[] {
    const refused: { route: Route; error: OperatorError }[] = [];
    for (const route of routes) {
      try {
        this.add(route);
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error;
        refused.push({ route, error });
      }
    }
    return refused;
  }
}

/** `peer 'a'`, `blackhole`: where a route goes, for people. */
export function formatTarget({ kind, peer }: Route): string {
  return kind === 'peer' ? `peer '${peer}'` : kind;
}

/** Who said so, for people. */
export function formatSource(source: RouteSource): string {
  switch (source.kind) {
    case 'config':
      return `${formatPosition(source.where)}: ${source.directive}`;
    case 'kernel':
      return 'an address or network of this host';
    case 'learned':
      return `learned from ${source.protocol}`;
    case 'operator':
      return 'tsvpn route add';
  }
}

/** Equal for equal prefixes; the size of the address tells the families apart. */
function prefixKey({ bytes, length }: Prefix): string {
  return String.fromCharCode(length, ...bytes);
}

/** For routes to one prefix. */
function isSame(a: Route, b: Route): boolean {
  return a.kind === b.kind && a.peer === b.peer && a.metric === b.metric;
}

/** For routes to one prefix. */
function isLike(a: Route, b: Route): boolean {
  return a.source.kind === b.source.kind && isSame(a, b);
}

/** For routes to one prefix. The kernel's are facts, and rank before or behind the others without a dispute. */
function conflicts(a: Route, b: Route): boolean {
  if (a.source.kind === 'kernel' || b.source.kind === 'kernel') return false;
  return a.metric === b.metric && !isSame(a, b);
}

function conflictError(first: Route, second: Route): OperatorError {
  const { prefix, metric, source } = second;
  return new OperatorError({
    code: 'ROUTE_CONFLICT',
    what: `${formatPrefix(prefix)} goes to ${formatTarget(first)} and to ${formatTarget(second)} at the same metric, ${metric}`,
    why: `the first is from ${formatSource(first.source)}; the second is from ${formatSource(source)}`,
    fix: 'remove one of them, or give the one that is to be the backup a higher metric',
    ...(source.kind === 'config' && { where: source.where }),
    exitCode: source.kind === 'config' ? ExitCode.Usage : ExitCode.Failure,
  });
}

function duplicateError(route: Route): OperatorError {
  return new OperatorError({
    code: 'ROUTE_EXISTS',
    what: `the route ${formatPrefix(route.prefix)} to ${formatTarget(route)}, metric ${route.metric}, is there already`,
    why: 'it was added before',
    fix: 'tsvpn route list shows what is there',
    exitCode: ExitCode.Failure,
  });
}
