/** A tunnel's status for tests, complete and plausible. */
import type { TunnelStatus } from '../../src/control/status.ts';

export const SAMPLE_STATUS: TunnelStatus = {
  schema: 'tsvpn.status/1',
  version: '0.1.0',
  name: 'site-a',
  pid: 4711,
  state: 'connected',
  stateSince: '2026-11-22T00:59:42.000Z',
  startedAt: '2026-11-22T00:59:00.000Z',
  uptimeSec: 105,
  restarts: 0,
  configFile: '/etc/tsvpn/site-a.conf',
  device: 'tun0',
  addresses: ['10.254.0.1 peer 10.254.0.2'],
  routes: ['10.1.0.0/16'],
  local: '0.0.0.0:1194',
  endpoint: '192.0.2.1:1194',
  crypto: { provider: 'OpenSSL 3.0.19', cipher: 'AES-256-CBC', digest: 'SHA256', keyFingerprint: '0123abcd' },
  lastPacketAgeMs: 3200,
  traffic: {
    tunRead: { packets: 5, bytes: 420 },
    tunWrite: { packets: 4, bytes: 336 },
    udpRead: { packets: 6, bytes: 2048 },
    udpWrite: { packets: 7, bytes: 3145728 },
    authReadBytes: 400,
    compression: null,
  },
  drops: { auth: 2, 'inner-header': 12 },
  mtu: { tunMtu: 1500, mss: 1345 },
};
