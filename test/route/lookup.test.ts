/** Longest-prefix match against brute force. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/packet/address.ts';
import { maskBytes, type Prefix } from '../../src/packet/prefix.ts';
import { compile, EMPTY_TABLE } from '../../src/route/compile.ts';
import { Fib, NONE } from '../../src/route/fib.ts';
import type { RoutingTable } from '../../src/route/table.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { seeded } from '../support/random.ts';
import {
  OPERATOR,
  prefixOf,
  randomInside,
  randomPrefixes,
  route,
  scan,
  scanner,
  largeTable,
  tableOf,
} from '../support/routes.ts';

const PEERS = new Map([['a', 0]]);
const OFF = { fallthrough: false };

function routeTo(prefix: Prefix) {
  return { prefix, kind: 'peer', peer: 'a', metric: 0, source: OPERATOR } as const;
}

/** The prefix that the compiled table finds. */
function matcher(table: RoutingTable): (bytes: Uint8Array) => Prefix | undefined {
  const routes = table.list();
  const compiled = compile(routes, PEERS, OFF);
  const fib = new Fib(compiled);
  return (bytes) => {
    const family = bytes.length === 4 ? 4 : 6;
    const set = family === 4 ? fib.lookup4(bytes, 0) : fib.lookup6(bytes, 0);
    return set === NONE ? undefined : routes[fib.position(set, compiled.first[set])].prefix;
  };
}

/** Adds one to, or subtracts one from, the address as a number, without end. */
function neighbour(bytes: Uint8Array, step: 1 | -1): Uint8Array {
  const next = bytes.slice();
  for (let i = next.length - 1; i >= 0; i--) {
    next[i] += step;
    if (next[i] !== (step === 1 ? 0 : 255)) break;
  }
  return next;
}

/** Addresses where a mistake would show: inside a route, its first and last, those next to them, and anywhere. */
function interestingAddress(prefixes: readonly Prefix[], random: () => number): Uint8Array {
  const prefix = prefixes[Math.floor(random() * prefixes.length)];
  switch (Math.floor(random() * 6)) {
    case 0:
      return prefix.bytes;
    case 1:
      return neighbour(prefix.bytes, -1);
    case 2:
      return randomInside(prefix, () => 0.999);
    case 3:
      return neighbour(
        randomInside(prefix, () => 0.999),
        1,
      );
    case 4:
      return randomInside({ bytes: prefix.bytes, length: 0 }, random);
    default:
      return randomInside(prefix, random);
  }
}

describe('the longest match equals brute force', () => {
  const ROUTES = 10_000;
  const ROUNDS = 10;
  const LOOKUPS = 1_000_000;
  /** So many of each round are also compared with the plain scan of all routes, which would take minutes for all. */
  const PLAIN = 100;

  test('10 000 random IPv4 and IPv6 routes, a million look-ups, routes deleted and put back in between', () => {
    const random = seeded(28);
    const all = [...randomPrefixes(ROUTES / 2, 4, random), ...randomPrefixes(ROUTES / 2, 6, random)];
    const table = largeTable(all.map(routeTo));
    let present = all;
    let wrong = 0;
    let unmatched = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const match = matcher(table);
      const expected = scanner(present);
      for (let i = 0; i < LOOKUPS / ROUNDS; i++) {
        const bytes = interestingAddress(all, random);
        const prefix = expected(bytes);
        if (prefix === undefined) unmatched++;
        if (match(bytes) !== prefix) wrong++;
        if (i < PLAIN && scan(present, bytes) !== prefix) throw new Error('the fast oracle is wrong');
      }
      // Odd rounds lose a third of the routes, even ones have all again.
      for (const prefix of all.filter((prefix) => !present.includes(prefix))) table.add(routeTo(prefix));
      present = all;
      if (round % 2 === 0) {
        const gone = new Set(all.filter(() => random() < 1 / 3));
        for (const prefix of gone) expect(table.delete(prefix, () => true)).toHaveLength(1);
        present = all.filter((prefix) => !gone.has(prefix));
      }
    }
    expect(wrong).toBe(0);
    expect(unmatched).toBeGreaterThan(1000);
  });

  test('prefixes that crowd in a few bits', () => {
    const crowded = (size: 4 | 16) =>
      fc.array(
        fc
          .tuple(fc.nat({ max: 255 }), fc.nat({ max: 3 }), fc.nat({ max: 32 }))
          .map(([byte, position, hostBits]) => {
            const bytes = new Uint8Array(size);
            bytes[size - 1 - position] = byte;
            const length = size * 8 - hostBits;
            return { bytes: maskBytes(bytes, length), length };
          }),
        { maxLength: 300 },
      );
    fc.assert(
      fc.property(crowded(4), crowded(16), fc.integer(), (ipv4, ipv6, seed) => {
        const random = seeded(seed);
        const prefixes = [...ipv4, ...ipv6];
        if (prefixes.length === 0) return;
        const match = matcher(
          tableOf(...prefixes.map((prefix) => ({ ...routeTo(prefix), source: { kind: 'kernel' } as const }))),
        );
        for (let i = 0; i < 200; i++) {
          const bytes = interestingAddress(prefixes, random);
          expect(match(bytes)).toEqual(scan(prefixes, bytes));
        }
      }),
      { numRuns: 60 },
    );
  });

  test.each<[shape: string, hosts: number, sites: number]>([
    ['a site of 60 hosts, too few for nodes of their own', 60, 1],
    ['sites of 60 hosts', 60, 40],
    ['sites of 200 hosts', 200, 10],
  ])('host routes deep in the IPv6 space: %s', (_, hosts, sites) => {
    const random = seeded(hosts);
    const prefixes: Prefix[] = [];
    for (let site = 0; site < sites; site++) {
      const network = randomInside(prefixOf('2001:db8::/32'), random);
      for (let host = 0; host < hosts; host++) {
        const bytes = network.slice();
        bytes[15] = host;
        prefixes.push({ bytes, length: 128 });
      }
    }
    const match = matcher(tableOf(...prefixes.map(routeTo)));
    const expected = scanner(prefixes);
    for (let i = 0; i < 20_000; i++) {
      const bytes = interestingAddress(prefixes, random);
      if (match(bytes) !== expected(bytes)) expect(match(bytes)).toEqual(expected(bytes));
    }
  });
});

