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
  readonly measurements: readonly { readonly name: string; readonly title: string }[];
  readonly contenders: readonly ContenderResult[];
  readonly samples: readonly Sample[];
  readonly failures: readonly Failure[];
}

/** The contender all others are compared with. */
export const REFERENCE = 'stock';

export interface Figure {
  readonly measurement: string;
  readonly contender: string;
  readonly metric: MetricName;
  readonly summary: Summary;
  /** Median over the reference's median in the same run; undefined without a reference. */
  readonly ratio: number | undefined;
}

/** One figure for each measurement, contender and metric, in the order of the samples. */
export function figures({ samples }: Pick<BenchResults, 'samples'>): Figure[] {
  const groups = new Map<string, Omit<Figure, 'summary' | 'ratio'> & { values: number[] }>();
  for (const { measurement, contender, values } of samples) {
    for (const metric of Object.keys(METRICS) as MetricName[]) {
      const value = values[metric];
      if (value === undefined) continue;
      const key = `${measurement} ${contender} ${metric}`;
      const group = groups.get(key) ?? { measurement, contender, metric, values: [] };
      group.values.push(value);
      groups.set(key, group);
    }
  }
  return [...groups.values()].map(({ values, ...group }) => {
    const reference = groups.get(`${group.measurement} ${REFERENCE} ${group.metric}`);
    const summary = summarize(values);
    const ratio = reference === undefined ? undefined : summary.median / summarize(reference.values).median;
    return { ...group, summary, ratio };
  });
}
