/** What `tsvpn check` says of sizes, next to a capture of stock and tsvpn with the same lines: a sample of all configs. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sizesOf } from '../../src/config/sizes.ts';
import { TSVPN } from '../support/gateway.ts';
import { configOf } from '../support/config.ts';
import { createLink, OUTER, type Link } from '../support/topology.ts';
import { capturedSynMss, expectPing } from '../support/traffic.ts';
import { startTunnel, stopTunnel, type End } from '../support/tunnel.ts';

const COUNT = 8;
const SEED = 11;

const size = (name: string, min: number, max: number) =>
  fc.oneof(
    fc.constant(''),
    fc.integer({ min, max }).map((bytes) => `${name} ${bytes}`),
  );

const CONFIGS = fc.record({
  cipher: fc.constantFrom('AES-256-CBC', 'AES-128-CBC', 'none'),
  auth: fc.constantFrom('SHA1', 'SHA256', 'SHA512'),
  device: fc.constantFrom('p2p', 'p2p', 'tap'),
  outer: fc.constantFrom('ipv4', 'ipv4', 'ipv6'),
  stockListens: fc.boolean(),
  lines: fc
    .tuple(
      fc.constantFrom('', 'comp-lzo no', 'compress stub-v2'),
      fc.constantFrom('', '', 'no-replay'),
      size('fragment', 500, 1600),
      fc.constantFrom('', 'mssfix 1400', 'mssfix 1380 mtu', 'mssfix 1300 fixed', 'mssfix 0'),
      size('tun-mtu', 1280, 1700),
    )
    .map((lines) => lines.filter((line) => line !== '')),
});

let link: Link;
beforeAll(async () => {
  link = await createLink();
  for (const namespace of [link.a, link.b]) {
    // Nothing is cut outside, and a capture sees one datagram after the other.
    await namespace.ip('link', 'set', 'outer', 'mtu', '9000');
    await namespace.mustRun(['ethtool', '-K', 'outer', 'tx-udp-segmentation', 'off']);
  }
});
afterAll(() => link.destroy());

/** The longest datagrams that `from` and `to` send, when a packet of `inner` bytes goes there and back. */
async function longestDatagrams(from: End, to: End, inner: number): Promise<[number, number]> {
  const tcpdump = from.namespace.spawn(['tcpdump', '-nn', '-l', '-i', 'outer', 'udp']);
  await tcpdump.waitFor(/listening on/);
  await expectPing(from.namespace, to.address, inner - 28);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await tcpdump.stop();
  const sent = [...tcpdump.log.matchAll(/IP6? (\S+)\.\d+ > \S+: UDP, length (\d+)/g)];
  const ours: readonly string[] = Object.values(from.namespace === link.a ? OUTER.a : OUTER.b);
  const longest = (own: boolean) =>
    Math.max(
      ...sent.filter(([, source]) => ours.includes(source) === own).map(([, , length]) => Number(length)),
    );
  return [longest(true), longest(false)];
}

const sample = fc.sample(CONFIGS, { numRuns: COUNT, seed: SEED });

it.each(sample.map((row, i) => ({ ...row, number: i + 1, title: Object.values(row).flat().join(', ') })))(
  '$title',
  async ({ cipher, auth, device, outer, stockListens, lines, number }) => {
    const tunnel = await startTunnel(link, {
      number,
      cipher,
      auth,
      device,
      outer,
      lines,
      listener: stockListens ? 'openvpn' : TSVPN,
      caller: stockListens ? TSVPN : 'openvpn',
      [stockListens ? 'callerLines' : 'listenerLines']: ['setenv opt mtu-probe off'],
    });
    const { listener, caller } = tunnel;
    const common = [
      `cipher ${cipher}`,
      `auth ${auth}`,
      ...(device === 'tap' ? ['dev tap', 'ifconfig 10.4.0.1 255.255.255.0'] : []),
      ...lines,
    ];
    const [waiting, calling] = [common, [...common, `remote ${OUTER.a[outer]}`]].map((each) =>
      sizesOf(configOf(each)),
    );
    const longest = await longestDatagrams(caller, listener, calling.tunMtu);
    if (calling.datagrams === 1) expect(longest).toEqual([calling.parts.total, calling.parts.total]);
    else {
      expect(longest[0], 'both ends cut alike').toBe(longest[1]);
      expect(longest[0]).toBeLessThanOrEqual(calling.parts.total);
    }
    const family = outer === 'ipv4' ? 0 : 1;
    const clamps = [waiting, calling].map(({ families }) => families[family].mss4).filter((mss) => mss > 0);
    const mss = Math.min(calling.tunMtu - 40, ...clamps);
    expect(
      await capturedSynMss(caller.namespace, listener.address, {
        at: listener.namespace,
        device: listener.device,
      }),
    ).toBe(mss);
    await stopTunnel(tunnel);
  },
);
