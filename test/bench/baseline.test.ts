import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  baselineOf,
  compareWithBaseline,
  readBaseline,
  type Baseline,
  type Verdict,
} from '../../src/bench/baseline.ts';
import type { MetricName } from '../../src/bench/metrics.ts';
import { OperatorError } from '../../src/errors.ts';
import { results, sample } from '../support/bench.ts';
import { tempDir } from '../support/temp-dir.ts';

function baseline(metric: MetricName, ratio: number, tolerance: number): Baseline {
  const row = { measurement: 'tcp1', contender: 'tsvpn', metric, ratio, tolerance };
  return { schema: 'tsvpn.bench-baseline/1', commit: undefined, cpu: 'Pentium', rows: [row] };
}

function runWith(metric: MetricName, ratio: number) {
  return results([
    sample('tcp1', 'stock', { [metric]: 100 }),
    sample('tcp1', 'tsvpn', { [metric]: 100 * ratio }),
  ]);
}

describe('the comparison with a baseline', () => {
  const rows: [rule: string, metric: MetricName, was: number, now: number, verdict: Verdict][] = [
    ['goodput within the band', 'mbps', 8, 6.5, 'within'],
    ['goodput below the band is a regression', 'mbps', 8, 5, 'regressed'],
    ['goodput above the band is an improvement', 'mbps', 8, 12, 'improved'],
    ['CPU time above the band is a regression', 'cpuPerGb', 0.1, 0.2, 'regressed'],
    ['CPU time below the band is an improvement', 'cpuPerGb', 0.1, 0.05, 'improved'],
    ['the edge of the band is within it', 'mbps', 8, 8 * 1.3, 'within'],
  ];
  it.each(rows)('%s', (_, metric, was, now, verdict) => {
    const [comparison] = compareWithBaseline(runWith(metric, now), baseline(metric, was, 0.3));
    expect(comparison.verdict).toBe(verdict);
    expect(comparison.now).toBeCloseTo(now);
  });

  it('leaves out what this run did not measure', () => {
    expect(compareWithBaseline(runWith('cpuPerGb', 1), baseline('mbps', 8, 0.3))).toEqual([]);
  });

  it('leaves out ratios of a run without stock', () => {
    const alone = results([sample('tcp1', 'tsvpn', { mbps: 1000 })]);
    expect(compareWithBaseline(alone, baseline('mbps', 8, 0.3))).toEqual([]);
  });
});

describe('a baseline', () => {
  it('made of a run finds that run within every tolerance', () => {
    const run = results([
      sample('tcp1', 'stock', { mbps: 333, cpuPerGb: 20 }),
      sample('tcp1', 'tsvpn', { mbps: 2999, cpuPerGb: 2.2 }),
      sample('rtt', 'stock', { rttMedian: 150, rttP99: 700 }),
      sample('rtt', 'stock-tsvpn', { rttMedian: 170, rttP99: 900 }),
    ]);
    const made = baselineOf(run);
    expect(made.rows.map(({ measurement, metric }) => `${measurement} ${metric}`)).toEqual([
      'tcp1 mbps',
      'tcp1 cpuPerGb',
      'rtt rttMedian',
    ]);
    expect(compareWithBaseline(run, made).map(({ verdict }) => verdict)).toEqual([
      'within',
      'within',
      'within',
    ]);
  });

  it('of this repository can be read', () => {
    expect(readBaseline('bench/baseline.json').rows.length).toBeGreaterThan(0);
  });

  it.each([
    ['no JSON', 'ratios: 8'],
    ['another schema', '{"schema":"tsvpn.bench/1"}'],
  ])('that is %s is refused with its name', (_, text) => {
    const file = join(tempDir(), 'baseline.json');
    writeFileSync(file, text);
    expect(() => readBaseline(file)).toThrow(OperatorError);
    expect(() => readBaseline(file)).toThrow(file);
  });
});
