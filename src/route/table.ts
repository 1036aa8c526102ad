/**
 * The routing table as people know it: the truth from which the data plane's table is compiled. Routes come from several
 * sources, each of which can be replaced as a whole without touching the others.
 */
import { ExitCode, formatPosition, OperatorError, OperatorErrors } from '../errors.ts';
import { commonLength, formatPrefix, maskBytes, type Prefix } from '../packet/prefix.ts';
import { compareCandidates, comparePrefixes, isLike, isSame, isShared, sortByPrefix } from './order.ts';
import type { Route, RouteSource } from './route.ts';

/** What `replace` did. Routes that stay are in none of the lists, even if their position in the config has changed. */
export interface RouteChanges {
  readonly added: readonly Route[];
  readonly removed: readonly Route[];
  /** Routes that conflict with others and are not in the table, each with the reason. */
  readonly refused: readonly { readonly route: Route; readonly error: OperatorError }[];
}

export class RoutingTable {
  /** By prefix, and of each prefix in the order of compareCandidates. Never changed in place: see list(). */
  #routes: readonly Route[] = [];

  /** All routes: by prefix, a prefix before those inside it, and the preferred route of a prefix first. Never changes. */
  list(): readonly Route[] {
    return this.#routes;
  }

  /** Routes to exactly this prefix, the preferred first. */
  at(prefix: Prefix): readonly Route[] {
    const first = lowerBound(this.#routes, prefix);
    return this.#routes.slice(first, endOfPrefix(this.#routes, first, prefix));
  }

  /**
   * Routes to the prefixes after this one, or from the first: at most `count`, unless one prefix has more. `first` is where they
   * stand in the list.
   */
  page(after: Prefix | undefined, count: number): { first: number; routes: readonly Route[]; more: boolean } {
    const routes = this.#routes;
    const first = after === undefined ? 0 : endOfPrefix(routes, lowerBound(routes, after), after);
    let end = Math.min(first + count, routes.length);
    if (end < routes.length) {
      // The last prefix may have been cut in two.
      const start = lowerBound(routes, routes[end].prefix);
      end = start > first ? start : endOfPrefix(routes, start, routes[start].prefix);
    }
    return { first, routes: routes.slice(first, end), more: end < routes.length };
  }

  /** Does a shorter prefix around this one have a route for which `matches` holds? */
  isInside(prefix: Prefix, matches: (route: Route) => boolean): boolean {
    const routes = this.#routes;
    for (let at = lowerBound(routes, prefix) - 1; at >= 0;) {
      const outer = routes[at].prefix;
      if (outer.bytes.length !== prefix.bytes.length) return false;
      const common = commonLength(outer, prefix);
      if (common === outer.length) {
        if (matches(routes[at])) return true;
        at--;
      } else {
        // It lies beside: no prefix around this one is longer than what the two have in common.
        at = lowerBound(routes, { bytes: maskBytes(prefix.bytes, common), length: common + 1 }) - 1;
      }
    }
    return false;
  }

  /**
   * Adds a route; a duplicate from the same source adds nothing. Throws OperatorError when another route to the prefix
   * has this metric and a different target (2 for config routes, else 1), or when the operator adds a route twice (1).
   */
  add(route: Route): void {
    const first = lowerBound(this.#routes, route.prefix);
    const end = endOfPrefix(this.#routes, first, route.prefix);
    const beside = this.#routes.slice(first, end);
    const rival = beside.find((other) => conflicts(other, route));
    if (rival !== undefined) throw conflictError(rival, route);
    if (beside.some((other) => isLike(other, route))) {
      if (route.source.kind === 'operator') throw duplicateError(route);
      return;
    }
    const candidates = [...beside, route].sort(compareCandidates);
    this.#routes = this.#routes.toSpliced(first, beside.length, ...candidates);
  }

  /** Deletes the routes to the prefix for which `matches` holds, and returns them. */
  delete(prefix: Prefix, matches: (route: Route) => boolean): readonly Route[] {
    const routes = this.at(prefix);
    const deleted = routes.filter(matches);
    if (deleted.length === 0) return deleted;
    const kept = routes.filter((route) => !matches(route));
    this.#routes = this.#routes.toSpliced(lowerBound(this.#routes, prefix), routes.length, ...kept);
    return deleted;
  }

  /**
   * Replaces all routes of one source. Config routes stand against all others; of the rest, what is in the table stands
   * against what is new. Throws OperatorErrors, and changes nothing, when config routes conflict with each other.
   */
  replace(source: RouteSource['kind'], routes: readonly Route[]): RouteChanges {
    const fresh = sortByPrefix(routes);
    const before = this.#routes.filter((route) => route.source.kind === source);
    return this.#merge(source, sortByPrefix([...before, ...fresh]), fresh);
  }

  /** The same for some prefixes only: `routes` are all that the source has to these. */
  replaceAt(
    source: RouteSource['kind'],
    prefixes: readonly Prefix[],
    routes: readonly Route[],
  ): RouteChanges {
    return this.#merge(source, sortByPrefix(prefixes.map((prefix) => ({ prefix }))), sortByPrefix(routes));
  }

  /** `places` and `fresh` are in order; a place may be there twice. */
  #merge(
    source: RouteSource['kind'],
    places: readonly { readonly prefix: Prefix }[],
    fresh: readonly Route[],
  ): RouteChanges {
    const merge = new Merge(this.#routes, source);
    let next = 0;
    for (const [i, { prefix }] of places.entries()) {
      if (i > 0 && comparePrefixes(places[i - 1].prefix, prefix) === 0) continue;
      const first = next;
      next = endOfPrefix(fresh, first, prefix);
      merge.settle(prefix, fresh, first, next);
    }
    const { added, removed, refused, contradictions } = merge;
    if (contradictions.length > 0) throw new OperatorErrors(contradictions);
    this.#routes = merge.finish();
    return { added, removed, refused };
  }
}

/** Goes once through a table, in its order, and makes the next one. */
class Merge {
  readonly added: Route[] = [];
  readonly removed: Route[] = [];
  readonly refused: { readonly route: Route; readonly error: OperatorError }[] = [];
  /** Between config routes. */
  readonly contradictions: OperatorError[] = [];
  readonly #before: readonly Route[];
  readonly #source: RouteSource['kind'];
  readonly #after: Route[] = [];
  /** Routes of the old table before this one are done with. */
  #next = 0;

  constructor(before: readonly Route[], source: RouteSource['kind']) {
    this.#before = before;
    this.#source = source;
  }

  /** Gives `prefix` the routes fresh[first] .. fresh[end - 1] of the source, in place of those it had. */
  settle(prefix: Prefix, fresh: readonly Route[], first: number, end: number): void {
    const before = this.#before;
    this.#keepUntil(lowerBound(before, prefix, this.#next));
    const start = this.#next;
    this.#next = endOfPrefix(before, start, prefix);
    if (this.#next - start === 1 && end - first === 1 && isLike(before[start], fresh[first])) {
      // The common case, without the lists: the same as before, from a line that may have moved.
      this.#after.push(fresh[first]);
      return;
    }
    const had = before.slice(start, this.#next);
    const others = had.filter(({ source }) => source.kind !== this.#source);
    const candidates = this.#agree(others, fresh.slice(first, end));
    for (const route of candidates) {
      this.#after.push(route);
      if (!had.some((other) => isLike(other, route))) this.added.push(route);
    }
    for (const route of had) {
      if (!candidates.some((other) => isLike(other, route))) this.removed.push(route);
    }
  }

  finish(): readonly Route[] {
    this.#keepUntil(this.#before.length);
    return this.#after;
  }

  #keepUntil(end: number): void {
    for (; this.#next < end; this.#next++) this.#after.push(this.#before[this.#next]);
  }

  /** Of those of the source and others, the ones that can stand beside each other, in order. */
  #agree(others: readonly Route[], fresh: readonly Route[]): readonly Route[] {
    const isConfig = this.#source === 'config';
    const kept: Route[] = [];
    for (const route of isConfig ? [...fresh, ...others] : [...others, ...fresh]) {
      const rival = kept.find((other) => conflicts(other, route));
      if (rival === undefined) {
        if (!kept.some((other) => isLike(other, route))) kept.push(route);
      } else {
        const error = conflictError(rival, route);
        if (isConfig && route.source.kind === 'config') this.contradictions.push(error);
        else this.refused.push({ route, error });
      }
    }
    return kept.sort(compareCandidates);
  }
}

/** Index of the first route, from `from` on, whose prefix does not come before this one. */
function lowerBound(routes: readonly Route[], prefix: Prefix, from = 0): number {
  // Steps that double, then halve: in a merge it is mostly one of the next.
  let step = 1;
  let low = from;
  while (low + step <= routes.length && comparePrefixes(routes[low + step - 1].prefix, prefix) < 0) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step - 1, routes.length);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (comparePrefixes(routes[middle].prefix, prefix) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index behind the routes to the prefix that begin at `first`. */
function endOfPrefix(routes: readonly Route[], first: number, prefix: Prefix): number {
  let end = first;
  while (end < routes.length && comparePrefixes(routes[end].prefix, prefix) === 0) end++;
  return end;
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

/**
 * For routes to one prefix. The kernel's are facts, and rank before or behind the others without a dispute; those that share its
 * packets have none with each other.
 */
function conflicts(a: Route, b: Route): boolean {
  if (a.source.kind === 'kernel' || b.source.kind === 'kernel') return false;
  if (isShared(a, b)) return false;
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
