/** Peers with different tun-mtu behind one device: path MTU discovery, fragments, and segments that fit. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Namespace } from '../support/netns.ts';
import { hubDrops, startStar, type RunningStar, type Spoke } from '../support/star.ts';
import { capturedSynMss, expectPing, expectTransfer } from '../support/traffic.ts';

const SMALL_MTU = 1280;

const mtuLines = ({ number }: Spoke) => (number === 2 ? [`tun-mtu ${SMALL_MTU}`] : []);

interface Net extends RunningStar {
  /** Behind the hub. */
  readonly lan: Namespace;
}

/** Two spokes, of which the second has the small MTU, and a LAN behind the hub. */
async function startNet(block: (spoke: Spoke) => string[], spoke = block): Promise<Net> {
  const star = await startStar(2, {
    block: (each) => ({ lines: block(each) }),
    spoke: (each) => ({ lines: [...spoke(each), 'route 172.16.0.0 255.255.0.0'] }),
  });
  const lan = await star.namespace('lan');
  await star.connect(star.hub, 'lan', lan, 'lan');
  for (const [namespace, host] of [
    [star.hub, 1],
    [lan, 2],
  ] as const) {
    await namespace.ip('address', 'add', `172.16.0.${host}/24`, 'dev', 'lan');
    await namespace.ip('address', 'add', `fd00:16::${host}/64`, 'dev', 'lan', 'nodad');
  }
  await lan.ip('route', 'add', 'default', 'via', '172.16.0.1');
  await lan.ip('-6', 'route', 'add', 'default', 'via', 'fd00:16::1');
  await star.hub.sysctl('net/ipv4/ip_forward', 1);
  await star.hub.sysctl('net/ipv6/conf/all/forwarding', 1);
  await expectPing(lan, star.spokes[1].inside);
  return { ...star, lan };
}

describe('a hub with a peer of a small tun-mtu', () => {
  let net: Net;
  let wide: Spoke;
  let small: Spoke;
  beforeAll(async () => {
    net = await startNet(mtuLines);
    [wide, small] = net.spokes;
  });
  afterAll(() => net.destroy());

  const senders: readonly [string, () => Namespace][] = [
    ['another peer', () => wide.namespace],
    ['a host in the LAN', () => net.lan],
    ['the hub itself', () => net.hub],
  ];

  it.each(senders)('tells %s the MTU of the path', async (_sender, namespace) => {
    const ping = (to: string, size: number) =>
      namespace().run(['ping', '-n', '-c', '2', '-i', '0.3', '-W', '1', '-M', 'do', '-s', String(size), to]);
    const before = (await hubDrops(net))['too-big'] ?? 0;
    const v4 = await ping(small.inside, SMALL_MTU + 1 - 28);
    expect(v4.stdout + v4.stderr).toMatch(
      new RegExp(`(Frag needed and DF set \\(mtu = |message too long, mtu[ =]*)${SMALL_MTU}`),
    );
    const v6 = await ping(small.inside6, SMALL_MTU + 1 - 48);
    expect(v6.stdout + v6.stderr).toMatch(
      new RegExp(`(Packet too big: mtu=|message too long, mtu[ =]*)${SMALL_MTU}`),
    );
    expect((await hubDrops(net))['too-big']).toBeGreaterThan(before);
    for (const [to, headers] of [
      [small.inside, 28],
      [small.inside6, 48],
    ] as const)
      expect((await ping(to, SMALL_MTU - headers)).stdout).toMatch(/2 received/);
  });

  it.each(senders)(
    'cuts packets of %s that allow it into fragments, which arrive as a whole',
    async (_sender, namespace) => {
      const capture = small.namespace.spawn([
        'tcpdump',
        '-n',
        '-l',
        '-i',
        'tun0',
        'icmp and ip[6:2] & 0x3fff != 0',
      ]);
      await capture.waitFor(/listening on/);
      for (const size of [1472, 4000]) {
        const words = [
          'ping',
          '-n',
          '-c',
          '2',
          '-i',
          '0.3',
          '-W',
          '2',
          '-M',
          'dont',
          '-s',
          String(size),
          small.inside,
        ];
        expect(await namespace().mustRun(words)).toMatch(/2 received/);
      }
      await capture.waitFor(/length \d+/);
      const lengths = [...capture.log.matchAll(/length (\d+)$/gm)].map(([, length]) => Number(length));
      expect(Math.max(...lengths)).toBeLessThanOrEqual(SMALL_MTU - 20);
      await capture.stop();
    },
  );

  it('clamps the MSS of a connection between two peers to the smaller one', async () => {
    const capture = { at: small.namespace, device: 'tun0' };
    const mss = await capturedSynMss(wide.namespace, small.inside, capture);
    expect(mss).toBeLessThanOrEqual(SMALL_MTU - 40);
    expect(await capturedSynMss(wide.namespace, small.inside6, capture)).toBeLessThanOrEqual(SMALL_MTU - 60);
  });

  it('carries TCP into the small MTU and out of it', () => expectTcp(net));
});

it('without mssfix, path MTU discovery alone makes TCP fit', async () => {
  const net = await startNet(
    (spoke) => [...mtuLines(spoke), 'mssfix 0'],
    // The spoke does not know, and announces an MSS for the default MTU.
    () => ['mssfix 0'],
  );
  onTestFinished(() => net.destroy());
  await expectTcp(net);
  expect((await hubDrops(net))['too-big']).toBeGreaterThan(0);
});

async function expectTcp({ lan, hub, spokes: [wide, small] }: Net): Promise<void> {
  for (const from of [wide.namespace, lan, hub]) {
    await expectTransfer(from, small.namespace, small.inside, 1_000_000);
    await expectTransfer(from, small.namespace, small.inside6, 1_000_000);
  }
  await expectTransfer(small.namespace, wide.namespace, wide.inside, 1_000_000);
}
