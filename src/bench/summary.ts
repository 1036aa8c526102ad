/** The results as tables for a terminal. */
import type { Paint } from '../control/colour.ts';
import { compareWithBaseline, type Baseline, type Comparison } from './baseline.ts';
import { formatRatio, formatValue } from './format.ts';
import { METRICS } from './metrics.ts';
import { figures, type BenchResults, type Figure } from './results.ts';

/** One line per figure: contender, median, least and greatest, ratio to stock. Curves are left to the report. */
export function summaryLines(results: BenchResults, baseline: Baseline | undefined, paint: Paint): string[] {
  const all = figures(results.samples).filter(({ at }) => at === undefined);
  const tables = results.measurements.flatMap(({ name, title }) => {
    const rows = all.filter(({ measurement }) => measurement === name).map(row);
    return rows.length === 0 ? [] : ['', paint('bold', title), ...aligned(rows)];
  });
  const missing = results.contenders.filter((contender) => contender.missing !== undefined);
  return [
    ...tables,
    ...(missing.length === 0 ? [] : ['', 'Not measured']),
    ...missing.map(({ name, missing }) => `  ${name}: ${missing}`),
    ...(results.failures.length === 0 ? [] : ['', 'Failed']),
    ...results.failures.map(({ measurement, contender, why }) => `  ${measurement}, ${contender}: ${why}`),
    ...(baseline === undefined ? [] : comparisonLines(compareWithBaseline(results, baseline), paint)),
  ];
}

/** Says what has changed: a regression in red, which may be a busy machine. */
function comparisonLines(comparisons: readonly Comparison[], paint: Paint): string[] {
  if (comparisons.length === 0) return [];
  const changed = comparisons.filter(({ verdict }) => verdict !== 'within');
  const line = ({ measurement, contender, metric, ratio, now, tolerance, verdict }: Comparison) =>
    paint(
      verdict === 'regressed' ? 'red' : 'green',
      `  ${verdict}: ${measurement} ${contender}, ${METRICS[metric].title}: ${formatRatio(now)} stock,` +
        ` was ${formatRatio(ratio)} (tolerance ${Math.round(tolerance * 100)} %)`,
    );
  const count = `${comparisons.length} ratios to stock compared with the baseline, ${changed.length} outside tolerance`;
  return ['', count, ...changed.map(line)];
}

function row({ contender, metric, summary, ratio }: Figure): string[] {
  const { title, unit } = METRICS[metric];
  const spread = `${formatValue(summary.min, metric)}..${formatValue(summary.max, metric)}`;
  return [
    contender,
    title,
    formatValue(summary.median, metric),
    unit,
    summary.count > 1 ? spread : '',
    formatRatio(ratio),
  ];
}

const NUMBER_COLUMNS = [2, 4, 5];

/** Columns as wide as their widest cell, numbers to the right. */
function aligned(rows: readonly string[][]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const pad = (cell: string, column: number) =>
    NUMBER_COLUMNS.includes(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]);
  return rows.map((cells) => `  ${cells.map(pad).join('  ')}`.trimEnd());
}
