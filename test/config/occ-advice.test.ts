import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adviseOcc } from '../../src/config/occ-advice.ts';
import { occOptions } from '../../src/gateway/settings.ts';
import { compareOccOptions, expectedPeerOptions } from '../../src/protocol/occ-options.ts';
import { configOf } from '../support/config.ts';

/** What is said about a peer whose options are the expected ones with one item replaced, removed or added. */
function adviceFor(lines: readonly string[], change: (options: string) => string): string[] {
  const config = configOf(lines);
  const expected = expectedPeerOptions(occOptions(config));
  return compareOccOptions(expected, change(expected)).map((difference) => adviseOcc(config, difference));
}

const replace = (from: string | RegExp, to: string) => (options: string) => {
  const changed = options.replace(from, to);
  expect(changed).not.toBe(options);
  return changed;
};
const add = (item: string) => replace('secret', `secret,${item}`);

/** The lines of a config stand behind four others. */
const ROWS: readonly [
  title: string,
  lines: readonly string[],
  change: (options: string) => string,
  advice: string,
][] = [
  [
    'another version of the string',
    [],
    replace('V4', 'V5'),
    'the peer writes its options in version V5, this end in V4: they cannot be compared',
  ],
  [
    'a tap device',
    [],
    replace('dev-type tun', 'dev-type tap'),
    'the peer has a tap device, this end a tun device: write "dev tap" here (peer.conf:1) or "dev tun" there',
  ],
  [
    'a smaller tun-mtu',
    ['tun-mtu 1500'],
    replace('tun-mtu 1500', 'tun-mtu 1400'),
    'the peer uses tun-mtu 1400, this end 1500: write "tun-mtu 1400" here (peer.conf:5) or "tun-mtu 1500" there',
  ],
  [
    'a tun-mtu that is left to its default here',
    [],
    replace('tun-mtu 1500', 'tun-mtu 1400'),
    'the peer uses tun-mtu 1400, this end 1500: write "tun-mtu 1400" here or "tun-mtu 1500" there',
  ],
  [
    'only the link-mtu',
    [],
    replace('link-mtu 1560', 'link-mtu 1528'),
    'the peer counts packets of up to 1528 bytes, this end 1560, and all else agrees: look for `link-mtu`, ' +
      '`tun-mtu-extra`, `keysize` or `no-iv` there, and remove it',
  ],
  [
    'an address',
    [],
    replace(/ifconfig [^,]+/, 'ifconfig 10.254.0.1 10.254.0.9'),
    'the peer has "ifconfig 10.254.0.9 10.254.0.1", this end "ifconfig 10.254.0.1 10.254.0.2" (peer.conf:4), and they ' +
      'have to mirror each other: write "ifconfig 10.254.0.1 10.254.0.9" here or "ifconfig 10.254.0.2 10.254.0.1" there',
  ],
  [
    'a network where this end has a pair',
    [],
    replace(/ifconfig [^,]+/, 'ifconfig 10.254.0.0 255.255.255.0'),
    "the peer's network is 10.254.0.0 with mask 255.255.255.0, this end's the pair 10.254.0.2 and 10.254.0.1, by " +
      '"ifconfig 10.254.0.1 10.254.0.2" (peer.conf:4): write addresses of one network and one `topology` on both ends',
  ],
  [
    'no addresses',
    [],
    replace(/ifconfig [^,]+,/, ''),
    'only this end has an `ifconfig` line: write "ifconfig 10.254.0.2 10.254.0.1" there, or add "ifconfig-nowarn" here ' +
      '(now "ifconfig 10.254.0.1 10.254.0.2" (peer.conf:4))',
  ],
  [
    'addresses that this end has none of',
    ['ifconfig-nowarn'],
    replace('cipher', 'ifconfig 10.254.0.1 10.254.0.2,cipher'),
    'only the peer has an `ifconfig` line: write "ifconfig 10.254.0.1 10.254.0.2" here, or "ifconfig-nowarn" there',
  ],
  [
    'a network that this end has nothing of',
    ['ifconfig-nowarn'],
    replace('cipher', 'ifconfig 10.254.0.0 255.255.255.0,cipher'),
    'only the peer has an `ifconfig` line: write one here, or "ifconfig-nowarn" there',
  ],
  [
    'compression framing that only shows in the options',
    [],
    add('comp-lzo'),
    'only the peer has "compress stub-v2": write it here, or remove it there',
  ],
  [
    'no compression framing',
    ['comp-lzo no'],
    replace(',comp-lzo', ''),
    'only this end has "comp-lzo no" (peer.conf:5): remove it here, or write it there',
  ],
  [
    'fragments',
    [],
    add('mtu-dynamic'),
    'only the peer has "fragment SIZE": write it here, or remove it there',
  ],
  [
    'no fragments',
    ['fragment 1200 mtu'],
    replace(',mtu-dynamic', ''),
    'only this end has "fragment 1200 mtu" (peer.conf:5): remove it here, or write it there',
  ],
  [
    'a key direction',
    [],
    add('keydir 0'),
    'the peer uses key-direction 0, this end none: write "key-direction 1" here, or remove it there',
  ],
  [
    'no key direction',
    ['key-direction 1'],
    replace(',keydir 0', ''),
    'this end uses key-direction 1 (peer.conf:5), the peer none: write "key-direction 0" there, or remove it here',
  ],
  [
    'the same key direction',
    ['key-direction 1'],
    replace('keydir 0', 'keydir 1'),
    'both ends use key-direction 1: write "key-direction 0" here (peer.conf:5), or the other one there',
  ],
  [
    'another digest',
    ['auth SHA256'],
    replace('auth SHA256', 'auth [null-digest]'),
    'the peer uses auth none, this end SHA256: write "auth none" here (peer.conf:5) or "auth SHA256" there',
  ],
  [
    'a shorter key',
    [],
    replace('keysize 256', 'keysize 128'),
    'the peer\'s cipher key has 128 bits, this end\'s 256: write "cipher AES-256-CBC" there, and no `keysize`',
  ],
  [
    'no static key',
    [],
    replace('secret', 'tls-client'),
    'the peer has no static key: it needs a config with `secret`, as this end has',
  ],
  ['no packet ids', [], add('no-replay'), 'only the peer has "no-replay": write it here, or remove it there'],
  [
    'packet ids',
    ['no-replay'],
    replace(',no-replay', ''),
    'only this end has "no-replay" (peer.conf:5): remove it here, or write it there',
  ],
  ['an item of the future', [], add('quantum 9'), 'only the peer has "quantum 9"'],
];

