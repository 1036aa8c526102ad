/**
 * The compiled form of the routing table: immutable typed arrays that cross the thread boundary in one message and
 * are swapped whole.
 */
import type { Prefix } from '../packet/prefix.ts';
import { formerPositions } from './hits.ts';
import { comparePrefixes } from './order.ts';
import { NO_SET, RangeBuilder, type CompiledRanges, type Match } from './ranges.ts';
import type { Route, RouteKind } from './route.ts';

/** Kinds of route as numbers, for typed arrays. */
export const CompiledKind = { Peer: 0, Local: 1, Own: 2, Blackhole: 3, Unreachable: 4, Prohibit: 5 } as const;
export type CompiledKind = (typeof CompiledKind)[keyof typeof CompiledKind];

export interface CompiledTable {
  readonly ipv4: CompiledRanges;
  readonly ipv6: CompiledRanges;
  /**
   * Sets: all routes to one prefix, an own address first, then the lowest metric. Candidates of set s are
   * first[s] .. first[s + 1] - 1. Prefixes whose routes lead the same way share a set: few sets stay in the processor's
   * cache, however many prefixes there are.
   */
  readonly first: Int32Array;
  /** With route-fallthrough the set of the next shorter prefix around each, else NO_SET. */
  readonly shorter: Int32Array;
  /** Prefix length of each set; tells a default route from a deliberate one. */
  readonly prefixLength: Uint8Array;
  /** CompiledKind of each candidate. */
  readonly kind: Uint8Array;
  /** Peer index of each candidate of kind Peer, -1 for others. */
  readonly peer: Int16Array;
  /** Of each candidate: 0 for a source that is allowed, but not routed; else 1. They stand behind the routed ones. */
  readonly routed: Uint8Array;
  /** Of each candidate: its share of the flows, against those of the others of its cost; 0 for a route that shares with nobody. */
  readonly weight: Uint16Array;
  /** Of each candidate: so many right behind it are of the same cost. */
  readonly equals: Uint16Array;
  /**
   * With route-fallthrough, by the position of a prefix's first route in the truth's list: that of the next shorter prefix
   * around it, or -1; else empty.
   */
  readonly around: Int32Array;
}

/** A peer may use addresses of the prefix as sources though they are not routed to it. */
export interface AllowedPrefix {
  readonly prefix: Prefix;
  readonly peer: string;
}

/** The two tables of a moment; replaced as a whole. */
export interface CompiledTables {
  readonly routes: CompiledTable;
  /** For the anti-spoof check: `routes` and the allowed sources that are not routed. The same object when there are none. */
  readonly sources: CompiledTable;
  /** Of each route: where it stood in the list that the tables before these were compiled from, or -1. */
  readonly former: Int32Array;
}

export interface CompileOptions {
  /** When every peer of a prefix is down, a shorter prefix may take over. */
  readonly fallthrough: boolean;
  /** The list that the tables now in use were compiled from; nothing when left out. */
  readonly before?: readonly Route[];
}

const KINDS: Record<RouteKind, CompiledKind> = {
  peer: CompiledKind.Peer,
  local: CompiledKind.Local,
  own: CompiledKind.Own,
  blackhole: CompiledKind.Blackhole,
  unreachable: CompiledKind.Unreachable,
  prohibit: CompiledKind.Prohibit,
};

interface Entry {
  readonly prefix: Prefix;
  readonly kind: CompiledKind;
  readonly peer: number;
  readonly route: number;
  readonly metric: number;
  readonly weight: number;
}

/** Compiles `routes`, in the order of RoutingTable.list(). All peers they name must be in `peerIndex`. */
export function compile(
  routes: readonly Route[],
  peerIndex: ReadonlyMap<string, number>,
  options: CompileOptions,
): CompiledTable {
  return compileEntries(routeEntries(routes, peerIndex), options);
}

/** As `compile`, with the table for the anti-spoof check. */
export function compileTables(
  routes: readonly Route[],
  allowed: readonly AllowedPrefix[],
  peerIndex: ReadonlyMap<string, number>,
  options: CompileOptions,
): CompiledTables {
  const entries = routeEntries(routes, peerIndex);
  const table = compileEntries(entries, options);
  const former = formerPositions(options.before ?? [], routes);
  if (allowed.length === 0) return { routes: table, sources: table, former };
  for (const { prefix, peer } of allowed) {
    const index = indexOf(peer, peerIndex);
    entries.push({ prefix, kind: CompiledKind.Peer, peer: index, route: -1, metric: 0, weight: 0 });
  }
  entries.sort((a, b) => comparePrefixes(a.prefix, b.prefix));
  return { routes: table, sources: compileEntries(entries, options), former };
}

function routeEntries(routes: readonly Route[], peerIndex: ReadonlyMap<string, number>): Entry[] {
  return routes.map(({ prefix, kind, peer, metric, weight = 0 }, route) => {
    const index = peer === undefined ? -1 : indexOf(peer, peerIndex);
    return { prefix, kind: KINDS[kind], peer: index, route, metric, weight };
  });
}

