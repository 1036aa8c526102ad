/** Results of benches that never ran. */
import type { Values } from '../../src/bench/metrics.ts';
import type { BenchResults, Sample } from '../../src/bench/results.ts';

export function sample(
  measurement: string,
  contender: string,
  values: Values,
  place: { readonly repetition?: number; readonly at?: number } = {},
): Sample {
  return { measurement, contender, repetition: 0, ...place, values };
}

export function results(samples: readonly Sample[], more: Partial<BenchResults> = {}): BenchResults {
  const names = [...new Set(samples.map(({ measurement }) => measurement))];
  const contenders = [...new Set(samples.map(({ contender }) => contender))];
  return {
    schema: 'tsvpn.bench/1',
    machine: {
      cpu: 'Pentium',
      cores: 1,
      memoryBytes: 1e9,
      arch: 'x64',
      kernel: '6.1.0',
      distribution: 'Debian',
      versions: { node: '20.19.0', openvpn: '2.6.14' },
      commit: 'abc',
    },
    startedAt: '2026-01-01T00:00:00.000Z',
    tookSeconds: 120,
    secondsPerTransfer: 1,
    repeat: 1,
    quick: false,
    measurements: names.map((name) => ({ name, title: `title of ${name}` })),
    contenders: contenders.map((name) => ({ name, title: `title of ${name}` })),
    samples,
    failures: [],
    ...more,
  };
}
