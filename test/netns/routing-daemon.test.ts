/** A routing daemon on every gateway, which talk through the tunnels: what it tells the hub's kernel, the hub's table learns. */
import { afterEach, describe, expect, it } from 'vitest';
import type { RouteList } from '../../src/control/routes.ts';
import { bgp, ospf, ospf3, startBird, type Bird } from '../support/bird.ts';
import {
  HUB,
  hubSays,
  networkBehind,
  networkBehind6,
  startStar,
  type RunningStar,
  type Spoke,
} from '../support/star.ts';
import type { Namespace } from '../support/netns.ts';
import { expectPing, pings } from '../support/traffic.ts';

/** OSPF tells of every gateway's own address as well. */
const HOST_PREFIX = /^[\d.]+\/32$|\/128$/;

/** In place of what the kernel made up. */
async function setLinkLocal(namespace: Namespace, address: string): Promise<void> {
  await namespace.ip('-6', 'address', 'flush', 'dev', 'tun0', 'scope', 'link');
  await namespace.ip('address', 'add', `${address}/64`, 'dev', 'tun0', 'nodad');
}

describe('routes of BIRD', () => {
  let star: RunningStar;
  afterEach(() => star.destroy());

  /** The table's learnt routes to networks, as text. */
  async function learned(): Promise<string[]> {
    const { routes } = JSON.parse(await hubSays(star, 'route', 'list', '--json')) as RouteList;
    return routes.flatMap(({ prefix, peer, source, state }) =>
      source.kind === 'learned' && !HOST_PREFIX.test(prefix)
        ? [`${prefix} ${peer} ${source.protocol} ${state}`]
        : [],
    );
  }

  const protocols = [
    {
      title: 'OSPF',
      config: (where: 'hub' | Spoke) =>
        ospf(where, where === 'hub' ? star.spokes.map(({ address }) => address) : [HUB.address]),
      networks: ({ spokes }: RunningStar) =>
        spokes.map((spoke) => `${networkBehind(spoke)} ${spoke.name} bird active`),
      ipv4: true,
      ipv6: false,
    },
    {
      title: 'OSPF for IPv6, with link-local next hops',
      config: (where: 'hub' | Spoke) =>
        ospf3(where, where === 'hub' ? star.spokes.map(({ linkLocal }) => linkLocal) : [HUB.linkLocal]),
      networks: ({ spokes }: RunningStar) =>
        spokes.map((spoke) => `${networkBehind6(spoke)} ${spoke.name} bird active`),
      ipv4: false,
      ipv6: true,
    },
    {
      title: 'BGP, IPv4 and IPv6',
      config: (where: 'hub' | Spoke) => bgp(where, star.spokes),
      networks: ({ spokes }: RunningStar) =>
        [networkBehind, networkBehind6].flatMap((network) =>
          spokes.map((spoke) => `${network(spoke)} ${spoke.name} bird active`),
        ),
      ipv4: true,
      ipv6: true,
    },
  ];
  it.each(protocols)(
    'are learnt by $title, carry traffic, and go when they are withdrawn',
    async ({ config, networks, ipv4, ipv6 }) => {
      // Neither end has a route to a network behind the other.
      star = await startStar(3, {
        block: ({ linkLocal }) => ({ routes: [], lines: [`peer-address ${linkLocal}`] }),
        spoke: () => ({ farRoutes: [] }),
      });
      const [a, b, c] = star.spokes;
      await setLinkLocal(star.hub, HUB.linkLocal);
      for (const { namespace, linkLocal } of star.spokes) await setLinkLocal(namespace, linkLocal);
      const behind = ({ inside, inside6 }: Spoke) => (ipv4 ? inside : inside6);
      expect(await pings(star.hub, behind(a))).toBe(false);

      startBird(star, 'hub', config('hub'));
      const birds: Bird[] = star.spokes.map((spoke) => startBird(star, spoke, config(spoke)));
      await expect.poll(learned, { interval: 500 }).toEqual(networks(star));
      await expect.poll(() => pings(a.namespace, behind(b))).toBe(true);
      // With the sources of the networks, too: they are as good as configured ones to the check of sources.
      if (ipv4) await a.namespace.mustRun(['ping', '-n', '-c', '1', '-W', '2', '-I', a.inside, c.inside]);
      if (ipv6) await a.namespace.mustRun(['ping', '-n', '-c', '1', '-W', '2', '-I', a.inside6, c.inside6]);
      expect(await hubSays(star, 'route', 'list')).toMatch(
        new RegExp(
          `^${(ipv4 ? networkBehind : networkBehind6)(a)} peer s1 metric \\d+ from bird active`,
          'm',
        ),
      );

      birds[0].daemon.signal('SIGKILL');
      const left = networks(star).filter((line) => !line.includes(` ${a.name} `));
      await expect.poll(learned, { interval: 500 }).toEqual(left);
      expect(await pings(star.hub, behind(a))).toBe(false);
      await expectPing(b.namespace, behind(c));
    },
  );
});