function indexOf(peer: string, peerIndex: ReadonlyMap<string, number>): number {
  const index = peerIndex.get(peer);
  if (index === undefined) throw new Error(`a route names the peer '${peer}', which has no index`);
  return index;
}

/** The entries stand in the order of comparePrefixes; the preferred of one prefix first. */
function compileEntries(entries: readonly Entry[], { fallthrough }: CompileOptions): CompiledTable {
  const ipv4 = new RangeBuilder(1, entries.length);
  const ipv6 = new RangeBuilder(4, entries.length);
  const sets = new SetBuilder();
  /** By prefix. */
  const matches: Match[] = [];
  const around = new Int32Array(fallthrough ? entries.length : 0).fill(-1);
  for (let next = 0; next < entries.length;) {
    const { prefix, route } = entries[next];
    const number = (prefix.bytes.length === 4 ? ipv4 : ipv6).add(prefix, matches.length);
    const outer = number === NO_SET ? undefined : matches[number];
    // Allowing a peer more sources takes none from the peer that the addresses are routed to.
    const inherits = route < 0 && outer !== undefined;
    const inherited = inherits ? sets.candidates(outer.set) : [];
    const first = next++;
    while (next < entries.length && comparePrefixes(entries[next].prefix, prefix) === 0) next++;
    if (fallthrough && route >= 0 && outer !== undefined) around[route] = outer.origin;
    const shorter = fallthrough && outer !== undefined ? outer.set : NO_SET;
    const set =
      inherits || next - first > 1
        ? sets.add([...inherited, ...entries.slice(first, next)], shorter, prefix.length)
        : sets.addOne(entries[first], shorter, prefix.length);
    matches.push({ set, origin: inherits ? outer.origin : route });
  }
  return { ipv4: ipv4.finish(matches), ipv6: ipv6.finish(matches), ...sets.finish(), around };
}

type Candidate = Omit<Entry, 'prefix'>;

/** Of the candidates of a set: by how many each is followed that are of its cost. */
function equalsOf(candidates: readonly Candidate[]): number[] {
  return candidates.map(({ metric, weight }, at) => {
    if (weight === 0) return 0;
    const end = candidates.findIndex((other, i) => i > at && (other.weight === 0 || other.metric !== metric));
    return (end < 0 ? candidates.length : end) - at - 1;
  });
}

/** Collects sets, and finds those that are there already. */
class SetBuilder {
  readonly #numbers = new Map<string | number, number>();
  readonly #candidates: (readonly Candidate[])[] = [];
  readonly #shorter: number[] = [];
  readonly #prefixLength: number[] = [];

  candidates(set: number): readonly Candidate[] {
    return this.#candidates[set];
  }

  add(candidates: readonly Candidate[], shorter: number, prefixLength: number): number {
    let key = `${shorter} ${prefixLength}`;
    for (const { kind, peer, route, metric, weight } of candidates) {
      key += ` ${kind} ${peer} ${route < 0} ${weight === 0 ? '' : `${weight}/${metric}`}`;
    }
    return this.#numbers.get(key) ?? this.#addNew(key, candidates, shorter, prefixLength);
  }

  /** As `add`. Nearly all prefixes have one route: what tells their sets apart fits in a number. */
  addOne(candidate: Candidate, shorter: number, prefixLength: number): number {
    const { kind, peer, route } = candidate;
    const key =
      (shorter + 1) * 2 ** 28 + ((Number(route < 0) << 27) | (kind << 24) | ((peer + 1) << 8) | prefixLength);
    return this.#numbers.get(key) ?? this.#addNew(key, [candidate], shorter, prefixLength);
  }

  #addNew(
    key: string | number,
    candidates: readonly Candidate[],
    shorter: number,
    prefixLength: number,
  ): number {
    this.#numbers.set(key, this.#candidates.length);
    this.#shorter.push(shorter);
    this.#prefixLength.push(prefixLength);
    return this.#candidates.push(candidates) - 1;
  }

  finish(): Omit<CompiledTable, 'ipv4' | 'ipv6' | 'around'> {
    const all = this.#candidates.flat();
    const first = new Int32Array(this.#candidates.length + 1);
    for (const [set, { length }] of this.#candidates.entries()) first[set + 1] = first[set] + length;
    return {
      first,
      shorter: new Int32Array(this.#shorter),
      prefixLength: new Uint8Array(this.#prefixLength),
      kind: new Uint8Array(all.map(({ kind }) => kind)),
      peer: new Int16Array(all.map(({ peer }) => peer)),
      routed: new Uint8Array(all.map(({ route }) => Number(route >= 0))),
      weight: new Uint16Array(all.map(({ weight }) => weight)),
      equals: new Uint16Array(this.#candidates.flatMap(equalsOf)),
    };
  }
}

export const EMPTY_TABLE: CompiledTable = compile([], new Map(), { fallthrough: false });
