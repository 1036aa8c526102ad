/** What `tsvpn check` and `tsvpn mtu` say of sizes, next to the datagrams that the engine makes with the same config. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { longestFragment } from '../../src/config/channel-shape.ts';
import { sizesOf } from '../../src/config/sizes.ts';
import type { PeerConfig } from '../../src/config/model.ts';
import { mssFor, peerSettings } from '../../src/gateway/settings.ts';
import { ETHERNET_HEADER } from '../../src/packet/ethernet.ts';
import { TCP_IPV4_HEADERS } from '../../src/packet/tcp.ts';
import { framingSize } from '../../src/protocol/framing.ts';
import { configOf } from '../support/config.ts';
import { ipv4Packet, Pair } from '../support/pair.ts';

const KEY = new Uint8Array(256).map((_, i) => (i * 7 + 3) & 0xff);

/** Lines of a config, or nothing. */
const one = (...lines: string[]) => fc.constantFrom(...lines);

const CONFIGS = fc
  .tuple(
    one('cipher AES-256-CBC', 'cipher AES-128-CBC', 'cipher none'),
    one('auth SHA1', 'auth SHA256', 'auth SHA512', 'auth none'),
    one('', 'comp-lzo no', 'compress stub-v2', 'compress lz4'),
    one('', '', 'no-replay'),
    fc.oneof(
      fc.constant(''),
      fc.integer({ min: 200, max: 1600 }).map((size) => `fragment ${size}`),
    ),
    one('', 'mssfix 1400', 'mssfix 1400 mtu', 'mssfix 1200 mtu'),
    fc.oneof(
      fc.constant(''),
      fc.integer({ min: 1000, max: 1700 }).map((size) => `tun-mtu ${size}`),
    ),
    one('dev tun', 'dev tap\nifconfig 10.254.0.1 255.255.255.0'),
  )
  .map((lines) => lines.filter((line) => line !== ''));

/** Lengths of the datagrams that a packet of `inner` bytes becomes, and of what comes out at the other end. */
function sent(config: PeerConfig, inner: number): { datagrams: number[]; delivered: number[] } {
  const {
    sealKeys: _seal,
    openKeys: _open,
    suite,
    sharedKeys: _shared,
    ...settings
  } = peerSettings(config, KEY);
  const pair = new Pair({
    cipher: suite.cipher.name,
    digest: suite.digest.name,
    deviceType: config.device.type,
    a: { ...settings, mtuProbe: 'off' },
    b: { ...settings, mtuProbe: 'off' },
  }).connect();
  const datagrams: number[] = [];
  pair.settle();
  pair.wire.eavesdropper = (_bytes, _offset, length) => datagrams.push(length);
  pair.a.toSend.push(config.device.type === 'tap' ? frame(inner) : ipv4Packet(inner));
  pair.settle();
  return { datagrams, delivered: pair.b.delivered.map(({ length }) => length) };
}

function frame(inner: number): Uint8Array {
  const bytes = new Uint8Array(ETHERNET_HEADER + inner);
  bytes.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00]);
  bytes.set(ipv4Packet(inner), ETHERNET_HEADER);
  return bytes;
}

test('a full packet becomes the datagrams that `check` counts, of the length it says', () => {
  fc.assert(
    fc.property(CONFIGS, (lines) => {
      const config = configOf([...lines, 'remote 192.0.2.2']);
      const { tunMtu } = peerSettings(config, KEY);
      // `fragment` cannot carry a full packet: it is cut before.
      fc.pre(tunMtu === config.mtu.tunMtu);
      const sizes = sizesOf(config);
      const { datagrams, delivered } = sent(config, config.mtu.tunMtu);
      expect(delivered).toEqual([config.mtu.tunMtu + (config.device.type === 'tap' ? ETHERNET_HEADER : 0)]);
      expect(datagrams.length).toBe(sizes.datagrams);
      if (sizes.datagrams === 1) expect(datagrams).toEqual([sizes.parts.total]);
      else expect(Math.max(...datagrams)).toBeLessThanOrEqual(sizes.parts.total);
    }),
    { numRuns: 60 },
  );
});

test('no fragment makes a longer IP packet than `tsvpn mtu` says, and the longest does make it', () => {
  fc.assert(
    fc.property(CONFIGS, fc.constantFrom(4 as const, 6 as const), (lines, family) => {
      const config = configOf([...lines, 'remote 192.0.2.2']);
      fc.pre(config.mtu.fragment !== undefined);
      const { maxFragment, framing, linkHeader } = peerSettings(config, KEY);
      const headers = family === 4 ? 28 : 48;
      const longest = longestFragment(config, family);
      expect(longest - headers).toBeLessThanOrEqual(config.mtu.fragment.bytes);
      // As long as a whole packet may be that is not cut.
      const marker = framingSize(framing);
      const inner = maxFragment - marker - linkHeader;
      fc.pre(inner >= 28 && inner <= config.mtu.tunMtu);
      expect(sent(config, inner).datagrams).toEqual([longest - headers]);
    }),
    { numRuns: 60 },
  );
});

test('a TCP segment of the clamped MSS fits what mssfix counts', () => {
  fc.assert(
    fc.property(CONFIGS, (lines) => {
      const config = configOf([...lines, 'remote 192.0.2.2']);
      const { mssfix, fragment } = config.mtu;
      fc.pre(fragment === undefined && (mssfix.mode === 'mtu' || mssfix.mode === 'payload'));
      if (mssfix.mode !== 'mtu' && mssfix.mode !== 'payload') return;
      const inner = mssFor(config, 4) + TCP_IPV4_HEADERS;
      fc.pre(inner <= config.mtu.tunMtu);
      const [length] = sent(config, inner).datagrams;
      const counted = mssfix.mode === 'mtu' ? length + 28 : length;
      expect(counted).toBeLessThanOrEqual(mssfix.value);
      // By less than a block, and on tap the tags that an Ethernet header may have.
      const slack =
        config.cipher.blockSize + config.mtu.tunMtuExtra - (config.device.type === 'tap' ? 14 : 0);
      expect(counted).toBeGreaterThan(mssfix.value - slack - 1);
    }),
    { numRuns: 60 },
  );
});
