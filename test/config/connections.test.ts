/** What a `<connection>` block may have of its own, and what all have to agree on. */
import { describe, expect, it } from 'vitest';
import { connectionSettings, type ConnectionSettings } from '../../src/config/connection-settings.ts';
import type { PeerConfig } from '../../src/config/model.ts';
import { portsTaken } from '../../src/config/protocols.ts';
import { transportText } from '../../src/config/summary.ts';
import { BASE, configOf, errorsOf, errorsOfFiles, gatewayOf } from '../support/config.ts';

const block = (host: string, ...lines: string[]) =>
  ['<connection>', `remote ${host}`, ...lines, '</connection>'].join('\n');

function settingsOf({ transport }: PeerConfig): ConnectionSettings[] {
  return transport.remotes.map((remote) => connectionSettings(transport, remote));
}

const refusalsOf = (...lines: string[]) => errorsOf([...BASE, ...lines].join('\n'));

describe('a block has of its own', () => {
  const rows: readonly [line: string, key: keyof ConnectionSettings, own: unknown, otherwise: unknown][] = [
    ['lport 7', 'localPort', 7, 1194],
    ['port 7', 'localPort', 7, 1194],
    ['local 192.0.2.1', 'localHost', '192.0.2.1', undefined],
    ['bind ipv6only', 'ipv6Only', true, false],
    ['bind', 'bindClient', true, false],
    ['nobind', 'bind', false, true],
    ['mtu-disc yes', 'mtuDiscovery', 'yes', undefined],
    ['connect-retry 7 9', 'connectRetrySec', 7, 1],
    ['connect-retry 7 9', 'connectRetryMaxSec', 9, 300],
    ['connect-timeout 8', 'connectTimeoutSec', 8, 120],
    ['server-poll-timeout 8', 'connectTimeoutSec', 8, 120],
    ['float', 'float', true, false],
    ['explicit-exit-notify 2', 'exitNotify', 2, 0],
  ];
  it.each(rows)('%s', (line, key, own, otherwise) => {
    const [first, second] = settingsOf(configOf([block('a', line), block('b')]));
    expect([first[key], second[key]]).toEqual([own, otherwise]);
  });

  it('what the lines in front say, when it is silent', () => {
    const config = configOf(['connect-retry 4 50', 'port 9', block('a', 'connect-retry 7'), block('b')]);
    expect(settingsOf(config)).toMatchObject([
      { connectRetrySec: 7, connectRetryMaxSec: 50, localPort: 9 },
      { connectRetrySec: 4, connectRetryMaxSec: 50, localPort: 9 },
    ]);
  });
});

describe('the port and protocol of the remote', () => {
  const rows: readonly [rule: string, lines: readonly string[], port: number, protocol: string][] = [
    ['are those of the later line: port', ['remote a 5', 'port 6'], 6, 'udp'],
    ['are those of the later line: rport', ['remote a 5 udp', 'rport 6'], 6, 'udp'],
    ['are those of the later line: proto', ['remote a 5 udp', 'proto tcp-client'], 5, 'tcp-client'],
    ['are those of the later line: remote', ['rport 6', 'proto tcp-client', 'remote a 5 udp'], 5, 'udp'],
    ['stay when the later line has none', ['rport 6', 'proto tcp-client', 'remote a'], 6, 'tcp-client'],
  ];
  it.each(rows)('%s', (_, lines, port, protocol) => {
    const config = configOf([['<connection>', ...lines, '</connection>'].join('\n')]);
    expect(config.transport.remotes).toMatchObject([{ port, protocol }]);
  });
});

describe('a block contradicts', () => {
  const rows: readonly [rule: string, lines: readonly string[], code: string][] = [
    ['nobind and lport in front', ['lport 7', block('a', 'nobind'), block('b', 'nobind')], 'CONFIG_NOBIND'],
    ['bind and nobind in front', ['nobind', block('a', 'bind')], 'CONFIG_NOBIND'],
    ['local and nobind in front', ['nobind', block('a', 'local 192.0.2.1')], 'CONFIG_NOBIND'],
    ['nobind in a server', [block('a', 'proto tcp-server', 'nobind')], 'CONFIG_NOBIND'],
    ['a local address of another family', [block('a', 'proto udp4', 'local ::1')], 'CONFIG_FAMILY'],
    [
      'a remote that is the local end',
      [block('192.0.2.1 7', 'local 192.0.2.1', 'lport 7')],
      'CONFIG_REMOTE_IS_LOCAL',
    ],
    ['a local address inside the tunnel', [block('a', 'local 10.254.0.1')], 'CONFIG_INSIDE_OUTSIDE'],
  ];
  it.each(rows)('%s', (_, lines, code) => {
    expect(refusalsOf(...lines).map((error) => error.code)).toEqual([code]);
  });

  it('nothing with nobind and port in front', () => {
    expect(settingsOf(configOf(['port 7', block('a', 'nobind')]))).toMatchObject([
      { bind: false, localPort: 0 },
    ]);
  });
});

