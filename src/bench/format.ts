/** Figures as text. */
import { METRICS, type Metric, type MetricName } from './metrics.ts';
import type { Reading } from './measurements.ts';

export function formatNumber(value: number, digits: number): string {
  if (!Number.isFinite(value)) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function formatValue(value: number, metric: MetricName): string {
  const { digits, limit }: Metric = METRICS[metric];
  return limit !== undefined && value >= limit.value ? limit.text : formatNumber(value, digits);
}

/** `goodput 480 Mbit/s`, `first byte: no byte in 5 s`. */
function formatFigure(value: number, metric: MetricName): string {
  const { title, unit, limit }: Metric = METRICS[metric];
  const text = formatValue(value, metric);
  return text === limit?.text ? `${title}: ${text}` : `${title} ${text} ${unit}`;
}

/** `1.80×`, or nothing without a ratio. */
export function formatRatio(ratio: number | undefined): string {
  return ratio === undefined || !Number.isFinite(ratio) ? '' : `${formatNumber(ratio, 2)}×`;
}

/** One line about one measurement of one contender; of a curve, the number of its points. */
export function formatReadings(measurement: string, contender: string, readings: readonly Reading[]): string {
  const isSingle = ({ at }: Reading) => at === undefined || readings.length === 1;
  const single = readings.filter(isSingle).flatMap(({ values }) => Object.entries(values));
  const figures = single.map(([name, value]) => formatFigure(value, name as MetricName));
  const points = readings.length - readings.filter(isSingle).length;
  if (points > 0) figures.push(`${points} points of the curve`);
  return `${measurement} ${contender}: ${figures.join(', ') || 'done'}`;
}
