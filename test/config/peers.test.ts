/** Gateways of one peer and of several: from files, and from <peer> blocks. */
import { describe, expect, it } from 'vitest';
import type { GatewayConfig, PeerConfig } from '../../src/config/model.ts';
import { formatPrefix } from '../../src/packet/prefix.ts';
import { BASE, configOf, errorsOfFiles, gatewayOf, joined } from '../support/config.ts';

/** `10.1.0.0/16 metric 5 no-kernel (route)` */
function routesOf({ peerRoutes }: PeerConfig): string[] {
  return peerRoutes.map(({ prefix, metric, kernel, directive }) =>
    [
      formatPrefix(prefix),
      ...(metric === 0 ? [] : [`metric ${metric}`]),
      ...(kernel ? [] : ['no-kernel']),
      `(${directive})`,
    ].join(' '),
  );
}

const SUBNET = ['topology subnet', 'ifconfig 10.8.0.1 255.255.255.0'];
const SHARED = ['dev tun', 'cipher AES-256-CBC', ...SUBNET];

function block(name: string, ...lines: string[]): string {
  return ['<peer>', `name ${name}`, `secret ${name}.key`, ...lines, '</peer>'].join('\n');
}

function hub(...lines: string[]): GatewayConfig {
  return joined({ 'hub.conf': [...SHARED, ...lines] });
}

const TWO = [
  block('a', 'lport 1195', 'peer-address 10.8.0.2'),
  block('b', 'lport 1196', 'peer-address 10.8.0.3'),
];

