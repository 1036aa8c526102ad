/** What is measured on each tunnel of the main comparison: one row, one sample. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Values } from './metrics.ts';
import { peakRss } from './resources.ts';
import { measureRtt } from './traffic/rtt.ts';
import { measureTcp, type TcpOptions } from './traffic/tcp.ts';
import { searchUdp } from './traffic/udp.ts';
import type { Tunnel } from './tunnel.ts';

/** How long and how often. */
export interface Scale {
  /** Length of one TCP transfer. */
  readonly seconds: number;
  /** Samples of each measurement and contender. */
  readonly repeat: number;
  /** Few points and no searches: for `--quick`. */
  readonly quick: boolean;
}

/** One figure, or one point of a curve. */
export interface Reading {
  /** Where on the curve: offered packets per second (0: as fast as possible), or bytes of the inner packet. */
  readonly at?: number;
  readonly values: Values;
}

export interface Measurement {
  /** As given to --only. */
  readonly name: string;
  readonly title: string;
  /** What `at` counts, for axes. */
  readonly curve?: string;
  readonly needsIperf?: boolean;
  /** Of the whole run, not of each repetition. */
  readonly once?: boolean;
  run(tunnel: Tunnel, scale: Scale): Promise<readonly Reading[]>;
}

export function tcp(name: string, title: string, options: Omit<TcpOptions, 'seconds'>): Measurement {
  const run = async (tunnel: Tunnel, { seconds }: Scale) => [
    { values: await measureTcp(tunnel, { ...options, seconds }) },
  ];
  return { name, title, needsIperf: true, run };
}

/** Offered loads, packets per second; 0 is as fast as possible. */
const FULL_SWEEP = [5000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 0];
const QUICK_SWEEP = [40_000, 160_000, 0];
const BISECTIONS = 5;

/** Until TCP's slow start is over. */
const LOAD_LEAD_MS = 500;

/** Length of one step of a UDP measurement: many short ones say more than a long one. */
export function stepSeconds({ seconds }: Scale): number {
  return Math.min(1, Math.max(0.3, seconds / 5));
}

/** `size` is that of the inner IP packet: a 64-byte packet carries 36 bytes of UDP payload. */
export function udp(
  size: number,
  name = `udp${size}`,
  title = `UDP, IP packets of ${size} bytes, a → b`,
): Measurement {
  return {
    name,
    title,
    curve: 'offered packets/s',
    run: async (tunnel, scale) => {
      const { sweep, most, lossless } = await searchUdp(tunnel, {
        size,
        rates: scale.quick ? QUICK_SWEEP : FULL_SWEEP,
        secondsPerStep: stepSeconds(scale),
        bisections: scale.quick ? 0 : BISECTIONS,
      });
      const points = sweep.map(({ rate, received, loss }) => ({
        at: rate,
        values: { received, lossPercent: loss * 100 },
      }));
      return [{ values: scale.quick ? { most } : { most, lossless } }, ...points];
    },
  };
}

function rttSeconds({ quick, seconds }: Scale): number {
  return quick ? Math.min(1, seconds) : seconds;
}

/** The load begins before the pings and ends after them. */
async function rttUnderLoad(tunnel: Tunnel, scale: Scale): Promise<readonly Reading[]> {
  const seconds = rttSeconds(scale);
  const load = measureTcp(tunnel, { streams: 1, direction: 'forward', seconds: seconds + 1 });
  const rtt = pause(LOAD_LEAD_MS).then(() => measureRtt(tunnel, seconds));
  const [values] = await Promise.all([rtt, load]);
  return [{ values }];
}

export function peakMemory({ daemons }: Tunnel): Promise<readonly Reading[]> {
  if (daemons.a === undefined || daemons.b === undefined) return Promise.resolve([]);
  const values = { rssA: peakRss(daemons.a.pid) / 1e6, rssB: peakRss(daemons.b.pid) / 1e6 };
  return Promise.resolve([{ values }]);
}

export const MEASUREMENTS: readonly Measurement[] = [
  tcp('tcp1', 'TCP, 1 stream, a → b', { streams: 1, direction: 'forward' }),
  tcp('tcp1-reverse', 'TCP, 1 stream, b → a', { streams: 1, direction: 'reverse' }),
  tcp('tcp4', 'TCP, 4 streams, a → b', { streams: 4, direction: 'forward' }),
  tcp('tcp4-reverse', 'TCP, 4 streams, b → a', { streams: 4, direction: 'reverse' }),
  tcp('tcp-both', 'TCP, 1 stream each way at once', { streams: 1, direction: 'both' }),
  udp(64),
  udp(512),
  udp(1400),
  {
    name: 'rtt',
    title: 'Round trip, idle',
    run: async (tunnel, scale) => [{ values: await measureRtt(tunnel, rttSeconds(scale)) }],
  },
  { name: 'rtt-load', title: 'Round trip under a TCP stream', needsIperf: true, run: rttUnderLoad },
  // Last: the peak is that of everything before.
  { name: 'rss', title: 'Peak memory', once: true, run: peakMemory },
];
