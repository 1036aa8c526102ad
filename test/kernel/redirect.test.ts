import { describe, expect, it } from 'vitest';
import type { RedirectConfig } from '../../src/config/model.ts';
import { renderIp, renderUndo } from '../../src/kernel/change.ts';
import { planRedirect, redirectHost } from '../../src/kernel/redirect.ts';
import { HostRoutes } from '../../src/kernel/host-routes.ts';
import type { HostAddress } from '../../src/kernel/snapshot.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { parsePrefix } from '../../src/packet/prefix.ts';

const where = { file: 'peer.conf', line: 4, column: 1 };

const NAMES = new Map([
  [1, 'lo'],
  [2, 'eth0'],
  [3, 'eth1'],
  [9, 'tun0'],
]);

interface Given {
  readonly text: string;
  readonly gateway?: string | undefined;
  readonly metric?: number;
  readonly protocol?: number;
  readonly interfaceIndex?: number;
}

function route(text: string, gateway?: string, more: Omit<Given, 'text' | 'gateway'> = {}): Given {
  return { text, gateway, ...more };
}

function routesOf(given: readonly Given[]): HostRoutes {
  const routes = new HostRoutes();
  for (const { text, gateway, metric = 0, protocol = 3, interfaceIndex = 2 } of given) {
    const hop = {
      gateway: gateway === undefined ? undefined : parseAddress(gateway),
      interfaceIndex,
      weight: 1,
    };
    routes.add({ prefix: parsePrefix(text)!, tos: 0, table: 254, protocol, metric, nextHops: [hop] });
  }
  return routes;
}

function address(local: string, prefixLength: number, interfaceIndex = 2): HostAddress {
  const device = NAMES.get(interfaceIndex)!;
  const bytes = parseAddress(local);
  return {
    local: bytes,
    peer: undefined,
    prefixLength,
    interfaceIndex,
    global: true,
    preferred: true,
    device,
  };
}

const DEFAULT = route('0.0.0.0/0', '192.0.2.254');
const HOST = {
  own: 9,
  names: NAMES,
  addresses: [address('192.0.2.1', 24), address('2001:db8::1', 64), address('10.9.0.1', 24, 3)],
  routes: [
    DEFAULT,
    route('192.0.2.0/24'),
    route('198.51.100.0/24', '192.0.2.253'),
    route('::/0', 'fe80::1', { metric: 1024 }),
    route('2001:db8::/64'),
  ],
};

const OFF: RedirectConfig = {
  ipv4: 'gateway',
  ipv6: false,
  def1: true,
  local: false,
  blockLocal: false,
  gateway: '10.8.0.2',
  gateway6: undefined,
  where,
};

function plan(redirect: Partial<RedirectConfig>, remotes: readonly string[], host = HOST): string[] {
  const target = { device: 'tun0', table: 51821, remotes };
  return planRedirect(
    { ...OFF, ...redirect },
    target,
    redirectHost({ ...host, routes: routesOf(host.routes) }),
  ).map(renderIp);
}

const HALVES = [
  'ip route add 0.0.0.0/1 via 10.8.0.2 proto 86',
  'ip route add 128.0.0.0/1 via 10.8.0.2 proto 86',
];
const KEPT = [
  'ip route add 0.0.0.0/0 via 192.0.2.254 dev eth0 table 51821 proto 86',
  'ip rule add pref 31086 from 192.0.2.1/32 lookup 254 suppress_prefixlength 1 protocol 86',
  'ip rule add pref 31087 from 192.0.2.1/32 lookup 51821 protocol 86',
];
const REMOTE = 'ip route add 203.0.113.9/32 via 192.0.2.254 dev eth0 proto 86';

