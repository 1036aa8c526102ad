/** Longest-prefix match in a compiled table. No look-up allocates. */
import type { CompiledTable } from './compile.ts';

/** No route set, or no usable candidate in it. */
export const NONE = -1;

export class Fib {
  readonly table: CompiledTable;

  constructor(table: CompiledTable) {
    this.table = table;
  }

  /** The set of the longest prefix that contains the IPv4 address at `bytes[offset..]`, or NONE. */
  lookup4(bytes: Uint8Array, offset: number): number {
    const { nodes } = this.table.ipv4;
    let node = 0;
    for (let i = 0; i < 4; i++) {
      const entry = nodes[node * 256 + bytes[offset + i]];
      if (entry <= 0) return -entry - 1;
      node = entry;
    }
    return NONE;
  }
}
