/** Check 31, without client-to-client: the hub's kernel gets what peers send each other, and decides. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hubDrops, startStar, type RunningStar } from '../support/star.ts';
import { pings, traceroute } from '../support/traffic.ts';

describe('without client-to-client', () => {
  let star: RunningStar;
  beforeAll(async () => {
    star = await startStar(2, { lines: [] });
  });
  afterAll(() => star.destroy());

  it('nothing goes from peer to peer when the kernel does not forward', async () => {
    const [a, b] = star.spokes;
    expect(await Promise.all([pings(a.namespace, b.inside), pings(a.namespace, b.inside6)])).toEqual([
      false,
      false,
    ]);
  });

  it('a kernel that forwards is one hop, and its redirects reach no peer', async () => {
    const [a, b] = star.spokes;
    await star.hub.sysctl('net/ipv4/ip_forward', 1);
    await star.hub.sysctl('net/ipv6/conf/all/forwarding', 1);
    // The kernel's limits for redirects and other errors share their state.
    await star.hub.sysctl('net/ipv4/icmp_ratelimit', 0);
    const redirects = star.spokes.map(({ namespace }) =>
      namespace.spawn(['tcpdump', '-n', '-l', '-i', 'tun0', 'icmp[0] == 5 or icmp6[0] == 137']),
    );
    await Promise.all(redirects.map((capture) => capture.waitFor(/listening on/)));
    for (const to of [b.address, b.address6]) {
      const output = await a.namespace.mustRun(['ping', '-n', '-c', '3', '-i', '0.3', '-W', '2', to]);
      expect(output).toMatch(/3 received/);
      expect(output).toContain('ttl=63 ');
    }
    expect(await traceroute(a.namespace, b.address)).toEqual(['10.8.0.1', b.address]);
    const { redirect } = await hubDrops(star);
    expect(redirect, 'the kernel did send some').toBeGreaterThan(0);
    await Promise.all(redirects.map((capture) => capture.stop('SIGINT')));
    for (const capture of redirects) expect(capture.log).toMatch(/^0 packets captured/m);
  });
});
