/**
 * The compiled form of the routing table: immutable typed arrays that cross the thread boundary in one message and
 * are swapped whole.
 */

/** Kinds of route as numbers, for typed arrays. */
export const CompiledKind = { Peer: 0, Local: 1, Own: 2, Blackhole: 3, Unreachable: 4, Prohibit: 5 } as const;
export type CompiledKind = (typeof CompiledKind)[keyof typeof CompiledKind];

/**
 * A multibit trie (8-bit strides). `nodes[node * 256 + byte]` is 0 for nothing, n > 0 for the child node n, and -(s + 1)
 * for set s; a set stands at all of its prefix's entries, so that a look-up needs one read per byte of depth.
 */
export interface CompiledTrie {
  readonly nodes: Int32Array;
}

export interface CompiledTable {
  readonly ipv4: CompiledTrie;
  readonly ipv6: CompiledTrie;
  /**
   * Sets: all routes to one prefix, lowest metric first. Candidates of set s are first[s] .. first[s + 1] - 1.
   * With route-fallthrough those of the shorter prefixes follow.
   */
  readonly first: Int32Array;
  /** Prefix length of each set; tells a default route from a deliberate one. */
  readonly prefixLength: Uint8Array;
  /** CompiledKind of each candidate. */
  readonly kind: Uint8Array;
  /** Peer index of each candidate of kind Peer, -1 for others. */
  readonly peer: Int16Array;
  /** Position of each candidate's route in the truth's list at the time of compiling: for `trace` and `route get`. */
  readonly route: Int32Array;
}
