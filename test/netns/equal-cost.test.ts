/** Two gateways to one network, at one cost: the kernel's multipath route, learnt. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RouteGet, RouteList } from '../../src/control/routes.ts';
import { HUB, hubDrops, hubSays, startStar, type RunningStar } from '../support/star.ts';

const NETWORK = '10.99.0.0/16';
const INSIDE = '10.99.0.1';
const FLOWS = 60;

let star: RunningStar;
beforeAll(async () => {
  star = await startStar(2);
  for (const { namespace } of star.spokes) await namespace.ip('address', 'add', `${INSIDE}/32`, 'dev', 'lo');
  const hops = star.spokes.flatMap(({ address }) => ['nexthop', 'via', address, 'dev', 'tun0']);
  await star.hub.ip('route', 'add', NETWORK, 'proto', 'bird', ...hops);
  await vi.waitUntil(async () => (await shares()).length === 2, { timeout: 10_000 });
});
afterAll(() => star.destroy());

async function shares(): Promise<RouteList['routes']> {
  const { routes } = JSON.parse(await hubSays(star, 'route', 'list', '--json')) as RouteList;
  return routes.filter(({ prefix }) => prefix === NETWORK);
}

const states = async () => (await shares()).map(({ peer, state }) => `${peer} ${state}`);

/** Packets by each peer since the last time. */
const seen = new Map<string, number>();
async function fresh(): Promise<Record<string, number>> {
  const routes = await shares();
  return Object.fromEntries(
    routes.map(({ peer, traffic }) => {
      const before = seen.get(peer!) ?? 0;
      seen.set(peer!, traffic!.packets);
      return [peer!, traffic!.packets - before];
    }),
  );
}

/** A datagram of each flow. */
const send = () =>
  star.hub.mustRun([
    'bash',
    '-c',
    `for i in $(seq ${FLOWS}); do echo > /dev/udp/${INSIDE}/$((3000 + i)) || true; done`,
  ]);

describe('next hops of equal cost', () => {
  it('are listed side by side, and both may send from the network', async () => {
    const text = await hubSays(star, 'route');
    for (const peer of ['s1', 's2'])
      expect(text).toMatch(new RegExp(`^10\\.99\\.0\\.0/16 peer ${peer} weight 1 from bird active`, 'm'));
    const found = JSON.parse(await hubSays(star, 'route', 'get', INSIDE, '--json')) as RouteGet;
    expect(found.candidates.filter(({ standing }) => standing === 'shares')).toHaveLength(2);
    // The answers go to one of them.
    for (const { namespace } of star.spokes) {
      await namespace.run(['ping', '-n', '-c', '1', '-W', '1', '-I', INSIDE, HUB.address]);
    }
    expect((await hubDrops(star))['spoofed']).toBeUndefined();
  });

  it('share the flows; those of one that is lost go to the other', async () => {
    await expect.poll(states).toEqual(['s1 active', 's2 active']);
    await fresh();
    await send();
    const both = await fresh();
    expect(both['s1'] + both['s2']).toBe(FLOWS);
    expect(Math.min(both['s1'], both['s2'])).toBeGreaterThan(FLOWS / 6);

    star.daemons[1].signal('SIGKILL');
    await expect.poll(states).toEqual(['s1 active', 's2 down']);
    await send();
    expect(await fresh()).toEqual({ s1: FLOWS, s2: 0 });
  });

  it('are told by a trace', async () => {
    const text = await hubSays(star, 'trace', '10.8.0.1', INSIDE, '--proto', 'udp', '--dport', '3001');
    expect(text).toMatch(/route\s+longest match, shared by flows: peer s1/);
  });
});
