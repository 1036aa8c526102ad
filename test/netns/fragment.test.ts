/** `fragment` next to stock OpenVPN: whole packets and fragments in both directions, over paths that carry no more. */
import { describe, expect, it } from 'vitest';
import { TSVPN, tsvpn } from '../support/gateway.ts';
import type { Namespace } from '../support/netns.ts';
import { useLink, type Link } from '../support/topology.ts';
import { capturedSynMss, expectPing, expectTransfer } from '../support/traffic.ts';
import { startTunnel, stopTunnel, type End, type Tunnel } from '../support/tunnel.ts';

/** Around one fragment, around the MTU, and far above it. */
const PING_SIZES = [0, 500, 503, 504, 1100, 1400, 1472, 1473, 8000];
const TRANSFER_BYTES = 300_000;
const PATH_MTU = 700;

const rows: readonly {
  readonly title: string;
  readonly lines: readonly string[];
  readonly cipher?: string;
}[] = [
  { title: 'fragment 600', lines: ['fragment 600'] },
  { title: 'fragment 1200', lines: ['fragment 1200'] },
  { title: 'fragment 1200 mtu', lines: ['fragment 1200 mtu'] },
  { title: 'fragment 600, comp-lzo no', lines: ['fragment 600', 'comp-lzo no'] },
  { title: 'fragment 600, compress stub', lines: ['fragment 600', 'compress stub'] },
  { title: 'fragment 600, compress stub-v2', lines: ['fragment 600', 'compress stub-v2'] },
  { title: 'fragment 600, cipher none', lines: ['fragment 600'], cipher: 'none' },
  { title: 'fragment 200', lines: ['fragment 200'] },
];

const roles = [
  { role: 'tsvpn listens, stock calls', listener: TSVPN, caller: 'openvpn' },
  { role: 'stock listens, tsvpn calls', listener: 'openvpn', caller: TSVPN },
] as const;

async function expectTraffic({ listener, caller }: Tunnel): Promise<void> {
  for (const size of PING_SIZES) {
    await Promise.all([
      expectPing(listener.namespace, caller.address, size),
      expectPing(caller.namespace, listener.address, size),
    ]);
  }
  await expectTransfer(caller.namespace, listener.namespace, listener.address, TRANSFER_BYTES);
}

async function drops(at: Link, { namespace, name }: End): Promise<Record<string, number>> {
  const { stdout } = await tsvpn(at, namespace, 'status', name, '--json');
  return (JSON.parse(stdout) as { drops: Record<string, number> }).drops;
}

describe('with a path of 1500 bytes', () => {
  const link = useLink();

  describe.each(roles)('$role', ({ listener, caller }) => {
    it.concurrent.each(rows)('carries pings of every size and a TCP transfer: $title', async (row) => {
      const tunnel = await startTunnel(link, { ...row, listener, caller });
      await expectTraffic(tunnel);
      await stopTunnel(tunnel);
    });
  });

  it.concurrent('works between two of ours, each with a size of its own', async () => {
    const tunnel = await startTunnel(link, {
      listener: TSVPN,
      caller: TSVPN,
      listenerLines: ['fragment 300'],
      callerLines: ['fragment 1100'],
    });
    await expectTraffic(tunnel);
    await stopTunnel(tunnel);
  });

  it.concurrent.each([
    ['listener', 1051],
    ['caller', 1067],
  ] as const)('clamps the MSS to what fits a fragment: as %s', async (ours, mss) => {
    const stock = ours === 'listener' ? 'caller' : 'listener';
    const tunnel = await startTunnel(link, {
      listener: ours === 'listener' ? TSVPN : 'openvpn',
      caller: ours === 'caller' ? TSVPN : 'openvpn',
      lines: ['fragment 1200'],
      [`${stock}Lines`]: ['mssfix 0'],
    });
    const [us, peer] = [tunnel[ours], tunnel[stock]];
    expect(
      await capturedSynMss(us.namespace, peer.address, { at: peer.namespace, device: peer.device }),
    ).toBe(mss);
    await stopTunnel(tunnel);
  });
});

/** Sees every fragment of IP on the outside of `gateway`. */
async function watchFragments(gateway: Namespace) {
  const tcpdump = gateway.spawn(['tcpdump', '-n', '-l', '-i', 'outer', 'ip[6:2] & 0x3fff != 0']);
  await tcpdump.waitFor(/listening on/);
  return tcpdump;
}

describe(`with a path of ${PATH_MTU} bytes`, () => {
  const narrow = useLink(async ({ a, b }) => {
    for (const gateway of [a, b]) await gateway.ip('link', 'set', 'outer', 'mtu', String(PATH_MTU));
  });

  it.each(roles)('sends nothing that IP would have to fragment: $role', async ({ listener, caller }) => {
    const watch = await Promise.all([watchFragments(narrow.a), watchFragments(narrow.b)]);
    const tunnel = await startTunnel(narrow, {
      listener,
      caller,
      lines: [`fragment ${PATH_MTU - 28}`, 'mtu-disc yes'],
    });
    await expectTraffic(tunnel);
    const ours = listener === TSVPN ? tunnel.listener : tunnel.caller;
    expect(await drops(narrow, ours)).not.toHaveProperty('message-size');
    await stopTunnel(tunnel);
    for (const tcpdump of watch) {
      await tcpdump.stop();
      expect(tcpdump.log).not.toMatch(/ IP /);
    }
  });
});
