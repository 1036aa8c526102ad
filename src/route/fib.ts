/** Longest-prefix match in a compiled table. No look-up allocates. */
import { readInt32 } from '../packet/word.ts';
import { CompiledKind, type CompiledTable } from './compile.ts';
import { NO_SET, SIGN } from './ranges.ts';

/** No route set, or no usable candidate in it. */
export const NONE = NO_SET;

export class Fib {
  readonly table: CompiledTable;

  constructor(table: CompiledTable) {
    this.table = table;
  }

  /** The set of the longest prefix that contains the IPv4 address at `bytes[offset..]`, or NONE. */
  lookup4(bytes: Uint8Array, offset: number): number {
    const { starts, sets, nodes } = this.table.ipv4;
    const last = sets.length - 1;
    const key = readInt32(bytes, offset) ^ SIGN;
    let range = descend(nodes, bytes, offset);
    // The match is mostly the first or second range: steps that double, then halve.
    let step = 1;
    for (; range + step <= last && starts[range + step] <= key; step *= 2) range += step;
    while ((step >>>= 1) > 0) {
      if (range + step <= last && starts[range + step] <= key) range += step;
    }
    return sets[range];
  }

  /** The same for the IPv6 address at `bytes[offset..]`. */
  lookup6(bytes: Uint8Array, offset: number): number {
    const { starts, sets, nodes } = this.table.ipv6;
    const last = sets.length - 1;
    let range = descend(nodes, bytes, offset);
    let step = 1;
    for (; range + step <= last && startsBy(starts, range + step, bytes, offset); step *= 2) range += step;
    while ((step >>>= 1) > 0) {
      if (range + step <= last && startsBy(starts, range + step, bytes, offset)) range += step;
    }
    return sets[range];
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

  /**
   * May the peer use addresses of the set as sources? Yes if it is among the routes of the longest prefix, backups
   * included: neither another peer's prefix inside its own nor an address of this host is its. With route-fallthrough a
   * shorter prefix counts while everything longer is down.
   */
  has(set: number, wanted: number, usable: Uint8Array): boolean {
    const { first, shorter, kind, peer, route } = this.table;
    for (let s = set; s !== NO_SET; s = shorter[s]) {
      if (this.isOwn(s)) return false;
      let isRouted = false;
      for (let candidate = first[s]; candidate < first[s + 1]; candidate++) {
        if (peer[candidate] === wanted) return true;
        if (kind[candidate] !== CompiledKind.Peer) isRouted = true;
        else if (usable[peer[candidate]] !== 0 && route[candidate] >= 0) isRouted = true;
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
}

/** The range to start from: that of the address at `bytes[offset..]` or one a few before it. */
function descend(nodes: Int32Array, bytes: Uint8Array, offset: number): number {
  let entry = 0;
  for (let i = offset; ; i++) {
    entry = nodes[entry + (bytes[i] >>> 4)];
    if (entry <= 0) return -entry;
    entry = nodes[entry + (bytes[i] & 15)];
    if (entry <= 0) return -entry;
  }
}

/** Is the first IPv6 address of the range at or below the one at `bytes[offset..]`? */
function startsBy(starts: Int32Array, range: number, bytes: Uint8Array, offset: number): boolean {
  for (let word = 0; word < 4; word++) {
    const start = starts[4 * range + word];
    const key = readInt32(bytes, offset + 4 * word) ^ SIGN;
    if (start !== key) return start < key;
  }
  return true;
}
