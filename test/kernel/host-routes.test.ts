import { describe, expect, it } from 'vitest';
import { HostRoutes, type RouteNews } from '../../src/kernel/host-routes.ts';
import type { FoundRoute } from '../../src/kernel/routes.ts';
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { formatPrefix, parsePrefix } from '../../src/packet/prefix.ts';

/** `10.1.0.0/16 via 10.8.0.2,10.8.0.3 metric 32 tos 0`, of BIRD's. */
function route(text: string): FoundRoute {
  const [prefix, , gateways = '', , metric = '0', , tos = '0'] = text.split(' ');
  const nextHops = gateways
    .split(',')
    .map((gateway) => ({ gateway: parseAddress(gateway), interfaceIndex: 3, weight: 1 }));
  return {
    prefix: parsePrefix(prefix)!,
    tos: Number(tos),
    table: 254,
    protocol: 12,
    metric: Number(metric),
    nextHops,
  };
}

const added = (text: string): RouteNews => ({ kind: 'added', replaces: false, route: route(text) });
const replaced = (text: string): RouteNews => ({ kind: 'added', replaces: true, route: route(text) });
const deleted = (text: string): RouteNews => ({ kind: 'deleted', replaces: false, route: route(text) });

const A = '10.1.0.0/16 via 10.8.0.2 metric 32';
const A_ELSEWHERE = '10.1.0.0/16 via 10.8.0.3 metric 32';
const A_BACKUP = '10.1.0.0/16 via 10.8.0.3 metric 64';
const A_TWICE = '10.1.0.0/16 via 10.8.0.2,10.8.0.3 metric 32';
const A_OF_TOS = '10.1.0.0/16 via 10.8.0.3 metric 32 tos 16';
const B = 'fd01::/48 via fd08::2 metric 1024';

const all = (
  routes: Iterable<{ prefix: FoundRoute['prefix']; gateway: Uint8Array | undefined; metric: number }>,
) =>
  [...routes].map(
    ({ prefix, gateway, metric }) => `${formatPrefix(prefix)} ${formatAddress(gateway!)} ${metric}`,
  );

describe('what the kernel says of routes', () => {
  it.each<[rule: string, before: readonly string[], news: RouteNews, after: readonly string[] | 'unclear']>([
    ['a route comes', [], added(A), [A]],
    ['a route comes beside others', [B], added(A), [B, A]],
    ['a backup comes', [A], added(A_BACKUP), [A, A_BACKUP]],
    ['a route of another type of service comes', [A], added(A_OF_TOS), [A, A_OF_TOS]],
    ['a route that was read already', [A], added(A), [A]],
    ['a second one of the same metric', [A], added(A_ELSEWHERE), 'unclear'],
    ['one takes the place of another', [A, A_BACKUP], replaced(A_TWICE), [A_BACKUP, A_TWICE]],
    ['one takes the place of nothing', [A_BACKUP], replaced(A), [A_BACKUP, A]],
    ['one takes the place of one of two', [A, A_ELSEWHERE], replaced(A_TWICE), 'unclear'],
    ['a route goes', [A, B], deleted(A), [B]],
    ['the best goes, the backup stays', [A, A_BACKUP], deleted(A), [A_BACKUP]],
    ['a route goes that is not known', [B], deleted(A), [B]],
    ['one of two next hops goes', [A_TWICE], deleted(A), 'unclear'],
    ['one of two routes of a metric goes', [A, A_ELSEWHERE], deleted(A), 'unclear'],
  ])('%s', (_rule, before, news, after) => {
    const routes = new HostRoutes();
    for (const text of before) routes.add(route(text));
    const isClear = routes.apply(news);
    expect(isClear).toBe(after !== 'unclear');
    if (after === 'unclear') return;
    const expected = new HostRoutes();
    for (const text of after) expected.add(route(text));
    expect(all(routes).toSorted()).toEqual(all(expected).toSorted());
    expect(all(routes.at(parsePrefix('10.1.0.0/16')!))).toEqual(
      all(expected.at(parsePrefix('10.1.0.0/16')!)),
    );
  });
});
