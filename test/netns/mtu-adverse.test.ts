/** Paths that make it hard: losses, NAT, directions that differ, and an MTU that changes while packets flow. */
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { request } from '../../src/control/client.ts';
import { PATH_B } from '../../src/lab/path.ts';
import type { Namespace } from '../support/netns.ts';
import type { PathLab } from '../support/path.ts';
import { expectMeeting, measureMtu, NAME, onPath, type PathTunnel } from '../support/path-tunnel.ts';
import { PATIENCE_MS } from '../support/process.ts';

const LIMIT_MS = 5000;
/** Of a transfer that lasts long enough for something to happen meanwhile. */
const LASTING_BYTES = { openvpn: 10_000_000, tsvpn: 200_000_000 } as const;
/** When it happens. */
const FLOWING_BYTES = 1_000_000;
const PEERS = ['openvpn', 'tsvpn'] as const;
type Peer = (typeof PEERS)[number];

const probe = (setting: string | number) => [`setenv opt mtu-probe ${setting}`];

function nft(namespace: Namespace, chains: string): Promise<string> {
  return namespace.mustRun(['nft', '-f', '-'], { input: `table ip adverse {\n${chains}\n}\n` });
}

/** Every twentieth datagram, whichever it is. */
async function lose({ routerA, routerB }: PathLab): Promise<void> {
  const drop = 'ip protocol udp numgen random mod 20 == 0 drop';
  for (const router of [routerA, routerB]) {
    await nft(router, `chain lose { type filter hook postrouting priority 0\n${drop}\n}`);
  }
}

/** Site A is behind a NAT: connection tracking, which drops what it finds wrong, and another source address. */
function translate({ routerA }: PathLab): Promise<unknown> {
  return nft(
    routerA,
    `chain wrong { type filter hook forward priority 0
       ct state invalid drop
     }
     chain translate { type nat hook postrouting priority srcnat
       oifname "there" masquerade random
     }`,
  );
}

/** What the lab's first gateway sends at most, inside. */
async function innerMtu({ folder }: PathTunnel): Promise<number> {
  const { peers } = await request(join(folder, 'run'), NAME.a, 'status');
  return peers[0].mtu.inner;
}

const lasting = (peer: Peer) => ({ bulkBytes: LASTING_BYTES[peer] });

/** Resolves when a part of the bytes has passed the path. */
async function untilFlowing({ routerA }: PathTunnel, peer: Peer): Promise<void> {
  const passed = async () => {
    const [link] = JSON.parse(await routerA.ip('-s', '-j', 'link', 'show', 'there')) as Link[];
    return link.stats64.tx.bytes;
  };
  await vi.waitUntil(async () => (await passed()) > FLOWING_BYTES, { timeout: PATIENCE_MS, interval: 10 });
  expect(await passed(), 'the change comes while packets flow').toBeLessThan(LASTING_BYTES[peer]);
}

/** Of ip-link(8). */
interface Link {
  readonly stats64: { readonly tx: { readonly bytes: number } };
}

/** Routers that say nothing, and let nothing through that is cut. */
const HARD = { kind: 'no-fragments', ipv6: false } as const;

