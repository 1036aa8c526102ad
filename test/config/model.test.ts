import { describe, expect, it } from 'vitest';
import type { PeerConfig } from '../../src/config/model.ts';
import { BASE, codesOf, configOf, errorsOf, gatewayOf } from '../support/config.ts';

const REMOTE = 'remote 192.0.2.9';

describe('the model', () => {
  const rows: readonly [
    rule: string,
    lines: readonly string[],
    pick: (config: PeerConfig) => unknown,
    value: unknown,
  ][] = [
    ['no port line is 1194', [], (c) => c.transport.localPort, 1194],
    [
      'port sets both ends',
      ['port 1200', REMOTE],
      (c) => [c.transport.localPort, c.transport.remotes[0].port],
      [1200, 1200],
    ],
    [
      'lport and rport set one end',
      ['lport 1', 'rport 2', REMOTE],
      (c) => [c.transport.localPort, c.transport.remotes[0].port],
      [1, 2],
    ],
    ['a later port line wins', ['lport 1', 'port 3'], (c) => c.transport.localPort, 3],
    [
      'nobind lets the kernel choose',
      ['nobind', REMOTE],
      (c) => [c.transport.bind, c.transport.localPort],
      [false, 0],
    ],
    [
      'remote may name port and protocol',
      ['remote gw 99 udp6'],
      (c) => [c.transport.remotes[0].port, c.transport.remotes[0].family],
      [99, 'ipv6'],
    ],
    [
      'proto is for all remotes',
      ['proto udp4', REMOTE],
      (c) => [c.transport.family, c.transport.remotes[0].family],
      ['ipv4', 'ipv4'],
    ],
    [
      'remotes keep their order',
      ['remote a', 'remote b'],
      (c) => c.transport.remotes.map(({ host }) => host),
      ['a', 'b'],
    ],
    ['bind ipv6only', ['bind ipv6only'], (c) => c.transport.ipv6Only, true],
    ['resolv-retry is infinite without line', [], (c) => c.transport.resolveRetrySec, Infinity],
    ['resolv-retry 5', ['resolv-retry 5'], (c) => c.transport.resolveRetrySec, 5],
    ['connect-retry is 1 s as in 2.6', [], (c) => c.transport.connectRetrySec, 1],
    [
      'socket options',
      ['sndbuf 1', 'rcvbuf 2', 'mark 3', 'bind-dev eth0', 'mtu-disc yes'],
      ({ transport: t }) => [t.sendBufferBytes, t.receiveBufferBytes, t.mark, t.bindDevice, t.mtuDiscovery],
      [1, 2, 3, 'eth0', 'yes'],
    ],
    [
      'sizes of 0 leave the buffers as they are',
      ['sndbuf 1', 'sndbuf 0', 'rcvbuf 0'],
      ({ transport: t }) => [t.sendBufferBytes, t.receiveBufferBytes],
      [undefined, undefined],
    ],
    [
      'keepalive stands beside zeros',
      ['keepalive 10 60', 'ping 0', 'ping-exit 0'],
      ({ timers: t }) => [t.pingSec, t.pingTimeoutSec, t.pingTimeoutAction],
      [10, 60, 'restart'],
    ],
    [
      'keepalive is ping and ping-restart',
      ['keepalive 10 60'],
      ({ timers: t }) => [t.pingSec, t.pingTimeoutSec, t.pingTimeoutAction],
      [10, 60, 'restart'],
    ],
    [
      'the later of ping-restart and ping-exit wins',
      ['ping 5', 'ping-restart 30', 'ping-exit 40'],
      ({ timers: t }) => [t.pingTimeoutSec, t.pingTimeoutAction],
      [40, 'exit'],
    ],
    ['explicit-exit-notify alone is one message', ['explicit-exit-notify'], (c) => c.transport.exitNotify, 1],
    ['inactive', ['inactive 60 1000'], (c) => c.timers.inactive, { seconds: 60, bytes: 1000 }],
    ['the path MTU is measured at the start', [], (c) => c.mtuProbe, 'start'],
    ['mtu-probe off', ['mtu-probe off'], (c) => c.mtuProbe, 'off'],
    ['mtu-probe n', ['setenv opt mtu-probe 60'], (c) => c.mtuProbe, { everySec: 60 }],
    ['mssfix alone is the default', ['mssfix'], (c) => c.mtu.mssfix, { mode: 'default' }],
    ['mssfix 0 is off', ['mssfix 0'], (c) => c.mtu.mssfix, { mode: 'off' }],
    ['mssfix n counts the payload', ['mssfix 1400'], (c) => c.mtu.mssfix, { mode: 'payload', value: 1400 }],
    ['mssfix n mtu', ['mssfix 1400 mtu'], (c) => c.mtu.mssfix, { mode: 'mtu', value: 1400 }],
    ['mssfix n fixed', ['mssfix 1400 fixed'], (c) => c.mtu.mssfix, { mode: 'fixed', value: 1400 }],
    [
      'max-packet-size is mssfix n mtu',
      ['max-packet-size 1300'],
      (c) => c.mtu.mssfix,
      { mode: 'mtu', value: 1300 },
    ],
    [
      'tun-mtu with a second number',
      ['tun-mtu 1400 1500'],
      (c) => [c.mtu.tunMtu, c.mtu.occMtu],
      [1400, 1500],
    ],
    [
      'link-mtu as 2.6 converts it',
      ['link-mtu 1400', 'auth SHA256'],
      (c) => c.mtu,
      {
        tunMtu: 1336,
        occMtu: undefined,
        tunMtuExtra: 0,
        mssfix: { mode: 'off' },
        fragment: undefined,
        fromLinkMtu: true,
      },
    ],
    [
      'link-mtu leaves mssfix on with fragment',
      ['link-mtu 1400', 'fragment 1200'],
      (c) => c.mtu.mssfix,
      { mode: 'default' },
    ],
    ['fragment n', ['fragment 1200'], (c) => c.mtu.fragment, { bytes: 1200, countsOuter: false }],
    ['fragment n mtu', ['fragment 1200 mtu'], (c) => c.mtu.fragment, { bytes: 1200, countsOuter: true }],
    ['comp-lzo no is a framing alone', ['comp-lzo no'], (c) => c.framing, 'lzo-stub'],
    ['compress lzo is comp-lzo', ['compress lzo'], (c) => c.framing, 'lzo'],
    ['compress lz4', ['compress lz4'], (c) => c.framing, 'lz4'],
    ['compress lz4-v2', ['compress lz4-v2'], (c) => c.framing, 'lz4-v2'],
    ['comp-lzo is a framing', ['comp-lzo'], (c) => c.framing, 'lzo'],
    ['compress alone is stub', ['compress'], (c) => c.framing, 'stub'],
    ['compress stub-v2', ['compress stub-v2'], (c) => c.framing, 'stub-v2'],
    ['compress migrate is no framing between peers', ['compress migrate'], (c) => c.framing, 'off'],
    ['disable-occ', ['disable-occ'], (c) => c.occ, false],
    ['dev tun leaves the number to the kernel', [], (c) => c.device.name, undefined],
    ['dev tun7 is a name', ['dev tun7'], (c) => c.device.name, 'tun7'],
    ['dev of any name with dev-type', ['dev vpn', 'dev-type tun'], (c) => c.device.name, 'vpn'],
    [
      'ifconfig is a pair of addresses',
      [],
      (c) => c.device.address,
      { kind: 'p2p', local: '10.254.0.1', remote: '10.254.0.2' },
    ],
    [
      'topology subnet makes it a network',
      ['topology subnet', 'ifconfig 10.8.0.1 255.255.255.0'],
      (c) => c.device.address,
      { kind: 'subnet', local: '10.8.0.1', prefixLength: 24, netmask: '255.255.255.0' },
    ],
    [
      'ifconfig-ipv6 without length is /64',
      ['ifconfig-ipv6 FD00:0:0::1 fd00::2'],
      (c) => c.device.address6,
      { local: 'fd00::1', prefixLength: 64, remote: 'fd00::2' },
    ],
    [
      'the key direction of the later line',
      ['secret static.key 0', 'key-direction 1'],
      (c) => c.key.direction,
      1,
    ],
    [
      'data-ciphers-fallback is cipher',
      ['data-ciphers-fallback AES-128-CBC'],
      (c) => c.cipher.name,
      'AES-128-CBC',
    ],
    [
      'cipher names in any case',
      ['cipher aes256', 'auth sha2-256'],
      (c) => [c.cipher.name, c.digest.name],
      ['AES-256-CBC', 'SHA256'],
    ],
    ['auth is SHA1 without line', [], (c) => c.digest.name, 'SHA1'],
    ['replay-window is 64 15 without line', [], (c) => [c.replay.window, c.replay.timeSec], [64, 15]],
    ['status every 60 s', ['status /tmp/st'], (c) => c.statusFile, { path: '/tmp/st', intervalSec: 60 }],
    ['verb is 1 without line', [], (c) => c.log, { verb: 1, mute: 0, timestamps: true }],
    ['suppress-timestamps', ['suppress-timestamps'], (c) => c.log.timestamps, false],
  ];
  for (const [rule, lines, pick, value] of rows) {
    it(`says: ${rule}`, () => expect(pick(configOf(lines))).toEqual(value));
  }

  it('says: the tunnel is named after the file', () => expect(configOf([]).name).toBe('peer'));
});

