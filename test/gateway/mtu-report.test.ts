/** From a measurement to sentences and config lines. */
import { describe, expect, it } from 'vitest';
import type { MtuReport } from '../../src/control/mtu.ts';
import { renderMtu } from '../../src/control/mtu.ts';
import { plain } from '../../src/control/colour.ts';
import type { PathMeasurement } from '../../src/engine/mtu-probe.ts';
import { mtuReport } from '../../src/gateway/mtu-report.ts';
import { configOf } from '../support/config.ts';

const exact = (mtu: number, local = false) => ({ passes: mtu, fails: mtu + 1, local, complete: true });
const BLACK_HOLE: PathMeasurement = {
  family: 4,
  forward: exact(1400),
  reverse: { passes: 1388, fails: 1404, local: false, complete: true },
  fragments: true,
  tsvpn: false,
  told: false,
  rttMs: 5,
  probes: 59,
  tookMs: 500,
};
const EFFECTIVE: MtuReport['effective'] = { inner: 1303, mss: 1263, fragment: 0 };

function report(
  lines: readonly string[] = [],
  change: Partial<PathMeasurement> = {},
  { effective = EFFECTIVE, inner6 = false } = {},
): MtuReport {
  const config = configOf(['auth SHA256', 'remote 198.51.100.2', ...lines]);
  const measurement = { ...BLACK_HOLE, ...change };
  return mtuReport({ config, endpoint: '198.51.100.2:1194', measurement, effective, inner6 });
}

const lines = ({ recommended }: MtuReport) => recommended.flatMap((each) => each.lines);

describe('what is known of a path', () => {
  it('is the same both ways when one is known exactly and the other to a block', () => {
    expect(report()).toMatchObject({
      software: 'openvpn',
      toPeer: { mtu: 1400, upTo: 1400 },
      fromPeer: { mtu: 1400, upTo: 1400, measured: { mtu: 1388, upTo: 1403 } },
      largest: { inner: 1303, outer: 1388 },
    });
  });

  it('is what was measured when the directions differ', () => {
    const { fromPeer, largest } = report([], {
      reverse: { passes: 1292, fails: 1308, local: false, complete: true },
    });
    expect(fromPeer).toEqual({ mtu: 1292, upTo: 1307 });
    expect(largest?.inner).toBe(1207);
  });

  it('is nothing to go by when the measurement did not come to its end', () => {
    const silent = { passes: 300, fails: undefined, local: false, complete: false };
    const found = report([], { forward: silent, reverse: undefined });
    expect(found).toMatchObject({
      toPeer: { mtu: 300, upTo: null },
      largest: null,
      recommended: [],
      today: [],
    });
  });

  it('has no limit from a peer that sends nothing longer', () => {
    const jumbo = report([], {
      forward: exact(9000),
      reverse: { passes: 1788, fails: undefined, local: false, complete: true },
    });
    expect(jumbo.fromPeer).toEqual({ mtu: 1788, upTo: null });
    expect(jumbo.largest?.inner).toBe(8903);
  });

  it('adds up', () => {
    const { overhead, largest } = report(['fragment 1300', 'comp-lzo no']);
    expect(overhead.map(({ name, bytes }) => `${name} ${bytes}`)).toEqual([
      'IPv4 20',
      'UDP 8',
      'HMAC 32',
      'IV 16',
      'packet id 8',
      'fragment 4',
      'compression 1',
    ]);
    expect(largest).toEqual({ inner: 1298, outer: 1388 });
  });
});

