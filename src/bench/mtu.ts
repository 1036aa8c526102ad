/** What packet size costs: goodput, packets per second and bytes on the cable, against the arithmetic of protocol/mtu.ts. */
import { readFileSync } from 'node:fs';
import { inNamespace } from '../lab/namespaces.ts';
import { ETHERNET_HEADER } from '../packet/ethernet.ts';
import { IPV4_MIN_HEADER } from '../packet/ipv4.ts';
import { TCP_IPV4_HEADERS } from '../packet/tcp.ts';
import { UDP_HEADER } from '../packet/udp.ts';
import { datagramSize, type ChannelShape } from '../protocol/mtu.ts';
import { stepSeconds, type Measurement, type Reading, type Scale } from './measurements.ts';
import type { Values } from './metrics.ts';
import { CABLE } from './testbed.ts';
import { measureTcp } from './traffic/tcp.ts';
import { openUdpFlow, type UdpFlow } from './traffic/udp.ts';
import type { Tunnel } from './tunnel.ts';

/** The tunnels' MTU in these measurements, so that every size fits. */
export const WIDE_MTU = 9000;
/** MTU of the cable. */
const PATH_MTU = 1500;

/** AES-256-CBC with SHA256, no compression framing. */
export const WIDE_SHAPE: ChannelShape = {
  hmacSize: 32,
  blockSize: 16,
  replay: true,
  framing: 'off',
  transport: 'udp',
  fragment: 0,
  tunMtu: WIDE_MTU,
  tunMtuExtra: 0,
};

export interface OuterCost {
  /** Outer IPv4 packets: more than one when the datagram is fragmented. */
  readonly frames: number;
  /** Bytes of outer IPv4 packets beyond the inner packet. */
  readonly overhead: number;
}

/** What an inner packet of `size` bytes costs on a path of `pathMtu` (RFC 791: fragments carry multiples of 8 bytes). */
export function outerCost(shape: ChannelShape, size: number, pathMtu = PATH_MTU): OuterCost {
  const payload = UDP_HEADER + datagramSize(shape, size);
  const room = pathMtu - IPV4_MIN_HEADER;
  const frames = payload <= room ? 1 : Math.ceil(payload / (room - (room % 8)));
  return { frames, overhead: payload + frames * IPV4_MIN_HEADER - size };
}

/** The largest inner packet whose datagram is not fragmented. */
export function largestUnfragmented(shape: ChannelShape, pathMtu = PATH_MTU): number {
  let size = pathMtu;
  while (outerCost(shape, size, pathMtu).frames > 1) size--;
  return size;
}

const LAST_WHOLE = largestUnfragmented(WIDE_SHAPE);
const UDP_SIZES = [64, 128, 256, 512, 1024, LAST_WHOLE, LAST_WHOLE + 1, 1500, 2048, 3000, 4500, 6000, 9000];
const QUICK_UDP_SIZES = [64, 512, LAST_WHOLE, LAST_WHOLE + 1, 9000];
const TCP_SIZES = [256, 512, 1024, 1400, 1500, 3000, 9000];
/** Offered loads, packets per second; the one that gets most across counts. */
const RATES = [20_000, 40_000, 80_000, 0];
const QUICK_RATES = [40_000, 0];

const PROBE_RATE = 200;
const PROBE_SECONDS = 0.2;
const PROBES = 3;

export const MTU_UDP: Measurement = {
  name: 'mtu-udp',
  title: 'UDP by size of the inner packet, a → b',
  curve: 'inner packet, bytes',
  run: async (tunnel, scale) => {
    const flow = await openUdpFlow(tunnel);
    try {
      const readings: Reading[] = [];
      for (const size of scale.quick ? QUICK_UDP_SIZES : UDP_SIZES) {
        readings.push({ at: size, values: await measureSize(tunnel, flow, size, scale) });
      }
      return readings;
    } finally {
      await flow.close();
    }
  },
};

async function measureSize(tunnel: Tunnel, flow: UdpFlow, size: number, scale: Scale): Promise<Values> {
  const { frames, overhead } = await measureCost(tunnel, flow, size);
  let received = 0;
  for (const rate of scale.quick ? QUICK_RATES : RATES) {
    const step = await flow.step(size, rate, stepSeconds(scale) / 2);
    received = Math.max(received, step.received);
  }
  const mbps = (received * size * 8) / 1e6;
  const overheadExpected = outerCost(WIDE_SHAPE, size).overhead;
  return { received, mbps, overhead, overheadExpected, frames };
}

/** Sends a few packets and reads the cable's counters; the middle of some tries, as keepalives are counted, too. */
async function measureCost(tunnel: Tunnel, flow: UdpFlow, size: number): Promise<OuterCost> {
  const tries: OuterCost[] = [];
  for (let probe = 0; probe < PROBES; probe++) {
    const before = cableCounters(tunnel);
    const { sent } = await flow.step(size, PROBE_RATE, PROBE_SECONDS);
    const after = cableCounters(tunnel);
    const packets = after.packets - before.packets;
    const frames = packets / sent;
    // Some may have been sent as a run (UDP_SEGMENT), which the cable counts as one packet.
    const merged = Math.max(0, sent - packets);
    const headers = merged * (IPV4_MIN_HEADER + UDP_HEADER) - packets * ETHERNET_HEADER;
    const bytes = (after.bytes - before.bytes + headers) / sent;
    tries.push({ frames: Math.round(frames), overhead: bytes - size });
  }
  return tries.toSorted((x, y) => x.overhead - y.overhead)[PROBES >> 1];
}

/** What end a has sent into the cable: /proc/net/dev, whose transmit columns are the ninth (bytes) and tenth (packets). */
function cableCounters({ testbed }: Tunnel): { bytes: number; packets: number } {
  const table = inNamespace(testbed.a, () => readFileSync('/proc/thread-self/net/dev', 'utf8'));
  const line = table.split('\n').find((row) => row.trim().startsWith(`${CABLE}:`));
  const columns = (line?.split(':')[1] ?? '').trim().split(/\s+/).map(Number);
  return { bytes: columns[8], packets: columns[9] };
}

export const MTU_TCP: Measurement = {
  name: 'mtu-tcp',
  title: 'TCP by size of the inner packet, a → b',
  needsIperf: true,
  curve: 'inner packet, bytes',
  run: async (tunnel, { seconds }) => {
    const readings: Reading[] = [];
    for (const size of TCP_SIZES) {
      const options = { streams: 1, direction: 'forward', mss: size - TCP_IPV4_HEADERS } as const;
      const { mbps, cpuPerGb } = await measureTcp(tunnel, { ...options, seconds: Math.ceil(seconds / 2) });
      readings.push({ at: size, values: cpuPerGb === undefined ? { mbps } : { mbps, cpuPerGb } });
    }
    return readings;
  },
};
