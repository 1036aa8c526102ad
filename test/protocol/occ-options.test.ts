import { describe, expect, test } from 'vitest';
import {
  asConfigLine,
  buildOccOptions,
  compareOccOptions,
  escapePeerText,
  expectedPeerOptions,
} from '../../src/protocol/occ-options.ts';
import type { OccOptions } from '../../src/protocol/occ-options.ts';
import { sessions } from '../support/vectors.ts';

const base: OccOptions = {
  protocol: 'udp',
  deviceType: 'tun',
  linkMtu: 1572,
  tunMtu: 1500,
  ipv6: false,
  ifconfig: { kind: 'p2p', local: '10.4.0.2', remote: '10.4.0.1' },
  compression: false,
  fragment: false,
  keyDirection: undefined,
  cipher: 'AES-256-CBC',
  keyBits: 256,
  digest: 'SHA256',
  replay: true,
};

/** The string the peer of session file `name` sent, as recorded. */
function recorded(name: string): string {
  const session = sessions.find((s) => s.name === name)!;
  const reply = session.decoded.find(({ kind }) => kind === 'occ-1')!;
  // Magic and opcode stand before the text.
  const text = reply.occ_text ?? Buffer.from(reply.inner_hex!, 'hex').toString('latin1', 17);
  return text.replace('\0', '');
}

test('the peer of a TCP server is expected to be a client', () => {
  const ifconfig = { kind: 'p2p', local: '10.4.0.1', remote: '10.4.0.2' } as const;
  const ours: OccOptions = { ...base, protocol: 'tcp-server', linkMtu: 1574, ifconfig };
  expect(buildOccOptions(ours)).toBe(recorded('23-tcp-aes256cbc-sha256.a->b'));
  expect(expectedPeerOptions(ours)).toBe(recorded('23-tcp-aes256cbc-sha256.b->a'));
});

describe('buildOccOptions writes what stock sent', () => {
  test.each([
    ['01-aes256cbc-sha256.b->a', {}],
    ['05-none-sha256.b->a', { linkMtu: 1540, cipher: 'none', keyBits: 0 }],
    ['07-keydir-aes256cbc-sha256.b->a', { keyDirection: 1 }],
    ['08-fragment600.b->a', { linkMtu: 1576, fragment: true }],
    ['09-complzo-no.b->a', { linkMtu: 1573, compression: true }],
    ['10-bfcbc-sha1-defaults.b->a', { linkMtu: 1544, cipher: 'BF-CBC', keyBits: 128, digest: 'SHA1' }],
    [
      '11-tap-aes256cbc-sha256.b->a',
      {
        deviceType: 'tap',
        linkMtu: 1604,
        ifconfig: { kind: 'subnet', local: '10.4.0.2', netmask: '255.255.255.0' },
      },
    ],
    ['13-noreplay.b->a', { linkMtu: 1564, replay: false }],
    ['23-tcp-aes256cbc-sha256.b->a', { linkMtu: 1574, protocol: 'tcp-client' }],
  ] as const)('%s', (name, change) => {
    expect(buildOccOptions({ ...base, ...change })).toBe(recorded(name));
  });

  test.each([
    [
      'without digest and with IPv6',
      { linkMtu: 1508, cipher: 'none', keyBits: 0, digest: 'none', ipv6: true },
      'V4,dev-type tun,link-mtu 1508,tun-mtu 1500,proto UDPv4,tun-ipv6,ifconfig 10.4.0.1 10.4.0.2,' +
        'cipher [null-cipher],auth [null-digest],keysize 0,secret',
    ],
    [
      'topology subnet',
      { ifconfig: { kind: 'subnet', local: '10.4.7.2', netmask: '255.255.252.0' } },
      'V4,dev-type tun,link-mtu 1572,tun-mtu 1500,proto UDPv4,ifconfig 10.4.4.0 255.255.252.0,' +
        'cipher AES-256-CBC,auth SHA256,keysize 256,secret',
    ],
    [
      'without ifconfig',
      { ifconfig: undefined },
      'V4,dev-type tun,link-mtu 1572,tun-mtu 1500,proto UDPv4,cipher AES-256-CBC,auth SHA256,keysize 256,secret',
    ],
  ] as const)('%s', (_, change, expected) => {
    expect(buildOccOptions({ ...base, ...change })).toBe(expected);
  });
});

