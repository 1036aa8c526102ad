/** The figures a measurement may yield: their names in the JSON, what they are called, units, and which way is better. */

export interface Metric {
  readonly title: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower' | 'neither';
  /** Digits after the decimal point in reports. */
  readonly digits: number;
  /** Where waiting for it ends, and what is said instead of a figure then. */
  readonly limit?: { readonly value: number; readonly text: string };
}

function metric(title: string, unit: string, better: Metric['better'], digits: number): Metric {
  return { title, unit, better, digits };
}

/** How long a handshake is waited for. */
export const HANDSHAKE_LIMIT_MS = 5000;

/** Counted from the start of a connection. */
function handshake(title: string, missing: string): Metric {
  const limit = { value: HANDSHAKE_LIMIT_MS, text: `${missing} in ${HANDSHAKE_LIMIT_MS / 1000} s` };
  return { ...metric(title, 'ms', 'lower', 1), limit };
}

export const METRICS = {
  mbps: metric('goodput', 'Mbit/s', 'higher', 0),
  cpuPerGb: metric('CPU, both ends', 's/GB', 'lower', 2),
  cpuPerGbA: metric('CPU, end a', 's/GB', 'lower', 2),
  cpuPerGbB: metric('CPU, end b', 's/GB', 'lower', 2),
  most: metric('most received', 'packets/s', 'higher', 0),
  lossless: metric('highest rate with < 0.1 % loss', 'packets/s', 'higher', 0),
  received: metric('received', 'packets/s', 'higher', 0),
  lossPercent: metric('loss', '%', 'lower', 2),
  rttMedian: metric('round trip, median', 'µs', 'lower', 0),
  rttP99: metric('round trip, p99', 'µs', 'lower', 0),
  rssA: metric('peak RSS, end a', 'MB', 'lower', 1),
  rssB: metric('peak RSS, end b', 'MB', 'lower', 1),
  overhead: metric('overhead', 'bytes/packet', 'neither', 0),
  overheadExpected: metric('overhead by arithmetic', 'bytes/packet', 'neither', 0),
  frames: metric('outer packets', 'per packet', 'neither', 0),
  firstByte: handshake('first byte', 'no byte'),
  answer: handshake('whole answer', 'not all'),
  seal: metric('seal', 'µs/packet', 'lower', 2),
  open: metric('open', 'µs/packet', 'lower', 2),
  lookups: metric('look-ups', 'million/s', 'higher', 1),
  compile: metric('compiling', 'ms', 'lower', 2),
  tableSize: metric('compiled table', 'kB', 'lower', 1),
  pps: metric('rate', 'packets/s', 'higher', 0),
  gbps: metric('inner traffic', 'Gbit/s', 'higher', 2),
  allocated: metric('allocated', 'bytes/packet', 'lower', 1),
  memory: metric('memory', 'bytes/session', 'lower', 0),
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;
export type Values = Readonly<Partial<Record<MetricName, number>>>;
