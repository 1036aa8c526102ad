import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PathMtuSearch } from '../../src/protocol/path-mtu-search.ts';
import { seeded } from '../support/random.ts';

const LIKELY = [1280, 1400, 1460, 1492, 1500, 9000];

interface Path {
  readonly mtu: number;
  /** This host's own limit. */
  readonly device: number;
  /** Is the answer to this probe lost? */
  readonly loses: () => boolean;
}

interface Outcome {
  readonly found: number;
  readonly rounds: number;
  readonly probes: number;
}

function run(search: PathMtuSearch, path: Path, shuffle = (sizes: number[]) => sizes): Outcome {
  let rounds = 0;
  let probes = 0;
  const late: number[] = [];
  while (!search.done && rounds < 60) {
    rounds++;
    const answers = late.splice(0);
    for (const size of search.round()) {
      if (size > path.device) search.refused(size);
      else {
        probes++;
        if (size <= path.mtu && !path.loses()) answers.push(size);
      }
    }
    const order = shuffle(answers);
    // Some answers come in the round after.
    late.push(...order.slice(0, order.length >> 3));
    for (const size of order.slice(order.length >> 3)) {
      search.arrived(size);
      search.arrived(size);
    }
    search.endRound();
  }
  return { found: search.passes, rounds, probes };
}

function start(): PathMtuSearch {
  return new PathMtuSearch({ floor: 68, ceiling: 65535, likely: LIKELY });
}

const never = () => false;

describe('path MTU search', () => {
  test.each(LIKELY)('finds the likely MTU %i in a few rounds', (mtu) => {
    const { found, rounds, probes } = run(start(), { mtu, device: 65535, loses: never });
    expect(found).toBe(mtu);
    expect(rounds).toBeLessThanOrEqual(3);
    expect(probes).toBeLessThan(40);
  });

  test('finds any MTU exactly in few rounds when nothing is lost', () => {
    fc.assert(
      fc.property(fc.integer({ min: 68, max: 65535 }), (mtu) => {
        const { found, rounds } = run(start(), { mtu, device: 65535, loses: never });
        expect(found).toBe(mtu);
        expect(rounds).toBeLessThanOrEqual(8);
      }),
    );
  });

  test("ends at this host's own limit without a probe beyond it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 576, max: 9216 }), (device) => {
        expect(run(start(), { mtu: 65535, device, loses: never }).found).toBe(device);
      }),
    );
  });

  test('never claims more than has arrived, and is seldom short, when probes and answers are lost and come in any order', () => {
    const runs = 300;
    let short = 0;
    for (let seed = 1; seed <= runs; seed++) {
      const chance = seeded(seed);
      const shuffle = (sizes: number[]) => sizes.toSorted(() => chance() - 0.5);
      const mtu = 68 + Math.floor(chance() * 9000);
      const { found } = run(start(), { mtu, device: 9216, loses: () => chance() < 0.1 }, shuffle);
      expect(found).toBeLessThanOrEqual(mtu);
      if (found < mtu) short++;
    }
    expect(short).toBeLessThan(runs / 50);
  });

  test('corrects a bound that was only lost', () => {
    const search = start();
    search.arrived(1400);
    for (let i = 0; i < 2; i++) {
      search.round();
      search.endRound();
    }
    search.arrived(1492);
    const { found } = run(search, { mtu: 1492, device: 9216, loses: never });
    expect(found).toBe(1492);
  });

  test('looks where a router points to, and does not believe it', () => {
    const search = start();
    search.arrived(1300);
    search.told(1333);
    expect(search.round()).toContain(1333);
    search.endRound();
    expect(run(search, { mtu: 1400, device: 9216, loses: never }).found).toBe(1400);
  });

  test('says when it was the ceiling that ended it', () => {
    const search = new PathMtuSearch({ floor: 10, ceiling: 100, likely: [] });
    run(search, { mtu: 500, device: 9216, loses: never });
    expect(search.passes).toBe(100);
    expect(search.reachedCeiling).toBe(true);
  });
});