describe('a redirected gateway', () => {
  it.each([
    [
      'keeps the remote and connections to the old address, and adds two halves',
      {},
      ['203.0.113.9'],
      [REMOTE, ...KEPT, ...HALVES],
    ],
    ['needs no route to a remote on a connected network', {}, ['192.0.2.7'], [...KEPT, ...HALVES]],
    ['needs none to a remote with a route of its own', {}, ['198.51.100.7'], [...KEPT, ...HALVES]],
    ['makes none for `local`', { local: true }, ['203.0.113.9'], [...KEPT, ...HALVES]],
    ['makes none to an IPv6 remote for IPv4', {}, ['2001:db8:9::9'], [...KEPT, ...HALVES]],
    [
      'makes one for every peer',
      {},
      ['203.0.113.9', '203.0.113.10'],
      [REMOTE, REMOTE.replace('.9/', '.10/'), ...KEPT, ...HALVES],
    ],
    [
      'takes the place of a default route without metric, which comes back',
      { def1: false },
      ['203.0.113.9'],
      [
        REMOTE,
        ...KEPT,
        'ip route del 0.0.0.0/0 via 192.0.2.254 dev eth0',
        'ip route add 0.0.0.0/0 via 10.8.0.2 proto 86',
      ],
    ],
    ['does only the first half for redirect-private', { ipv4: 'private' }, ['203.0.113.9'], [REMOTE]],
    [
      'splits the network of the gateway for block-local',
      { blockLocal: true },
      ['203.0.113.9'],
      [
        REMOTE,
        ...KEPT,
        'ip route add 192.0.2.254/32 via 192.0.2.254 dev eth0 proto 86',
        'ip route add 192.0.2.0/25 via 10.8.0.2 proto 86',
        'ip route add 192.0.2.128/25 via 10.8.0.2 proto 86',
        ...HALVES,
      ],
    ],
    ['does not cut off a remote on that network', { blockLocal: true }, ['192.0.2.7'], [...KEPT, ...HALVES]],
    [
      'adds four prefixes for IPv6',
      { ipv4: 'off', ipv6: true },
      ['2001:db8:9::9'],
      [
        'ip -6 route add 2001:db8:9::9/128 via fe80::1 dev eth0 metric 1 proto 86',
        'ip -6 route add ::/0 via fe80::1 dev eth0 table 51821 proto 86',
        'ip -6 rule add pref 31086 from 2001:db8::1/128 lookup 254 suppress_prefixlength 7 protocol 86',
        'ip -6 rule add pref 31087 from 2001:db8::1/128 lookup 51821 protocol 86',
        ...['::/3', '2000::/4', '3000::/4', 'fc00::/7'].map(
          (each) => `ip -6 route add ${each} dev tun0 proto 86`,
        ),
      ],
    ],
    [
      'goes to the device when no gateway is known',
      { gateway: undefined, local: true },
      [],
      [...KEPT, 'ip route add 0.0.0.0/1 dev tun0 proto 86', 'ip route add 128.0.0.0/1 dev tun0 proto 86'],
    ],
  ] as const)('%s', (_, redirect, remotes, expected) => {
    expect(plan(redirect, remotes)).toEqual(expected);
  });

  it('leaves a default route with a metric where it is: its own has none, and wins', () => {
    const routes = [route('0.0.0.0/0', '192.0.2.254', { metric: 100 })];
    expect(plan({ def1: false }, [], { ...HOST, routes }).slice(-1)).toEqual([
      'ip route add 0.0.0.0/0 via 10.8.0.2 proto 86',
    ]);
  });

  it('works without a default route', () => {
    expect(plan({ def1: false }, ['203.0.113.9'], { ...HOST, routes: [] })).toEqual([
      'ip route add 0.0.0.0/0 via 10.8.0.2 proto 86',
    ]);
  });

  it('looks at the best of several default routes, and at none of its own', () => {
    const routes = [
      route('0.0.0.0/0', '10.9.0.254', { metric: 600, interfaceIndex: 3 }),
      route('0.0.0.0/0', '10.8.0.2', { protocol: 86, interfaceIndex: 9 }),
      DEFAULT,
    ];
    expect(plan({}, ['203.0.113.9'], { ...HOST, routes })[0]).toBe(REMOTE);
  });

  it('says how to put a displaced route back', () => {
    const changes = planRedirect(
      { ...OFF, def1: false },
      { device: 'tun0', table: 1, remotes: [] },
      redirectHost({ ...HOST, routes: routesOf(HOST.routes) }),
    );
    const displaced = changes.find(({ kind }) => kind === 'displaced-route')!;
    expect(renderUndo(displaced, undefined)).toBe('ip route add 0.0.0.0/0 via 192.0.2.254 dev eth0');
  });
});
