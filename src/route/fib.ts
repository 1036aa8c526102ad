/** Longest-prefix match in a compiled table. No look-up allocates. */
import { mix } from '../packet/flow-hash.ts';
import { readInt32 } from '../packet/word.ts';
import { CompiledKind, type CompiledTable } from './compile.ts';
import { RecentAnswers, UNKNOWN } from './recent.ts';
import { NO_SET, SIGN, type CompiledRanges } from './ranges.ts';

/** No route set, or no usable candidate in it. */
export const NONE = NO_SET;

export class Fib {
  readonly table: CompiledTable;
  /** Of the match found last; see Match. */
  private origin = -1;
  private readonly recent4: RecentAnswers | undefined;
  private readonly recent6: RecentAnswers | undefined;

  constructor(table: CompiledTable) {
    this.table = table;
    this.recent4 = RecentAnswers.forTable(table.ipv4.origins.length, 1);
    this.recent6 = RecentAnswers.forTable(table.ipv6.origins.length, 4);
  }

  /** The set of the longest prefix that contains the IPv4 address at `bytes[offset..]`, or NONE. */
  lookup4(bytes: Uint8Array, offset: number): number {
    const { recent4 } = this;
    const { ipv4 } = this.table;
    if (recent4 !== undefined) {
      const known = recent4.find(bytes, offset);
      this.origin = recent4.origin;
      if (known !== UNKNOWN) return known;
    }
    const row = findRow4(ipv4, bytes, offset);
    const set = ipv4.rows[row + 1];
    this.origin = ipv4.origins[row / ROW4];
    recent4?.learn(bytes, offset, set, this.origin);
    return set;
  }

  /** The same for the IPv6 address at `bytes[offset..]`. */
  lookup6(bytes: Uint8Array, offset: number): number {
    const { recent6 } = this;
    const { ipv6 } = this.table;
    if (recent6 !== undefined) {
      const known = recent6.find(bytes, offset);
      this.origin = recent6.origin;
      if (known !== UNKNOWN) return known;
    }
    const row = findRow6(ipv6, bytes, offset);
    const set = ipv6.rows[row + 4];
    this.origin = ipv6.origins[row / ROW6];
    recent6?.learn(bytes, offset, set, this.origin);
    return set;
  }

  /**
   * The first candidate of the set that is no peer, or a peer with `usable[peer]` set; with route-fallthrough then
   * those of the shorter prefixes. NONE when all are peers that are down.
   */
  select(set: number, usable: Uint8Array): number {
    const { first, shorter, kind, peer } = this.table;
    for (let s = set; s !== NO_SET; s = shorter[s]) {
      for (let candidate = first[s]; candidate < first[s + 1]; candidate++) {
        if (kind[candidate] !== CompiledKind.Peer || usable[peer[candidate]] !== 0) return candidate;
      }
    }
    return NONE;
  }

  /** Are there candidates of the same cost right behind this one? */
  hasEquals(candidate: number): boolean {
    return this.table.equals[candidate] > 0;
  }

  /** Is the candidate one of several of the same cost? */
  isShared(candidate: number): boolean {
    return this.table.weight[candidate] > 0;
  }

  /**
   * Of the usable candidates from `first` to the last of its cost the one for the flow (rendezvous hashing, weighted): each
   * draws a number from the flow and its peer, and the lowest wins. When one goes only its own flows move, and when it comes
   * back only those return.
   */
  share(first: number, usable: Uint8Array, flow: number): number {
    const { equals, weight, peer } = this.table;
    let chosen = first;
    let least = Infinity;
    for (let candidate = first; candidate <= first + equals[first]; candidate++) {
      if (usable[peer[candidate]] === 0) continue;
      const drawn = -Math.log(fraction(flow, peer[candidate])) / weight[candidate];
      if (drawn < least) {
        least = drawn;
        chosen = candidate;
      }
    }
    return chosen;
  }

