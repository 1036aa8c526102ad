/** The results as a table for a terminal. */
import { METRICS } from './metrics.ts';
import { figures, type BenchResults, type Figure } from './results.ts';

export function formatNumber(value: number, digits: number): string {
  if (!Number.isFinite(value)) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function formatRatio(ratio: number | undefined): string {
  return ratio === undefined || !Number.isFinite(ratio) ? '' : `${ratio.toFixed(2)}×`;
}

/** One line per figure: contender, median, least and greatest, ratio to stock. */
export function summaryLines(results: BenchResults): string[] {
  const all = figures(results);
  return results.measurements.flatMap(({ name, title }) => {
    const rows = all.filter(({ measurement }) => measurement === name).map(row);
    return rows.length === 0 ? [] : ['', title, ...aligned(rows)];
  });
}

function row({ contender, metric, summary, ratio }: Figure): string[] {
  const { title, unit, digits } = METRICS[metric];
  const number = (value: number) => formatNumber(value, digits);
  const spread = `${number(summary.min)}..${number(summary.max)}`;
  return [contender, title, number(summary.median), unit, spread, formatRatio(ratio)];
}

/** Columns as wide as their widest cell; numbers (from the third column on) to the right. */
function aligned(rows: readonly string[][]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const pad = (cell: string, column: number) =>
    column === 2 || column > 3 ? cell.padStart(widths[column]) : cell.padEnd(widths[column]);
  return rows.map((cells) => `  ${cells.map(pad).join('  ')}`.trimEnd());
}
