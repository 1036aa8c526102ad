/** Which candidate of a set takes the packet, and who may use its addresses. */
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/packet/address.ts';
import { compile, compileTables, CompiledKind, type AllowedPrefix } from '../../src/route/compile.ts';
import { explain } from '../../src/route/explain.ts';
import { Fib, NONE } from '../../src/route/fib.ts';
import type { Route } from '../../src/route/route.ts';
import { RoutingTable } from '../../src/route/table.ts';
import { seeded } from '../support/random.ts';
import {
  BIRD,
  configLine,
  KERNEL,
  prefixOf,
  randomInside,
  randomPrefixes,
  route,
  tableOf,
} from '../support/routes.ts';

const NAMES = ['a', 'b', 'c'];
const PEERS = new Map(NAMES.map((name, index) => [name, index]));

function fibs(routes: Route[], fallthrough = false, allowed: AllowedPrefix[] = []) {
  const tables = compileTables(tableOf(...routes).list(), allowed, PEERS, { fallthrough });
  return { ...tables, fib: new Fib(tables.routes), sourceFib: new Fib(tables.sources) };
}

function lookup(fib: Fib, text: string): number {
  const bytes = parseAddress(text);
  return bytes.length === 4 ? fib.lookup4(bytes, 0) : fib.lookup6(bytes, 0);
}

function up(names: string): Uint8Array {
  return Uint8Array.from(NAMES, (name) => Number(names.includes(name)));
}

/** Who takes a packet to `to` while the peers in `names` are up: a peer's name, a kind, or `none`. */
function taker(fib: Fib, to: string, names: string): string {
  const candidate = fib.select(lookup(fib, to), up(names));
  if (candidate === NONE) return 'none';
  const kind = Object.keys(CompiledKind)[fib.kind(candidate)].toLowerCase();
  return kind === 'peer' ? NAMES[fib.peer(candidate)] : kind;
}

describe('select', () => {
  const BACKUP = [route('10.1.0.0/16', 'b', 10), route('10.1.0.0/16', 'a'), route('10.0.0.0/8', 'c')];
  const REFUSED = [route('10.1.0.0/16', 'a'), route('10.1.0.0/16', 'blackhole', 9), route('0.0.0.0/0', 'c')];
  const DEEP = [route('fd00:1::/32', 'a'), route('fd00::/16', 'b'), route('::/0', 'unreachable')];
  test.each<[rule: string, routes: Route[], fallthrough: boolean, to: string, up: string, taker: string]>([
    ['the lowest metric', BACKUP, false, '10.1.2.3', 'abc', 'a'],
    ['the backup when the peer is down', BACKUP, false, '10.1.2.3', 'bc', 'b'],
    ['nobody when the backup is down too, not the shorter prefix', BACKUP, false, '10.1.2.3', 'c', 'none'],
    ['the shorter prefix with route-fallthrough', BACKUP, true, '10.1.2.3', 'c', 'c'],
    ['the longer prefix with route-fallthrough while it is up', BACKUP, true, '10.1.2.3', 'abc', 'a'],
    ['nobody with route-fallthrough when all are down', BACKUP, true, '10.1.2.3', '', 'none'],
    ['a refusal as the last backup', REFUSED, false, '10.1.2.3', 'c', 'blackhole'],
    ['a refusal before route-fallthrough', REFUSED, true, '10.1.2.3', 'c', 'blackhole'],
    ['two steps of route-fallthrough', DEEP, true, 'fd00:1::1', 'c', 'unreachable'],
    ['the default route', DEEP, false, '2001:db8::1', 'abc', 'unreachable'],
    ['local', [route('10.0.0.0/8', 'a'), route('10.9.0.0/16', 'local')], false, '10.9.1.1', 'abc', 'local'],
    ['prohibit', [route('10.0.0.0/8', 'prohibit')], false, '10.9.1.1', '', 'prohibit'],
    [
      'an own address, even if a peer claims it at a lower metric',
      [route('10.8.0.1/32', 'a', 0, configLine(1)), route('10.8.0.1/32', 'own', 50, KERNEL)],
      false,
      '10.8.0.1',
      'abc',
      'own',
    ],
    [
      'config before kernel at one metric',
      [route('10.1.0.0/16', 'local', 0, KERNEL), route('10.1.0.0/16', 'a', 0, configLine(1))],
      false,
      '10.1.0.1',
      'abc',
      'a',
    ],
  ])('%s', (_, routes, fallthrough, to, up, expected) => {
    expect(taker(fibs(routes, fallthrough).fib, to, up)).toBe(expected);
  });

  test('no set, no candidate', () => {
    const { fib } = fibs([route('10.0.0.0/8', 'a')]);
    expect(fib.select(lookup(fib, '11.0.0.1'), up('abc'))).toBe(NONE);
  });

  test('a set knows its prefix length, a candidate its route', () => {
    const { fib, routes } = fibs([
      route('0.0.0.0/0', 'a'),
      route('10.0.0.0/8', 'c', 5),
      route('10.0.0.0/8', 'b'),
    ]);
    expect(fib.prefixLength(lookup(fib, '1.1.1.1'))).toBe(0);
    const address = parseAddress('10.1.1.1');
    const set = fib.lookup4(address, 0);
    expect(fib.prefixLength(set)).toBe(8);
    const candidates = [routes.first[set], routes.first[set] + 1];
    expect(candidates.map((candidate) => fib.position(set, candidate))).toEqual([1, 2]);
    expect(routes.first[set + 1]).toBe(routes.first[set] + 2);
  });
});

