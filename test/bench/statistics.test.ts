import { describe, expect, it } from 'vitest';
import { quantile, summarize } from '../../src/bench/statistics.ts';

describe('quantile', () => {
  it.each([
    ['the middle of three', [30, 10, 20], 0.5, 20],
    ['halfway between the middle two of four', [1, 2, 3, 10], 0.5, 2.5],
    ['the least', [5, 4, 9], 0, 4],
    ['the greatest', [5, 4, 9], 1, 9],
    ['between samples, in proportion', [0, 100], 0.99, 99],
    ['of one sample', [7], 0.99, 7],
  ])('%s', (_, samples, fraction, expected) => {
    expect(quantile(samples, fraction)).toBeCloseTo(expected);
  });

  it('leaves the samples in their order', () => {
    const samples = [3, 1, 2];
    quantile(samples, 0.5);
    expect(samples).toEqual([3, 1, 2]);
  });

  it('of nothing is not a number', () => expect(quantile([], 0.5)).toBeNaN());
});

it('a summary has count, median and extremes', () => {
  expect(summarize([4, 1, 100])).toEqual({ count: 3, median: 4, min: 1, max: 100 });
});
