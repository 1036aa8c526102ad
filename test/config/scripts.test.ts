import { describe, expect, it } from 'vitest';
import { configOf, gatewayOf, joined } from '../support/config.ts';

describe('scripts in a config', () => {
  const LINES = ['script-security 2', 'cd /usr'];

  it.each([
    ['a program alone', 'up /bin/true', '/bin/true', ['/bin/true']],
    ['arguments behind it', 'up "/bin/echo a b"', '/bin/echo', ['/bin/echo', 'a', 'b']],
    ['quotes in quotes', `up "/bin/echo 'a b' \\"c d\\""`, '/bin/echo', ['/bin/echo', 'a b', 'c d']],
    ['an escaped blank', 'up "/bin/echo a\\\\ b"', '/bin/echo', ['/bin/echo', 'a b']],
    ['a relative name', 'up bin/true', '/usr/bin/true', ['bin/true']],
  ])('are cut into words: %s', (_, line, program, words) => {
    const { commands, directory } = gatewayOf([...LINES, line]).scripts;
    expect(commands.up).toMatchObject({ program, words });
    expect(directory).toBe('/usr');
  });

  it('are all five, with what goes with them', () => {
    const { scripts } = gatewayOf([
      ...LINES,
      ...['up', 'down', 'route-up', 'route-pre-down', 'ipchange'].map((name) => `${name} "bin/true ${name}"`),
      'up-delay',
      'up-restart',
      'down-pre',
    ]);
    expect(Object.entries(scripts.commands).map(([name, { words }]) => [name, words[1]])).toEqual(
      ['up', 'down', 'route-up', 'route-pre-down', 'ipchange'].map((name) => [name, name]),
    );
    expect(scripts).toMatchObject({ security: 2, upDelay: true, upRestart: true, downPre: true });
  });

  it('are forgotten without script-security 2, as OpenVPN does not run them', () => {
    expect(gatewayOf(['route-up /bin/true']).scripts.commands).toEqual({});
  });

  it('get variables whose names shells can have', () => {
    const { environment, dhcpOptions } = gatewayOf([
      'setenv FOO "bar baz"',
      'setenv a.b-c d',
      'setenv EMPTY',
      'setenv-safe N x',
      'setenv opt verb 4',
      'dhcp-option DNS 10.8.0.1',
      'dhcp-option DISABLE-NBT',
    ]).scripts;
    expect(environment).toEqual([
      ['FOO', 'bar baz'],
      ['abc', 'd'],
      ['EMPTY', ''],
      ['OPENVPN_N', 'x'],
    ]);
    expect(dhcpOptions).toEqual(['DNS 10.8.0.1', 'DISABLE-NBT']);
  });

  it('are those of the first of several files, and a second one that differs is warned about', () => {
    const file = (n: number, up: string) => [
      'dev tun',
      'topology subnet',
      'ifconfig 10.8.0.1 255.255.255.0',
      `peer-address 10.8.0.${n}`,
      `lport ${1200 + n}`,
      `secret ${n}.key`,
      'cipher AES-256-CBC',
      'script-security 2',
      `up ${up}`,
    ];
    const { scripts, warnings } = joined({ 'a.conf': file(2, '/bin/a'), 'b.conf': file(3, '/bin/b') });
    expect(scripts.commands.up?.program).toBe('/bin/a');
    expect(warnings.map(({ code, where }) => [code, where.file])).toContainEqual([
      'CONFIG_CONTRADICTION',
      'b.conf',
    ]);
  });
});

describe('routes that only the running host can tell', () => {
  it.each([
    [
      'net_gateway as gateway',
      'route 10.1.0.0 255.255.0.0 net_gateway',
      ['10.1.0.0', 16, 'net_gateway', false],
    ],
    [
      'the remote itself',
      'route remote_host 255.255.255.255 net_gateway',
      ['remote_host', 32, 'net_gateway', false],
    ],
    ['the name of a host', 'route www.example.net', ['www.example.net', 32, '10.254.0.2', true]],
  ])('wait: %s', (_, line, [network, prefixLength, gateway, intoTunnel]) => {
    const config = gatewayOf([line, 'route-metric 5']);
    expect(config.lateRoutes).toMatchObject([
      { peer: 'peer', network, prefixLength, gateway, intoTunnel, metric: 5 },
    ]);
    expect(config.peers[0].routes).toEqual([]);
  });

  it('do not include vpn_gateway, which the config tells', () => {
    const { routes } = configOf(['route 10.1.0.0 255.255.0.0 vpn_gateway', 'route vpn_gateway']);
    expect(routes).toMatchObject([
      { network: '10.1.0.0', prefixLength: 16, gateway: '10.254.0.2' },
      { network: '10.254.0.2', prefixLength: 32, gateway: '10.254.0.2' },
    ]);
  });
});

describe('redirect-gateway', () => {
  it('adds up over several lines', () => {
    expect(
      gatewayOf(['redirect-private', 'redirect-gateway def1', 'redirect-gateway local ipv6']).redirect,
    ).toMatchObject({
      ipv4: 'gateway',
      ipv6: true,
      def1: true,
      local: true,
      blockLocal: false,
      gateway: '10.254.0.2',
    });
  });

  it.each([
    ['redirect-private', ['private', false]],
    ['redirect-gateway ipv6 !ipv4', ['off', true]],
    ['redirect-gateway', ['gateway', false]],
  ])('%s', (line, [ipv4, ipv6]) => {
    expect(gatewayOf([line]).redirect).toMatchObject({ ipv4, ipv6 });
  });

  it('puts everything behind its peer, and leaves the routes to the kernel part', () => {
    const { peerRoutes } = configOf(['redirect-gateway def1 ipv6']);
    expect(peerRoutes.filter(({ directive }) => directive === 'redirect-gateway')).toMatchObject([
      { prefix: { bytes: new Uint8Array(4), length: 0 }, kernel: false },
      { prefix: { bytes: new Uint8Array(16), length: 0 }, kernel: false },
    ]);
  });
});