describe('a stock file', () => {
  it('is a gateway with one peer, named after the file', () => {
    const { name, files, peers, clientToClient, refusals, nat } = gatewayOf([]);
    expect([name, files, peers.map((peer) => [peer.name, peer.file, peer.where.line])]).toEqual([
      'peer',
      ['peer.conf'],
      [['peer', 'peer.conf', 1]],
    ]);
    expect([clientToClient, refusals, nat.lines]).toEqual([false, [], []]);
  });

  it('has the device, log and files of its only peer', () => {
    const { device, log, tunMtu, peers } = gatewayOf(['dev tun7', 'tun-mtu 1400', 'verb 3', 'txqueuelen 9']);
    expect(device).toEqual({
      type: 'tun',
      name: 'tun7',
      node: '/dev/net/tun',
      txQueueLength: 9,
      linkAddress: undefined,
      bridge: undefined,
      addresses: [{ kind: 'p2p', local: '10.254.0.1', remote: '10.254.0.2' }],
      addresses6: [],
      noExec: false,
    });
    expect([log, tunMtu]).toEqual([peers[0].log, 1400]);
  });

  const rows: readonly [rule: string, lines: readonly string[], addresses: string[], routes: string[]][] = [
    ["the peer's address", [], ['10.254.0.2'], ['10.254.0.2/32 no-kernel (ifconfig)']],
    [
      'routes without gateway, with their metric',
      ['route 10.1.0.0 255.255.0.0', 'route 10.2.0.0 255.255.0.0 vpn_gateway 5', 'route-ipv6 fd01::/64'],
      ['10.254.0.2'],
      [
        '10.254.0.2/32 no-kernel (ifconfig)',
        '10.1.0.0/16 (route)',
        '10.2.0.0/16 metric 5 (route)',
        'fd01::/64 (route-ipv6)',
      ],
    ],
    [
      "routes by way of the peer's address",
      ['route 10.1.0.0 255.255.0.0 10.254.0.2'],
      ['10.254.0.2'],
      ['10.254.0.2/32 no-kernel (ifconfig)', '10.1.0.0/16 (route)'],
    ],
    [
      'no route with another gateway',
      ['route 10.1.0.0 255.255.0.0 192.0.2.1'],
      ['10.254.0.2'],
      ['10.254.0.2/32 no-kernel (ifconfig)'],
    ],
    [
      'the whole network of topology subnet, and routes by way of an address in it',
      [...SUBNET, 'route 10.1.0.0 255.255.0.0 10.8.0.9'],
      [],
      ['10.8.0.0/24 no-kernel (ifconfig)', '10.1.0.0/16 (route)'],
    ],
    [
      'only its own address in topology subnet when the file tells it, which is the gateway of routes then',
      [...SUBNET, 'peer-address 10.8.0.2 fd00::2', 'route 10.1.0.0 255.255.0.0'],
      ['10.8.0.2', 'fd00::2'],
      ['10.8.0.2/32 (peer-address)', 'fd00::2/128 (peer-address)', '10.1.0.0/16 (route)'],
    ],
    [
      'the IPv6 network of the device',
      ['ifconfig-ipv6 fd00::1/64 fd00::2'],
      ['10.254.0.2', 'fd00::2'],
      [
        '10.254.0.2/32 no-kernel (ifconfig)',
        'fd00::2/128 no-kernel (ifconfig-ipv6)',
        'fd00::/64 no-kernel (ifconfig-ipv6)',
      ],
    ],
    [
      'peer routes in every spelling',
      [
        'peer-route 10.1.0.0/16',
        'peer-route 10.2.0.0 255.255.0.0 metric 7',
        'setenv opt peer-route 10.3.0.0/255.255.0.0 no-kernel',
        'peer-route 10.4.0.1',
        'peer-route fd01::/48 no-kernel metric 1',
      ],
      ['10.254.0.2'],
      [
        '10.254.0.2/32 no-kernel (ifconfig)',
        '10.1.0.0/16 (peer-route)',
        '10.2.0.0/16 metric 7 (peer-route)',
        '10.3.0.0/16 no-kernel (peer-route)',
        '10.4.0.1/32 (peer-route)',
        'fd01::/48 metric 1 no-kernel (peer-route)',
      ],
    ],
    [
      'routes in the table only, with route-noexec',
      ['route 10.1.0.0 255.255.0.0', 'route-noexec'],
      ['10.254.0.2'],
      ['10.254.0.2/32 no-kernel (ifconfig)', '10.1.0.0/16 no-kernel (route)'],
    ],
  ];
  for (const [rule, lines, addresses, routes] of rows) {
    it(`has behind its peer: ${rule}`, () => {
      const peer = configOf(lines);
      expect([peer.tunnelAddresses, routesOf(peer)]).toEqual([addresses, routes]);
    });
  }

  it('leaves routes with another gateway to the kernel', () => {
    const { routes } = gatewayOf(['route 10.1.0.0 255.255.0.0 192.0.2.1', 'route 10.2.0.0 255.255.0.0']);
    expect(routes.map(({ network, gateway }) => [network, gateway])).toEqual([['10.1.0.0', '192.0.2.1']]);
  });

  it('accepts any source from its peer, as stock, unless told', () => {
    expect(configOf([]).allowedSource).toBe('any');
    expect(configOf(['allowed-source 10.1.0.0/16', 'allowed-source fd01::/48']).allowedSource).toMatchObject({
      prefixes: [{ length: 16 }, { length: 48 }],
      where: { line: 5 },
    });
    expect(configOf(['allowed-source 10.1.0.0/16', 'allowed-source any']).allowedSource).toBe('any');
  });

  it('may name its peer', () => expect(configOf(['setenv opt name siteB']).name).toBe('siteB'));

  it('may refuse networks', () => {
    const { refusals } = gatewayOf([
      'blackhole 10.99.0.0/16',
      'unreachable 10.98.0.0 255.255.0.0 metric 3',
      'prohibit fd09::/48',
    ]);
    expect(refusals.map(({ kind, prefix, metric }) => [kind, formatPrefix(prefix), metric])).toEqual([
      ['blackhole', '10.99.0.0/16', 0],
      ['unreachable', '10.98.0.0/16', 3],
      ['prohibit', 'fd09::/48', 0],
    ]);
  });
});

