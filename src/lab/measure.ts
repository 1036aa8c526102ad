/** What is measured in the lab: ping, traceroute and a TCP transfer, from each site to the other. */
import { isAnswered } from './picture.ts';
import type { Network } from './network.ts';
import { ping, traceroute } from './probe.ts';
import type { Reaper } from './reaper.ts';
import type { LabOptions, LabReport, PingResult, TraceResult, TransferResult } from './report.ts';
import { expectedHops, otherSite, SITE_A, SITE_B, type Site } from './topology.ts';
import { transfer, type TransferEnd } from './transfer.ts';

const PINGS = 5;
const SITES = [SITE_A, SITE_B];

export type Measurements = Pick<LabReport, 'ok' | 'pings' | 'traces' | 'transfers'>;

/** Rejects when `options.signal` is aborted. */
export async function measure(
  network: Network,
  reaper: Reaper,
  { signal, transferBytes }: LabOptions,
  progress: (line: string) => void,
): Promise<Measurements> {
  progress('pinging and tracing across, both ways');
  const pings = await inTurn((site) => measurePing(network, site, signal));
  const traces = await inTurn((site) => measureTrace(network, site, signal));
  progress('sending over TCP, both ways');
  const transfers = await inTurn((site) => measureTransfer(network, site, transferBytes, reaper, signal));
  const ok =
    pings.every(isAnswered) &&
    traces.every(({ asExpected }) => asExpected) &&
    transfers.every(({ intact }) => intact);
  return { ok, pings, traces, transfers };
}

async function inTurn<Result>(measureFrom: (site: Site) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (const site of SITES) results.push(await measureFrom(site));
  return results;
}

async function measurePing(network: Network, from: Site, signal: AbortSignal): Promise<PingResult> {
  const rtts = await ping(network[from.host], otherSite(from).hostAddress, PINGS, signal);
  const mean = rtts.reduce((sum, rtt) => sum + rtt, 0) / rtts.length;
  return {
    from: from.letter,
    sent: PINGS,
    received: rtts.length,
    rttMs:
      rtts.length === 0
        ? undefined
        : { min: round(Math.min(...rtts)), mean: round(mean), max: round(Math.max(...rtts)) },
  };
}

async function measureTrace(network: Network, from: Site, signal: AbortSignal): Promise<TraceResult> {
  const hops = await traceroute(network[from.host], otherSite(from).hostAddress, signal);
  const expected = expectedHops(from);
  const asExpected = hops.length === expected.length && hops.every((hop, i) => hop === expected[i]);
  return { from: from.letter, hops, asExpected };
}

async function measureTransfer(
  network: Network,
  from: Site,
  bytes: number,
  reaper: Reaper,
  signal: AbortSignal,
): Promise<TransferResult> {
  const end = (site: Site): TransferEnd => ({ namespace: network[site.host], address: site.hostAddress });
  const {
    seconds,
    intact,
    bytes: received,
  } = await transfer(end(from), end(otherSite(from)), bytes, reaper, signal);
  return { from: from.letter, bytes, megabitsPerSecond: round((received * 8) / seconds / 1e6), intact };
}

/** To three decimals: microseconds, kilobits per second. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