describe('a path that changes', () => {
  // First: these wait for a probe that comes every 30 seconds, the least that may be set.
  const every = 30;
  const limits = { timeout: 2 * PATIENCE_MS, interval: 500 };

  it.concurrent('to less, and nobody says so: the next probe finds it', () =>
    onPath({ ...HARD, mtu: 1500, peer: 'openvpn', ourLines: probe(every) }, async (tunnel) => {
      await expectMeeting(tunnel);
      tunnel.setMtu(1300);
      await vi.waitUntil(async () => (await innerMtu(tunnel)) < 1300, limits);
      await expectMeeting(tunnel);
    }),
  );

  it.concurrent('to more: the next probe finds it', () =>
    onPath({ ...HARD, mtu: 1300, peer: 'tsvpn', ourLines: probe(every) }, async (tunnel) => {
      expect((await measureMtu(tunnel)).toPeer).toEqual({ mtu: 1300, upTo: 1300 });
      expect(await innerMtu(tunnel)).toBeLessThan(1300);
      tunnel.setMtu(1500);
      await vi.waitUntil(async () => (await innerMtu(tunnel)) > 1300, limits);
      await expectMeeting(tunnel);
    }),
  );

  it.concurrent('to less, because this host sends another way: it is measured without being asked', () =>
    onPath({ ...HARD, mtu: 1500, peer: 'openvpn' }, async (tunnel) => {
      await expectMeeting(tunnel);
      tunnel.setMtu(1300);
      // Another next hop to the same router, whose second address it is.
      await tunnel.routerA.ip('address', 'add', '192.0.2.77/24', 'dev', 'site');
      await tunnel.gatewayA.ip('route', 'add', `${PATH_B.outer}/32`, 'via', '192.0.2.77');
      await vi.waitUntil(async () => (await innerMtu(tunnel)) < 1300, limits);
      await expectMeeting(tunnel);
    }),
  );

  it.concurrent.each(PEERS)('to less, and routers say so: connections go on, to %s', (peer) =>
    onPath({ kind: 'icmp', mtu: 1500, peer, ipv6: false }, async (tunnel) => {
      const meeting = expectMeeting(tunnel, lasting(peer));
      await untilFlowing(tunnel, peer);
      tunnel.setMtu(1300);
      await meeting;
      await expectMeeting(tunnel);
    }),
  );

  it.concurrent.each(PEERS)('to less, and nobody says so: `tsvpn mtu` finds it at once, to %s', (peer) =>
    onPath({ ...HARD, mtu: 1500, peer }, async (tunnel) => {
      // What stock sends on a connection that stands is not ours to shorten.
      const meeting = peer === 'tsvpn' ? expectMeeting(tunnel, lasting(peer)) : undefined;
      if (meeting !== undefined) await untilFlowing(tunnel, peer);
      tunnel.setMtu(1300);
      expect((await measureMtu(tunnel)).toPeer).toEqual({ mtu: 1300, upTo: 1300 });
      if (peer === 'tsvpn') await measureMtu(tunnel, 'b');
      await meeting;
      await expectMeeting(tunnel);
    }),
  );
});

it.concurrent.each(PEERS)('a path that loses a twentieth each way is measured exactly, to %s', (peer) =>
  onPath({ ...HARD, mtu: 1400, peer, prepare: lose }, async (tunnel) => {
    const report = await measureMtu(tunnel);
    expect(report.toPeer).toEqual({ mtu: 1400, upTo: 1400 });
    expect(report.tookMs).toBeLessThanOrEqual(LIMIT_MS);
  }),
);

it.concurrent.each(PEERS)('a path with a NAT is measured exactly, to %s, and carries everything', (peer) =>
  onPath(
    {
      ...HARD,
      mtu: 1460,
      peer,
      prepare: translate,
      ourLines: probe('start'),
      // The NAT's port is not known before; the peer learns it.
      peerLines: ['float'],
    },
    async (tunnel) => {
      expect((await measureMtu(tunnel)).toPeer).toEqual({ mtu: 1460, upTo: 1460 });
      await expectMeeting(tunnel);
    },
  ),
);

it.concurrent.each(
  PEERS.flatMap((peer) => [
    { peer, there: 1400, back: 1500 },
    { peer, there: 1500, back: 1400 },
  ]),
)('a path of $there to $peer and $back from it', ({ peer, there, back }) =>
  onPath({ ...HARD, mtu: { there, back }, peer, ourLines: probe('start') }, async (tunnel) => {
    const { toPeer, fromPeer } = await measureMtu(tunnel);
    expect(toPeer).toMatchObject({ mtu: there, upTo: there });
    // Loads of stock grow by blocks.
    expect(fromPeer!.mtu).toBeLessThanOrEqual(back);
    expect(fromPeer!.upTo ?? Infinity).toBeGreaterThanOrEqual(back);
    if (peer === 'tsvpn') expect(fromPeer!.mtu).toBe(back);
    await expectMeeting(tunnel);
  }),
);
