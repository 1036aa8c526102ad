/** What `proto` and its relatives come to. */
import { describe, expect, it } from 'vitest';
import type { PeerConfig } from '../../src/config/model.ts';
import { bindsPort, isStream, protocolsTaken, protocolsOf } from '../../src/config/protocols.ts';
import { transportText } from '../../src/config/summary.ts';
import { configOf, gatewayOf } from '../support/config.ts';

type Transport = PeerConfig['transport'];

describe('the protocols of a peer', () => {
  const rows: readonly [
    what: string,
    lines: readonly string[],
    read: (t: Transport) => unknown,
    value: unknown,
  ][] = [
    ['UDP without a line', [], protocolsOf, ['udp']],
    ['proto tcp-server', ['proto tcp-server'], protocolsOf, ['tcp-server']],
    ['proto tcp6-server', ['proto tcp6-server'], ({ family }) => family, 'ipv6'],
    ['proto of a remote', ['remote a 1 tcp-client', 'remote b 2'], protocolsOf, ['tcp-client', 'udp']],
    [
      'of connections, each its own',
      [
        'proto tcp-client',
        '<connection>\nremote a\nproto udp\n</connection>',
        '<connection>\nremote b\n</connection>',
      ],
      protocolsOf,
      ['udp', 'tcp-client'],
    ],
    [
      'those that proto-force leaves',
      ['remote a 1 tcp-client', 'remote b 2', 'proto-force tcp'],
      (t) => t.remotes.map(({ host }) => host),
      ['a'],
    ],
    ['one of them UDP is no stream', ['remote a 1 tcp-client', 'remote b 2'], isStream, false],
    ['a server binds', ['proto tcp-server'], (t) => bindsPort(t, 'tcp-server'), true],
    ['a client does not', ['proto tcp-client', 'remote a'], (t) => bindsPort(t, 'tcp-client'), false],
    [
      'port is for the call',
      ['proto tcp-client', 'remote a', 'port 7'],
      (t) => bindsPort(t, 'tcp-client'),
      false,
    ],
    ['but with bind', ['proto tcp-client', 'remote a', 'bind'], (t) => bindsPort(t, 'tcp-client'), true],
    ['with lport', ['proto tcp-client', 'remote a', 'lport 7'], (t) => bindsPort(t, 'tcp-client'), true],
    [
      'with local',
      ['proto tcp-client', 'remote a', 'local 192.0.2.1'],
      (t) => bindsPort(t, 'tcp-client'),
      true,
    ],
    [
      'ports taken of both',
      ['remote a 1 tcp-client', 'remote b 2', 'lport 7'],
      protocolsTaken,
      ['tcp', 'udp'],
    ],
    ['no port taken', ['proto tcp-client', 'remote a'], protocolsTaken, []],
    ['connect-retry', ['connect-retry 2 9'], (t) => [t.connectRetrySec, t.connectRetryMaxSec], [2, 9]],
    ['connect-retry by default', [], (t) => [t.connectRetrySec, t.connectRetryMaxSec], [1, 300]],
    ['connect-timeout by default', [], (t) => t.connectTimeoutSec, 120],
    ['server-poll-timeout', ['server-poll-timeout 7'], (t) => t.connectTimeoutSec, 7],
  ];
  it.each(rows)('%s', (_, lines, read, value) => {
    expect(read(configOf([...lines]).transport)).toEqual(value);
  });

  it.each([
    [['proto tcp-server'], 'tcp-server; listen on all addresses, port 1194; wait for the peer to call'],
    [['proto tcp-server', 'remote a'], 'tcp-server; listen on all addresses, port 1194; peer a'],
    [['proto tcp-client', 'remote a 7'], 'tcp-client; any local port; peer a port 7'],
    [
      ['remote a 7 tcp-client', 'remote b 8'],
      'listen on all addresses, port 1194; peer a port 7 (tcp-client) or b port 8 (udp)',
    ],
  ])('%j reads: %s', (lines, text) => {
    expect(transportText(configOf(lines))).toBe(text);
  });

  it.each([
    [
      'takes 2 more from link-mtu',
      ['proto tcp-server', 'link-mtu 1400'],
      (c: PeerConfig) => c.mtu.tunMtu,
      1346,
    ],
    ['takes them only then', ['link-mtu 1400'], (c: PeerConfig) => c.mtu.tunMtu, 1348],
  ])('TCP %s', (_, lines, read, value) => {
    expect(read(configOf(lines))).toBe(value);
  });

  it('warns that explicit-exit-notify does nothing with TCP', () => {
    const { warnings } = gatewayOf(['proto tcp-server', 'explicit-exit-notify 2']);
    expect(warnings.map(({ what }) => what)).toContain('explicit-exit-notify has no effect with TCP');
  });
});
