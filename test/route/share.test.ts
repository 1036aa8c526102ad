/** Routes of equal cost: every flow has its peer, and keeps it as long as it can. */
import { describe, expect, test } from 'vitest';
import { mix } from '../../src/packet/flow-hash.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { compile } from '../../src/route/compile.ts';
import { explain } from '../../src/route/explain.ts';
import { Fib, NONE } from '../../src/route/fib.ts';
import type { Route } from '../../src/route/route.ts';
import { BIRD, configLine, OPERATOR, route, tableOf } from '../support/routes.ts';

const NAMES = ['a', 'b', 'c', 'd'];
const PEERS = new Map(NAMES.map((name, index) => [name, index]));
const FLOWS = 20_000;
const ADDRESS = parseAddress('10.1.2.3');

function shared(peer: string, weight = 1, metric = 32): Route {
  return { ...route('10.1.0.0/16', peer, metric, BIRD), weight };
}

/** The peer of each flow while those in `up` are up; `-` for none. */
function takers(routes: readonly Route[], up = 'abcd', seed = 0): string[] {
  const fib = new Fib(compile(tableOf(...routes).list(), PEERS, { fallthrough: false }));
  const usable = Uint8Array.from(NAMES, (name) => Number(up.includes(name)));
  const set = fib.lookup4(ADDRESS, 0);
  return Array.from({ length: FLOWS }, (_, flow) => {
    const first = fib.select(set, usable);
    if (first === NONE) return '-';
    const taken = fib.hasEquals(first) ? fib.share(first, usable, mix(flow + seed)) : first;
    return NAMES[fib.peer(taken)];
  });
}

function sharesOf(taken: readonly string[]): Record<string, number> {
  const shares: Record<string, number> = {};
  for (const name of taken) shares[name] = (shares[name] ?? 0) + 1 / taken.length;
  return shares;
}

describe('flows of one prefix', () => {
  test.each<[rule: string, routes: Route[], up: string, shares: Record<string, number>]>([
    [
      'are spread evenly',
      ['a', 'b', 'c'].map((peer) => shared(peer)),
      'abcd',
      { a: 1 / 3, b: 1 / 3, c: 1 / 3 },
    ],
    ['are spread by weight', [shared('a', 1), shared('b', 3)], 'abcd', { a: 1 / 4, b: 3 / 4 }],
    ['go to those that are up', ['a', 'b', 'c'].map((peer) => shared(peer)), 'ac', { a: 1 / 2, c: 1 / 2 }],
    ['go to the only one that is up', [shared('a'), shared('b')], 'b', { b: 1 }],
    ['leave backups alone', [shared('a'), shared('b'), shared('c', 1, 64)], 'abcd', { a: 1 / 2, b: 1 / 2 }],
    [
      'go to the backup, and all of them, when the others are down',
      [shared('a'), shared('b'), route('10.1.0.0/16', 'c', 64, BIRD)],
      'c',
      { c: 1 },
    ],
    [
      'share a backup, too',
      [route('10.1.0.0/16', 'a', 1, OPERATOR), shared('b'), shared('c')],
      'bc',
      { b: 1 / 2, c: 1 / 2 },
    ],
    ['are lost when all are down', [shared('a'), shared('b')], '', { '-': 1 }],
  ])('%s', (_rule, routes, up, shares) => {
    const found = sharesOf(takers(routes, up));
    expect(Object.keys(found).sort()).toEqual(Object.keys(shares).sort());
    for (const [name, share] of Object.entries(shares)) expect(found[name]).toBeCloseTo(share, 1.5);
  });

  const three = ['a', 'b', 'c'].map((peer) => shared(peer));
  test.each<[rule: string, routes: Route[], up: string]>([
    ['one goes down', three, 'ac'],
    ['the route of one is withdrawn', [shared('a'), shared('c')], 'abcd'],
  ])('only move that were with a peer when %s', (_rule, routes, up) => {
    const before = takers(three);
    const after = takers(routes, up);
    const moved = before.filter((peer, flow) => peer !== after[flow]);
    expect(new Set(moved)).toEqual(new Set(['b']));
    expect(moved).toHaveLength(before.filter((peer) => peer === 'b').length);
  });

  test('only move to a peer that comes', () => {
    const before = takers(three);
    const after = takers([...three, shared('d')]);
    expect(after.every((peer, flow) => peer === before[flow] || peer === 'd')).toBe(true);
  });
});

test('a route of the config stands beside the learnt one to its peer, and takes the packets', () => {
  const config = route('10.1.0.0/16', 'a', 32, configLine(1));
  const table = tableOf(config);
  const { refused } = table.replace('learned', [shared('a'), shared('b')]);
  expect(refused.map(({ route: { peer } }) => peer)).toEqual(['b']);
  expect(new Set(takers(table.list()))).toEqual(new Set(['a']));
});

test('the explanation names all that share, and the backup behind them', () => {
  const table = tableOf(shared('a'), shared('b'), shared('c'), route('10.1.0.0/16', 'd', 64, BIRD));
  const { prefixes, decision, why } = explain(table, ADDRESS, {
    isUp: (peer) => peer !== 'a',
    fallthrough: false,
  });
  expect(decision?.peer).toBe('b');
  expect(why).toBe('10.1.0.0/16 is the longest prefix; peers of equal cost share its flows');
  expect(prefixes[0].routes.map(({ route: { peer }, standing }) => `${peer} ${standing}`)).toEqual([
    'a down',
    'b shares',
    'c shares',
    'd backup',
  ]);
});
