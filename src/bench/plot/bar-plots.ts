/** The bar charts of a report: which figures go into which. */
import type { MetricName } from '../metrics.ts';

/** A series of a bar chart: a metric of a measurement. */
export interface Series {
  readonly name: string;
  readonly measurement: string;
  readonly metric: MetricName;
}

export interface BarPlot {
  readonly name: string;
  readonly title: string;
  /** Their metrics have one unit. */
  readonly series: readonly Series[];
}

function series(name: string, measurement: string, metric: MetricName): Series {
  return { name, measurement, metric };
}

function plot(name: string, title: string, ...of: readonly Series[]): BarPlot {
  return { name, title, series: of };
}

export const BAR_PLOTS: readonly BarPlot[] = [
  plot(
    'tcp',
    'TCP through the tunnel',
    series('1 stream, a → b', 'tcp1', 'mbps'),
    series('1 stream, b → a', 'tcp1-reverse', 'mbps'),
    series('4 streams, a → b', 'tcp4', 'mbps'),
    series('4 streams, b → a', 'tcp4-reverse', 'mbps'),
    series('both ways at once, sum', 'tcp-both', 'mbps'),
  ),
  plot(
    'cpu',
    'CPU time of the tunnel, TCP, 1 stream',
    series('sending end', 'tcp1', 'cpuPerGbA'),
    series('receiving end', 'tcp1', 'cpuPerGbB'),
  ),
  plot(
    'udp',
    'UDP through the tunnel: most packets received',
    ...[64, 512, 1400].map((size) => series(`IP packets of ${size} bytes`, `udp${size}`, 'most')),
  ),
  plot('rtt', 'Round trip through the tunnel, idle', ...roundTrip('rtt')),
  plot('rtt-load', 'Round trip through the tunnel, under one TCP stream', ...roundTrip('rtt-load')),
  plot('rss', 'Peak memory of one daemon', series('end a', 'rss', 'rssA'), series('end b', 'rss', 'rssB')),
  plot(
    'nat-tcp',
    'TCP from a client through a gateway to its LAN, 1 stream',
    series('client → LAN', 'nat-tcp', 'mbps'),
    series('LAN → client', 'nat-tcp-reverse', 'mbps'),
  ),
  plot(
    'nat-udp',
    'UDP from a client through a gateway to its LAN, packets of 64 bytes',
    series('client → LAN', 'nat-udp64', 'most'),
  ),
  plot(
    'peers-tcp',
    'TCP, 1 stream, by the number of peers at the receiving end',
    series('goodput', 'peers-tcp', 'mbps'),
  ),
  plot(
    'peers-rss',
    'Peak memory of a gateway, by the number of its peers',
    series('gateway', 'peers-rss', 'rssB'),
  ),
  plot(
    'routes',
    'Routing table alone: look-ups of random addresses on one core',
    series('look-ups', 'routes', 'lookups'),
  ),
  plot(
    'forwarding',
    'A hub in memory, by the routes to each of two peers: 64-byte packets on one core',
    series('from peer to peer', 'forwarding', 'pps'),
  ),
  plot(
    'nat-path',
    'A gateway in memory with and without source NAT: 64-byte packets on one core',
    series('rate', 'nat-path', 'pps'),
  ),
  plot('providers', 'TCP, 1 stream, by crypto provider and offload', series('goodput', 'providers', 'mbps')),
  plot(
    'suites',
    'TCP, 1 stream, tsvpn on both ends, by cipher and digest',
    series('goodput', 'suites', 'mbps'),
  ),
  plot(
    'codec',
    'Crypto alone: 1408-byte packets on one core',
    series('seal', 'codec', 'seal'),
    series('open', 'codec', 'open'),
  ),
];

function roundTrip(measurement: string): Series[] {
  return [series('median', measurement, 'rttMedian'), series('99th percentile', measurement, 'rttP99')];
}
