import { describe, expect, test } from 'vitest';
import { formerPositions, RouteHits } from '../../src/route/hits.ts';
import type { Route } from '../../src/route/route.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { seeded } from '../support/random.ts';
import { BIRD, KERNEL, randomPrefixes, route, tableOf } from '../support/routes.ts';

const lists = (...routes: Route[]) => tableOf(...routes).list();
const A = route('10.1.0.0/16', 'a');
const A_BACKUP = route('10.1.0.0/16', 'b', 10);
const B = route('10.2.0.0/16', 'b');

describe('where routes stood before', () => {
  test.each<[rule: string, before: Route[], after: Route[], former: number[]]>([
    ['new ones nowhere', [], [A, B], [-1, -1]],
    ['behind a new one', [B], [A, B], [-1, 0]],
    ['behind one that went', [A, B], [B], [1]],
    ['beside others of their prefix', [A, A_BACKUP], [A_BACKUP, B], [1, -1]],
    ['though their line has moved', [A], [{ ...A }], [0]],
    ['not at another peer', [A], [route('10.1.0.0/16', 'b')], [-1]],
    ['not from another source', [A], [route('10.1.0.0/16', 'a', 0, BIRD)], [-1]],
    ['not of a longer prefix', [A], [route('10.1.0.0/17', 'a')], [-1]],
  ])('%s', (_rule, before, after, former) => {
    expect([...formerPositions(lists(...before), lists(...after))]).toEqual(former);
  });

  test('of many, some of which come and go', () => {
    const random = seeded(3);
    const all = [...randomPrefixes(300, 4, random), ...randomPrefixes(300, 6, random)];
    const some = () =>
      lists(
        ...all.flatMap((prefix) =>
          ['own', 'local'].flatMap((kind, metric) =>
            random() < 0.6 ? [{ ...route('::/0', kind, metric, KERNEL), prefix }] : [],
          ),
        ),
      );
    const [before, after] = [some(), some()];
    const former = formerPositions(before, after);
    const key = ({ prefix, kind }: Route) => `${prefix.bytes.join()}/${prefix.length} ${kind}`;
    const positions = new Map(before.map((each, at) => [key(each), at]));
    expect([...former]).toEqual(after.map((each) => positions.get(key(each)) ?? -1));
  });
});

describe('hits', () => {
  test('are counted for each route, and go with it into the next table', () => {
    const hits = new RouteHits(3);
    for (let i = 0; i < 1000; i++) hits.add(i % 2, 2, 100);
    expect(hits.slice(0, 3)).toEqual(Float64Array.of(1000, 50_000, 1000, 50_000, 0, 0));
    hits.add(2, 1, 60);
    const next = hits.moved(Int32Array.of(-1, 2, 0));
    next.add(1, 1, 60);
    expect(next.slice(0, 3)).toEqual(Float64Array.of(0, 0, 2, 120, 1000, 50_000));
    expect(next.slice(1, 2)).toEqual(Float64Array.of(2, 120));
  });

  test('cost no memory', () => {
    const hits = new RouteHits(1000);
    let next = 0;
    expect(bytesPerCall(() => hits.add(next++ % 1000, 1, 1500))).toBeLessThan(1);
  });
});
