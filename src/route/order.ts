/** The order of prefixes and routes, of the listing and of the compiled table's sets and candidates; and which are alike. */
import { prefixFamily, type Prefix } from '../packet/prefix.ts';
import { readUint32 } from '../packet/word.ts';
import type { Route, RouteSource } from './route.ts';

/** IPv4 before IPv6, then by address, then the shorter first: a prefix comes right before those inside it. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
  if (a.bytes.length !== b.bytes.length) return prefixFamily(a) - prefixFamily(b);
  for (let i = 0; i < a.bytes.length; i += 4) {
    const difference = readUint32(a.bytes, i) - readUint32(b.bytes, i);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** In the order of comparePrefixes; of equal prefixes those first that came first. */
export function sortByPrefix<T extends { readonly prefix: Prefix }>(items: readonly T[]): T[] {
  // One number for each stands beside it: a hundred thousand prefixes are far apart in memory.
  return items
    .map((item) => ({ item, key: sortKey(item.prefix) }))
    .sort((a, b) => a.key - b.key || comparePrefixes(a.item.prefix, b.item.prefix))
    .map(({ item }) => item);
}

/** All of an IPv4 prefix and the first 52 bits of an IPv6 address: what a number holds. */
function sortKey({ bytes, length }: Prefix): number {
  const first = readUint32(bytes, 0);
  return bytes.length === 4 ? first * 64 + length - 2 ** 40 : first * 2 ** 20 + (readUint32(bytes, 4) >>> 12);
}

/** At equal metric a deliberate route comes before what the kernel happens to have. */
const SOURCE_RANK: Record<RouteSource['kind'], number> = { config: 0, operator: 1, learned: 2, kernel: 3 };

/** Routes to one prefix, the preferred first. An own address is this host's whatever else is said of it. */
export function compareCandidates(a: Route, b: Route): number {
  return (
    Number(b.kind === 'own') - Number(a.kind === 'own') ||
    a.metric - b.metric ||
    SOURCE_RANK[a.source.kind] - SOURCE_RANK[b.source.kind]
  );
}

/** For routes to one prefix: do its flows go to both? */
export function isShared(a: Route, b: Route): boolean {
  return a.weight !== undefined && b.weight !== undefined && a.metric === b.metric;
}

/** For routes to one prefix: do they lead the same way? */
export function isSame(a: Route, b: Route): boolean {
  return a.kind === b.kind && a.peer === b.peer && a.metric === b.metric;
}

/** For routes to one prefix: does the same source say the same? */
export function isLike(a: Route, b: Route): boolean {
  return a.source.kind === b.source.kind && a.weight === b.weight && isSame(a, b);
}
