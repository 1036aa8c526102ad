import { describe, expect, test } from 'vitest';
import { compile } from '../../src/route/compile.ts';
import { Fib } from '../../src/route/fib.ts';
import { RecentAnswers, UNKNOWN } from '../../src/route/recent.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { seeded } from '../support/random.ts';
import { OPERATOR, randomInside, randomPrefixes, tableOf } from '../support/routes.ts';

const address = (...bytes: number[]) => Uint8Array.from(bytes);

describe('recent answers', () => {
  test.each([
    ['IPv4', 1, address(10, 1, 2, 3), address(10, 1, 2, 4)],
    ['IPv6', 4, new Uint8Array(16).fill(1), new Uint8Array(16).fill(1).fill(2, 15)],
    ['the address zero', 1, address(0, 0, 0, 0), address(0, 0, 0, 1)],
  ] as const)('%s: what was learnt, and nothing else', (_, words, known, other) => {
    const recent = new RecentAnswers(words);
    expect(recent.find(known, 0)).toBe(UNKNOWN);
    recent.learn(known, 0, 7, 12);
    expect(recent.find(known, 0)).toBe(7);
    expect(recent.origin).toBe(12);
    expect(recent.find(other, 0)).toBe(UNKNOWN);
  });

  test('two addresses of one hash are both known, and a third takes the place of the older', () => {
    const recent = new RecentAnswers(1);
    // Addresses below 4096 are their own hash: 8192 more has the same place, once its higher bits are mixed in.
    const same = [address(0, 0, 0, 7), address(0, 0, 0x20, 5), address(0, 0, 0x40, 3)];
    for (const [set, each] of same.entries()) {
      expect(recent.find(each, 0)).toBe(UNKNOWN);
      recent.learn(each, 0, set, -1);
    }
    expect(same.map((each) => recent.find(each, 0))).toEqual([UNKNOWN, 1, 2]);
  });

  test('small tables have none', () => {
    expect(RecentAnswers.forTable(1023, 1)).toBeUndefined();
    expect(RecentAnswers.forTable(1024, 1)).toBeDefined();
  });
});

test.each([4, 6] as const)('IPv%i: asked again, a large table answers the same', (family) => {
  const random = seeded(family);
  const peers = ['a', 'b', 'c'];
  const prefixes = randomPrefixes(3000, family, random);
  const routes = prefixes.map((prefix, i) => {
    return { prefix, kind: 'peer', peer: peers[i % 3], metric: 0, source: OPERATOR } as const;
  });
  const indexes = new Map(peers.map((name, index) => [name, index]));
  const table = compile(tableOf(...routes).list(), indexes, { fallthrough: false });
  const asked = new Fib(table);
  // More addresses than there are places: many share one.
  const addresses = Array.from({ length: 40_000 }, (_, i) =>
    randomInside(prefixes[i % prefixes.length], random),
  );
  const ask = (fib: Fib, at: Uint8Array) => (family === 4 ? fib.lookup4(at, 0) : fib.lookup6(at, 0));
  for (const at of addresses) ask(asked, at);
  const fresh = addresses.map((at, i) => (i % 80 === 0 ? ask(new Fib(table), at) : undefined));
  const again = addresses.map((at, i) => (i % 80 === 0 ? ask(asked, at) : undefined));
  expect(again).toEqual(fresh);
  let next = 0;
  expect(bytesPerCall(() => void ask(asked, addresses[next++ % addresses.length]))).toBeLessThan(1);
});