  /**
   * May the peer use addresses of the set as sources? Yes if it is among the routes of the longest prefix, backups
   * included: neither another peer's prefix inside its own nor an address of this host is its. With route-fallthrough a
   * shorter prefix counts while everything longer is down.
   */
  has(set: number, wanted: number, usable: Uint8Array): boolean {
    const { first, shorter, kind, peer, routed } = this.table;
    for (let s = set; s !== NO_SET; s = shorter[s]) {
      if (this.isOwn(s)) return false;
      let isRouted = false;
      for (let candidate = first[s]; candidate < first[s + 1]; candidate++) {
        if (peer[candidate] === wanted) return true;
        if (kind[candidate] !== CompiledKind.Peer) isRouted = true;
        else if (usable[peer[candidate]] !== 0 && routed[candidate] === 1) isRouted = true;
      }
      if (isRouted) return false;
    }
    return false;
  }

  /** Is the set an address of this host, which no peer may use? */
  isOwn(set: number): boolean {
    return set !== NO_SET && this.table.kind[this.table.first[set]] === CompiledKind.Own;
  }

  kind(candidate: number): CompiledKind {
    return this.table.kind[candidate] as CompiledKind;
  }

  /** Peer index, -1 unless the candidate is of kind Peer. */
  peer(candidate: number): number {
    return this.table.peer[candidate];
  }

  prefixLength(set: number): number {
    return this.table.prefixLength[set];
  }

  /**
   * Position of the candidate's route in the truth's list at the time of compiling; -1 for a source that is allowed, but not
   * routed. `set` is what the last look-up found, and the candidate one of it or of what it falls through to.
   */
  position(set: number, candidate: number): number {
    const { first, shorter, routed, around } = this.table;
    let { origin } = this;
    while (candidate < first[set] || candidate >= first[set + 1]) {
      set = shorter[set];
      origin = around[origin];
    }
    return routed[candidate] === 1 ? origin + candidate - first[set] : -1;
  }
}

/** Between 0 and 1, both excluded, and as good as random. */
function fraction(flow: number, peer: number): number {
  return ((mix(flow ^ Math.imul(peer + 1, 0x9e3779b1)) >>> 0) + 0.5) / 2 ** 32;
}

const ROW4 = 2;
const ROW6 = 5;

function findRow4({ rows, nodes }: CompiledRanges, bytes: Uint8Array, offset: number): number {
  const last = rows.length - ROW4;
  const key = readInt32(bytes, offset) ^ SIGN;
  let row = descend(nodes, bytes, offset);
  // The match is mostly the first or second range: steps that double, then halve.
  let step = ROW4;
  for (; row + step <= last && rows[row + step] <= key; step *= 2) row += step;
  for (step >>>= 1; step >= ROW4; step >>>= 1) if (row + step <= last && rows[row + step] <= key) row += step;
  return row;
}

function findRow6({ rows, nodes }: CompiledRanges, bytes: Uint8Array, offset: number): number {
  const last = rows.length - ROW6;
  let row = descend(nodes, bytes, offset);
  let step = 1;
  for (; row + step * ROW6 <= last && startsBy(rows, row + step * ROW6, bytes, offset); step *= 2) {
    row += step * ROW6;
  }
  for (step >>>= 1; step > 0; step >>>= 1) {
    if (row + step * ROW6 <= last && startsBy(rows, row + step * ROW6, bytes, offset)) row += step * ROW6;
  }
  return row;
}

/** The row to start from: that of the address at `bytes[offset..]` or one a few before it. */
function descend(nodes: Int32Array, bytes: Uint8Array, offset: number): number {
  let entry = 0;
  for (let i = offset; ; i++) {
    entry = nodes[entry + (bytes[i] >>> 4)];
    if (entry <= 0) return -entry;
    entry = nodes[entry + (bytes[i] & 15)];
    if (entry <= 0) return -entry;
  }
}

/** Is the first IPv6 address of the row at or below the one at `bytes[offset..]`? */
function startsBy(rows: Int32Array, row: number, bytes: Uint8Array, offset: number): boolean {
  for (let word = 0; word < 4; word++) {
    const start = rows[row + word];
    const key = readInt32(bytes, offset + 4 * word) ^ SIGN;
    if (start !== key) return start < key;
  }
  return true;
}
