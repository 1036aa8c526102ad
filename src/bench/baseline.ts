/**
 * Ratios to stock of an earlier run, and the comparison with them. Only ratios are compared: absolute figures say
 * more about the machine than about tsvpn. A ratio outside its tolerance is reported and fails nothing.
 */
import { readFileSync } from 'node:fs';
import { ExitCode, OperatorError } from '../errors.ts';
import { METRICS, type MetricName } from './metrics.ts';
import { figures, type BenchResults, type Figure } from './results.ts';

export interface BaselineRow {
  readonly measurement: string;
  readonly contender: string;
  readonly metric: MetricName;
  /** To stock, in the same run. */
  readonly ratio: number;
  /** The part of `ratio` by which another run may be worse: 0.3 for 30 %. */
  readonly tolerance: number;
}

export interface Baseline {
  readonly schema: 'tsvpn.bench-baseline/1';
  readonly commit: string | undefined;
  readonly cpu: string;
  readonly rows: readonly BaselineRow[];
}

/** What is compared, and how much it swings between runs on a busy machine with two cores. */
const TOLERANCES: Partial<Record<MetricName, number>> = {
  mbps: 0.35,
  cpuPerGb: 0.3,
  most: 0.4,
  rttMedian: 1,
  rssA: 0.3,
};

/** Swings too much to say anything about tsvpn. */
const LEFT_OUT = ['rtt-load'];
const CONTENDERS = ['tsvpn', 'tsvpn-stock', 'stock-tsvpn'];

/** The baseline that a run is for later ones. */
export function baselineOf({ samples, machine }: BenchResults): Baseline {
  const rows = figures(samples).flatMap(({ measurement, contender, at, metric, ratio }): BaselineRow[] => {
    const tolerance = TOLERANCES[metric];
    if (tolerance === undefined || at !== undefined || !CONTENDERS.includes(contender)) return [];
    if (ratio === undefined || !Number.isFinite(ratio) || LEFT_OUT.includes(measurement)) return [];
    return [{ measurement, contender, metric, ratio: Math.round(ratio * 1000) / 1000, tolerance }];
  });
  return { schema: 'tsvpn.bench-baseline/1', commit: machine.commit, cpu: machine.cpu, rows };
}

export type Verdict = 'regressed' | 'improved' | 'within';

export interface Comparison extends BaselineRow {
  /** The ratio of this run. */
  readonly now: number;
  readonly verdict: Verdict;
}

/** Compares what both have; the rest of the baseline was not measured in this run. */
export function compareWithBaseline(
  { samples }: Pick<BenchResults, 'samples'>,
  { rows }: Baseline,
): Comparison[] {
  const all = figures(samples);
  return rows.flatMap((row): Comparison[] => {
    const now = all.find((figure) => isOf(figure, row))?.ratio;
    return now === undefined || !Number.isFinite(now) ? [] : [{ ...row, now, verdict: judge(row, now) }];
  });
}

function isOf(figure: Figure, row: BaselineRow): boolean {
  return (
    figure.measurement === row.measurement &&
    figure.contender === row.contender &&
    figure.metric === row.metric &&
    figure.at === undefined
  );
}

function judge({ metric, ratio, tolerance }: BaselineRow, now: number): Verdict {
  const low = ratio / (1 + tolerance);
  const high = ratio * (1 + tolerance);
  if (now >= low && now <= high) return 'within';
  return now > high === (METRICS[metric].better === 'higher') ? 'improved' : 'regressed';
}

/** Throws OperatorError (exit code 2) when the file is not there or is no baseline. */
export function readBaseline(file: string): Baseline {
  try {
    const baseline = JSON.parse(readFileSync(file, 'utf8')) as Baseline;
    if (baseline.schema !== 'tsvpn.bench-baseline/1')
      throw new Error(`its schema is ${String(baseline.schema)}`);
    return baseline;
  } catch (error) {
    throw new OperatorError({
      code: 'BENCH_BASELINE',
      what: `${file} cannot be used as a baseline`,
      why: error instanceof Error ? error.message : String(error),
      fix: 'give a file of schema tsvpn.bench-baseline/1, or leave out --baseline',
      exitCode: ExitCode.Usage,
      cause: error,
    });
  }
}
