/**
 * Tunnels between tsvpn and stock OpenVPN 2.5 and 2.7. What all releases have in common is tested with the one that is installed
 * (interop.test.ts and others); what they say of configs is in dialect-configs.test.ts.
 */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { TSVPN } from '../support/gateway.ts';
import { expectMeeting, measureMtu, onPath } from '../support/path-tunnel.ts';
import { ALLOWED, RELEASES, stockOf, type Release } from '../support/releases.ts';
import { createLink, type Link } from '../support/topology.ts';
import { capturedSynMss, expectPing, expectPingWithin, expectTransfer } from '../support/traffic.ts';
import { prepareTunnel, restart, startTunnel, stopTunnel, type TunnelOptions } from '../support/tunnel.ts';

const PING_SIZES = [0, 1472, 4000];
const TRANSFER_BYTES = 200_000;
/** OCC is asked for 10 s after the start, and the machine may be busy. */
const PATIENCE_MS = 50_000;

/** For OpenSSL 3; 2.5 runs with OpenSSL 1, and does not know the line. */
const LEGACY = 'providers legacy default';

type Role = 'listener' | 'caller';

interface Cell extends Omit<TunnelOptions, 'number' | 'listener' | 'caller'> {
  readonly title: string;
  readonly releases?: readonly Release[];
  readonly ourLines?: readonly string[];
}

const cells: readonly Cell[] = [
  { title: 'AES-256-CBC SHA256, two keys, IPv6 inside', direction: '0-1', inner6: true },
  { title: 'AES-128-CBC SHA1, a subnet', cipher: 'AES-128-CBC', auth: 'SHA1', device: 'subnet' },
  { title: 'cipher none, IPv6 outside', cipher: 'none', outer: 'ipv6' },
  { title: 'BF-CBC SHA1', cipher: 'BF-CBC', auth: 'SHA1', ourLines: [LEGACY], releases: ['2.5'] },
  { title: 'BF-CBC SHA1', cipher: 'BF-CBC', auth: 'SHA1', lines: [LEGACY], releases: ['2.7'] },
  { title: 'TCP', protocol: 'tcp', direction: '1-0' },
  { title: 'a tap device, comp-lzo no', device: 'tap', lines: ['comp-lzo no'] },
  { title: 'fragment, compress stub', lines: ['fragment 600', 'compress stub'] },
  { title: 'compress stub-v2, auth none', auth: 'none', lines: ['compress stub-v2'] },
  { title: 'comp-lzo yes, allowed', lines: ['comp-lzo yes', 'allow-compression yes'] },
  { title: 'no-replay', lines: ['no-replay'], releases: ['2.5'] },
];

let link: Link;
let tunnels = 0;
beforeAll(async () => {
  link = await createLink();
});
afterAll(() => link.destroy());

/** One end is tsvpn, the other one stock. */
function optionsOf(ours: Role, { ourLines = [], lines = [], ...rest }: Omit<Cell, 'title'>): TunnelOptions {
  return {
    ...rest,
    number: ++tunnels,
    listener: ours === 'listener' ? TSVPN : 'openvpn',
    caller: ours === 'caller' ? TSVPN : 'openvpn',
    lines: [...lines, ALLOWED],
    [`${ours}Lines`]: ourLines,
  };
}

/** 2.5 counts Ethernet headers in the MTU of a tap, and a marker that `compress stub-v2` has not. */
const HARMLESS = /is used inconsistently, local='(?:tun-mtu 1532|link-mtu 1541)'/g;

describe.each(RELEASES)('OpenVPN %s', (release) => {
  const rows = cells
    .filter(({ releases }) => releases?.includes(release) ?? true)
    .flatMap((cell) => [
      { ...cell, ours: 'listener', theirs: 'caller' } as const,
      { ...cell, ours: 'caller', theirs: 'listener' } as const,
    ]);

  it.concurrent.for(rows)(
    'carries pings of every size and a TCP transfer: $title, stock as $theirs',
    async ({ ours, theirs, ...cell }, context) => {
      const stock = stockOf(release, context);
      const tunnel = await startTunnel(link, optionsOf(ours, { ...cell, stock }));
      const { listener, caller } = tunnel;
      for (const size of PING_SIZES) {
        await Promise.all([
          expectPing(listener.namespace, caller.address, size),
          expectPing(caller.namespace, listener.address, size),
        ]);
      }
      if (cell.inner6) await expectPing(caller.namespace, listener.address6, 4000);
      await expectTransfer(caller.namespace, listener.namespace, listener.address, TRANSFER_BYTES);
      await stopTunnel(tunnel);
      const said = tunnel[theirs].daemon.log.replaceAll(HARMLESS, '');
      context.expect(said).not.toContain('inconsistently');
    },
  );

  it.concurrent('lowers MSS to what tsvpn says it does', async (context) => {
    const options = { stock: stockOf(release, context), ourLines: ['mssfix 0'] };
    const { listener, caller } = await startTunnel(link, optionsOf('listener', options));
    const mss = await capturedSynMss(listener.namespace, caller.address, {
      at: caller.namespace,
      device: caller.device,
    });
    context.expect(mss).toBe({ 2.5: 1338, 2.7: 1359 }[release]);
  });

  it.concurrent.for([
    { lines: [] },
    { lines: ['compress stub-v2'], device: 'tap', ourLines: ['mtu-probe off'] } as const,
  ])('with another tun-mtu is explained, and says so itself up to 2.5: %j', async (cell, context) => {
    const stock = stockOf(release, context);
    const tunnel = prepareTunnel(link, {
      ...optionsOf('caller', { ...cell, stock }),
      listenerLines: ['tun-mtu 1400'],
    });
    const { daemon } = tunnel.caller;
    await daemon.waitFor(/the peer uses tun-mtu 1400, this end 1500: write/, PATIENCE_MS);
    await stopTunnel(tunnel);
    context.expect(daemon.count(/the peer uses|and all else agrees/)).toBe(1);
    const told = tunnel.listener.daemon.count(/WARNING: 'tun-mtu' is used inconsistently/);
    context.expect(told > 0).toBe(release === '2.5');
  });

  it.concurrent('is missed and found again, and misses and finds tsvpn', async (context) => {
    const stock = stockOf(release, context);
    const lines = ['ping-restart 4', 'persist-tun'];
    const tunnel = await startTunnel(link, optionsOf('caller', { stock, lines }));
    for (const [gone, left] of [
      [tunnel.caller, tunnel.listener],
      [tunnel.listener, tunnel.caller],
    ]) {
      await gone.daemon.stop();
      await left.daemon.waitFor(/Inactivity timeout \(--ping-restart\), restarting/, PATIENCE_MS);
      restart(link, gone);
      await expectPingWithin(left.namespace, gone.address, PATIENCE_MS);
      if (left.implementation === 'openvpn')
        context.expect(left.daemon.log).toContain(`Restart pause, ${{ 2.5: 5, 2.7: 2 }[release]} second(s)`);
    }
    await stopTunnel(tunnel);
  });

  it.concurrent('has its path measured exactly, through a black hole', async (context) => {
    const stock = stockOf(release, context);
    const path = { kind: 'no-fragments', mtu: 1400, peer: 'openvpn', ipv6: true } as const;
    await onPath({ ...path, stock, lines: [ALLOWED] }, async (tunnel) => {
      const report = await measureMtu(tunnel);
      context.expect(report).toMatchObject({ software: 'openvpn', toPeer: { mtu: 1400, upTo: 1400 } });
      await expectMeeting(tunnel, { ipv6: true });
    });
  });
});
