import { describe, expect, it } from 'vitest';
import { figures, pairedRatio } from '../../src/bench/results.ts';
import { sample } from '../support/bench.ts';

describe('figures', () => {
  it('are medians over the repetitions, with the ratio to the median of stock', () => {
    const samples = [
      sample('tcp1', 'stock', { mbps: 100 }),
      sample('tcp1', 'tsvpn', { mbps: 900 }),
      sample('tcp1', 'tsvpn', { mbps: 1000 }, { repetition: 1 }),
      sample('tcp1', 'stock', { mbps: 300 }, { repetition: 1 }),
    ];
    expect(figures(samples)).toEqual([
      {
        measurement: 'tcp1',
        contender: 'stock',
        at: undefined,
        metric: 'mbps',
        summary: { count: 2, median: 200, min: 100, max: 300 },
        ratio: 1,
      },
      {
        measurement: 'tcp1',
        contender: 'tsvpn',
        at: undefined,
        metric: 'mbps',
        summary: { count: 2, median: 950, min: 900, max: 1000 },
        ratio: 4.75,
      },
    ]);
  });

  it('of a curve are compared with stock at the same place', () => {
    const samples = [64, 512].flatMap((at) => [
      sample('mtu-udp', 'stock', { received: at }, { at }),
      sample('mtu-udp', 'tsvpn', { received: at * at }, { at }),
    ]);
    const ratios = figures(samples).filter(({ contender }) => contender === 'tsvpn');
    expect(ratios.map(({ at, ratio }) => [at, ratio])).toEqual([
      [64, 64],
      [512, 512],
    ]);
  });

  it('have no ratio in a run without stock', () => {
    expect(figures([sample('tcp1', 'tsvpn', { mbps: 900 })])[0].ratio).toBeUndefined();
  });

  it('do not mix metrics of one sample', () => {
    const all = figures([sample('tcp1', 'stock', { mbps: 1, cpuPerGb: 2 })]);
    expect(all.map(({ metric, summary }) => [metric, summary.median])).toEqual([
      ['mbps', 1],
      ['cpuPerGb', 2],
    ]);
  });
});

describe('the ratio to another contender', () => {
  const of = { measurement: 'nat-tcp', contender: 'tsvpn', metric: 'mbps' } as const;
  const pair = (repetition: number, routed: number, translated: number) => [
    sample('nat-tcp', 'tsvpn-routed', { mbps: routed }, { repetition }),
    sample('nat-tcp', 'tsvpn', { mbps: translated }, { repetition }),
  ];

  it('is the median of those within a repetition, so that a machine that slows down does not count', () => {
    const samples = [...pair(0, 4000, 3600), ...pair(1, 1000, 950), ...pair(2, 500, 480)];
    expect(pairedRatio(samples, of, 'tsvpn-routed')).toBe(0.95);
  });

  it('leaves out repetitions that one of them lacks', () => {
    const samples = [...pair(0, 1000, 900), sample('nat-tcp', 'tsvpn', { mbps: 1 }, { repetition: 1 })];
    expect(pairedRatio(samples, of, 'tsvpn-routed')).toBe(0.9);
  });

  it('is not there without the other', () => {
    expect(pairedRatio([sample('nat-tcp', 'tsvpn', { mbps: 1 })], of, 'tsvpn-routed')).toBeUndefined();
  });
});
