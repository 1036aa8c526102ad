import { expect, it } from 'vitest';
import { pipeline } from '../../src/bench/pipeline.ts';

it('every packet crosses the pipeline in memory, and rates and allocations are counted', () => {
  const readings = [...pipeline.run({ seconds: 1, repeat: 1, quick: true })];
  expect(readings.map(({ contender }) => contender.split(', ')[1])).toEqual([
    '64 bytes',
    '512 bytes',
    '1400 bytes',
  ]);
  for (const { values } of readings) {
    expect(values.pps).toBeGreaterThan(0);
    expect(values.gbps).toBeGreaterThan(0);
    expect(values.allocated).toBeGreaterThanOrEqual(0);
  }
});
