/**
 * A TunnelStatus for people, in the manner of `wg show`: one paragraph per tunnel, relative times, human bytes. Several peers
 * have a line each in a table, and a paragraph when asked for one.
 */
import { plain, type Colour, type Paint } from './colour.ts';
import { explainDrop } from './drops.ts';
import { escapeText } from './escape.ts';
import { diagnoseSilence } from './silence.ts';
import type {
  Drops,
  PeerState,
  PeerStatus,
  Prefixes,
  Traffic,
  TrafficCount,
  TunnelState,
  TunnelStatus,
} from './status.ts';
import { protocolText } from './nat.ts';
import { renderTable } from './table.ts';
import { humanAge, humanBytes, humanDuration, plural } from './units.ts';

const STATE_COLOUR: Readonly<Record<TunnelState | PeerState, Colour>> = {
  starting: 'yellow',
  waiting: 'yellow',
  partial: 'yellow',
  connected: 'green',
  silent: 'red',
  restarting: 'yellow',
  exiting: 'yellow',
  ended: 'red',
};

type Row = readonly [label: string, value: string];

const counted = ({ bytes, packets }: TrafficCount) => `${humanBytes(bytes)} in ${plural(packets, 'packet')}`;

function prefixesText({ count, first }: Prefixes): string {
  const left = count - first.length;
  if (count === 0) return 'none';
  return left > 0 ? `${first.join(', ')} and ${left} more` : first.join(', ');
}

function peerRows(peer: PeerStatus): Row[] {
  const { lastPacketAgeMs } = peer;
  return [
    ['peer', peer.endpoint ?? unheard(peer)],
    ['last packet', lastPacketAgeMs === null ? 'never' : humanAge(lastPacketAgeMs)],
  ];
}

function trafficRows(traffic: Traffic, delivered: string, from: string): Row[] {
  return [
    ['received', `${counted(traffic.udpRead)}, ${counted(traffic.tunWrite)} ${delivered}`],
    ['sent', `${counted(traffic.udpWrite)}, ${counted(traffic.tunRead)} from ${from}`],
  ];
}

function socketRows(peer: PeerStatus): Row[] {
  const { crypto, socket } = peer;
  const shared = socket.shared ? ' (shared with other peers)' : '';
  return [
    [
      peer.protocol === 'tcp-client' ? 'calling from' : 'listening on',
      `${peer.local ?? 'nothing yet'}${shared}${peer.protocol === 'udp' ? '' : ` (${peer.protocol})`}`,
    ],
    ['crypto', `${crypto.cipher}, ${crypto.digest}`],
    ['key', `fingerprint ${crypto.keyFingerprint}`],
  ];
}

function unheard({ remote }: PeerStatus): string {
  return remote === null ? 'address not known yet' : `${remote}, nothing heard from it yet`;
}

/** The path is mentioned where it makes a difference. */
function mtuText({ mtu: { tunMtu, inner, path } }: PeerStatus): string {
  if (inner === tunMtu) return String(tunMtu);
  return `inner packets of ${inner} bytes instead of ${tunMtu} (path MTU ${path ?? 'not known'})`;
}

function mssText({ mtu }: PeerStatus): string {
  return mtu.mss === null ? 'mssfix off' : `TCP MSS ${mtu.mss}`;
}

const EVERY_FRAME = 'every Ethernet frame goes to the peer';

function deviceText({ device, deviceType, tunMtu }: TunnelStatus): string {
  return `${device ?? 'none'}${deviceType === 'tap' ? ' (Ethernet)' : ''}, MTU ${tunMtu}`;
}

/** A tunnel with one peer: both are one thing. */
function aloneRows(status: TunnelStatus, peer: PeerStatus): Row[] {
  const device = status.device ?? 'the device';
  return [
    ...peerRows(peer),
    ...silenceRows(peer),
    ...trafficRows(status.traffic, 'delivered', device),
    ['device', `${deviceText(status)}, ${mssText(peer)}`],
    ...(peer.mtu.inner < peer.mtu.tunMtu ? [['MTU', mtuText(peer)] as const] : []),
    ['offload', offloadText(status, peer)],
    ['address', status.addresses.join(', ') || 'none'],
    ['routes', status.deviceType === 'tap' ? EVERY_FRAME : prefixesText(peer.routes)],
    ...natRows(status),
    ...socketRows(peer).map(([label, value]): Row =>
      label === 'crypto' ? [label, `${value}, by ${status.cryptoProvider}`] : [label, value],
    ),
    ['config', status.configFiles.join(', ')],
    ['process', processLine(status)],
  ];
}

function tunnelRows(status: TunnelStatus): Row[] {
  const connected = status.peers.filter(({ state }) => state === 'connected').length;
  return [
    ['peers', `${connected} of ${status.peers.length} connected`],
    ...trafficRows(status.traffic, 'delivered', status.device ?? 'the device'),
    ['device', deviceText(status)],
    ['offload', offloadText(status, undefined)],
    ['address', status.addresses.join(', ') || 'none'],
    ['routes', `${status.routes.count} in the table, see \`tsvpn route list\``],
    ...natRows(status),
    ['crypto', `by ${status.cryptoProvider}`],
    ['config', status.configFiles.join(', ')],
    ['process', processLine(status)],
  ];
}

