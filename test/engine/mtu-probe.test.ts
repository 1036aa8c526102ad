/** A measurement against a peer that is simulated: what loss, silence and late answers make of it. */
import { describe, expect, test } from 'vitest';
import { MtuProbe, type PathMeasurement, type ProbeRequest } from '../../src/engine/mtu-probe.ts';
import type { ChannelShape } from '../../src/protocol/mtu.ts';
import { outerSize } from '../../src/protocol/mtu.ts';
import { EXACT_LOADS } from '../../src/protocol/occ.ts';
import type { SizedSend } from '../../src/transport/port.ts';
import { seeded } from '../support/random.ts';

const SHAPE: ChannelShape = {
  hmacSize: 32,
  blockSize: 16,
  replay: true,
  framing: 'off',
  transport: 'udp',
  fragment: 0,
  tunMtu: 1500,
  tunMtuExtra: 0,
};
const PATH = 1400;
const START_MS = 1000;
/** What stock 2.6 subtracts from the size asked for. */
const STOCK_DISCOUNT = 64;

interface Conditions {
  /** Round trip of a packet sent at that time, milliseconds; undefined for lost. */
  readonly delay: (sinceMs: number) => number | undefined;
  readonly tsvpn?: boolean;
}

/** Runs a measurement on a path of 1400 bytes both ways that carries fragments. */
function measure({ delay, tsvpn = true }: Conditions): PathMeasurement {
  const probe = new MtuProbe({ shape: SHAPE, family: 4, gentle: false, nowMs: START_MS });
  const answers: { atMs: number; length: number; total: number; whole: boolean }[] = [];
  let nowMs = START_MS;
  const send = (request: ProbeRequest): SizedSend => {
    const trip = delay(nowMs - START_MS);
    const length = request.load - (tsvpn ? 0 : STOCK_DISCOUNT);
    const load = outerSize(SHAPE, length, 4);
    const arrives = request.total <= PATH && request.loadTotal <= PATH;
    const whole = load <= PATH;
    if (trip === undefined || !arrives) return 'sent';
    const total = tsvpn ? request.loadTotal || EXACT_LOADS : -1;
    answers.push({ atMs: nowMs + trip, length, total, whole });
    return 'sent';
  };
  for (; probe.result === undefined && nowMs < START_MS + 10_000; nowMs++) {
    for (const answer of answers.filter(({ atMs }) => atMs <= nowMs)) {
      answers.splice(answers.indexOf(answer), 1);
      probe.load(answer.length, answer.total, answer.whole, nowMs);
    }
    if (nowMs >= probe.dueMs()) probe.step(nowMs, send);
  }
  return probe.result!;
}

const EXACT = { passes: PATH, fails: PATH + 1, local: false, complete: true };

describe.each([
  ['tsvpn', true],
  ['stock', false],
] as const)('to %s', (_, tsvpn) => {
  test.each<[string, Conditions['delay']]>([
    ['answers at once', () => 1],
    ['answers after 400 ms', () => 400],
    ['answers after 1 ms first, and then, behind other traffic, after 300', (ms) => (ms < 20 ? 1 : 300)],
    ['answers more and more slowly', (ms) => 1 + ms / 4],
    ['a second of silence in the middle', (ms) => (ms > 30 && ms < 1030 ? undefined : 5)],
    ['a second of silence near the end', (ms) => (ms > 350 && ms < 1350 ? undefined : 5)],
  ])('the path is found exactly: %s', (_title, delay) => {
    const { forward, fragments } = measure({ delay, tsvpn });
    expect(forward).toEqual(EXACT);
    expect(fragments).toBe(true);
  });

  test('and with 10 % of loss', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const chance = seeded(seed);
      const { forward } = measure({ delay: () => (chance() < 0.1 ? undefined : 20 + 20 * chance()), tsvpn });
      expect(forward).toEqual(EXACT);
    }
  });

  test('a loss of 30 % does not make less of the path than it is', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const chance = seeded(seed);
      const { forward } = measure({ delay: () => (chance() < 0.3 ? undefined : 20), tsvpn });
      if (forward?.fails !== undefined) expect(forward.fails).toBe(PATH + 1);
    }
  });

  test('a peer that falls silent after its first answer says nothing about the path', () => {
    const { forward, reverse, fragments } = measure({ delay: (ms) => (ms > 10 ? undefined : 1), tsvpn });
    expect(forward).toMatchObject({ fails: undefined, complete: false });
    expect(reverse?.fails).toBeUndefined();
    expect(fragments).toBeUndefined();
  });
});
