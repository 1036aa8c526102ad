/** The figures a measurement may yield: their names in the JSON, what they are called, units, and which way is better. */

export interface Metric {
  readonly title: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  /** Digits after the decimal point in reports. */
  readonly digits: number;
}

const cpu = (title: string): Metric => ({ title, unit: 'CPU s/GB', better: 'lower', digits: 2 });

export const METRICS = {
  mbps: { title: 'goodput', unit: 'Mbit/s', better: 'higher', digits: 0 },
  cpuPerGb: cpu('CPU, both ends'),
  cpuPerGbA: cpu('CPU, end a'),
  cpuPerGbB: cpu('CPU, end b'),
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;
export type Values = Readonly<Partial<Record<MetricName, number>>>;
