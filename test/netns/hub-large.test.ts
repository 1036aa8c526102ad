/** A hub with 100 000 routes: everything an operator does with ten of them, and packets that do not notice. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReloadReport } from '../../src/control/messages.ts';
import type { RouteGet, RouteList } from '../../src/control/routes.ts';
import { hubConfig, hubSays, hubStatus, peerBlock, startStar, type RunningStar } from '../support/star.ts';
import { expectNoLoss, expectPing, pings } from '../support/traffic.ts';

const ROUTES = 100_000;
/** One in so many is IPv6. */
const IPV6_EVERY = 10;
/** Routes of a daemon, which come while the table is as large as that. */
const LEARNED = 20_000;

/** 16.0.0.0/24, 16.0.1.0/24, ...; fd10::/48, fd10:0:1::/48, ... */
function network(i: number): string {
  if (i % IPV6_EVERY === 1) return `fd10:0:${Math.floor(i / IPV6_EVERY).toString(16)}::/48`;
  return `${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.0/24`;
}
const host = (prefix: string) => prefix.replace(/0\/24$/, '1').replace(/::\/48$/, '::1');

const ALL = Array.from({ length: ROUTES }, (_, i) => network(i));
const [FIRST] = ALL;
const LAST = network(ROUTES - 1);
const LAST6 = network(ROUTES - IPV6_EVERY + 1);
/** The first half lies behind s1, the other behind s2. */
const behind = (number: number) => ALL.slice(((number - 1) * ROUTES) / 2, (number * ROUTES) / 2);

let star: RunningStar;
beforeAll(async () => {
  star = await startStar(2, { block: ({ number }) => ({ routes: behind(number) }) });
  const [a, b] = star.spokes;
  for (const [spoke, prefix] of [
    [a, FIRST],
    [b, LAST],
    [b, LAST6],
  ] as const) {
    await spoke.namespace.ip('address', 'add', host(prefix), 'dev', 'lo');
  }
});
afterAll(() => star.destroy());

async function get(address: string): Promise<RouteGet> {
  return JSON.parse(await hubSays(star, 'route', 'get', address, '--json')) as RouteGet;
}

/** How many routes of ours the kernel has. */
async function kernelRoutes(): Promise<number> {
  const count = async (...family: string[]) =>
    (await star.hub.ip(...family, 'route', 'show', 'proto', '86')).trim().split('\n').length;
  return (await count()) + (await count('-6'));
}

describe('a hub with 100 000 routes', () => {
  it('has them in its table and in the kernel', async () => {
    const { routes, peers } = await hubStatus(star);
    expect(peers.map((peer) => peer.routes.count)).toEqual([ROUTES / 2, ROUTES / 2]);
    expect(routes.count).toBeGreaterThanOrEqual(ROUTES);
    expect(await kernelRoutes()).toBe(ROUTES);
  });

  it('carries packets to both ends of the table', async () => {
    for (const prefix of [FIRST, LAST, LAST6]) await expectPing(star.hub, host(prefix));
    expect(await get(host(FIRST))).toMatchObject({ decision: { peer: 's1', prefix: FIRST } });
    expect(await get(host(LAST))).toMatchObject({ decision: { peer: 's2', prefix: LAST } });
    expect(await get('203.0.113.1')).toMatchObject({ decision: null });
  });

  it('takes a route of the operator, and lets it go', async () => {
    const [, b] = star.spokes;
    await b.namespace.ip('address', 'add', '203.0.113.1', 'dev', 'lo');
    expect(await pings(star.hub, '203.0.113.1')).toBe(false);
    await hubSays(star, 'route', 'add', '203.0.113.0/24', 'peer', 's2');
    await expectPing(star.hub, '203.0.113.1');
    expect(await kernelRoutes()).toBe(ROUTES + 1);
    await hubSays(star, 'route', 'del', '203.0.113.0/24');
    expect(await pings(star.hub, '203.0.113.1')).toBe(false);
    expect(await kernelRoutes()).toBe(ROUTES);
  });

  it('reloads a config with one route less and one more, and loses no packet', async () => {
    const [a, b] = star.spokes;
    await b.namespace.ip('address', 'add', '198.18.0.1', 'dev', 'lo');
    const routes = [behind(1).filter((prefix) => prefix !== '16.0.2.0/24'), ['198.18.0.0/24', ...behind(2)]];
    const blocks = star.spokes.map((spoke, i) => peerBlock(star, spoke, { routes: routes[i] }));
    writeFileSync(join(star.folder, 'hub.conf'), hubConfig({ blocks }));
    await expectNoLoss(a.namespace, b.namespace, b.address, async () => {
      const report = JSON.parse(await hubSays(star, 'reload', '--json')) as ReloadReport;
      expect(report).toEqual({
        changes: ["added route 198.18.0.0/24 to peer 's2'", "removed route 16.0.2.0/24 to peer 's1'"],
        untouched: 2,
        problems: [],
        warnings: [],
      });
    });
    await expectPing(star.hub, '198.18.0.1');
    expect(await get('16.0.2.1')).toMatchObject({ decision: null });
    expect(await kernelRoutes()).toBe(ROUTES);
  });

  it('learns the routes of a daemon one by one and in heaps, and loses no packet', async () => {
    const [a, b] = star.spokes;
    const before = (await hubStatus(star)).routes.count;
    const learned = async () => (await hubStatus(star)).routes.count - before;
    const routes = Array.from({ length: LEARNED }, (_, i) => `32.0.${i >> 8}.${i & 255}/32`);
    const batch = (verb: string, list: readonly string[]) =>
      star.hub.mustRun(['ip', '-batch', '-'], {
        input: list.map((prefix) => `route ${verb} ${prefix} via ${b.address} proto bird`).join('\n'),
      });
    await expectNoLoss(a.namespace, b.namespace, b.address, async () => {
      await star.hub.ip('route', 'add', '33.0.0.0/24', 'via', b.address, 'proto', 'bird');
      await expect.poll(learned).toBe(1);
      await batch('add', routes);
      await expect.poll(learned).toBe(LEARNED + 1);
      expect(await get(routes[LEARNED - 1].split('/')[0])).toMatchObject({ decision: { peer: 's2' } });
      await batch('del', routes.slice(1));
      await expect.poll(learned).toBe(2);
    });
  });

  it('lists all of them', async () => {
    const { count } = (await hubStatus(star)).routes;
    const { routes } = JSON.parse(await hubSays(star, 'route', 'list', '--json')) as RouteList;
    expect(routes).toHaveLength(count);
    expect(new Set(routes.map(({ prefix, metric }) => `${prefix} ${metric}`)).size).toBe(count);
    expect(routes.map(({ prefix }) => prefix)).toEqual(expect.arrayContaining([FIRST, LAST, LAST6]));
  });

  it('ends without a trace', async () => {
    await hubSays(star, 'down', 'hub');
    expect(await star.hubDaemon.exited).toBe(0);
    expect(await star.hub.ip('route', 'show', 'proto', '86')).toBe('');
  });
});
