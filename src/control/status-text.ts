/** A TunnelStatus for people, in the manner of `wg show`: one paragraph per tunnel, relative times, human bytes. */
import { plain, type Colour, type Paint } from './colour.ts';
import { explainDrop } from './drops.ts';
import { escapeText } from './escape.ts';
import type { TrafficCount, TunnelState, TunnelStatus } from './status.ts';
import { humanAge, humanBytes, humanDuration } from './units.ts';

const STATE_COLOUR: Readonly<Record<TunnelState, Colour>> = {
  starting: 'yellow',
  waiting: 'yellow',
  connected: 'green',
  silent: 'red',
  restarting: 'yellow',
  exiting: 'yellow',
};

const traffic = ({ bytes, packets }: TrafficCount) =>
  `${humanBytes(bytes)} in ${packets} packet${packets === 1 ? '' : 's'}`;

function rows(status: TunnelStatus): [label: string, value: string][] {
  const { crypto, mtu, lastPacketAgeMs } = status;
  const mss = mtu.mss === null ? 'mssfix off' : `TCP MSS ${mtu.mss}`;
  return [
    ['peer', status.endpoint ?? unheard(status)],
    ['last packet', lastPacketAgeMs === null ? 'never' : humanAge(lastPacketAgeMs)],
    ['received', `${traffic(status.traffic.udpRead)}, ${traffic(status.traffic.tunWrite)} delivered`],
    [
      'sent',
      `${traffic(status.traffic.udpWrite)}, ${traffic(status.traffic.tunRead)} from ${status.device ?? 'the device'}`,
    ],
    ['device', `${status.device ?? 'none'}, MTU ${mtu.tunMtu}, ${mss}`],
    ['offload', offloadText(status.offload)],
    ['address', status.addresses.join(', ') || 'none'],
    ['routes', status.routes.join(', ') || 'none'],
    ['listening on', status.local ?? 'nothing yet'],
    ['crypto', `${crypto.cipher}, ${crypto.digest}, by ${crypto.provider}`],
    ['key', `fingerprint ${crypto.keyFingerprint}`],
    ['config', status.configFile],
    ['process', processLine(status)],
  ];
}

function unheard({ remote }: TunnelStatus): string {
  return remote === null ? 'address not known yet' : `${remote}, nothing heard from it yet`;
}

function processLine(status: TunnelStatus): string {
  const restarts = status.restarts === 1 ? '1 restart' : `${status.restarts} restarts`;
  return `pid ${status.pid}, tsvpn ${status.version}, up ${humanDuration(status.uptimeSec)}, ${restarts}`;
}

function stateFor(status: TunnelStatus, now: number): string {
  const seconds = (now - Date.parse(status.stateSince)) / 1000;
  return `${status.state} for ${humanDuration(seconds)}`;
}

function dropLines(drops: TunnelStatus['drops']): string[] {
  const entries = Object.entries(drops).filter(([, count]) => count > 0);
  if (entries.length === 0) return [];
  const width = Math.max(...entries.map(([name]) => name.length));
  const digits = Math.max(...entries.map(([, count]) => String(count).length));
  return entries
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => {
      const meaning = explainDrop(name) ?? 'a reason this version of tsvpn does not know';
      return `    ${escapeText(name).padEnd(width)}  ${String(count).padStart(digits)}  ${meaning}`;
    });
}

function offloadText(offload: TunnelStatus['offload']): string {
  const udp = [offload.udpSegment ? 'UDP GSO' : '', offload.udpReceive ? 'UDP GRO' : ''].filter(Boolean);
  const parts = [offload.tun === 'none' ? '' : `device ${offload.tun}`, ...udp].filter(Boolean);
  const failed =
    offload.fallbacks > 0 ? `; failed ${offload.fallbacks} times, single packets used instead` : '';
  const buffers = `${humanBytes(offload.receiveBufferBytes)} in, ${humanBytes(offload.sendBufferBytes)} out`;
  return `${parts.length > 0 ? parts.join(', ') : 'none'}${failed}; socket buffers ${buffers}`;
}

/** Renders without a trailing line feed; `now` in milliseconds since 1970. */
export function renderStatus(status: TunnelStatus, now: number, paint: Paint = plain): string {
  const head = `${paint('bold', 'tunnel')}: ${paint('bold', escapeText(status.name))} (${paint(STATE_COLOUR[status.state], stateFor(status, now))})`;
  const body = rows(status).map(([label, value]) => `  ${paint('bold', label)}: ${escapeText(value)}`);
  const drops = dropLines(status.drops);
  return [
    head,
    ...body,
    ...(drops.length > 0 ? [`  ${paint('bold', 'dropped packets')}:`, ...drops] : []),
  ].join('\n');
}
