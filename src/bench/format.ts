/** Figures as text. */
import { METRICS, type MetricName } from './metrics.ts';
import type { Reading } from './measurements.ts';

export function formatNumber(value: number, digits: number): string {
  if (!Number.isFinite(value)) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function formatValue(value: number, metric: MetricName): string {
  return formatNumber(value, METRICS[metric].digits);
}

/** `1.80×`, or nothing without a ratio. */
export function formatRatio(ratio: number | undefined): string {
  return ratio === undefined || !Number.isFinite(ratio) ? '' : `${formatNumber(ratio, 2)}×`;
}

/** One line about one measurement of one contender; of a curve, the number of its points. */
export function formatReadings(measurement: string, contender: string, readings: readonly Reading[]): string {
  const single = readings
    .filter(({ at }) => at === undefined)
    .flatMap(({ values }) => Object.entries(values));
  const figures = single.map(([name, value]) => {
    const { title, unit } = METRICS[name as MetricName];
    return `${title} ${formatValue(value, name as MetricName)} ${unit}`;
  });
  const points = readings.length - readings.filter(({ at }) => at === undefined).length;
  if (points > 0) figures.push(`${points} points of the curve`);
  return `${measurement} ${contender}: ${figures.join(', ') || 'done'}`;
}