describe('prefixes whose routes lead the same way share a set, and keep their own positions in the list', () => {
  test.each<
    [what: string, routes: Route[], allowed: AllowedPrefix[], addresses: string[], positions: number[]]
  >([
    ['routes', [route('10.1.0.0/16', 'a'), route('10.2.0.0/16', 'a')], [], ['10.1.0.1', '10.2.0.1'], [0, 1]],
    [
      'allowed sources inside a route, which is named for them',
      [route('10.0.0.0/8', 'b'), route('10.1.0.0/16', 'a'), route('10.2.0.0/16', 'a')],
      [
        { prefix: prefixOf('10.1.7.0/24'), peer: 'c' },
        { prefix: prefixOf('10.2.7.0/24'), peer: 'c' },
      ],
      ['10.1.7.1', '10.2.7.1'],
      [1, 2],
    ],
    [
      'allowed sources without a route',
      [],
      [
        { prefix: prefixOf('10.1.0.0/16'), peer: 'c' },
        { prefix: prefixOf('10.2.0.0/16'), peer: 'c' },
      ],
      ['10.1.0.1', '10.2.0.1'],
      [-1, -1],
    ],
  ])('%s', (_, routes, allowed, addresses, positions) => {
    const { sourceFib, sources } = fibs(routes, false, allowed);
    const sets = addresses.map((text) => lookup(sourceFib, text));
    expect(new Set(sets).size).toBe(1);
    const found = addresses.map((text) =>
      sourceFib.position(lookup(sourceFib, text), sources.first[sets[0]]),
    );
    expect(found).toEqual(positions);
  });
});

test('the compiled table and the explanation always decide the same', () => {
  const random = seeded(5);
  const below = (limit: number) => Math.floor(random() * limit);
  const kinds = [...NAMES, ...NAMES, 'local', 'own', 'blackhole', 'unreachable', 'prohibit'];
  const decided = new Set<string>();
  for (let run = 0; run < 300; run++) {
    const table = new RoutingTable();
    const prefixes = randomPrefixes(1 + below(12), 4, random);
    const all = prefixes.flatMap((prefix) =>
      Array.from({ length: 1 + below(3) }, (_, metric) => {
        return { ...route('0.0.0.0/0', kinds[below(kinds.length)], metric), prefix };
      }),
    );
    for (const route of all) table.add(route);
    const fallthrough = random() < 0.5;
    const list = table.list();
    const compiled = compile(list, PEERS, { fallthrough });
    const fib = new Fib(compiled);
    for (const prefix of prefixes) {
      const bytes = randomInside(prefix, random);
      const names = NAMES.filter(() => random() < 0.4).join('');
      const { decision } = explain(table, bytes, { isUp: (peer) => names.includes(peer), fallthrough });
      const set = fib.lookup4(bytes, 0);
      const candidate = fib.select(set, up(names));
      expect(candidate === NONE ? undefined : list[fib.position(set, candidate)]).toBe(decision);
      decided.add(decision?.peer ?? decision?.kind ?? 'none');
    }
  }
  expect([...decided].sort()).toEqual([...new Set(kinds), 'none'].sort());
});