describe('routes', () => {
  const routesOf = (...lines: string[]) =>
    configOf(lines).routes.map(({ network, prefixLength, gateway, metric }) => ({
      network,
      prefixLength,
      gateway,
      metric,
    }));

  it('go through the peer of a pair, in the order of the lines', () => {
    expect(routesOf('route 10.1.0.0 255.255.0.0', 'route 10.2.0.1')).toEqual([
      { network: '10.1.0.0', prefixLength: 16, gateway: '10.254.0.2', metric: undefined },
      { network: '10.2.0.1', prefixLength: 32, gateway: '10.254.0.2', metric: undefined },
    ]);
  });

  it('go through route-gateway when there is one, wherever it stands', () => {
    expect(routesOf('route 10.1.0.0 255.255.0.0', 'route-gateway 10.254.0.9')[0].gateway).toBe('10.254.0.9');
  });

  it('name gateway and metric, `default` for none', () => {
    expect(
      routesOf(
        'route 10.1.0.0 255.255.0.0 192.0.2.1 5',
        'route 10.2.0.1 default vpn_gateway default',
        'route-metric 7',
      ),
    ).toEqual([
      { network: '10.1.0.0', prefixLength: 16, gateway: '192.0.2.1', metric: 5 },
      { network: '10.2.0.1', prefixLength: 32, gateway: '10.254.0.2', metric: 7 },
    ]);
  });

  it('for IPv6 name the device only, whatever gateway the line has', () => {
    expect(routesOf('route-ipv6 FD01:0::/48 fd00::2 9')).toEqual([
      { network: 'fd01::', prefixLength: 48, gateway: undefined, metric: 9 },
    ]);
  });

  it('without gateway are left out, as in stock', () => {
    expect(
      routesOf('topology subnet', 'ifconfig 10.8.0.1 255.255.255.0', 'route 10.1.0.0 255.255.0.0'),
    ).toEqual([]);
  });
});

