/** Round-trip times through a tunnel, from a to b and back, in microseconds. */
import { fileURLToPath } from 'node:url';
import { startJob, type Job } from '../processes.ts';
import { quantile } from '../statistics.ts';
import type { Tunnel } from '../tunnel.ts';

const INTERVAL_MS = 4;
const GRACE_MS = 15_000;

export interface RttResult {
  readonly rttMedian: number;
  readonly rttP99: number;
}

/** Pings as many as fit into `seconds` when the answers come at once. */
export async function measureRtt(tunnel: Tunnel, seconds: number): Promise<RttResult> {
  const path = fileURLToPath(new URL('rtt-probe.js', import.meta.url));
  const count = Math.max(10, Math.round((seconds * 1000) / INTERVAL_MS));
  const words = [process.execPath, path, tunnel.address.b, `${count}`, `${INTERVAL_MS}`];
  const probe: Job = startJob(tunnel.testbed, 'a', words, seconds * 5000 + GRACE_MS);
  const times = JSON.parse(await probe.finished()) as number[];
  if (times.length < count / 2) throw new Error(`only ${times.length} of ${count} pings were answered`);
  const microseconds = times.map((time) => time * 1000);
  return { rttMedian: quantile(microseconds, 0.5), rttP99: quantile(microseconds, 0.99) };
}