describe('what happens today', () => {
  const cases: readonly [string, MtuReport, RegExp][] = [
    [
      'a black hole swallows',
      report(),
      /Inner packets of 1304 to 1500 bytes become datagrams that the path drops/,
    ],
    [
      'routers tell',
      report([], { told: true }),
      /routers say so, and this host sends two IP fragments then\./,
    ],
    [
      'this host cuts, in vain',
      report([], { forward: exact(1400, true), fragments: false }),
      /are sent in two IP fragments, which the path drops/,
    ],
    ['TCP hangs', report(), /TCP does not fit: .* 1399 bytes; MSS 1263, IPv6 1243 would fit/],
    [
      'on tap, MSS leaves room for VLAN tags',
      report(['dev tap', 'ifconfig 10.8.0.1 255.255.255.0']),
      /; MSS 1231, IPv6 1211 would fit/,
    ],
    ['TCP fits', report([], { forward: exact(1492), reverse: exact(1492) }), /TCP fits: .* 1399 bytes/],
    ['mssfix is off', report(['mssfix 0']), /mssfix is off/],
    ['it is seen to', report(), /tsvpn goes by inner packets of 1303 bytes and MSS 1263 for now/],
    [
      'it is not',
      report(['mtu-probe off'], {}, { effective: { inner: 1500, mss: 1359, fragment: 0 } }),
      /`mtu-probe off`: tsvpn does nothing/,
    ],
    ['mtu-disc yes forbids', report(['mtu-disc yes']), /are not sent: `mtu-disc yes` forbids fragments/],
    [
      'IPv6 inside is too long',
      report([], { forward: exact(1300) }, { inner6: true }),
      /IPv6 inside needs 1280/,
    ],
    ['all fits', report(['tun-mtu 1300']), /^Every inner packet of up to 1300 bytes/],
    [
      'fragment fits',
      report(['fragment 1300']),
      /`fragment 1300` makes outer IP packets of up to 1324 bytes: all of them/,
    ],
    [
      'fragment may count outer headers',
      report(['fragment 1400 mtu']),
      /`fragment 1400 mtu` makes outer IP packets of up to 1372 bytes: all/,
    ],
    [
      'fragments are shorter for now',
      report(['fragment 1400'], {}, { effective: { inner: 1500, mss: 1267, fragment: 1299 } }),
      /fragments in outer IP packets of up to 1388 bytes for now/,
    ],
    ['fragment does not', report(['fragment 1400']), /up to 1420 bytes, more than the path carries/],
  ];

  it.each(cases)('%s', (_, { today }, sentence) => {
    expect(today.join('\n')).toMatch(sentence);
  });
});

describe('recommended', () => {
  it.each<[string, MtuReport, string[]]>([
    ['shorter packets', report(), ['tun-mtu 1303', 'mssfix 1400 mtu', 'fragment 1372']],
    [
      'fragment, where IPv6 needs more than fits',
      report([], { forward: exact(1300) }, { inner6: true }),
      ['fragment 1272', 'mssfix 1300 mtu'],
    ],
    ['a fragment that fits', report(['fragment 1400']), ['fragment 1372']],
    ['nothing, where all fits', report(['tun-mtu 1300']), []],
    ['nothing, where fragments fit', report(['fragment 1300']), []],
  ])('is %s', (_, result, expected) => {
    expect(lines(result)).toEqual(expected);
  });
});

describe('a change of the config', () => {
  const local1500 = { passes: 1500, fails: 1501, local: true, complete: true };
  const reverse1500 = { passes: 1484, fails: 1500, local: false, complete: true };
  const wide = { forward: local1500, reverse: reverse1500, told: false };
  it.each<[string, MtuReport, boolean]>([
    ['is called for where TCP does not fit', report(), true],
    ['is not where TCP fits and long packets arrive in two fragments', report([], wide), false],
    ['is where the path drops those', report([], { ...wide, fragments: false }), true],
    ['is where they are not sent', report(['mtu-disc yes'], wide), true],
    ['is where nothing keeps TCP short', report(['mssfix 0'], wide), true],
    ['is not where all fits', report(['tun-mtu 1300']), false],
    ['is where fragments are too long', report(['fragment 1400']), true],
    ['is not where fragments fit', report(['fragment 1300']), false],
  ])('%s', (_, result, urgent) => {
    expect(result.urgent).toBe(urgent);
    const text = renderMtu(result, plain);
    expect(text.includes('nothing has to be done')).toBe(!urgent && result.recommended.length > 0);
  });
});

describe('in a terminal', () => {
  it('every figure has its place', () => {
    const text = renderMtu(report([], { fragments: false }), plain);
    expect(text).toContain(
      'peer at 198.51.100.2:1194, OpenVPN: measured in 0.5 s with 59 probes, round trip 5.0 ms',
    );
    expect(text).toContain('path to it       outer IP packets of 1400 bytes\n');
    expect(text).toContain('path from it     outer IP packets of 1400 bytes (1388 to 1403 was measured');
    expect(text).toContain('IP fragments     do not pass');
    expect(text).toContain('IPv4 20 + UDP 8 + HMAC 32 + IV 16 + packet id 8 = 84, and padding of 1 to 16');
    expect(text).toContain('inner packet of 1303 bytes: 1303 + 84 + padding 1 = 1388');
    expect(text).toContain('recommended\n  tun-mtu 1303\n');
  });

  it('ranges and open ends are told as such', () => {
    const range = { passes: 1388, fails: 1404, local: false, complete: true };
    const open = { passes: 1788, fails: undefined, local: false, complete: true };
    const text = renderMtu(report([], { forward: range, reverse: open }), plain);
    expect(text).toContain('1388 to 1403 bytes');
    expect(text).toContain('at least 1788 bytes');
  });

  it('a silent peer is one', () => {
    const silent = report([], { forward: undefined, reverse: undefined, probes: 6 });
    expect(silent.software).toBeNull();
    expect(renderMtu(silent, plain)).toBe('peer at 198.51.100.2:1194 did not answer 6 probes');
  });
});