describe('single prefixes', () => {
  test.each<[prefix: string, inside: string[], outside: string[]]>([
    ['0.0.0.0/0', ['0.0.0.0', '127.255.255.255', '128.0.0.0', '255.255.255.255'], ['::', 'ffff::']],
    ['::/0', ['::', '8000::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'], ['0.0.0.0', '255.255.255.255']],
    ['128.0.0.0/1', ['128.0.0.0', '255.255.255.255'], ['127.255.255.255', '0.0.0.0']],
    ['10.1.0.0/16', ['10.1.0.0', '10.1.255.255'], ['10.0.255.255', '10.2.0.0']],
    ['10.1.2.3/32', ['10.1.2.3'], ['10.1.2.2', '10.1.2.4']],
    ['0.0.0.0/32', ['0.0.0.0'], ['0.0.0.1', '255.255.255.255']],
    ['255.255.255.255/32', ['255.255.255.255'], ['255.255.255.254', '0.0.0.0']],
    [
      'fd00:0:0:1::/64',
      ['fd00:0:0:1::', 'fd00:0:0:1:ffff:ffff:ffff:ffff'],
      ['fd00::ffff:ffff:ffff:ffff', 'fd00:0:0:2::'],
    ],
    ['fd00::1/128', ['fd00::1'], ['fd00::', 'fd00::2']],
    [
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128',
      ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
      ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe', '::'],
    ],
  ])('%s', (prefix, inside, outside) => {
    const match = matcher(tableOf(route(prefix, 'a')));
    for (const text of inside) expect(match(parseAddress(text)), text).toEqual(prefixOf(prefix));
    for (const text of outside) expect(match(parseAddress(text)), text).toBeUndefined();
  });

  test('the empty table has no match', () => {
    const fib = new Fib(EMPTY_TABLE);
    expect(fib.lookup4(parseAddress('10.0.0.1'), 0)).toBe(NONE);
    expect(fib.lookup6(parseAddress('fd00::1'), 0)).toBe(NONE);
  });

  test('an address is read where it lies', () => {
    const fib = new Fib(compile([route('10.1.0.0/16', 'a')], PEERS, OFF));
    expect(fib.lookup4(Uint8Array.of(9, 9, 9, 10, 1, 2, 3), 3)).toBe(0);
    expect(fib.lookup4(Uint8Array.of(9, 9, 9, 10, 1, 2, 3), 2)).toBe(NONE);
  });
});

test('a table survives the way to another thread', () => {
  const compiled = compile(
    tableOf(route('10.0.0.0/8', 'a'), route('fd00::/8', 'blackhole')).list(),
    PEERS,
    OFF,
  );
  expect(structuredClone(compiled)).toEqual(compiled);
});

test('100 000 random routes compile to less than 8 MB, and one to less than 256 bytes', () => {
  const size = (table: RoutingTable) => sizeOf(compile(table.list(), PEERS, OFF));
  const random = seeded(1);
  const prefixes = [...randomPrefixes(50_000, 4, random), ...randomPrefixes(50_000, 6, random)];
  expect(size(largeTable(prefixes.map(routeTo)))).toBeLessThan(8e6);
  expect(size(tableOf(route('10.0.0.0/8', 'a')))).toBeLessThan(256);
});

/** Bytes of all arrays in it. */
function sizeOf(value: object): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  return Object.values(value).reduce((sum, part) => sum + sizeOf(part), 0);
}

test('looking up and selecting allocates nothing', () => {
  const random = seeded(3);
  const prefixes = [...randomPrefixes(1000, 4, random), ...randomPrefixes(1000, 6, random)];
  const fib = new Fib(compile(tableOf(...prefixes.map(routeTo)).list(), PEERS, OFF));
  const addresses = Array.from({ length: 512 }, () => interestingAddress(prefixes, random));
  const usable = Uint8Array.of(1);
  let next = 0;
  const bytes = bytesPerCall(() => {
    const at = addresses[next++ & 511];
    const set = at.length === 4 ? fib.lookup4(at, 0) : fib.lookup6(at, 0);
    if (set !== NONE && fib.has(set, 0, usable)) fib.kind(fib.select(set, usable));
  });
  expect(bytes).toBeLessThan(1);
});