describe('compareOccOptions', () => {
  const compare = (mine: Partial<OccOptions>, theirs: Partial<OccOptions>): unknown =>
    compareOccOptions(expectedPeerOptions({ ...base, ...mine }), buildOccOptions({ ...peer, ...theirs }));
  const peer: OccOptions = { ...base, ifconfig: { kind: 'p2p', local: '10.4.0.1', remote: '10.4.0.2' } };

  test('finds no difference between matching ends of stock sessions', () => {
    for (const name of ['01-aes256cbc-sha256', '09-complzo-no', '13-noreplay']) {
      const [a, b] = [recorded(`${name}.a->b`), recorded(`${name}.b->a`)];
      const swap = (text: string): string => text.replace(/ifconfig ([^ ,]+) ([^ ,]+),/, 'ifconfig $2 $1,');
      expect(compareOccOptions(swap(a), b)).toEqual([]);
    }
  });

  test.each([
    ['mirrored addresses', {}, {}],
    ['opposite key directions', { keyDirection: 0 }, { keyDirection: 1 }],
    ['one end with IPv6', { ipv6: true }, { ipv6: false }],
  ] as const)('accepts %s', (_, mine, theirs) => {
    expect(compare(mine, theirs)).toEqual([]);
  });

  test.each([
    [
      'tun-mtu, and not the link-mtu that follows from it',
      {},
      { tunMtu: 1400, linkMtu: 1472 },
      [{ option: 'tun-mtu', expected: 'tun-mtu 1500', received: 'tun-mtu 1400' }],
    ],
    [
      'link-mtu alone',
      {},
      { linkMtu: 1558 },
      [{ option: 'link-mtu', expected: 'link-mtu 1572', received: 'link-mtu 1558' }],
    ],
    [
      'an address',
      {},
      { ifconfig: { kind: 'p2p', local: '10.4.0.9', remote: '10.4.0.2' } },
      [
        {
          option: 'ifconfig',
          expected: 'ifconfig 10.4.0.2 10.4.0.1',
          received: 'ifconfig 10.4.0.2 10.4.0.9',
        },
      ],
    ],
    [
      'an option only the peer has',
      {},
      { compression: true },
      [{ option: 'comp-lzo', expected: undefined, received: 'comp-lzo' }],
    ],
    [
      'an option only we have',
      { replay: false },
      {},
      [{ option: 'no-replay', expected: 'no-replay', received: undefined }],
    ],
    [
      'a key direction on one end only',
      {},
      { keyDirection: 0 },
      [{ option: 'keydir', expected: undefined, received: 'keydir 0' }],
    ],
  ] as const)('reports %s', (_, mine, theirs, differences) => {
    expect(compare(mine, theirs)).toEqual(differences);
  });

  test('reports only the version when it differs', () => {
    expect(compareOccOptions('V4,secret', 'V5,tls')).toEqual([
      { option: 'version', expected: 'V4', received: 'V5' },
    ]);
  });

  test('shows no control characters of the peer', () => {
    const [difference] = compareOccOptions('V4,tun-mtu 1500', 'V4,tun-mtu \x1b[31m\r\n');
    expect(difference.received).toBe('tun-mtu \\x1b[31m\\x0d\\x0a');
  });
});

test('escapePeerText escapes what terminals act on, backslashes too, and bounds the length', () => {
  expect(escapePeerText('V4 \\ \x00\x7f\xe9~')).toBe('V4 \\x5c \\x00\\x7f\\xe9~');
  expect(escapePeerText('x'.repeat(1000)).length).toBe(255);
});

test.each([
  ['a p2p ifconfig', 'ifconfig 10.4.0.1 10.4.0.2', 'ifconfig 10.4.0.2 10.4.0.1'],
  ['a subnet', 'ifconfig 10.4.4.0 255.255.252.0', 'ifconfig 10.4.4.0 255.255.252.0'],
  ['a key direction', 'keydir 1', 'key-direction 1'],
  ['no digest', 'auth [null-digest]', 'auth none'],
  ['anything else', 'tun-mtu 1400', 'tun-mtu 1400'],
])('%s is told to people as their config has it', (_row, item, line) => {
  expect(asConfigLine(item)).toBe(line);
});
