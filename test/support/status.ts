/** A tunnel's status for tests, complete and plausible. */
import type { PeerStatus, TunnelStatus } from '../../src/control/status.ts';

export const SAMPLE_PEER: PeerStatus = {
  name: 'site-a',
  state: 'connected',
  stateSince: '2026-11-22T00:59:42.000Z',
  restarts: 0,
  configFile: '/etc/tsvpn/site-a.conf',
  addresses: ['10.254.0.2'],
  routes: { count: 1, first: ['10.1.0.0/16'] },
  protocol: 'udp',
  local: '0.0.0.0:1194',
  remote: '192.0.2.1:1194',
  endpoint: '192.0.2.1:1194',
  crypto: { cipher: 'AES-256-CBC', digest: 'SHA256', keyFingerprint: '0123abcd' },
  lastPacketAgeMs: 3200,
  unreachable: null,
  traffic: {
    tunRead: { packets: 5, bytes: 420 },
    tunWrite: { packets: 4, bytes: 336 },
    udpRead: { packets: 6, bytes: 2048 },
    udpWrite: { packets: 7, bytes: 3145728 },
    authReadBytes: 400,
    compression: null,
  },
  drops: { auth: 2, 'inner-header': 12 },
  socket: {
    udpSegment: true,
    udpReceive: true,
    receiveBufferBytes: 8388608,
    sendBufferBytes: 8388608,
    shared: false,
  },
  mtu: { tunMtu: 1500, inner: 1500, mss: 1345, path: 1500 },
};

export const SAMPLE_STATUS: TunnelStatus = {
  schema: 'tsvpn.status/2',
  version: '0.1.0',
  name: 'site-a',
  pid: 4711,
  state: 'connected',
  stateSince: '2026-11-22T00:59:42.000Z',
  startedAt: '2026-11-22T00:59:00.000Z',
  uptimeSec: 105,
  configFiles: ['/etc/tsvpn/site-a.conf'],
  deviceType: 'tun',
  device: 'tun0',
  tunMtu: 1500,
  addresses: ['10.254.0.1 peer 10.254.0.2'],
  routes: { count: 3, first: ['10.1.0.0/16', '10.254.0.1/32', '10.254.0.2/32'] },
  nat: null,
  cryptoProvider: 'OpenSSL 3.0.19',
  traffic: SAMPLE_PEER.traffic,
  drops: SAMPLE_PEER.drops,
  icmpSent: 0,
  offload: { tun: 'tso+uso', fallbacks: 0 },
  peers: [SAMPLE_PEER],
};

/** A hub with `count` peers, of which only the first has been heard. */
export function hubStatus(count: number): TunnelStatus {
  const silent: PeerStatus = {
    ...SAMPLE_PEER,
    state: 'waiting',
    endpoint: null,
    lastPacketAgeMs: null,
    drops: {},
  };
  const peers = Array.from({ length: count }, (_, i) => ({
    ...(i === 0 ? SAMPLE_PEER : silent),
    name: `site-${i}`,
    routes: { count: 3, first: [`10.${i}.0.0/16`, `10.${i}.1.0/24`, `10.${i}.2.0/24`] },
  }));
  return { ...SAMPLE_STATUS, name: 'hub', state: 'partial', peers };
}
