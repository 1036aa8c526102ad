/** Probes over paths that take their time. */
import { describe, expect, test } from 'vitest';
import { ProbeTrain } from '../../src/engine/probe-train.ts';
import { PathMtuSearch } from '../../src/protocol/path-mtu-search.ts';

const LIKELY = [1280, 1400, 1420, 1460, 1492, 1500, 9000];
const DEVICE = 1500;
const WITNESS = 130;

interface Path {
  readonly mtu: number;
  readonly rttMs: number;
  /** Of the queue in front of the narrow place. */
  readonly bytesPerMs: number;
  /** What others send all the time; it waits in the same queue. */
  readonly backlogMs?: number;
}

/** The result, and the milliseconds it took. */
function probe({ mtu, rttMs, bytesPerMs, backlogMs = 0 }: Path): { found: number; tookMs: number } {
  const search = new PathMtuSearch({ floor: 130, ceiling: 65535, likely: LIKELY });
  const answers: { readonly atMs: number; readonly tell: () => void }[] = [];
  let nowMs = 0;
  let freeMs = 0;
  const enqueue = (size: number, tell: () => void) => {
    freeMs = Math.max(freeMs, nowMs + backlogMs) + size / bytesPerMs;
    if (size <= mtu) answers.push({ atMs: freeMs + rttMs, tell });
  };
  const train = new ProbeTrain(search, 2 * rttMs + 80, {
    probe: (size) => {
      if (size > DEVICE) return 'too-big';
      enqueue(size, () => train.arrived(size));
      return 'sent';
    },
    witness: (round) => enqueue(WITNESS, () => train.testified(round)),
  });
  for (; !train.done && nowMs < 60_000; nowMs++) {
    while (answers.length > 0 && answers[0].atMs <= nowMs) answers.shift()!.tell();
    if (nowMs >= train.dueMs()) train.step(nowMs);
  }
  return { found: search.passes, tookMs: nowMs };
}

describe('probes', () => {
  test.each([
    ['a fast path', { rttMs: 1, bytesPerMs: 10_000 }, 1000],
    ['a path round the world', { rttMs: 300, bytesPerMs: 10_000 }, 4000],
    ['1 Mbit/s', { rttMs: 20, bytesPerMs: 125 }, 4500],
    ['a full buffer', { rttMs: 20, bytesPerMs: 1250, backlogMs: 200 }, 4500],
  ])('find any MTU on %s', (_, path, limitMs) => {
    for (const mtu of [1280, 1333, 1400, 1461, 1492, 1499, 1500]) {
      const { found, tookMs } = probe({ ...path, mtu });
      expect(found).toBe(mtu);
      expect(tookMs).toBeLessThan(limitMs);
    }
  });
});
