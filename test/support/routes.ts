/** Routes for tests, in few words; random ones, and what they must give. */
import { maskBytes, parsePrefix, prefixContains, type Prefix } from '../../src/packet/prefix.ts';
import type { Route, RouteSource } from '../../src/route/route.ts';
import { RoutingTable } from '../../src/route/table.ts';

export const configLine = (line: number): RouteSource => ({
  kind: 'config',
  where: { file: 'hub.conf', line, column: 1 },
  directive: 'peer-route',
});

export const OPERATOR: RouteSource = { kind: 'operator' };
export const KERNEL: RouteSource = { kind: 'kernel' };
export const BIRD: RouteSource = { kind: 'learned', protocol: 'bird' };

export function prefixOf(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new Error(`not a prefix: ${text}`);
  return prefix;
}

/** `to` is a kind of route other than `peer`, or else the name of a peer. */
export function route(prefix: string, to: string, metric = 0, source: RouteSource = OPERATOR): Route {
  const kinds = ['local', 'own', 'blackhole', 'unreachable', 'prohibit'] as const;
  const kind = kinds.find((name) => name === to);
  return {
    prefix: prefixOf(prefix),
    kind: kind ?? 'peer',
    peer: kind === undefined ? to : undefined,
    metric,
    source,
  };
}

export function tableOf(...routes: Route[]): RoutingTable {
  const table = new RoutingTable();
  for (const route of routes) table.add(route);
  return table;
}

/** The same for a great many of the operator's routes. */
export function largeTable(routes: readonly Route[]): RoutingTable {
  const table = new RoutingTable();
  table.replace('operator', routes);
  return table;
}

/**
 * `count` different prefixes of the family. Half of them lie inside others, mostly a few bits longer, so that matches
 * nest; few are so short that they leave no address unmatched.
 */
export function randomPrefixes(count: number, family: 4 | 6, random: () => number): Prefix[] {
  const most = family === 4 ? 32 : 128;
  const everything: Prefix = { bytes: new Uint8Array(most / 8), length: 0 };
  const below = (limit: number) => Math.floor(random() * limit);
  const found = new Set<string>();
  const all: Prefix[] = [];
  while (all.length < count) {
    const outer = random() < 0.5 && all.length > 0 ? all[below(all.length)] : everything;
    const least = outer === everything && random() < 0.999 ? 12 : outer.length;
    const length =
      random() < 0.1 ? most : Math.min(most, least + below(outer === everything ? most - 12 : 12));
    const bytes = maskBytes(randomInside(outer, random), length);
    const key = `${bytes.join('.')}/${length}`;
    if (found.has(key)) continue;
    found.add(key);
    all.push({ bytes, length });
  }
  return all;
}

/** A random address of the prefix. */
export function randomInside({ bytes, length }: Prefix, random: () => number): Uint8Array {
  return bytes.map((byte, i) => {
    const hostBits = 0xff >>> Math.min(8, Math.max(0, length - 8 * i));
    return byte | (Math.floor(random() * 256) & hostBits);
  });
}

/** The longest prefix that contains the address, by looking at all of them. */
export function scan(prefixes: readonly Prefix[], bytes: Uint8Array): Prefix | undefined {
  let longest: Prefix | undefined;
  for (const prefix of prefixes) {
    if (prefix.length > (longest?.length ?? -1) && prefixContains(prefix, bytes)) longest = prefix;
  }
  return longest;
}

/** The same a hundred times faster: it looks only at the prefixes that can contain the address by its first byte. */
export function scanner(prefixes: readonly Prefix[]): (bytes: Uint8Array) => Prefix | undefined {
  const buckets: Prefix[][] = Array.from({ length: 512 }, () => []);
  const bucketOf = (bytes: Uint8Array, firstByte: number) =>
    buckets[(bytes.length === 4 ? 0 : 256) + firstByte];
  for (const prefix of [...prefixes].sort((a, b) => b.length - a.length)) {
    const last = prefix.bytes[0] | (0xff >>> Math.min(8, prefix.length));
    for (let byte = prefix.bytes[0]; byte <= last; byte++) bucketOf(prefix.bytes, byte).push(prefix);
  }
  return (bytes) => bucketOf(bytes, bytes[0]).find((prefix) => isInside(bytes, prefix));
}

/** prefixContains without its allocations. */
function isInside(bytes: Uint8Array, prefix: Prefix): boolean {
  const whole = prefix.length >>> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== prefix.bytes[i]) return false;
  const rest = prefix.length & 7;
  return rest === 0 || (bytes[whole] ^ prefix.bytes[whole]) >>> (8 - rest) === 0;
}
