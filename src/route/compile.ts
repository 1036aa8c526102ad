/**
 * The compiled form of the routing table: immutable typed arrays that cross the thread boundary in one message and
 * are swapped whole.
 */
import type { Prefix } from '../packet/prefix.ts';
import { comparePrefixes } from './order.ts';
import { NO_SET, RangeBuilder, type CompiledRanges } from './ranges.ts';
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
  /** By prefix: position of its first route in the truth's list, which its others follow. For explanations only. */
  readonly origin: Int32Array;
  /** With route-fallthrough the next shorter prefix around each prefix, else empty. For explanations only. */
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
}

export interface CompileOptions {
  /** When every peer of a prefix is down, a shorter prefix may take over. */
  readonly fallthrough: boolean;
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
  if (allowed.length === 0) return { routes: table, sources: table };
  for (const { prefix, peer } of allowed) {
    entries.push({ prefix, kind: CompiledKind.Peer, peer: indexOf(peer, peerIndex), route: -1 });
  }
  entries.sort((a, b) => comparePrefixes(a.prefix, b.prefix));
  return { routes: table, sources: compileEntries(entries, options) };
}

function routeEntries(routes: readonly Route[], peerIndex: ReadonlyMap<string, number>): Entry[] {
  return routes.map(({ prefix, kind, peer }, route) => {
    return { prefix, kind: KINDS[kind], peer: peer === undefined ? -1 : indexOf(peer, peerIndex), route };
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
  /** By prefix: its set, and the rest as in CompiledTable. */
  const setOf: number[] = [];
  const origin: number[] = [];
  const around: number[] = [];
  for (let next = 0; next < entries.length;) {
    const { prefix, route } = entries[next];
    const outer = (prefix.bytes.length === 4 ? ipv4 : ipv6).add(prefix, setOf.length);
    // Allowing a peer more sources takes none from the peer that the addresses are routed to.
    const inherits = route < 0 && outer !== NO_SET;
    const inherited = inherits ? sets.candidates(setOf[outer]) : [];
    origin.push(inherits ? origin[outer] : route);
    const first = next++;
    while (next < entries.length && comparePrefixes(entries[next].prefix, prefix) === 0) next++;
    if (fallthrough) around.push(outer);
    const shorter = fallthrough && outer !== NO_SET ? setOf[outer] : NO_SET;
    setOf.push(
      inherits || next - first > 1
        ? sets.add([...inherited, ...entries.slice(first, next)], shorter, prefix.length)
        : sets.addOne(entries[first], shorter, prefix.length),
    );
  }
  return {
    ipv4: ipv4.finish(setOf),
    ipv6: ipv6.finish(setOf),
    ...sets.finish(),
    origin: new Int32Array(origin),
    around: new Int32Array(around),
  };
}

type Candidate = Pick<Entry, 'kind' | 'peer' | 'route'>;

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
    for (const { kind, peer, route } of candidates) key += ` ${kind} ${peer} ${route < 0}`;
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

  finish(): Pick<CompiledTable, 'first' | 'shorter' | 'prefixLength' | 'kind' | 'peer' | 'routed'> {
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
    };
  }
}

export const EMPTY_TABLE: CompiledTable = compile([], new Map(), { fallthrough: false });
