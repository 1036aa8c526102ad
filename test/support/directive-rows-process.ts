/** Rows for directives of the process, its logs, scripts and the management interface; see directive-rows.ts. */
import { flag, NOTHING, type DirectiveRow, type Row } from './directive-row.ts';

const script = (name: string): Row => ({
  takes: [
    [
      ['script-security 2', `${name} "/bin/true a b"`],
      `gateway.scripts.commands.${name}.words`,
      ['/bin/true', 'a', 'b'],
    ],
  ],
  refuses: [
    [`${name} /bin/true a`, name.length + 12],
    [`${name} ""`, name.length + 2],
  ],
});
const MANAGEMENT = 'management 127.0.0.1 7505';
const UNIX = 'management m.sock unix';
const managed = (field: string) => {
  return (name: string): Row => ({
    takes: [[[MANAGEMENT, name], `gateway.management.${field}`, true]],
    refuses: [[name, 1]],
  });
};

export const PROCESS_ROWS: Readonly<Record<string, DirectiveRow>> = {
  // Files, logs and process
  config: { takes: [], refuses: [['config missing.conf', 8]] },
  cd: {
    takes: [[['cd /', 'replay-persist r'], 'replay.persist', '/r']],
    refuses: [['cd /nowhere', 4]],
  },
  'ignore-unknown-option': {
    takes: [[['ignore-unknown-option foo', 'foo bar', 'float'], 'transport.float', true]],
  },
  connection: {
    takes: [['<connection>\nremote a 1 udp4\n</connection>', 'transport.remotes.0.host', 'a']],
    refuses: [
      ['connection', 1],
      ['<connection>\nport 1\n</connection>', 1],
    ],
  },
  verb: { takes: [['verb 4', 'gateway.log.verb', 4]] },
  mute: { takes: [['mute 10', 'gateway.log.mute', 10]] },
  status: {
    takes: [
      ['status s', 'gateway.statusFile', { path: `${process.cwd()}/s`, intervalSec: 60 }],
      ['status s 5', 'gateway.statusFile.intervalSec', 5],
    ],
  },
  'status-version': NOTHING,
  writepid: { takes: [['writepid p', 'gateway.pidFile', `${process.cwd()}/p`]] },
  'suppress-timestamps': flag('gateway.log.timestamps', false),
  'persist-key': NOTHING,
  'persist-tun': flag('gateway.persistTun'),
  mode: { takes: [[['mode p2p', 'float'], 'transport.float', true]], refuses: [['mode server', 1]] },
  daemon: {
    takes: [
      ['daemon', 'gateway.process.daemon', true],
      ['daemon ovpn', 'gateway.process.syslog', 'ovpn'],
    ],
  },
  syslog: { takes: [['syslog vpn', 'gateway.process.syslog', 'vpn']] },
  log: { takes: [['log l', 'gateway.process.logFile', { path: `${process.cwd()}/l`, append: false }]] },
  'log-append': { takes: [['log-append l', 'gateway.process.logFile.append', true]] },
  'machine-readable-output': flag('gateway.process.machineReadable'),
  'errors-to-stderr': NOTHING,
  echo: {
    takes: [
      [[MANAGEMENT, 'echo a b'], 'gateway.management.echoes', ['a b']],
      [[MANAGEMENT, 'parameter c'], 'gateway.management.echoes', ['c']],
    ],
  },
  nice: { takes: [['nice -5', 'gateway.process.nice', -5]] },
  user: { takes: [['user nobody', 'gateway.process.user', 'nobody']] },
  group: { takes: [['group nogroup', 'gateway.process.group', 'nogroup']] },
  'remap-usr1': { takes: [['remap-usr1 SIGHUP', 'gateway.process.remapUsr1', 'SIGHUP']] },

  // The management interface
  management: {
    takes: [
      [
        'management 127.0.0.1 7505',
        'gateway.management.place',
        { kind: 'tcp', host: '127.0.0.1', port: 7505 },
      ],
      ['management tunnel 7505', 'gateway.management.inTunnel', true],
      ['management m.sock unix', 'gateway.management.place.kind', 'unix'],
    ],
    refuses: [['management 127.0.0.1 port', 22]],
  },
  'management-client': managed('connects'),
  'management-client-user': {
    takes: [[[UNIX, 'management-client-user nobody'], 'gateway.management.clientUser', 'nobody']],
    refuses: [[[MANAGEMENT, 'management-client-user nobody'], 1]],
  },
  'management-client-group': {
    takes: [[[UNIX, 'management-client-group nogroup'], 'gateway.management.clientGroup', 'nogroup']],
    refuses: [['management-client-group nogroup', 1]],
  },
  'management-hold': managed('hold'),
  'management-log-cache': {
    takes: [[[MANAGEMENT, 'management-log-cache 10'], 'gateway.management.logCache', 10]],
    refuses: [['management-log-cache 10', 1]],
  },
  'management-query-remote': managed('queryRemote'),
  'management-query-proxy': managed('queryProxy'),
  'management-query-passwords': { takes: [], refuses: [['management-query-passwords', 1]] },
  'management-signal': managed('signal'),
  'management-forget-disconnect': { takes: [], refuses: [['management-forget-disconnect', 1]] },
  'management-up-down': managed('upDown'),

  // Scripts
  'script-security': { takes: [['script-security 2', 'gateway.scripts.security', 2]] },
  up: script('up'),
  down: script('down'),
  'route-up': script('route-up'),
  'route-pre-down': script('route-pre-down'),
  ipchange: script('ipchange'),
  'up-delay': flag('gateway.scripts.upDelay'),
  'up-restart': flag('gateway.scripts.upRestart'),
  'down-pre': flag('gateway.scripts.downPre'),
  setenv: {
    takes: [
      ['setenv NAME value', 'gateway.scripts.environment', [['NAME', 'value']]],
      ['setenv opt float', 'transport.float', true],
      [['setenv opt foo', 'float'], 'transport.float', true],
      [['setenv FORWARD_COMPATIBLE 1', 'foo', 'float'], 'transport.float', true],
    ],
  },
  'setenv-safe': { takes: [['setenv-safe A b', 'gateway.scripts.environment', [['OPENVPN_A', 'b']]]] },
  'dhcp-option': { takes: [['dhcp-option DNS 10.0.0.1', 'gateway.scripts.dhcpOptions', ['DNS 10.0.0.1']]] },
  dns: {
    takes: [
      [
        'dns search-domains a.example b.example',
        'gateway.scripts.dns.searchDomains',
        ['a.example', 'b.example'],
      ],
      ['dns server 1 address 10.0.0.53', 'gateway.scripts.dns.servers.0.addresses.0.address', '10.0.0.53'],
      [
        ['dns server 1 address 1.1.1.1', 'dns server -1 address [fd00::1]:54'],
        'gateway.scripts.dns.servers.0.addresses.0.port',
        '54',
      ],
      [
        ['dns server 1 address 1.1.1.1', 'dns server 1 dnssec yes'],
        'gateway.scripts.dns.servers.0.dnssec',
        'yes',
      ],
      [['dns server 1 address 1.1.1.1', 'dns server 1 sni x'], 'gateway.scripts.dns.servers.0.sni', 'x'],
      [
        ['dns server 1 address 1.1.1.1', 'dns server 1 transport DoT'],
        'gateway.scripts.dns.servers.0.transport',
        'DoT',
      ],
    ],
    refuses: [
      ['dns foo', 5],
      ['dns server 128 address 1.1.1.1', 12],
      ['dns server 1 address foo', 22],
      ['dns server 1 address [1.1.1.1]:5', 22],
      ['dns server 1 address 1.1.1.1:0', 22],
      ['dns server 1 address 1 2 3 4 5 6 7 8 9', 22],
      ['dns server 1 dnssec maybe', 21],
      ['dns server 1 transport tls', 24],
      ['dns server 1 port 5', 14],
      ['dns server 1 dnssec yes', 12],
    ],
  },
};
