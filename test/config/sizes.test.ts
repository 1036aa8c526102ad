import { describe, expect, test } from 'vitest';
import { describeSizes, sizesOf } from '../../src/config/sizes.ts';
import { configOf } from '../support/config.ts';

const SHA256 = 'auth SHA256';
const REMOTE = 'remote 192.0.2.2';

describe('sizes of a config are those of OpenVPN 2.6', () => {
  // What OpenVPN 2.6.14 computes, and what its datagrams measure.
  const rows: readonly [
    title: string,
    lines: readonly string[],
    datagram: number,
    linkMtu: number,
    mssKnown: number,
    mssUnknown: number,
  ][] = [
    ['AES-256-CBC, SHA256', [SHA256], 1568, 1572, 1359, 1343],
    ['AES-128-CBC, SHA1', ['cipher AES-128-CBC'], 1556, 1560, 1375, 1359],
    ['AES-256-CBC, SHA512', ['auth SHA512'], 1600, 1604, 1327, 1311],
    ['BF-CBC, SHA1', ['cipher BF-CBC', 'providers legacy default'], 1540, 1544, 1383, 1367],
    ['none, SHA256', ['cipher none', SHA256], 1540, 1540, 1384, 1364],
    ['none, none', ['cipher none', 'auth none'], 1508, 1508, 1416, 1396],
    ['comp-lzo no', [SHA256, 'comp-lzo no'], 1568, 1573, 1358, 1342],
    ['compress stub-v2', [SHA256, 'compress stub-v2'], 1568, 1572, 1359, 1343],
    ['no-replay', [SHA256, 'no-replay'], 1552, 1564, 1367, 1351],
    ['tun-mtu 1400', [SHA256, 'tun-mtu 1400'], 1472, 1472, 1360, 1360],
    ['mssfix 1400', [SHA256, 'mssfix 1400'], 1568, 1572, 1295, 1295],
    ['mssfix 1400 mtu', [SHA256, 'mssfix 1400 mtu'], 1568, 1572, 1263, 1247],
    ['mssfix 1300 fixed', [SHA256, 'mssfix 1300 fixed'], 1568, 1572, 1260, 1260],
    ['max-packet-size 1400', [SHA256, 'max-packet-size 1400'], 1568, 1572, 1263, 1247],
    ['mssfix 0', [SHA256, 'mssfix 0'], 1568, 1572, 0, 0],
    ['link-mtu 1400', [SHA256, 'link-mtu 1400'], 1408, 1572, 0, 0],
    ['fragment 1200', [SHA256, 'fragment 1200'], 1200, 1576, 1067, 1051],
  ];
  test.each(rows)('%s', (_, lines, datagram, linkMtu, mssKnown, mssUnknown) => {
    const known = sizesOf(configOf([...lines, REMOTE]));
    expect([known.parts.total, known.linkMtu, known.families[0].mss4]).toEqual([datagram, linkMtu, mssKnown]);
    const unknown = sizesOf(configOf(lines));
    expect(unknown.families.map(({ mss4 }) => mss4)).toEqual([mssUnknown, mssUnknown]);
    expect(known.families[1].mss4).toBe(mssUnknown);
  });

  test.each(rows)('and its parts sum up: %s', (_, lines) => {
    const { parts, families } = sizesOf(configOf(lines));
    const { total, ...each } = parts;
    expect(Object.values(each).reduce((sum, size) => sum + size, 0)).toBe(total);
    for (const { onPath, transport, ip } of families) expect(onPath).toBe(total + transport + ip);
  });
});

test('they are told as a sum, and for each family', () => {
  expect(describeSizes(configOf([SHA256, REMOTE]))).toEqual([
    'a full packet (tun-mtu 1500) is a datagram of 1568 bytes: 32 HMAC (SHA256) + 16 IV (AES-256-CBC) + 8 packet id + ' +
      '1500 packet + 12 padding',
    'over IPv4: 1568 + 8 UDP + 20 IP = 1596 bytes; MSS of TCP inside 1359, over IPv6 1339',
    'over IPv6: 1568 + 8 UDP + 40 IP = 1616 bytes; MSS of TCP inside 1343, over IPv6 1323',
    'the peer is told link-mtu 1572',
  ]);
  expect(describeSizes(configOf(['cipher none', 'auth none', 'mssfix 0']))).toEqual([
    'a full packet (tun-mtu 1500) is a datagram of 1508 bytes: 8 packet id + 1500 packet',
    'over IPv4: 1508 + 8 UDP + 20 IP = 1536 bytes; MSS of TCP inside left alone',
    'over IPv6: 1508 + 8 UDP + 40 IP = 1556 bytes; MSS of TCP inside left alone',
    'the peer is told link-mtu 1508',
  ]);
  expect(describeSizes(configOf([SHA256, 'fragment 600', 'comp-lzo no']))[0]).toBe(
    '`fragment 600` cuts a full packet (tun-mtu 1500) into 3 datagrams of at most 592 bytes: 32 HMAC (SHA256) + ' +
      '16 IV (AES-256-CBC) + 8 packet id + 4 fragment header + 1 compression marker + 530 of the packet + 1 padding',
  );
});