describe('several files', () => {
  const file = (number: number, ...lines: string[]) => [
    'dev tun',
    `secret ${number}.key`,
    'cipher AES-256-CBC',
    `ifconfig 10.8.0.1 10.8.0.${number}`,
    `port ${2000 + number}`,
    ...lines,
  ];

  it('are one gateway, named after the first, with the peers in their order', () => {
    const gateway = joined({ 'b.conf': file(2), 'a.conf': file(3) });
    expect([gateway.name, gateway.files, gateway.peers.map(({ name }) => name)]).toEqual([
      'b',
      ['b.conf', 'a.conf'],
      ['b', 'a'],
    ]);
  });

  it('share a device with all addresses, the name one of them gives, and the largest MTU', () => {
    const { device, tunMtu } = joined({
      'a.conf': file(2),
      'b.conf': [...file(3), 'dev tun5', 'tun-mtu 1600'],
    });
    expect([device.name, tunMtu]).toEqual(['tun5', 1600]);
    expect(device.addresses).toEqual([
      { kind: 'p2p', local: '10.8.0.1', remote: '10.8.0.2' },
      { kind: 'p2p', local: '10.8.0.1', remote: '10.8.0.3' },
    ]);
  });

  it('check the sources of every peer', () => {
    const { peers } = joined({ 'a.conf': file(2), 'b.conf': file(3, 'allowed-source any') });
    expect(peers.map(({ allowedSource }) => allowedSource)).toEqual([
      { prefixes: [], where: undefined },
      'any',
    ]);
  });

  it('route by way of the peer that has the gateway, whichever file says so', () => {
    const { peers, routes } = joined({
      'a.conf': file(2, 'route 10.3.0.0 255.255.0.0 10.8.0.3', 'route 10.4.0.0 255.255.0.0 192.0.2.1'),
      'b.conf': file(3),
    });
    expect(peers.map(routesOf)).toEqual([
      ['10.8.0.2/32 no-kernel (ifconfig)'],
      ['10.8.0.3/32 no-kernel (ifconfig)', '10.3.0.0/16 (route)'],
    ]);
    expect(routes.map(({ network }) => network)).toEqual(['10.4.0.0']);
  });

  it('leave out the routes of files with route-noexec', () => {
    const { peers, routes, routeNoExec } = joined({
      'a.conf': file(2, 'route 10.3.0.0 255.255.0.0', 'route 10.4.0.0 255.255.0.0 192.0.2.1', 'route-noexec'),
      'b.conf': file(3, 'route 10.5.0.0 255.255.0.0'),
    });
    expect([routes, routeNoExec]).toEqual([[], false]);
    expect(peers.map((peer) => routesOf(peer)[1])).toEqual([
      '10.3.0.0/16 no-kernel (route)',
      '10.5.0.0/16 (route)',
    ]);
  });

  it('have one log, status and pid file: those of the first that names one, and the others are told', () => {
    const { log, statusFile, pidFile, warnings } = joined({
      'a.conf': file(2, 'verb 3', 'status /tmp/a'),
      'b.conf': file(3, 'verb 4', 'status /tmp/b', 'writepid /tmp/pid'),
    });
    expect([log.verb, statusFile?.path, pidFile]).toEqual([3, '/tmp/a', '/tmp/pid']);
    expect(warnings.map(({ what, where, why }) => [what, where.file, where.line, why])).toEqual([
      ['this `verb` has no effect', 'b.conf', 6, 'a.conf:6:1 says otherwise, and one process has one `verb`'],
      [
        'this `status` has no effect',
        'b.conf',
        7,
        'a.conf:7:1 says otherwise, and one process has one `status`',
      ],
    ]);
  });

  it('with two device names are refused, with both lines', () => {
    const [error, ...more] = errorsOfFiles({
      'a.conf': [...file(2), 'dev tun1'],
      'b.conf': [...file(3), 'dev tun2'],
    });
    expect(more).toEqual([]);
    expect(error).toMatchObject({ code: 'CONFIG_CONTRADICTION', where: { file: 'b.conf', line: 6 } });
    expect(error.why).toContain('a.conf:6:1');
  });

  it('each have their errors', () => {
    const errors = errorsOfFiles({ 'a.conf': [...file(2), 'foobar'], 'b.conf': [...file(3), 'cipher x'] });
    expect(errors.map(({ code, where }) => [code, where?.file, where?.line])).toEqual([
      ['CONFIG_UNKNOWN_DIRECTIVE', 'a.conf', 6],
      ['CONFIG_CIPHER', 'b.conf', 6],
    ]);
  });
});

