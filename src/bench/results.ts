/** The JSON a run leaves behind, and what is computed from it. */
import type { Machine } from './machine.ts';
import { METRICS, type MetricName, type Values } from './metrics.ts';
import { summarize, type Summary } from './statistics.ts';

export interface Sample {
  readonly measurement: string;
  readonly contender: string;
  /** Counts from 0. */
  readonly repetition: number;
  /** Place on a curve (Reading.at); undefined for a single figure. */
  readonly at?: number;
  readonly values: Values;
}

export interface ContenderResult {
  readonly name: string;
  readonly title: string;
  /** Why it did not run. */
  readonly missing?: string;
}

export interface MeasurementResult {
  readonly name: string;
  readonly title: string;
  /** What `at` counts. */
  readonly curve?: string;
}

export interface Failure {
  readonly measurement: string;
  readonly contender: string;
  readonly why: string;
}

export interface BenchResults {
  readonly schema: 'tsvpn.bench/1';
  readonly machine: Machine;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly tookSeconds: number;
  readonly secondsPerTransfer: number;
  readonly repeat: number;
  readonly quick: boolean;
  readonly measurements: readonly MeasurementResult[];
  readonly contenders: readonly ContenderResult[];
  readonly samples: readonly Sample[];
  readonly failures: readonly Failure[];
}

/** The contender all others are compared with. */
export const REFERENCE = 'stock';

export interface Figure {
  readonly measurement: string;
  readonly contender: string;
  readonly at: number | undefined;
  readonly metric: MetricName;
  readonly summary: Summary;
  /** Median over the reference's median in the same run; undefined without a reference. */
  readonly ratio: number | undefined;
}

/** One figure for each measurement, contender, place on the curve and metric, in the order of the samples. */
export function figures(samples: readonly Sample[]): Figure[] {
  const groups = new Map<string, Omit<Figure, 'summary' | 'ratio'> & { values: number[] }>();
  for (const { measurement, contender, at, values } of samples) {
    for (const metric of Object.keys(METRICS) as MetricName[]) {
      const value = values[metric];
      if (value === undefined) continue;
      const key = keyOf(measurement, contender, at, metric);
      const group = groups.get(key) ?? { measurement, contender, at, metric, values: [] };
      group.values.push(value);
      groups.set(key, group);
    }
  }
  return [...groups.values()].map(({ values, ...group }) => {
    const reference = groups.get(keyOf(group.measurement, REFERENCE, group.at, group.metric));
    const summary = summarize(values);
    const ratio = reference === undefined ? undefined : summary.median / summarize(reference.values).median;
    return { ...group, summary, ratio };
  });
}

/**
 * Median of the ratios to another contender within each repetition; undefined without one. Samples of one repetition are
 * neighbours in time: that tells small differences from a machine that becomes slower. Curves are left out.
 */
export function pairedRatio(
  samples: readonly Sample[],
  { measurement, contender, metric }: Pick<Figure, 'measurement' | 'contender' | 'metric'>,
  reference: string,
): number | undefined {
  const own = samples.filter((sample) => sample.measurement === measurement && sample.at === undefined);
  const ratios = own.flatMap((sample) => {
    if (sample.contender !== contender) return [];
    const other = own.find((one) => one.contender === reference && one.repetition === sample.repetition);
    const ratio = (sample.values[metric] ?? Number.NaN) / (other?.values[metric] ?? Number.NaN);
    return Number.isFinite(ratio) ? [ratio] : [];
  });
  return ratios.length === 0 ? undefined : summarize(ratios).median;
}

function keyOf(measurement: string, contender: string, at: number | undefined, metric: MetricName): string {
  return JSON.stringify([measurement, contender, at, metric]);
}