describe('sources', () => {
  const allow = (prefix: string, peer: string): AllowedPrefix => ({ prefix: prefixOf(prefix), peer });
  /** Peers that may send from the address while those in `up` are up. */
  const senders = (fib: Fib, from: string, names: string) =>
    NAMES.filter((_, peer) => fib.has(lookup(fib, from), peer, up(names))).join('');
  const NESTED = [route('10.1.0.0/16', 'a'), route('10.1.7.0/24', 'b'), route('10.1.7.0/24', 'c', 10)];
  const OWN = [route('10.8.0.0/24', 'a'), route('10.8.0.1/32', 'own', 0, KERNEL)];

  test.each<
    [
      rule: string,
      routes: Route[],
      fallthrough: boolean,
      allowed: AllowedPrefix[],
      from: string,
      up: string,
      who: string,
    ]
  >([
    ['the routed peer', NESTED, false, [], '10.1.2.3', 'abc', 'a'],
    [
      'the peer and its backup, not the owner of the shorter prefix',
      NESTED,
      false,
      [],
      '10.1.7.1',
      'abc',
      'bc',
    ],
    ['nobody else when those are down', NESTED, false, [], '10.1.7.1', 'a', 'bc'],
    ['with route-fallthrough, nobody else while one is up', NESTED, true, [], '10.1.7.1', 'ac', 'bc'],
    [
      'with route-fallthrough, the shorter prefix when all are down',
      NESTED,
      true,
      [],
      '10.1.7.1',
      'a',
      'abc',
    ],
    ['nobody without a route', NESTED, false, [], '10.2.0.1', 'abc', ''],
    ['nobody for an own address', OWN, false, [], '10.8.0.1', 'abc', ''],
    [
      'nobody for an own address that is allowed by mistake',
      OWN,
      false,
      [allow('10.8.0.1/32', 'b')],
      '10.8.0.1',
      'abc',
      '',
    ],
    [
      'nobody for an own address inside an allowed prefix',
      OWN,
      false,
      [allow('0.0.0.0/0', 'b')],
      '10.8.0.1',
      'abc',
      '',
    ],
    ['an allowed peer without a route', NESTED, false, [allow('10.2.0.0/16', 'c')], '10.2.0.1', 'abc', 'c'],
    [
      'an allowed peer beside the routed one',
      NESTED,
      false,
      [allow('10.1.0.0/16', 'c')],
      '10.1.2.3',
      'abc',
      'ac',
    ],
    [
      'an allowed prefix takes nothing from the route around it',
      NESTED,
      false,
      [allow('10.1.2.0/24', 'b')],
      '10.1.2.3',
      'abc',
      'ab',
    ],
    [
      'an allowed prefix does not cover a longer route',
      NESTED,
      false,
      [allow('10.0.0.0/8', 'a')],
      '10.1.7.1',
      'abc',
      'bc',
    ],
    [
      'allowed prefixes add up',
      NESTED,
      false,
      [allow('10.1.2.0/25', 'c'), allow('10.1.2.0/24', 'b')],
      '10.1.2.3',
      'abc',
      'abc',
    ],
    [
      'two peers allowed one prefix',
      [],
      false,
      [allow('fd00::/8', 'b'), allow('fd00::/8', 'a')],
      'fd00::1',
      'abc',
      'ab',
    ],
    [
      'an allowed peer that is up leaves route-fallthrough alone',
      [route('10.0.0.0/8', 'a'), route('10.1.0.0/16', 'b')],
      true,
      [allow('10.1.0.0/16', 'c')],
      '10.1.1.1',
      'ac',
      'abc',
    ],
    [
      'allowing is not routing: the fall-through goes on behind a prefix that is only allowed',
      [route('10.0.0.0/8', 'a'), route('10.1.0.0/16', 'b')],
      true,
      [allow('10.1.1.0/24', 'c')],
      '10.1.1.1',
      'ac',
      'abc',
    ],
  ])('%s', (_, routes, fallthrough, allowed, from, up, who) => {
    expect(senders(fibs(routes, fallthrough, allowed).sourceFib, from, up)).toBe(who);
  });

  test('without allowed prefixes it is the same table', () => {
    const { routes, sources } = fibs(NESTED);
    expect(sources).toBe(routes);
  });

  test('allowed prefixes are not routes', () => {
    const { fib } = fibs(NESTED, false, [allow('10.2.0.0/16', 'c')]);
    expect(taker(fib, '10.2.0.1', 'abc')).toBe('none');
  });

  test('an own address is told apart', () => {
    const { fib } = fibs(OWN);
    expect(fib.isOwn(lookup(fib, '10.8.0.1'))).toBe(true);
    expect(fib.isOwn(lookup(fib, '10.8.0.2'))).toBe(false);
    expect(fib.isOwn(lookup(fib, '10.9.0.2'))).toBe(false);
  });
});

test('a route to a peer without an index is a bug', () => {
  expect(() => fibs([route('10.0.0.0/8', 'nobody', 0, BIRD)])).toThrow("names the peer 'nobody'");
});