function natRows({ nat }: TunnelStatus): Row[] {
  if (nat === null) return [];
  const taken = nat.ports.map(
    ({ address, protocol, used, total }) => `${address} ${protocolText(protocol)} ${used} of ${total} ports`,
  );
  const sessions = `${nat.sessions} of ${nat.maxSessions} sessions, ${nat.halfOpen} half-open`;
  return [['nat', [sessions, ...taken].join('; ')]];
}

function processLine({ peers, pid, version, uptimeSec }: TunnelStatus): string {
  const total = peers.reduce((sum, { restarts }) => sum + restarts, 0);
  return `pid ${pid}, tsvpn ${version}, up ${humanDuration(uptimeSec)}, ${plural(total, 'restart')}`;
}

function stateFor(
  { state, stateSince }: Pick<TunnelStatus | PeerStatus, 'state' | 'stateSince'>,
  now: number,
): string {
  return `${state} for ${humanDuration((now - Date.parse(stateSince)) / 1000)}`;
}

function dropLines(drops: Drops): string[] {
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

function offloadText({ offload }: TunnelStatus, peer: PeerStatus | undefined): string {
  const socket = peer?.socket;
  const udp = [socket?.udpSegment ? 'UDP GSO' : '', socket?.udpReceive ? 'UDP GRO' : ''];
  const parts = [offload.tun === 'none' ? '' : `device ${offload.tun}`, ...udp].filter(Boolean);
  const failed =
    offload.fallbacks > 0 ? `; failed ${offload.fallbacks} times, single packets used instead` : '';
  const buffers =
    socket === undefined
      ? ''
      : `; socket buffers ${humanBytes(socket.receiveBufferBytes)} in, ${humanBytes(socket.sendBufferBytes)} out`;
  return `${parts.length > 0 ? parts.join(', ') : 'none'}${failed}${buffers}`;
}

function paragraph(head: string, rows: readonly Row[], drops: Drops, paint: Paint): string {
  const body = rows.map(([label, value]) => `  ${paint('bold', label)}: ${escapeText(value)}`);
  const dropped = dropLines(drops);
  return [
    head,
    ...body,
    ...(dropped.length > 0 ? [`  ${paint('bold', 'dropped packets')}:`, ...dropped] : []),
  ].join('\n');
}

function headLine(
  what: string,
  named: Pick<TunnelStatus | PeerStatus, 'name' | 'state' | 'stateSince'>,
  now: number,
  paint: Paint,
): string {
  const state = paint(STATE_COLOUR[named.state], stateFor(named, now));
  return `${paint('bold', what)}: ${paint('bold', escapeText(named.name))} (${state})`;
}

/** Renders without a trailing line feed; `now` in milliseconds since 1970. */
export function renderStatus(status: TunnelStatus, now: number, paint: Paint = plain): string {
  const { peers, drops } = status;
  const head = headLine('tunnel', status, now, paint);
  if (peers.length === 1) return paragraph(head, aloneRows(status, peers[0]), drops, paint);
  return [paragraph(head, tunnelRows(status), drops, paint), '', peerTable(peers, now, paint)].join('\n');
}

/** One of several peers, in full. */
export function renderPeer(peer: PeerStatus, now: number, paint: Paint = plain): string {
  const rows: Row[] = [
    ...peerRows(peer),
    ...silenceRows(peer),
    ...trafficRows(peer.traffic, 'inner', 'this side'),
    ['MTU', `${mtuText(peer)}, ${mssText(peer)}`],
    ['address', peer.addresses.join(', ') || 'none'],
    ['routes', prefixesText(peer.routes)],
    ...socketRows(peer),
    ['config', peer.configFile],
    ['restarts', String(peer.restarts)],
  ];
  return paragraph(headLine('peer', peer, now, paint), rows, peer.drops, paint);
}

function silenceRows(peer: PeerStatus): Row[] {
  const heard = peer.lastPacketAgeMs !== null || peer.state === 'connected';
  if ((heard && peer.unreachable === null) || peer.state === 'ended') return [];
  const { why, fix } = diagnoseSilence(peer);
  return [
    ['why', why],
    ['fix', fix.replaceAll(/\s+/g, ' ')],
  ];
}

function peerTable(peers: readonly PeerStatus[], now: number, paint: Paint): string {
  const head = ['peer', 'state', 'endpoint', 'last packet', 'received', 'sent', 'dropped', 'routes'];
  const rows = peers.map((peer) => {
    const { lastPacketAgeMs, traffic } = peer;
    const dropped = Object.values(peer.drops).reduce((sum, count) => sum + count, 0);
    return [
      peer.name,
      stateFor(peer, now),
      peer.endpoint ?? peer.remote ?? 'unknown',
      lastPacketAgeMs === null ? 'never' : humanAge(lastPacketAgeMs),
      humanBytes(traffic.udpRead.bytes),
      humanBytes(traffic.udpWrite.bytes),
      String(dropped),
      peer.routes.first.length > 0 ? shortRoutes(peer.routes) : '-',
    ];
  });
  const colours = peers.map(({ state }) => STATE_COLOUR[state]);
  return renderTable(head, rows, (text, row, column) => {
    if (row < 0) return paint('bold', text);
    return column === 1 ? paint(colours[row], text) : text;
  });
}

const ROUTES_IN_TABLE = 2;

function shortRoutes({ count, first }: Prefixes): string {
  const shown = first.slice(0, ROUTES_IN_TABLE);
  return count > shown.length ? `${shown.join(', ')} +${count - shown.length}` : shown.join(', ');
}
