import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import type { Verdict } from '../../src/packet/verdict.ts';
import { ReplayWindow } from '../../src/protocol/replay-window.ts';
import { SlowReplayWindow } from '../oracles/slow-replay-window.ts';
import { bytesPerCall } from '../support/allocs.ts';

interface ReplayCase {
  name: string;
  options: string;
  steps: { t_offset_s: number; packet_id: number; time_delta: number; accepted: boolean; note?: string }[];
}

const file = new URL('../behaviour/replay-cases.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: ReplayCase[] };

function receive(window: ReplayWindow, id: number, time: number, nowSec: number): Verdict {
  const verdict = window.check(id, time, nowSec);
  if (verdict === PASS) window.record(id, time, nowSec);
  return verdict;
}

describe('as stock 2.6.14 answers', () => {
  test.each(cases.map((c) => [c.name, c] as const))('%s', (_, c) => {
    const [, ids, seconds] = /^replay-window (\d+) ?(\d*)/.exec(c.options)!;
    const window = new ReplayWindow(Number(ids), Number(seconds || 15));
    const start = 1_795_304_811;
    for (const step of c.steps) {
      const verdict = receive(window, step.packet_id, start + step.time_delta, start + step.t_offset_s);
      expect(verdict === PASS, `id ${step.packet_id}: ${step.note ?? ''}`).toBe(step.accepted);
    }
  });
});

type Step = readonly [id: number, time: number, nowSec: number, verdict: Verdict];

describe('names the reason', () => {
  const T = 1_700_000_000;
  const rows: readonly (readonly [rule: string, window: number, timeSec: number, steps: readonly Step[]])[] =
    [
      ['id 0', 64, 15, [[0, T, 0, DropReason.IllegalId]]],
      ['id 0 in strict mode', 0, 0, [[0, T, 0, DropReason.IllegalId]]],
      [
        'an id received before',
        64,
        15,
        [
          [7, T, 0, PASS],
          [7, T, 1, DropReason.Replay],
        ],
      ],
      [
        'an id below the window',
        4,
        15,
        [
          [10, T, 0, PASS],
          [7, T, 0, PASS],
          [6, T, 0, DropReason.Replay],
        ],
      ],
      [
        'an older epoch',
        64,
        15,
        [
          [1, T, 0, PASS],
          [99, T - 1, 0, DropReason.TimeBacktrack],
        ],
      ],
      [
        'an id that expired',
        64,
        15,
        [
          [10, T, 0, PASS],
          [9, T, 16, DropReason.ReplayExpired],
        ],
      ],
      [
        'nothing expires without a time limit',
        64,
        0,
        [
          [10, T, 0, PASS],
          [9, T, 1000, PASS],
        ],
      ],
      [
        'expiry waits for the next check of the window',
        64,
        15,
        [
          [10, T, 0, PASS],
          [20, T, 14, PASS],
          [9, T, 16, PASS],
          [8, T, 19, DropReason.ReplayExpired],
        ],
      ],
      [
        'expiry looked for when a packet comes, be it a refused one',
        64,
        3,
        [
          [0, T, 0, DropReason.IllegalId],
          [2, T, 1, PASS],
          [2, T, 5, DropReason.ReplayExpired],
          [1, T, 5, DropReason.ReplayExpired],
        ],
      ],
      [
        'the highest id there is',
        64,
        15,
        [
          [0xffffffff, T, 0, PASS],
          [0xffffffff, T, 0, DropReason.Replay],
          [0xfffffffe, T, 0, PASS],
          [1, T + 1, 0, PASS],
        ],
      ],
      [
        'a gap in strict mode',
        0,
        0,
        [
          [1, T, 0, PASS],
          [3, T, 0, DropReason.Replay],
          [2, T, 0, PASS],
        ],
      ],
    ];
  test.each(rows)('%s', (_, window, timeSec, steps) => {
    const replay = new ReplayWindow(window, timeSec);
    expect(steps.map(([id, time, now]) => receive(replay, id, time, now))).toEqual(
      steps.map((step) => step[3]),
    );
  });
});

test('accepts exactly what the slow window accepts', () => {
  const packet = fc.record({
    // Near the top, far from it, or at the edges of 32 bits.
    id: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -12, max: 12 }) },
      { weight: 1, arbitrary: fc.integer({ min: -200, max: 200 }) },
    ),
    jump: fc.oneof(
      { weight: 20, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constantFrom(-1, 1, 2) },
    ),
    wait: fc.oneof(
      { weight: 8, arbitrary: fc.constant(0) },
      { weight: 2, arbitrary: fc.integer({ min: 1, max: 9 }) },
    ),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(0, 1, 2, 3, 7, 8, 64, 100),
      fc.constantFrom(0, 3, 15),
      fc.constantFrom(1, 60, 1000, 0xffffff00),
      fc.array(packet, { maxLength: 200 }),
      (windowIds, timeSec, firstId, packets) => {
        const fast = new ReplayWindow(windowIds, timeSec);
        const slow = new SlowReplayWindow(windowIds, timeSec);
        let [time, now, id]: number[] = [1000, 500_000, firstId];
        for (const { id: step, jump, wait } of packets) {
          id = Math.min(0xffffffff, Math.max(0, (fast.top || id) + step));
          time += jump;
          now += wait;
          expect(receive(fast, id, time, now) === PASS).toBe(slow.accept(id, time, now));
          time = Math.max(time, fast.epoch - 1);
        }
      },
    ),
    { numRuns: 400 },
  );
});

test('checks and records without allocating', () => {
  const window = new ReplayWindow(64, 15);
  let id = 0;
  const perPacket = bytesPerCall(() => {
    id += 1;
    if (window.check(id, 1_795_304_811, 1000) === PASS) window.record(id, 1_795_304_811, 1000);
  });
  expect(window.top).toBe(id);
  expect(perPacket).toBeLessThan(1);
});