describe('<connection> blocks', () => {
  const block = (...lines: string[]) => `<connection>\n${lines.join('\n')}\n</connection>`;

  it('are the list of remotes', () => {
    const { remotes } = configOf([
      block('remote a 1 udp4'),
      block('remote b', 'rport 2', 'proto udp6'),
    ]).transport;
    expect(remotes.map(({ host, port, family }) => [host, port, family])).toEqual([
      ['a', 1, 'ipv4'],
      ['b', 2, 'ipv6'],
    ]);
  });

  it('take what they leave open from the lines before', () => {
    const [remote] = configOf(['port 77', block('remote a')]).transport.remotes;
    expect(remote.port).toBe(77);
  });

  it('take from lines between two blocks what the second leaves open, and the first is not changed', () => {
    const { remotes } = configOf([
      block('remote a'),
      'proto udp6',
      'port 77',
      'connect-retry 9',
      block('remote b'),
    ]).transport;
    expect(remotes).toMatchObject([
      { host: 'a', port: 1194, family: 'any' },
      { host: 'b', port: 77, family: 'ipv6', connection: { connectRetrySec: 9, localPort: 77 } },
    ]);
    expect(remotes[0]).not.toHaveProperty('connection');
  });

  it('take from lines behind the last one nothing but `key-direction`, which is not about the way', () => {
    const lines = [
      block('remote a'),
      'proto tcp-client',
      'port 77',
      'mssfix 1000',
      'bind',
      'key-direction 1',
    ];
    const config = configOf(['nobind', ...lines]);
    expect(config.transport).toEqual(configOf(['nobind', block('remote a')]).transport);
    expect(config.mtu).toEqual(configOf(['nobind', block('remote a')]).mtu);
    expect(config.key.direction).toBe(1);
  });

  const idle: readonly [string, readonly string[], number][] = [
    ['a remote before a block', ['remote c', block('remote a')], 1],
    ['a remote after a block', [block('remote a'), 'remote c'], 4],
    ['a port after all blocks', [block('remote a'), 'port 5', block('remote b'), 'port 6'], 8],
  ];
  for (const [rule, lines, line] of idle) {
    it(`name the line that has no effect: ${rule}`, () => {
      const found = gatewayOf(lines).warnings.filter(({ code }) => code === 'CONFIG_BESIDE_CONNECTION');
      expect(found.map(({ where }) => where.line - BASE.length)).toEqual([line]);
    });
  }

  it('know the place of their lines', () => {
    const [error] = errorsOf([...BASE, block('remote a', 'verb 3')].join('\n'));
    expect(error).toMatchObject({ code: 'CONFIG_CONNECTION', where: { line: 7, column: 1 } });
  });

  const refused: readonly [string, readonly string[], string][] = [
    ['without remote', [block('rport 1')], 'CONFIG_CONNECTION'],
    ['with two remotes', [block('remote a', 'remote b')], 'CONFIG_CONNECTION'],
    ['as a plain directive', ['connection'], 'CONFIG_CONNECTION'],
  ];
  for (const [rule, lines, code] of refused) {
    it(`are refused ${rule}`, () => {
      const text = ['dev tun', 'secret k', 'cipher AES-256-CBC', ...lines].join('\n');
      expect(codesOf(text)).toEqual([code]);
    });
  }
});