describe('what the tunnel has once', () => {
  const rows: readonly [
    directive: string,
    line: string,
    other: string,
    pick: (config: PeerConfig) => unknown,
  ][] = [
    ['tun-mtu', 'tun-mtu 1400', 'tun-mtu 1300', (c) => c.mtu.tunMtu],
    ['tun-mtu-extra', 'tun-mtu-extra 32', 'tun-mtu-extra 4', (c) => c.mtu.tunMtuExtra],
    ['link-mtu', 'link-mtu 1450', 'link-mtu 1440', (c) => c.mtu.tunMtu],
    ['mssfix', 'mssfix 1200', 'mssfix 1100', (c) => c.mtu.mssfix],
    ['mssfix', 'max-packet-size 1400', 'mssfix 1100', (c) => c.mtu.mssfix],
    ['fragment', 'fragment 1300', 'fragment 1200', (c) => c.mtu.fragment],
  ];
  it.each(rows)(
    '%s: `%s` may be the same in all blocks, and is refused beside `%s` or nothing',
    (directive, line, other, pick) => {
      const global = pick(configOf([line, 'remote a']));
      expect(pick(configOf([block('a', line), block('b', line)]))).toEqual(global);
      expect(pick(configOf([line, block('a', line), block('b')]))).toEqual(global);
      for (const second of [block('b', other), block('b')]) {
        expect(refusalsOf(block('a', line), second)).toMatchObject([
          { code: 'CONFIG_CONNECTIONS_DIFFER', what: `<connection> blocks that differ in \`${directive}\`` },
        ]);
      }
    },
  );

  it('names the line that differs', () => {
    const [error] = refusalsOf('tun-mtu 1400', block('a'), block('b', 'tun-mtu 1300'));
    expect(error.where).toMatchObject({ line: 11 });
  });
});

it('is told that exit messages have no effect with TCP', () => {
  const { warnings } = gatewayOf([
    block('a', 'explicit-exit-notify 2'),
    block('b 1 tcp-client', 'explicit-exit-notify 1'),
  ]);
  expect(warnings).toMatchObject([{ code: 'CONFIG_NO_EFFECT', where: { line: 11 } }]);
});

it.each(['key-direction 1', 'connect-retry-max 3', 'tun-mtu-max 1700'])(
  'is told that `%s` has no effect in a block',
  (line) => {
    const { warnings, peers } = gatewayOf([block('a', line)]);
    expect(warnings.map(({ code }) => code)).toContain('CONFIG_NO_EFFECT');
    expect([peers[0].key.direction, peers[0].transport.connectRetryMax]).toEqual([undefined, 0]);
  },
);

it.each(['sndbuf 60000', 'rcvbuf 60000', 'mark 3', 'resolv-retry 3', 'multihome', 'shaper 1000', 'ping 3'])(
  'is refused `%s` in a block, as by stock',
  (line) => {
    expect(refusalsOf(block('a', line)).map(({ code }) => code)).toEqual(['CONFIG_CONNECTION']);
  },
);

it('is refused a proxy in a block, for the reason it is refused elsewhere', () => {
  expect(refusalsOf(block('a', 'socks-proxy 192.0.2.3 80'))).toMatchObject([
    { code: 'CONFIG_REFUSED', why: 'tsvpn does not support proxies' },
  ]);
});

it('takes the local ports of all blocks', () => {
  const { transport } = configOf([
    block('a', 'lport 7'),
    block('b', 'nobind'),
    block('c 1 tcp-client', 'lport 8'),
    block('d'),
  ]);
  expect(portsTaken(transport)).toEqual([
    { protocol: 'udp', port: 7 },
    { protocol: 'tcp', port: 8 },
    { protocol: 'udp', port: 1194 },
  ]);
});

it('is told in the summary', () => {
  expect(
    transportText(configOf([block('a 1'), block('b 2 tcp-client', 'nobind'), block('c 3', 'lport 7')])),
  ).toBe(
    'listen on all addresses, port 1194; peer a port 1 (udp) or b port 2 (tcp-client; any local port)' +
      ' or c port 3 (udp; listen on all addresses, port 7)',
  );
});

describe('where there are several peers, a block', () => {
  const file = (name: string, number: number, ...lines: string[]) => [
    'dev tun',
    'topology subnet',
    'ifconfig 10.8.0.1 255.255.255.0',
    'cipher AES-256-CBC',
    `secret ${name}.key`,
    `peer-address 10.8.0.${number}`,
    ...lines,
  ];
  const errors = (mine: readonly string[], others: readonly string[]) =>
    errorsOfFiles({ 'a.conf': file('a', 2, ...mine), 'b.conf': file('b', 3, ...others) });

  it.each([
    ['has a socket of its own', [block('a', 'lport 9')], ['lport 3', 'remote b']],
    ['has no fixed port', [block('a', 'nobind')], ['remote b']],
    ['has the port of another, whose remote is another', [block('a', 'lport 3')], ['lport 3', 'remote b']],
    ['has the port of another, in another protocol', [block('a 1 tcp-client', 'lport 3')], ['lport 3']],
  ])('%s', (_, mine, others) => {
    expect(errors(mine, others)).toEqual([]);
  });

  it.each([
    ['of a peer without a remote', 'lport 3', ['lport 3'], /b has no `remote`/],
    [
      'of another with float',
      'lport 3\nfloat',
      ['lport 3', 'remote b'],
      /with `float` a may send from anywhere/,
    ],
    [
      'of another block',
      'lport 3',
      [block('b', 'lport 3', 'float')],
      /with `float` b may send from anywhere/,
    ],
    [
      'of a peer that calls the same remote',
      'lport 3',
      ['lport 3', 'remote a 1194'],
      /both have the remote a/,
    ],
  ])('is refused the port %s, with a fix', (_, mine, others, why) => {
    const [error] = errors([block('x', 'lport 9'), block('a', ...mine.split('\n'))], others);
    expect(error).toMatchObject({ code: 'CONFIG_SAME_SOCKET' });
    expect(error.why).toMatch(why);
    expect(error.fix).toMatch(/give every peer a port of its own: lport NUMBER/);
  });

  it('is refused the port of another with another `mtu-disc`', () => {
    expect(errors([block('a', 'lport 3', 'mtu-disc yes')], ['lport 3', 'remote b'])).toMatchObject([
      { code: 'CONFIG_SAME_SOCKET', where: { line: 7 } },
    ]);
  });
});
