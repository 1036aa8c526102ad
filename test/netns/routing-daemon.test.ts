/** A routing daemon on every gateway, which talk through the tunnels: what it tells the hub's kernel, the hub's table learns. */
import { afterEach, describe, expect, it } from 'vitest';
import type { RouteList } from '../../src/control/routes.ts';
import { bgp, ospf, startBird, type Bird } from '../support/bird.ts';
import {
  HUB,
  hubSays,
  networkBehind,
  networkBehind6,
  startStar,
  type RunningStar,
  type Spoke,
} from '../support/star.ts';
import { expectPing, pings } from '../support/traffic.ts';

/** OSPF tells of every gateway's own address as well. */
const HOST_PREFIX = /^[\d.]+\/32$/;

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
      ipv6: false,
    },
    {
      title: 'BGP, IPv4 and IPv6',
      config: (where: 'hub' | Spoke) => bgp(where, star.spokes),
      networks: ({ spokes }: RunningStar) =>
        [networkBehind, networkBehind6].flatMap((network) =>
          spokes.map((spoke) => `${network(spoke)} ${spoke.name} bird active`),
        ),
      ipv6: true,
    },
  ];
  it.each(protocols)(
    'are learnt by $title, carry traffic, and go when they are withdrawn',
    async ({ config, networks, ipv6 }) => {
      // Neither end has a route to a network behind the other.
      star = await startStar(3, { block: () => ({ routes: [] }), spoke: () => ({ farRoutes: [] }) });
      const [a, b, c] = star.spokes;
      expect(await pings(star.hub, a.inside)).toBe(false);

      startBird(star, 'hub', config('hub'));
      const birds: Bird[] = star.spokes.map((spoke) => startBird(star, spoke, config(spoke)));
      await expect.poll(learned, { interval: 500 }).toEqual(networks(star));
      await expect.poll(() => pings(a.namespace, b.inside)).toBe(true);
      // With the sources of the networks, too: they are as good as configured ones to the check of sources.
      await a.namespace.mustRun(['ping', '-n', '-c', '1', '-W', '2', '-I', a.inside, c.inside]);
      if (ipv6) await a.namespace.mustRun(['ping', '-n', '-c', '1', '-W', '2', '-I', a.inside6, c.inside6]);
      expect(await hubSays(star, 'route', 'list')).toMatch(
        new RegExp(`^${networkBehind(a)} peer s1 metric 32 from bird active$`, 'm'),
      );

      birds[0].daemon.signal('SIGKILL');
      const left = networks(star).filter((line) => !line.includes(` ${a.name} `));
      await expect.poll(learned, { interval: 500 }).toEqual(left);
      expect(await pings(star.hub, a.inside)).toBe(false);
      await expectPing(b.namespace, c.inside);
    },
  );
});
