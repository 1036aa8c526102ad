/** What is measured on each tunnel: one row, one sample. */
import type { Values } from './metrics.ts';
import { measureTcp, type TcpOptions } from './traffic/tcp.ts';
import type { Tunnel } from './tunnel.ts';

export interface Scale {
  /** Length of one TCP transfer. */
  readonly seconds: number;
  /** Samples of each measurement and contender. */
  readonly repeat: number;
}

export interface Measurement {
  /** As given to --only. */
  readonly name: string;
  readonly title: string;
  run(tunnel: Tunnel, scale: Scale): Promise<Values>;
}

function tcp(name: string, title: string, options: Omit<TcpOptions, 'seconds'>): Measurement {
  const run = async (tunnel: Tunnel, { seconds }: Scale) => ({
    ...(await measureTcp(tunnel, { ...options, seconds })),
  });
  return { name, title, run };
}

export const MEASUREMENTS: readonly Measurement[] = [
  tcp('tcp1', 'TCP, 1 stream, a → b', { streams: 1, direction: 'forward' }),
  tcp('tcp1-reverse', 'TCP, 1 stream, b → a', { streams: 1, direction: 'reverse' }),
  tcp('tcp4', 'TCP, 4 streams, a → b', { streams: 4, direction: 'forward' }),
  tcp('tcp4-reverse', 'TCP, 4 streams, b → a', { streams: 4, direction: 'reverse' }),
  tcp('tcp-both', 'TCP, 1 stream each way at once', { streams: 1, direction: 'both' }),
];
