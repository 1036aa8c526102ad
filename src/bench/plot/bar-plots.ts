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
  readonly axis: string;
  readonly series: readonly Series[];
}

function series(name: string, measurement: string, metric: MetricName): Series {
  return { name, measurement, metric };
}

export const BAR_PLOTS: readonly BarPlot[] = [
  {
    name: 'tcp',
    title: 'TCP through the tunnel',
    axis: 'goodput, Mbit/s (more is better)',
    series: [
      series('1 stream, a → b', 'tcp1', 'mbps'),
      series('1 stream, b → a', 'tcp1-reverse', 'mbps'),
      series('4 streams, a → b', 'tcp4', 'mbps'),
      series('4 streams, b → a', 'tcp4-reverse', 'mbps'),
      series('both ways at once, sum', 'tcp-both', 'mbps'),
    ],
  },
  {
    name: 'cpu',
    title: 'CPU time of the tunnel, TCP, 1 stream',
    axis: 'CPU seconds per gigabyte (less is better)',
    series: [series('sending end', 'tcp1', 'cpuPerGbA'), series('receiving end', 'tcp1', 'cpuPerGbB')],
  },
  {
    name: 'udp',
    title: 'UDP through the tunnel: most packets received',
    axis: 'packets per second (more is better)',
    series: [64, 512, 1400].map((size) => series(`IP packets of ${size} bytes`, `udp${size}`, 'most')),
  },
  {
    name: 'rtt',
    title: 'Round trip through the tunnel, idle',
    axis: 'µs (less is better)',
    series: [series('median', 'rtt', 'rttMedian'), series('99th percentile', 'rtt', 'rttP99')],
  },
  {
    name: 'rtt-load',
    title: 'Round trip through the tunnel, under one TCP stream',
    axis: 'µs (less is better)',
    series: [series('median', 'rtt-load', 'rttMedian'), series('99th percentile', 'rtt-load', 'rttP99')],
  },
  {
    name: 'rss',
    title: 'Peak memory of one daemon',
    axis: 'resident megabytes (less is better)',
    series: [series('end a', 'rss', 'rssA'), series('end b', 'rss', 'rssB')],
  },
  {
    name: 'nat-tcp',
    title: 'TCP from a client through a gateway to its LAN, 1 stream',
    axis: 'goodput, Mbit/s (more is better)',
    series: [series('client → LAN', 'nat-tcp', 'mbps'), series('LAN → client', 'nat-tcp-reverse', 'mbps')],
  },
  {
    name: 'nat-udp',
    title: 'UDP from a client through a gateway to its LAN, packets of 64 bytes',
    axis: 'most packets received per second (more is better)',
    series: [series('client → LAN', 'nat-udp64', 'most')],
  },
  {
    name: 'peers-tcp',
    title: 'TCP, 1 stream, by the number of peers at the receiving end',
    axis: 'goodput, Mbit/s (more is better)',
    series: [series('goodput', 'peers-tcp', 'mbps')],
  },
  {
    name: 'peers-rss',
    title: 'Peak memory of a gateway, by the number of its peers',
    axis: 'resident megabytes (less is better)',
    series: [series('gateway', 'peers-rss', 'rssB')],
  },
  {
    name: 'routes',
    title: 'Routing table alone: look-ups of random addresses on one core',
    axis: 'million look-ups per second (more is better)',
    series: [series('look-ups', 'routes', 'lookups')],
  },
  {
    name: 'forwarding',
    title: 'A hub in memory, by the routes to each of two peers: 64-byte packets on one core',
    axis: 'packets per second (more is better)',
    series: [series('from peer to peer', 'forwarding', 'pps')],
  },
  {
    name: 'nat-path',
    title: 'A gateway in memory with and without source NAT: 64-byte packets on one core',
    axis: 'packets per second (more is better)',
    series: [series('rate', 'nat-path', 'pps')],
  },
  {
    name: 'providers',
    title: 'TCP, 1 stream, by crypto provider and offload',
    axis: 'goodput, Mbit/s (more is better)',
    series: [series('goodput', 'providers', 'mbps')],
  },
  {
    name: 'suites',
    title: 'TCP, 1 stream, tsvpn on both ends, by cipher and digest',
    axis: 'goodput, Mbit/s (more is better)',
    series: [series('goodput', 'suites', 'mbps')],
  },
  {
    name: 'codec',
    title: 'Crypto alone: 1408-byte packets on one core',
    axis: 'µs per packet (less is better)',
    series: [series('seal', 'codec', 'seal'), series('open', 'codec', 'open')],
  },
];
