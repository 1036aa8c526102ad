/**
 * Every supported directive of OpenVPN's: what its lines make of the config, and what is refused, with the column.
 * test/config/directives-table.test.ts drives it.
 */
import { PROCESS_ROWS } from './directive-rows-process.ts';
import { flag, NOTHING, type DirectiveRow, type Row } from './directive-row.ts';

const REMOTE = 'remote gw.example.net 1200';
const redirect = (name: string): Row => ({
  takes: [
    [name, 'gateway.redirect.ipv4', name.replace('redirect-', '')],
    [`${name} def1`, 'gateway.redirect.def1', true],
    [`${name} local`, 'gateway.redirect.local', true],
    [`${name} block-local`, 'gateway.redirect.blockLocal', true],
    [`${name} ipv6`, 'gateway.redirect.ipv6', true],
    [`${name} ipv6 !ipv4`, 'gateway.redirect.ipv4', 'off'],
  ],
  refuses: [[`${name} def2`, name.length + 2]],
});

const TAP = ['dev tap0', 'ifconfig 10.0.0.1 255.255.255.0'];
export const ROWS: Readonly<Record<string, DirectiveRow>> = {
  // Key and crypto
  secret: {
    takes: [
      ['secret other.key', 'key.source', { kind: 'file', path: `${process.cwd()}/other.key` }],
      ['secret static.key 1', 'key.direction', 1],
      ['<secret>\nabc\n</secret>', 'key.source', { kind: 'inline' }],
    ],
    refuses: [['secret static.key 2', 19]],
  },
  'key-direction': { takes: [['key-direction 0', 'key.direction', 0]] },
  cipher: {
    takes: [
      ['cipher aes-128-cbc', 'cipher.name', 'AES-128-CBC'],
      ['cipher none', 'cipher.name', 'none'],
      ['data-ciphers-fallback AES-192-CBC', 'cipher.keySize', 24],
    ],
    refuses: [
      ['cipher AES-256-GCM', 1],
      ['cipher BF-CBC', 1],
    ],
  },
  auth: { takes: [['auth sha-256', 'digest.name', 'SHA256']], refuses: [['auth NULL', 1]] },
  'replay-window': {
    takes: [
      ['replay-window 128', 'replay.window', 128],
      ['replay-window 0 600', 'replay.timeSec', 600],
    ],
    refuses: [[['no-replay', 'replay-window 10'], 1]],
  },
  'mute-replay-warnings': flag('replay.muteWarnings'),
  'no-replay': flag('replay.enabled', false),
  providers: {
    takes: [['providers legacy default', 'legacyProvider', true]],
    refuses: [['providers legacy', 1]],
  },
  'allow-deprecated-insecure-static-crypto': NOTHING,
  'replay-persist': { takes: [['replay-persist r.bin', 'replay.persist', `${process.cwd()}/r.bin`]] },

  // Transport
  remote: {
    takes: [
      [REMOTE, 'transport.remotes.0.host', 'gw.example.net'],
      [REMOTE, 'transport.remotes.0.port', 1200],
      ['remote 192.0.2.1 1200 udp4', 'transport.remotes.0.family', 'ipv4'],
      [[REMOTE, 'remote b.example.net'], 'transport.remotes.1.host', 'b.example.net'],
    ],
    refuses: [
      ['remote 192.0.2.256', 8],
      ['remote gw 0', 11],
      ['remote 10.254.0.2', 1],
    ],
  },
  proto: {
    takes: [
      ['proto udp4', 'transport.family', 'ipv4'],
      ['proto udp6', 'transport.family', 'ipv6'],
      ['proto tcp-server', 'transport.protocol', 'tcp-server'],
      [['proto tcp6-client', REMOTE], 'transport.remotes.0.protocol', 'tcp-client'],
      [['proto tcp4-client', REMOTE], 'transport.remotes.0.family', 'ipv4'],
    ],
    refuses: [
      ['proto tcp-client', 1],
      ['proto tcp', 1],
      ['proto UDP', 7],
    ],
  },
  port: {
    takes: [
      ['port 1200', 'transport.localPort', 1200],
      ['port 1200', 'transport.remotePort', 1200],
    ],
  },
  lport: { takes: [['lport 0', 'transport.localPort', 0]], refuses: [[['lport 1', 'nobind', REMOTE], 1]] },
  rport: {
    takes: [['rport 1200', 'transport.remotePort', 1200]],
    refuses: [['rport no-such-service', 7]],
  },
  local: {
    takes: [['local 192.0.2.1', 'transport.localHost', '192.0.2.1']],
    refuses: [['local 10.254.0.1', 1]],
  },
  bind: {
    takes: [['bind ipv6only', 'transport.ipv6Only', true]],
    refuses: [[['bind', 'nobind', REMOTE], 1]],
  },
  nobind: { takes: [[['nobind', REMOTE], 'transport.bind', false]], refuses: [['nobind', 1]] },
  float: flag('transport.float'),
  'resolv-retry': {
    takes: [
      ['resolv-retry 5', 'transport.resolveRetrySec', 5],
      [['resolv-retry 5', 'resolv-retry infinite', 'float'], 'transport.float', true],
    ],
  },
  'connect-retry': {
    takes: [
      ['connect-retry 7', 'transport.connectRetrySec', 7],
      ['connect-retry 7 60', 'transport.connectRetryMaxSec', 60],
    ],
  },
  'connect-timeout': {
    takes: [
      ['connect-timeout 5', 'transport.connectTimeoutSec', 5],
      ['server-poll-timeout 5', 'transport.connectTimeoutSec', 5],
    ],
  },
  'remote-random-hostname': flag('transport.remoteRandomHostname'),
  preresolve: flag('transport.preresolve'),
  'tcp-nodelay': NOTHING,
  'socket-flags': {
    takes: [[['socket-flags TCP_NODELAY', 'float'], 'transport.float', true]],
    refuses: [['socket-flags X', 14]],
  },
  'connect-retry-max': { takes: [['connect-retry-max 3', 'transport.connectRetryMax', 3]] },
  'remote-random': flag('transport.remoteRandom'),
  'persist-remote-ip': flag('transport.persistRemoteIp'),
  'persist-local-ip': NOTHING,
  mark: { takes: [['mark 4294967295', 'transport.mark', 4294967295]] },
  'bind-dev': { takes: [['bind-dev eth1', 'transport.bindDevice', 'eth1']] },
  sndbuf: { takes: [['sndbuf 65536', 'transport.sendBufferBytes', 65536]] },
  rcvbuf: { takes: [['rcvbuf 65536', 'transport.receiveBufferBytes', 65536]] },
  'mtu-disc': {
    takes: [
      ['mtu-disc yes', 'transport.mtuDiscovery', 'yes'],
      ['mtu-disc maybe', 'transport.mtuDiscovery', 'maybe'],
      ['mtu-disc no', 'transport.mtuDiscovery', 'no'],
    ],
  },
  'allow-recursive-routing': flag('transport.allowRecursiveRouting'),
  'proto-force': {
    takes: [
      [['remote a 1 udp', 'remote b 1 tcp-client', 'proto-force tcp'], 'transport.remotes.0.host', 'b'],
    ],
    refuses: [[['remote a 1 udp', 'proto-force tcp'], 1]],
  },
  multihome: flag('transport.multihome'),
  passtos: flag('transport.passTos'),

  shaper: { takes: [['shaper 100000', 'transport.shaperBytesPerSec', 100000]] },

  // Keeping the tunnel alive
  keepalive: {
    takes: [
      ['keepalive 5 30', 'timers.pingSec', 5],
      ['keepalive 5 30', 'timers.pingTimeoutSec', 30],
    ],
    refuses: [
      ['keepalive 10 19', 1],
      [['ping 5', 'keepalive 10 60'], 1],
    ],
  },
  ping: { takes: [['ping 5', 'timers.pingSec', 5]] },
  'ping-restart': { takes: [['ping-restart 9', 'timers.pingTimeoutSec', 9]] },
  'ping-exit': { takes: [['ping-exit 9', 'timers.pingTimeoutAction', 'exit']] },
  'ping-timer-rem': flag('timers.pingTimerNeedsRemote'),
  'explicit-exit-notify': {
    takes: [
      ['explicit-exit-notify', 'transport.exitNotify', 1],
      ['explicit-exit-notify 3', 'transport.exitNotify', 3],
    ],
  },
  inactive: {
    takes: [
      ['inactive 60', 'timers.inactive', { seconds: 60, bytes: 0 }],
      ['inactive 60 1000', 'timers.inactive', { seconds: 60, bytes: 1000 }],
      ['inactive 60 1000000000000', 'timers.inactive', { seconds: 60, bytes: 1e12 }],
    ],
  },
  'session-timeout': { takes: [['session-timeout 60', 'timers.sessionTimeoutSec', 60]] },

  // Packet sizes and framing
  'tun-mtu': {
    takes: [
      ['tun-mtu 1400', 'gateway.tunMtu', 1400],
      ['tun-mtu 1500 1400', 'mtu.occMtu', 1400],
    ],
    refuses: [[['ifconfig-ipv6 fd00::1/64 fd00::2', 'tun-mtu 1279'], 1]],
  },
  mssfix: {
    takes: [
      ['mssfix 0', 'mtu.mssfix', { mode: 'off' }],
      ['mssfix 1300', 'mtu.mssfix', { mode: 'payload', value: 1300 }],
      ['mssfix 1300 mtu', 'mtu.mssfix', { mode: 'mtu', value: 1300 }],
      ['mssfix 1300 fixed', 'mtu.mssfix', { mode: 'fixed', value: 1300 }],
    ],
  },
  fragment: {
    takes: [
      ['fragment 1200', 'mtu.fragment', { bytes: 1200, countsOuter: false }],
      ['fragment 1200 mtu', 'mtu.fragment', { bytes: 1200, countsOuter: true }],
    ],
    refuses: [[['fragment 68', 'auth SHA256'], 1]],
  },
  'link-mtu': {
    takes: [
      ['link-mtu 1400', 'mtu.tunMtu', 1348],
      ['udp-mtu 1400', 'mtu.mssfix', { mode: 'off' }],
    ],
    refuses: [[['link-mtu 1400', 'tun-mtu 1400'], 1]],
  },
  'max-packet-size': {
    takes: [
      ['max-packet-size 1300', 'mtu.mssfix', { mode: 'mtu', value: 1300 }],
      ['max-packet-size 0', 'mtu.mssfix', { mode: 'off' }],
    ],
  },
  'comp-lzo': {
    takes: [
      ['comp-lzo', 'framing', 'lzo'],
      ['comp-lzo yes', 'framing', 'lzo'],
      ['comp-lzo adaptive', 'framing', 'lzo'],
      ['comp-lzo no', 'framing', 'lzo-stub'],
    ],
  },
  compress: {
    takes: [
      ['compress', 'framing', 'stub'],
      ['compress stub-v2', 'framing', 'stub-v2'],
      ['compress lzo', 'framing', 'lzo'],
      ['compress lz4', 'framing', 'lz4'],
      ['compress lz4-v2', 'framing', 'lz4-v2'],
      [['compress migrate', 'float'], 'transport.float', true],
    ],
  },
  'allow-compression': {
    takes: [[['allow-compression asym', 'comp-lzo'], 'framing', 'lzo']],
    refuses: [[['comp-lzo', 'allow-compression no'], 1]],
  },
  'disable-occ': flag('occ', false),

  'tun-mtu-extra': { takes: [['tun-mtu-extra 64', 'mtu.tunMtuExtra', 64]] },

  // Device, addresses and routes
  lladdr: {
    takes: [[[...TAP, 'lladdr 02:00:00:AA:00:01'], 'device.linkAddress', '02:00:00:aa:00:01']],
    refuses: [
      ['lladdr 02:00:00:00:00:01', 1],
      [[...TAP, 'lladdr 02:00'], 8],
    ],
  },
  dev: {
    takes: [
      ['dev tun7', 'device.name', 'tun7'],
      [['dev tap3', 'ifconfig 10.0.0.1 255.255.255.0'], 'device.type', 'tap'],
    ],
    refuses: [['dev null', 1]],
  },
  'dev-type': { takes: [[['dev vpn0', 'dev-type tun'], 'device.name', 'vpn0']] },
  'dev-node': { takes: [['dev-node /dev/tun', 'device.node', '/dev/tun']] },
  ifconfig: {
    takes: [
      [
        'ifconfig 10.0.0.1 10.0.0.2',
        'device.address',
        { kind: 'p2p', local: '10.0.0.1', remote: '10.0.0.2' },
      ],
    ],
    refuses: [
      ['ifconfig 10.0.0.1 10.0.0.1', 1],
      ['ifconfig 10.0.0.1 255.255.255.0', 1],
      ['ifconfig host 10.0.0.2', 10],
    ],
  },
  'ifconfig-ipv6': {
    takes: [
      [
        'ifconfig-ipv6 fd00::1/96 fd00::2',
        'device.address6',
        { local: 'fd00::1', prefixLength: 96, remote: 'fd00::2' },
      ],
      ['ifconfig-ipv6 fd00::1 fd00::2', 'device.address6.prefixLength', 64],
    ],
    refuses: [['ifconfig-ipv6 fd00::1/63 fd00::2', 1]],
  },
  topology: {
    takes: [[['topology subnet', 'ifconfig 10.0.0.1 255.255.255.0'], 'device.address.kind', 'subnet']],
    refuses: [['topology subnet', 1]],
  },
  'ifconfig-noexec': flag('gateway.device.noExec'),
  'ifconfig-nowarn': flag('device.ifconfigNoWarn'),
  route: {
    takes: [
      ['route 10.1.0.0 255.255.0.0', 'routes.0.prefixLength', 16],
      ['route 10.1.0.1', 'routes.0.prefixLength', 32],
      ['route 10.1.0.0 255.255.0.0 10.254.0.9 7', 'routes.0.gateway', '10.254.0.9'],
      ['route 10.1.0.0 255.255.0.0 default 7', 'routes.0.metric', 7],
      ['route 10.1.0.0 255.255.0.0 net_gateway', 'gateway.lateRoutes.0.gateway', 'net_gateway'],
    ],
    refuses: [
      ['route 10.1.0.1 255.255.0.0', 1],
      ['route 10.1.0.0 255.0.255.0', 1],
      ['route 10.1.0.0 255.255.0.0 default x', 1],
    ],
  },
  'route-ipv6': {
    takes: [
      ['route-ipv6 fd01::/64', 'routes.0.network', 'fd01::'],
      ['route-ipv6 fd01::/64 default 9', 'routes.0.metric', 9],
      ['route-ipv6 fd01::', 'routes.0.prefixLength', 64],
    ],
    refuses: [['route-ipv6 10.0.0.0/8', 1]],
  },
  'route-gateway': {
    takes: [['route-gateway 10.254.0.9', 'gateway.vpnGateway', '10.254.0.9']],
    refuses: [['route-gateway dhcp', 1]],
  },
  'route-ipv6-gateway': {
    takes: [[['route-ipv6-gateway fd00::9', 'route-ipv6 fd01::/64'], 'routes.0.namedGateway', 'fd00::9']],
    refuses: [['route-ipv6-gateway 10.0.0.1', 20]],
  },
  'route-metric': { takes: [[['route-metric 5', 'route 10.1.0.0 255.255.0.0'], 'routes.0.metric', 5]] },
  'route-noexec': flag('routeNoExec'),
  txqueuelen: { takes: [['txqueuelen 1000', 'device.txQueueLength', 1000]] },
  'redirect-gateway': redirect('redirect-gateway'),
  'redirect-private': redirect('redirect-private'),
  'route-delay': {
    takes: [
      ['route-delay', 'gateway.routeDelaySec', 0],
      ['route-delay 5 30', 'gateway.routeDelaySec', 5],
    ],
  },
  'client-to-client': flag('gateway.clientToClient'),
  'client-nat': {
    takes: [['client-nat snat 10.1.0.0 255.255.255.0 10.2.0.0', 'netmap.length', 1]],
    refuses: [['client-nat both 10.1.0.0 255.255.255.0 10.2.0.0', 12]],
  },
  ...PROCESS_ROWS,
};
