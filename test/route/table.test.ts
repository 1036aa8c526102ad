/** The truth: what can be in it, how sources replace each other, and how it explains itself. */
import { describe, expect, test } from 'vitest';
import { OperatorError, OperatorErrors } from '../../src/errors.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { formatPrefix, prefixContains, type Prefix } from '../../src/packet/prefix.ts';
import { explain } from '../../src/route/explain.ts';
import type { Route } from '../../src/route/route.ts';
import { formatTarget, type RoutingTable } from '../../src/route/table.ts';
import { seeded } from '../support/random.ts';
import {
  BIRD,
  configLine,
  KERNEL,
  largeTable,
  OPERATOR,
  prefixOf,
  randomPrefixes,
  route,
  tableOf,
} from '../support/routes.ts';

const show = ({ prefix, kind, peer, metric }: Route) => `${formatPrefix(prefix)} ${peer ?? kind} ${metric}`;

const routeTo = (prefix: Prefix, peer: string): Route => {
  return { prefix, kind: 'peer', peer, metric: 0, source: OPERATOR };
};
const contains = (outer: Prefix, inner: Prefix) => prefixContains(outer, inner.bytes);

function errorOf(action: () => void): OperatorError {
  try {
    action();
  } catch (error) {
    if (error instanceof OperatorError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('add', () => {
  test('lists by prefix, the outer first, and by metric', () => {
    const table = tableOf(
      route('fd00::/8', 'a'),
      route('10.2.0.0/16', 'a'),
      route('10.1.0.0/16', 'b', 5),
      route('10.1.0.0/24', 'a'),
      route('10.1.0.0/16', 'a', 1),
      route('192.168.0.0/16', 'blackhole'),
      route('::/0', 'a'),
    );
    expect(table.list().map(show)).toEqual([
      '10.1.0.0/16 a 1',
      '10.1.0.0/16 b 5',
      '10.1.0.0/24 a 0',
      '10.2.0.0/16 a 0',
      '192.168.0.0/16 blackhole 0',
      '::/0 a 0',
      'fd00::/8 a 0',
    ]);
  });

  test('two peers at one metric: the config error names both lines', () => {
    const table = tableOf(route('10.1.0.0/16', 'a', 0, configLine(3)));
    const error = errorOf(() => table.add(route('10.1.0.0/16', 'b', 0, configLine(9))));
    expect(error).toMatchObject({
      code: 'ROUTE_CONFLICT',
      what: "10.1.0.0/16 goes to peer 'a' and to peer 'b' at the same metric, 0",
      where: { file: 'hub.conf', line: 9 },
      exitCode: 2,
    });
    expect(error.why).toContain('hub.conf:3:1: peer-route');
    expect(error.why).toContain('hub.conf:9:1: peer-route');
    expect(table.list()).toHaveLength(1);
  });

  test.each<[rule: string, first: Route, second: Route, code: string | undefined]>([
    ['another metric is a backup', route('10.0.0.0/8', 'a'), route('10.0.0.0/8', 'b', 1), undefined],
    ['another length is another prefix', route('10.0.0.0/8', 'a'), route('10.0.0.0/9', 'b'), undefined],
    ['another family is another prefix', route('0.0.0.0/0', 'a'), route('::/0', 'b'), undefined],
    [
      'the same route from another source',
      route('10.0.0.0/8', 'a'),
      route('10.0.0.0/8', 'a', 0, BIRD),
      undefined,
    ],
    ['a network of this host', route('10.0.0.0/8', 'a'), route('10.0.0.0/8', 'local', 0, KERNEL), undefined],
    [
      'a refusal at the metric of a peer',
      route('10.0.0.0/8', 'a'),
      route('10.0.0.0/8', 'blackhole'),
      'ROUTE_CONFLICT',
    ],
    [
      'a learned route to another peer',
      route('10.0.0.0/8', 'a'),
      route('10.0.0.0/8', 'b', 0, BIRD),
      'ROUTE_CONFLICT',
    ],
    ['the operator says it twice', route('10.0.0.0/8', 'a'), route('10.0.0.0/8', 'a'), 'ROUTE_EXISTS'],
  ])('beside another: %s', (_, first, second, code) => {
    const table = tableOf(first);
    if (code === undefined) {
      table.add(second);
      expect(table.list()).toHaveLength(2);
    } else {
      expect(errorOf(() => table.add(second))).toMatchObject({ code, exitCode: 1 });
      expect(table.list()).toEqual([first]);
    }
  });

  test('a line given twice counts once', () => {
    const table = tableOf(
      route('10.0.0.0/8', 'a', 0, configLine(1)),
      route('10.0.0.0/8', 'a', 0, configLine(2)),
    );
    expect(table.list()).toHaveLength(1);
  });
});

test('delete takes what matches and leaves the rest', () => {
  const table = tableOf(route('10.0.0.0/8', 'a', 0, configLine(1)), route('10.0.0.0/8', 'b', 7));
  const isOperators = ({ source }: Route) => source.kind === 'operator';
  expect(table.delete(prefixOf('10.0.0.0/8'), isOperators).map(show)).toEqual(['10.0.0.0/8 b 7']);
  expect(table.delete(prefixOf('10.0.0.0/8'), isOperators)).toEqual([]);
  expect(table.delete(prefixOf('10.0.0.0/9'), () => true)).toEqual([]);
  expect(table.list().map(show)).toEqual(['10.0.0.0/8 a 0']);
});

describe('replace', () => {
  const shown = (changes: ReturnType<RoutingTable['replace']>) => ({
    added: changes.added.map(show),
    removed: changes.removed.map(show),
    refused: changes.refused.map(({ route, error }) => `${show(route)} ${error.code}`),
  });

  test('reports what is new and what is gone, and leaves other sources alone', () => {
    const table = tableOf(
      route('10.1.0.0/16', 'a', 0, configLine(1)),
      route('10.2.0.0/16', 'b', 0, configLine(2)),
      route('10.9.0.0/16', 'a'),
    );
    const changes = table.replace('config', [
      route('10.3.0.0/16', 'a', 0, configLine(1)),
      route('10.1.0.0/16', 'a', 0, configLine(5)),
    ]);
    expect(shown(changes)).toEqual({ added: ['10.3.0.0/16 a 0'], removed: ['10.2.0.0/16 b 0'], refused: [] });
    expect(table.list().map(show)).toEqual(['10.1.0.0/16 a 0', '10.3.0.0/16 a 0', '10.9.0.0/16 a 0']);
    // A route that only moved in the file is known by its new line.
    expect(table.list()[0].source).toEqual(configLine(5));
  });

  test('a new metric or target is another route', () => {
    const table = tableOf(route('10.1.0.0/16', 'a', 0, BIRD), route('10.2.0.0/16', 'a', 0, BIRD));
    const changes = table.replace('learned', [
      route('10.1.0.0/16', 'a', 3, BIRD),
      route('10.2.0.0/16', 'b', 0, BIRD),
    ]);
    expect(shown(changes)).toEqual({
      added: ['10.1.0.0/16 a 3', '10.2.0.0/16 b 0'],
      removed: ['10.1.0.0/16 a 0', '10.2.0.0/16 a 0'],
      refused: [],
    });
  });

  test('a config that contradicts itself changes nothing and names every conflict', () => {
    const table = tableOf(route('10.1.0.0/16', 'a', 0, configLine(1)));
    const contradiction = ['10.5.0.0/16', '10.6.0.0/16'].flatMap((prefix, i) => [
      route(prefix, 'a', 0, configLine(2 * i)),
      route(prefix, 'b', 0, configLine(2 * i + 1)),
    ]);
    expect(() => table.replace('config', contradiction)).toThrow(OperatorErrors);
    expect(() => table.replace('config', contradiction)).toThrow(/10\.5\.0\.0.*10\.6\.0\.0/);
    expect(table.list().map(show)).toEqual(['10.1.0.0/16 a 0']);
  });

  test('a config route stands against what was learned before', () => {
    const table = tableOf(route('10.1.0.0/16', 'b', 0, BIRD));
    expect(shown(table.replace('config', [route('10.1.0.0/16', 'a', 0, configLine(1))]))).toEqual({
      added: ['10.1.0.0/16 a 0'],
      removed: ['10.1.0.0/16 b 0'],
      refused: ['10.1.0.0/16 b 0 ROUTE_CONFLICT'],
    });
  });

  test('a learned route that conflicts is refused, the others come in', () => {
    const table = tableOf(route('10.1.0.0/16', 'a', 0, OPERATOR));
    const changes = table.replace('learned', [
      route('10.1.0.0/16', 'b', 0, BIRD),
      route('10.2.0.0/16', 'b', 0, BIRD),
    ]);
    expect(shown(changes)).toEqual({
      added: ['10.2.0.0/16 b 0'],
      removed: [],
      refused: ['10.1.0.0/16 b 0 ROUTE_CONFLICT'],
    });
  });
});

describe('replaceAt', () => {
  test('touches the prefixes named, and of these the source named', () => {
    const table = tableOf(
      route('10.1.0.0/16', 'a', 0, configLine(1)),
      route('10.1.0.0/16', 'b', 5, BIRD),
      route('10.2.0.0/16', 'b', 0, BIRD),
      route('10.3.0.0/16', 'b', 0, BIRD),
    );
    const prefixes = ['10.3.0.0/16', '10.1.0.0/16', '10.4.0.0/16'].map(prefixOf);
    const changes = table.replaceAt('learned', prefixes, [
      route('10.4.0.0/16', 'a', 0, BIRD),
      route('10.3.0.0/16', 'b', 9, BIRD),
    ]);
    expect({ added: changes.added.map(show), removed: changes.removed.map(show) }).toEqual({
      added: ['10.3.0.0/16 b 9', '10.4.0.0/16 a 0'],
      removed: ['10.1.0.0/16 b 5', '10.3.0.0/16 b 0'],
    });
    expect(table.list().map(show)).toEqual([
      '10.1.0.0/16 a 0',
      '10.2.0.0/16 b 0',
      '10.3.0.0/16 b 9',
      '10.4.0.0/16 a 0',
    ]);
  });

  test('change by change it comes to what replacing the whole source comes to', () => {
    const random = seeded(11);
    const prefixes = [...randomPrefixes(150, 4, random), ...randomPrefixes(150, 6, random)];
    const pick = (share: number) => prefixes.filter(() => random() < share);
    const learned = (prefix: Prefix) =>
      [0, 1].flatMap((metric): Route[] => {
        const peer = random() < 0.5 ? 'a' : 'b';
        return random() < 0.4 ? [] : [{ prefix, kind: 'peer', peer, metric, source: BIRD }];
      });
    const config = pick(0.3).map((prefix) => ({ ...routeTo(prefix, 'a'), source: configLine(1) }));
    const byChanges = tableOf(...config);
    const atOnce = tableOf(...config);
    let all: Route[] = [];
    for (let round = 0; round < 30; round++) {
      const touched = pick(0.2);
      const fresh = touched.flatMap(learned);
      all = [...all.filter(({ prefix }) => !touched.includes(prefix)), ...fresh];
      const changes = byChanges.replaceAt('learned', touched, fresh);
      const expected = atOnce.replace('learned', all);
      expect(byChanges.list()).toEqual(atOnce.list());
      expect([changes.added, changes.removed]).toEqual([expected.added, expected.removed]);
    }
    expect(all.length).toBeGreaterThan(100);
  });
});

describe('page', () => {
  const TABLE = tableOf(
    route('10.1.0.0/16', 'a'),
    route('10.2.0.0/16', 'a'),
    route('10.2.0.0/16', 'b', 1),
    route('10.2.0.0/16', 'c', 2),
    route('10.3.0.0/16', 'a'),
    route('fd00::/8', 'a'),
  );
  test.each<[rule: string, after: string | undefined, count: number, expected: string[], more: boolean]>([
    ['begins with the first', undefined, 1, ['10.1.0.0/16 a 0'], true],
    ['does not cut a prefix in two', undefined, 3, ['10.1.0.0/16 a 0'], true],
    [
      'has all of one prefix',
      '10.1.0.0/16',
      2,
      ['10.2.0.0/16 a 0', '10.2.0.0/16 b 1', '10.2.0.0/16 c 2'],
      true,
    ],
    ['goes on behind a prefix that has gone', '10.2.5.0/24', 9, ['10.3.0.0/16 a 0', 'fd00::/8 a 0'], false],
    ['ends with the last', '10.3.0.0/16', 1, ['fd00::/8 a 0'], false],
    ['may be empty', 'fd00::/8', 1, [], false],
  ])('%s', (_rule, after, count, expected, more) => {
    const page = TABLE.page(after === undefined ? undefined : prefixOf(after), count);
    expect(page.routes.map(show)).toEqual(expected);
    expect(page.more).toBe(more);
  });
});

describe('isInside', () => {
  test('finds a shorter prefix around one, as looking at all of them does', () => {
    const random = seeded(12);
    const prefixes = [...randomPrefixes(400, 4, random), ...randomPrefixes(400, 6, random)];
    const table = largeTable(prefixes.map((prefix) => routeTo(prefix, random() < 0.5 ? 'a' : 'b')));
    const isA = ({ peer }: Route) => peer === 'a';
    let inside = 0;
    for (const prefix of prefixes) {
      const expected = table
        .list()
        .some((each) => isA(each) && each.prefix.length < prefix.length && contains(each.prefix, prefix));
      expect(table.isInside(prefix, isA), formatPrefix(prefix)).toBe(expected);
      if (expected) inside++;
    }
    expect(inside).toBeGreaterThan(100);
    expect(inside).toBeLessThan(700);
  });
});

describe('explain', () => {
  const TABLE = tableOf(
    route('10.1.0.0/16', 'a', 0, configLine(1)),
    route('10.1.0.0/16', 'b', 10, configLine(2)),
    route('10.0.0.0/8', 'c', 0, configLine(3)),
    route('0.0.0.0/0', 'unreachable', 0, configLine(4)),
    route('10.1.7.0/24', 'blackhole', 0, configLine(5)),
    route('10.1.7.0/24', 'c', 10, configLine(6)),
    route('fd00::/8', 'a', 0, configLine(7)),
  );
  const cases: [
    rule: string,
    to: string,
    up: string,
    fallthrough: boolean,
    decision: string,
    why: RegExp,
    lines: string[],
  ][] = [
    [
      'the longest prefix and the lowest metric',
      '10.1.2.3',
      'abc',
      false,
      "peer 'a'",
      /^10\.1\.0\.0\/16 is the longest prefix, and this its lowest metric$/,
      [
        '10.1.0.0/16 a decides',
        '10.1.0.0/16 b backup',
        '10.0.0.0/8 c unused',
        '0.0.0.0/0 unreachable unused',
      ],
    ],
    [
      'a backup',
      '10.1.2.3',
      'bc',
      false,
      "peer 'b'",
      /peers of lower metric are down/,
      ['10.1.0.0/16 a down', '10.1.0.0/16 b decides', '10.0.0.0/8 c unused', '0.0.0.0/0 unreachable unused'],
    ],
    [
      'nobody',
      '10.1.2.3',
      'c',
      false,
      'none',
      /every peer of it is down, and shorter prefixes need route-fallthrough/,
      ['10.1.0.0/16 a down', '10.1.0.0/16 b down', '10.0.0.0/8 c unused', '0.0.0.0/0 unreachable unused'],
    ],
    [
      'route-fallthrough',
      '10.1.2.3',
      'c',
      true,
      "peer 'c'",
      /route-fallthrough lets 10\.0\.0\.0\/8 decide/,
      ['10.1.0.0/16 a down', '10.1.0.0/16 b down', '10.0.0.0/8 c decides', '0.0.0.0/0 unreachable backup'],
    ],
    [
      'nothing behind a refusal',
      '10.1.7.1',
      'abc',
      true,
      'blackhole',
      /^10\.1\.7\.0\/24 is the longest prefix/,
      [
        '10.1.7.0/24 blackhole decides',
        '10.1.7.0/24 c unused',
        '10.1.0.0/16 a unused',
        '10.1.0.0/16 b unused',
        '10.0.0.0/8 c unused',
        '0.0.0.0/0 unreachable unused',
      ],
    ],
    ['no route', '2001:db8::1', 'abc', false, 'none', /^no prefix contains 2001:db8::1$/, []],
    ['a down peer alone', 'fd00::1', '', false, 'none', /every peer of it is down$/, ['fd00::/8 a down']],
  ];
  test.each(cases)('%s', (_, to, up, fallthrough, decision, why, lines) => {
    const explained = explain(TABLE, parseAddress(to), { isUp: (peer) => up.includes(peer), fallthrough });
    expect(explained.decision === undefined ? 'none' : formatTarget(explained.decision)).toBe(decision);
    expect(explained.why).toMatch(why);
    expect(
      explained.prefixes.flatMap(({ prefix, routes }) =>
        routes.map(
          ({ route, standing }) => `${formatPrefix(prefix)} ${route.peer ?? route.kind} ${standing}`,
        ),
      ),
    ).toEqual(lines);
  });
});
