import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  datagramSize,
  innerMtu,
  innerMtuOf,
  linkMtu,
  maxFragment,
  mssfixValue,
  outerSize,
} from '../../src/protocol/mtu.ts';
import { suiteOf } from '../../src/bench/suites.ts';
import type { ChannelShape, MssFix } from '../../src/protocol/mtu.ts';
import { plaintextHex, sessions } from '../support/vectors.ts';

function shapeOf(cipher: string, auth: string, change: Partial<ChannelShape> = {}): ChannelShape {
  const suite = suiteOf(cipher, auth);
  return {
    hmacSize: suite.digest.size,
    blockSize: suite.cipher.blockSize,
    replay: true,
    framing: 'off',
    transport: 'udp',
    fragment: 0,
    tunMtu: 1500,
    tunMtuExtra: 0,
    ...change,
  };
}

interface MssCase {
  label: string;
  extra_config: string;
  cipher: string;
  auth: string;
  transport: 'udp' | 'tcp';
  dev: 'tun' | 'tap';
  a_has_remote: boolean;
  outer: 'ipv4' | 'ipv6';
  observed_syn_mss: Record<'A4' | 'A6' | 'B4' | 'B6', number>;
  local_options_string_of_B: string[];
}

const file = new URL('../behaviour/mssfix-cases.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: MssCase[] };

/** What a case's few config lines mean. */
function readCase(c: MssCase): { shape: ChannelShape; mssfix: MssFix; fromLinkMtu: boolean } {
  const line = (pattern: RegExp): string[] | undefined => pattern.exec(c.extra_config)?.slice(1);
  const linkMtuLine = line(/^link-mtu (\d+)/m);
  const [value, mode] = line(/^mssfix (\d+) ?(\w*)/m) ?? [];
  const modes = { '': 'payload', mtu: 'mtu', fixed: 'fixed' } as const;
  const mssfix: MssFix =
    value === undefined
      ? { mode: 'default' }
      : value === '0'
        ? { mode: 'off' }
        : { mode: modes[mode as keyof typeof modes], value: Number(value) };
  const shape = shapeOf(c.cipher, c.auth, {
    framing: c.extra_config.includes('comp-lzo')
      ? 'lzo'
      : c.extra_config.includes('stub-v2')
        ? 'stub-v2'
        : 'off',
    transport: c.transport,
    fragment: Number(line(/^fragment (\d+)/m)?.[0] ?? 0),
    tunMtu: linkMtuLine === undefined ? Number(line(/^tun-mtu (\d+)/m)?.[0] ?? 1500) : 1336,
    tunMtuExtra: c.dev === 'tap' ? 32 : 0,
  });
  return { shape, mssfix, fromLinkMtu: linkMtuLine !== undefined };
}

describe('mssfix as stock 2.6.14 computes it', () => {
  test.each(cases.map((c) => [c.label, c.cipher, c.auth, c] as const))('%s, %s, %s', (_, __, ___, c) => {
    const { shape, mssfix, fromLinkMtu } = readCase(c);
    const family = c.outer === 'ipv4' ? 4 : 6;
    // Whoever has no remote does not know the family; over TCP the listener knows its client.
    const [a, b] = [c.a_has_remote || c.transport === 'tcp' ? family : undefined, family] as const;
    const kernel = shape.tunMtu - 40;
    const clamped = [a, b].map((peer) => mssfixValue(shape, mssfix, peer, fromLinkMtu) || kernel);
    const { A4, A6, B4, B6 } = c.observed_syn_mss;
    expect(clamped).toEqual([A4, B4]);
    expect(clamped.map((mss) => mss - 20)).toEqual([A6, B6]);
  });

  // The values of OpenVPN's own unit test (test_crypto.c, test_mssfix_mtu_calculation).
  test.each([
    ['none', 1000, 952],
    ['AES-128-CBC', 991, 911],
    ['AES-128-CBC', 992, 927],
    ['AES-128-CBC', 1007, 927],
    ['AES-128-CBC', 1008, 943],
  ] as const)('%s without digest, mssfix %i', (cipher, value, mss) => {
    expect(mssfixValue(shapeOf(cipher, 'none'), { mode: 'payload', value }, 4, false)).toBe(mss);
  });

  test('is off when there is no room for a single byte', () => {
    const shape = shapeOf('AES-256-CBC', 'SHA256');
    expect(mssfixValue(shape, { mode: 'payload', value: 100 }, 4, false)).toBe(0);
    expect(mssfixValue(shape, { mode: 'fixed', value: 20 }, 4, false)).toBe(0);
  });

  test('counts no packet id with no-replay', () => {
    const shape = shapeOf('none', 'SHA256', { replay: false });
    expect(mssfixValue(shape, { mode: 'default' }, 4, false)).toBe(1392);
  });
});

describe('maxFragment', () => {
  // What stock 2.6.14 prints as max_frag at verb 7.
  test.each<
    [
      cipher: string,
      auth: string,
      fragment: number,
      counted: 4 | 6 | undefined,
      replay: boolean,
      expected: number,
    ]
  >([
    ['AES-256-CBC', 'SHA256', 1200, undefined, true, 1139],
    ['AES-256-CBC', 'SHA256', 600, undefined, true, 531],
    ['AES-256-CBC', 'SHA256', 600, undefined, false, 539],
    ['AES-256-CBC', 'SHA256', 1200, 6, true, 1091],
    ['AES-256-CBC', 'SHA256', 1200, 4, true, 1107],
    ['AES-256-CBC', 'SHA256', 1500, undefined, true, 1427],
    ['AES-256-CBC', 'SHA256', 68, undefined, true, 3],
    ['AES-128-CBC', 'SHA512', 68, undefined, true, -29],
    ['AES-128-CBC', 'none', 1200, undefined, true, 1171],
    ['none', 'SHA256', 1200, undefined, true, 1156],
    ['none', 'none', 1200, undefined, true, 1188],
    ['none', 'none', 1200, undefined, false, 1196],
  ])(
    '%s, %s, fragment %i, outer headers of family %s, replay %s',
    (cipher, auth, fragment, counted, replay, expected) => {
      expect(maxFragment(shapeOf(cipher, auth, { fragment, replay }), counted)).toBe(expected);
    },
  );

  test('makes datagrams that are no longer than asked for, and would be with one byte more', () => {
    for (const cipher of ['AES-256-CBC', 'BF-CBC', 'none']) {
      for (let fragment = 200; fragment < 300; fragment++) {
        const shape = shapeOf(cipher, 'SHA256', { fragment });
        const longest = maxFragment(shape, undefined);
        expect(datagramSize(shape, longest)).toBeLessThanOrEqual(fragment);
        expect(datagramSize(shape, longest + 1)).toBeGreaterThan(fragment);
      }
    }
  });
});

describe('innerMtu', () => {
  test.each([
    ['is tun-mtu without fragment', 0, 1500],
    ['is tun-mtu with fragments of a usual size', 1200, 1500],
    ['is what 32 fragments carry, less the framing, with small ones', 100, 32 * 32 - 2],
    ['is nothing when a fragment holds nothing', 68, 0],
  ])('%s', (_, fragment, expected) => {
    expect(innerMtu(shapeOf('AES-256-CBC', 'SHA256', { fragment }), undefined)).toBe(expected);
  });
});

describe('linkMtu', () => {
  const observed = cases.filter(({ extra_config: extra }) => !extra.includes('link-mtu'));
  test.each(observed.map((c) => [c.label, c.cipher, c.auth, c] as const))(
    'is what stock announced: %s, %s, %s',
    (_, __, ___, c) => {
      const announced = /link-mtu (\d+)/.exec(c.local_options_string_of_B[0])![1];
      expect(linkMtu(readCase(c).shape)).toBe(Number(announced));
    },
  );

  // The values of OpenVPN's own unit test (test_crypto.c, test_occ_mtu_calculation), tun-mtu 1400.
  test.each<[cipher: string, auth: string, change: Partial<ChannelShape>, expected: number]>([
    ['none', 'none', {}, 1408],
    ['AES-128-CBC', 'none', {}, 1440],
    ['none', 'SHA256', {}, 1440],
    ['BF-CBC', 'SHA1', {}, 1444],
    ['BF-CBC', 'SHA1', { transport: 'tcp' }, 1446],
    ['BF-CBC', 'SHA1', { framing: 'lzo' }, 1445],
    ['BF-CBC', 'SHA1', { framing: 'lzo', fragment: 1200 }, 1449],
  ])('%s, %s, %o', (cipher, auth, change, expected) => {
    expect(linkMtu(shapeOf(cipher, auth, { tunMtu: 1400, ...change }))).toBe(expected);
  });

  test('counts no packet id with no-replay', () => {
    expect(linkMtu(shapeOf('AES-256-CBC', 'SHA256', { replay: false }))).toBe(1564);
  });
});

describe('datagramSize', () => {
  test('is the size of every datagram stock sent', () => {
    for (const { cipher, auth, decoded, datagrams_hex: datagrams } of sessions) {
      const shape = shapeOf(cipher, auth, { replay: false });
      decoded.forEach((datagram, i) => {
        const size = datagramSize(shape, plaintextHex(datagram).length / 2);
        expect(size).toBe(datagrams[i].length / 2);
      });
    }
  });

  test.each([
    ['AES-256-CBC', 'SHA256', 80],
    ['AES-128-CBC', 'SHA1', 68],
    ['AES-256-CBC', 'SHA512', 112],
    ['AES-192-CBC', 'SHA384', 96],
    ['AES-256-CBC', 'none', 48],
    ['none', 'SHA256', 56],
    ['none', 'none', 24],
    ['BF-CBC', 'SHA1', 60],
    ['DES-EDE3-CBC', 'MD5', 56],
  ])('a ping with %s and %s is %i bytes', (cipher, auth, size) => {
    expect(datagramSize(shapeOf(cipher, auth), 16)).toBe(size);
  });

  test('a full packet with AES-256-CBC and SHA256 is 1568 bytes', () => {
    expect(datagramSize(shapeOf('AES-256-CBC', 'SHA256'), 1500)).toBe(1568);
  });

  test('counts the framing byte and the fragment header', () => {
    const plain = shapeOf('none', 'none');
    expect(datagramSize({ ...plain, framing: 'lzo', fragment: 1200 }, 100)).toBe(113);
    expect(datagramSize({ ...plain, framing: 'stub-v2' }, 100)).toBe(108);
  });
});

describe('the largest inner packet for a path', () => {
  const shapes: readonly [string, ChannelShape][] = [
    ['AES-256-CBC, SHA256', shapeOf('AES-256-CBC', 'SHA256')],
    ['BF-CBC, SHA512', shapeOf('BF-CBC', 'SHA512')],
    ['no cipher', shapeOf('none', 'SHA256')],
    ['nothing', shapeOf('none', 'none', { replay: false })],
    ['fragment and comp-lzo no', shapeOf('AES-128-CBC', 'SHA1', { fragment: 1400, framing: 'lzo-stub' })],
  ];

  test.each(shapes)('fits it, and one byte more does not: %s', (_, shape) => {
    for (const family of [4, 6] as const) {
      for (let path = 300; path < 1600; path++) {
        const inner = innerMtuOf(shape, path, family);
        expect(outerSize(shape, inner, family)).toBeLessThanOrEqual(path);
        expect(outerSize(shape, inner + 1, family)).toBeGreaterThan(path);
      }
    }
  });

  // docs/mtu.md
  test.each([
    [1280, 1191, 1175],
    [1400, 1303, 1287],
    [1460, 1367, 1351],
    [1492, 1399, 1383],
    [1500, 1415, 1383],
    [9000, 8903, 8887],
  ])('of %i bytes is %i over IPv4 and %i over IPv6', (path, over4, over6) => {
    const shape = shapeOf('AES-256-CBC', 'SHA256');
    expect([innerMtuOf(shape, path, 4), innerMtuOf(shape, path, 6)]).toEqual([over4, over6]);
  });
});