describe('<peer> blocks', () => {
  it('may give the device its addresses', () => {
    const peers = [
      block('a', 'ifconfig 10.4.0.1 10.4.0.2', 'lport 7'),
      block('b', 'ifconfig 10.4.0.1 10.4.0.3'),
    ];
    const { warnings } = joined({ 'hub.conf': ['dev tun', 'cipher AES-256-CBC', ...peers] });
    expect(warnings.map(({ code }) => code)).not.toContain('CONFIG_NO_ADDRESS');
  });

  it('are peers, with the settings outside as defaults wherever those stand', () => {
    const { peers } = hub(...TWO, 'keepalive 10 60', 'auth SHA256');
    expect(
      peers.map(({ name, timers, digest, transport, tunnelAddresses, where }) => [
        name,
        timers.pingSec,
        digest.name,
        transport.localPort,
        tunnelAddresses,
        where.line,
      ]),
    ).toEqual([
      ['a', 10, 'SHA256', 1195, ['10.8.0.2'], 5],
      ['b', 10, 'SHA256', 1196, ['10.8.0.3'], 11],
    ]);
  });

  const overridden: readonly [
    rule: string,
    outside: string,
    inside: string,
    pick: (p: PeerConfig) => unknown,
    value: unknown,
  ][] = [
    ['cipher', 'auth SHA1', 'auth SHA512', (p) => p.digest.name, 'SHA512'],
    ['keepalive', 'keepalive 10 60', 'ping 5', (p) => [p.timers.pingSec, p.timers.pingTimeoutSec], [5, 0]],
    ['ping', 'ping-exit 5', 'keepalive 10 60', (p) => p.timers.pingTimeoutAction, 'restart'],
    ['nobind', 'nobind', 'lport 7', (p) => [p.transport.bind, p.transport.localPort], [true, 7]],
    ['local', 'local 192.0.2.1', 'nobind\nremote 192.0.2.9', (p) => p.transport.localHost, undefined],
    ['tun-mtu', 'tun-mtu 1400', 'link-mtu 1500', (p) => p.mtu.fromLinkMtu, true],
    ['key-direction', 'key-direction 0', 'secret x.key 1', (p) => p.key.direction, 1],
    ['key-direction', 'key-direction 0', 'float', (p) => p.key.direction, 0],
  ];
  for (const [rule, outside, inside, pick, value] of overridden) {
    it(`overrule ${rule} outside with \`${inside.split('\n')[0]}\``, () => {
      expect(pick(hub(outside, block('a', ...inside.split('\n'), 'peer-address 10.8.0.2')).peers[0])).toEqual(
        value,
      );
    });
  }

  it('know the place of their lines, also in a nested block', () => {
    const lines = ['<peer>', 'name a', '<secret>', 'xx', '</secret>', '  foobar', '</peer>'];
    const [error] = errorsOfFiles({ 'hub.conf': [...SHARED, ...lines] });
    expect(error).toMatchObject({ what: 'unknown directive `foobar`', where: { line: 10, column: 3 } });
  });

  it('beside a `secret` make the lines outside the first peer, which alone keeps what belongs to one', () => {
    const { peers, device } = joined({
      'hub.conf': [
        ...BASE.map((line) => line.replace('static.key', 'static.key 1')),
        'remote 192.0.2.9',
        'route 10.1.0.0 255.255.0.0',
        'client-nat snat 10.0.0.0 255.255.0.0 10.101.0.0',
        'allowed-source 10.5.0.0/16',
        block('b', 'lport 1195', 'ifconfig 10.254.0.1 10.254.0.3'),
      ],
    });
    expect(peers.map(({ name }) => name)).toEqual(['hub', 'b']);
    expect(routesOf(peers[1])).toEqual(['10.254.0.3/32 no-kernel (ifconfig)']);
    expect([peers[1].transport.remotes, peers[1].netmap, peers[1].key.direction]).toEqual([
      [],
      [],
      undefined,
    ]);
    expect(peers[1].allowedSource).toEqual({ prefixes: [], where: undefined });
    expect(peers[0].netmap).toHaveLength(1);
    expect(device.addresses).toHaveLength(2);
  });

  it('are not the peer that an IPv6 address outside names', () => {
    const { peers, device } = hub('ifconfig-ipv6 fd00::1/64 fd00::2', ...TWO);
    expect(peers.map(({ tunnelAddresses }) => tunnelAddresses)).toEqual([['10.8.0.2'], ['10.8.0.3']]);
    expect(device.addresses6).toHaveLength(1);
  });

  it('leave routes outside to the peer that has the gateway', () => {
    const { peers } = hub(...TWO, 'route 10.1.0.0 255.255.0.0 10.8.0.3');
    expect(peers.map((peer) => routesOf(peer).at(1))).toEqual([undefined, '10.1.0.0/16 (route)']);
  });

  it('are not merged with the peers of other files', () => {
    const other = ['dev tun', 'secret c.key', 'cipher AES-256-CBC', 'ifconfig 10.8.0.1 10.8.0.4', 'port 9'];
    const { peers } = joined({ 'hub.conf': [...SHARED, ...TWO], 'c.conf': other });
    expect(peers.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  const refused: readonly [rule: string, lines: readonly string[], code: string, what: RegExp][] = [
    ['without name', ['<peer>', 'secret k', '</peer>'], 'CONFIG_PEER_NAME', /without `name`/],
    ['with a tag that names the peer', ['<peer siteB>'], 'CONFIG_UNKNOWN_DIRECTIVE', /takes no name/],
    ['without secret', ['<peer>', 'name a', '</peer>'], 'CONFIG_NO_SECRET', /secret/],
    ['as a plain directive', ['peer siteB', block('a')], 'CONFIG_ARGUMENTS', /peer takes no argument/],
    ['as a directive without words', ['peer', block('a')], 'CONFIG_BLOCK', /peer is a block/],
    ['with a line of the gateway', [block('a', 'verb 3')], 'CONFIG_PEER_BLOCK', /verb inside <peer>/],
    ['with a device', [block('a', 'dev tun3')], 'CONFIG_PEER_BLOCK', /dev/],
    ['with a block inside', [block('a', '<peer>', '</peer>')], 'CONFIG_OPEN_BLOCK', /never closed/],
    ['with a name of blanks', [block('"a b"')], 'CONFIG_ARGUMENT', /not a name/],
    ['beside a remote that is nobody', ['remote 192.0.2.9', block('a')], 'CONFIG_STRAY', /`remote`/],
    [
      "beside a peer-route that is nobody's",
      ['peer-route 10.1.0.0/16', block('a')],
      'CONFIG_STRAY',
      /peer-route/,
    ],
    [
      "beside client-nat that is nobody's",
      ['client-nat snat 1.0.0.0 255.0.0.0 2.0.0.0', block('a')],
      'CONFIG_STRAY',
      /client-nat/,
    ],
  ];
  for (const [rule, lines, code, what] of refused) {
    it(`are refused ${rule}`, () => {
      const errors = errorsOfFiles({ 'hub.conf': [...SHARED, ...lines] });
      expect(errors.map((error) => error.code)).toContain(code);
      expect(errors.find((error) => error.code === code)?.what).toMatch(what);
    });
  }
});