describe('a peer with', () => {
  test.each(ROWS)('%s', (_, lines, change, advice) => {
    expect(adviceFor(lines, change)).toContain(advice);
  });

  test.each([
    ['the expected options', (options: string) => options],
    [
      'another transport, which it tells by role',
      (options: string) => options.replace('UDPv4', 'TCPv4_CLIENT'),
    ],
    ['IPv6 addresses of its own', add('tun-ipv6')],
  ])('%s is not spoken of', (_, change) => {
    expect(adviceFor([], change)).toEqual([]);
  });

  test('several differences gets a sentence for each, and none for the link-mtu that follows', () => {
    const change = (options: string) =>
      options.replace('tun-mtu 1500', 'tun-mtu 1400').replace('link-mtu 1560', 'link-mtu 1461') + ',comp-lzo';
    expect(adviceFor([], change).map((text) => text.split(':')[0])).toEqual([
      'the peer uses tun-mtu 1400, this end 1500',
      'only the peer has "compress stub-v2"',
    ]);
  });
});

describe('OpenVPN 2.5', () => {
  const tap = 'V4,dev-type tap,link-mtu 1604,tun-mtu 1500';
  test.each([
    ['counts Ethernet headers in the MTU of a tap', tap, 'V4,dev-type tap,link-mtu 1604,tun-mtu 1532'],
    [
      'counts a marker that compress stub-v2 has not',
      'V4,link-mtu 1560,tun-mtu 1500,comp-lzo',
      'V4,link-mtu 1561,tun-mtu 1500,comp-lzo',
    ],
    ['counts both', `${tap},comp-lzo`, 'V4,dev-type tap,link-mtu 1605,tun-mtu 1532,comp-lzo'],
  ])('%s, which is not spoken of', (_, ours, theirs) => {
    expect(compareOccOptions(ours, theirs)).toEqual([]);
  });

  test('has its MTU told as its config has it', () => {
    const received = 'V4,dev-type tap,link-mtu 1504,tun-mtu 1432';
    expect(compareOccOptions(tap, received)).toEqual([
      { option: 'tun-mtu', expected: 'tun-mtu 1500', received: 'tun-mtu 1400' },
    ]);
  });

  test('counts no more than that', () => {
    expect(compareOccOptions(tap, 'V4,dev-type tap,link-mtu 1604,tun-mtu 1531')).toHaveLength(1);
    expect(compareOccOptions('V4,link-mtu 1560,tun-mtu 1500', 'V4,link-mtu 1561,tun-mtu 1500')).toHaveLength(
      1,
    );
  });
});

test('whatever a peer sends is advised about in one line, and nothing throws', () => {
  const configs = [[], ['comp-lzo no'], ['key-direction 1'], ['ifconfig-nowarn'], ['fragment 1300']].map(
    (lines) => configOf(lines),
  );
  const names = fc.constantFrom(
    ...'V4 dev-type link-mtu tun-mtu proto tun-ipv6 ifconfig comp-lzo mtu-dynamic keydir cipher auth keysize secret no-replay constructor __proto__'.split(
      ' ',
    ),
  );
  const word = fc.oneof(names, fc.constantFrom('255.255.255.0', '10.0.0.1', '0', '', 'NaN'), fc.string());
  const item = fc.array(word, { maxLength: 4 }).map((words) => words.join(' '));
  const options = fc.array(item, { maxLength: 20 }).map((items) => ['V4', ...items].join(','));
  fc.assert(
    fc.property(options, fc.constantFrom(...configs), (received, config) => {
      for (const difference of compareOccOptions(expectedPeerOptions(occOptions(config)), received)) {
        expect(adviseOcc(config, difference)).toMatch(/^[\x20-\x7e]+$/);
      }
    }),
    { numRuns: 2000 },
  );
});
