import { describe, expect, it } from 'vitest';
import { comparePeers, fixedChanges, peerIdentity } from '../../src/gateway/difference.ts';
import { configOf, gatewayOf } from '../support/config.ts';

const KEY = new Uint8Array(256).fill(7);
const BASE_LINES = ['remote 192.0.2.1', 'ping 10', 'route 10.1.0.0 255.255.0.0'];

describe('a peer is the same', () => {
  const identity = (lines: readonly string[], key = KEY) => peerIdentity(configOf(lines), key);
  const before = identity(BASE_LINES);

  it.each([
    ['when its lines move', ['# a comment', ...BASE_LINES]],
    ['when what lies behind it changes', [...BASE_LINES.slice(0, 2), 'route 10.2.0.0 255.255.0.0']],
    ['when the log changes', [...BASE_LINES, 'verb 5']],
  ])('%s', (_row, lines) => expect(identity(lines)).toBe(before));

  it.each([
    ['another remote', ['remote 192.0.2.2', ...BASE_LINES.slice(1)]],
    ['another remote port', ['remote 192.0.2.1 1195', ...BASE_LINES.slice(1)]],
    ['another timer', ['remote 192.0.2.1', 'ping 11', BASE_LINES[2]]],
    ['another digest', [...BASE_LINES, 'auth SHA512']],
    ['float', [...BASE_LINES, 'float']],
    ['another MTU', [...BASE_LINES, 'tun-mtu 1400']],
    ['another option string', [...BASE_LINES, 'comp-lzo no']],
    ['finite retries', [...BASE_LINES, 'resolv-retry 5']],
    ['client-nat', [...BASE_LINES, 'client-nat snat 10.0.0.0 255.255.0.0 10.101.0.0']],
  ])('but not with %s', (_row, lines) => expect(identity(lines)).not.toBe(before));

  it('but not with another key', () => {
    expect(identity(BASE_LINES, new Uint8Array(256).fill(8))).not.toBe(before);
  });

  it('and its key cannot be read from what is remembered', () => {
    expect(before).not.toContain('7,7,7');
    expect(before).not.toContain(Buffer.from(KEY).toString('hex'));
  });
});

it('peers are compared by name and identity, in the order of the new config', () => {
  const peer = (name: string, identity: string) => ({ name, identity });
  const before = [peer('a', '1'), peer('b', '1'), peer('c', '1')];
  const after = [peer('d', '1'), peer('c', '2'), peer('a', '1')];
  expect(comparePeers(before, after)).toEqual({ added: ['d'], removed: ['b'], changed: ['c'], kept: ['a'] });
});

describe('what is fixed at the start', () => {
  const before = gatewayOf(['remote 192.0.2.1']);

  it.each([
    ['dev', ['dev tun7'], 'the device name'],
    ['tun-mtu', ['tun-mtu 1400'], 'the MTU of the device'],
    ['mute', ['mute 5'], '`mute`'],
    ['log', ['log /tmp/x.log'], '`log`'],
    ['user', ['user nobody'], '`user`'],
    ['status', ['status /tmp/x.status'], '`status`'],
    ['writepid', ['writepid /tmp/x.pid'], 'the pid file'],
    ['providers legacy', ['providers legacy default'], '`providers legacy`'],
  ])('%s', (_row, lines, words) => {
    expect(fixedChanges(before, gatewayOf(['remote 192.0.2.1', ...lines]))).toEqual([
      expect.stringContaining(words) as string,
    ]);
  });

  it('is not the peers, the routes or verb', () => {
    const after = gatewayOf(['remote 192.0.2.9', 'route 10.9.0.0 255.255.0.0', 'verb 4']);
    expect(fixedChanges(before, after)).toEqual([]);
  });
});
