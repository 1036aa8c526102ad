import { describe, expect, it } from 'vitest';
import type { HostRoute } from '../../src/kernel/host-routes.ts';
import { learnedRoutes, localRoutes, ownersOf, ownRoutes } from '../../src/kernel/learn.ts';
import type { HostAddress } from '../../src/kernel/snapshot.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { formatPrefix, parsePrefix } from '../../src/packet/prefix.ts';

const BIRD = 12;
const STATIC = 4;
const BOOT = 3;
const TSVPN = 86;

const devices = new Map([
  ['lo', 1],
  ['eth1', 2],
  ['tun0', 3],
]);

function route(text: string, device: string, via?: string, protocol = BIRD, metric = 32): HostRoute {
  const gateway = via === undefined ? undefined : parseAddress(via);
  return {
    prefix: parsePrefix(text)!,
    gateway,
    interfaceIndex: devices.get(device)!,
    protocol,
    metric,
  };
}

function address(text: string, device: string): HostAddress {
  const [local, length] = text.split('/');
  const rest = { peer: undefined, interfaceIndex: devices.get(device)!, global: true, preferred: true };
  return { local: parseAddress(local), prefixLength: Number(length), device, ...rest };
}

interface Host {
  readonly routes: readonly HostRoute[];
  readonly addresses: readonly HostAddress[];
}

function host(routes: readonly HostRoute[], addresses: readonly HostAddress[] = []): Host {
  return { addresses, routes };
}

const OWN = devices.get('tun0')!;
const owners = ownersOf([
  { name: 'a', tunnelAddresses: ['10.8.0.2', 'fd08::2'] },
  { name: 'b', tunnelAddresses: ['10.8.0.3'] },
]);
/** Of the networks of peers these are larger. */
const INSIDE = ['10.5.0.0/16', '10.6.0.0/16', '10.8.0.0/24'];

/** `10.1.0.0/16 peer b 32 learned bird` */
function learned({ routes, addresses }: Host): string[] {
  const isInside = (prefix: HostRoute['prefix']) => INSIDE.includes(formatPrefix(prefix));
  const all = [
    ...learnedRoutes(routes, OWN, owners),
    ...localRoutes(routes, OWN, isInside),
    ...ownRoutes(addresses),
  ];
  return all.map(({ prefix, kind, peer, metric, weight, source }) => {
    const from = source.kind === 'learned' ? `learned ${source.protocol}` : source.kind;
    const shared = weight === undefined ? [] : ['weight', weight];
    return [formatPrefix(prefix), kind, peer ?? '-', metric, from, ...shared].join(' ');
  });
}

const cases: readonly [rule: string, snapshot: Host, expected: readonly string[]][] = [
  [
    "takes a route over whose next hop is a peer's tunnel address",
    host([route('172.20.0.0/16', 'tun0', '10.8.0.3')]),
    ['172.20.0.0/16 peer b 32 learned bird'],
  ],
  [
    'takes an IPv6 route over, and an IPv4 route with an IPv6 next hop',
    host([route('fd20::/48', 'tun0', 'fd08::2'), route('172.20.0.0/16', 'tun0', 'fd08::2')]),
    ['fd20::/48 peer a 32 learned bird', '172.20.0.0/16 peer a 32 learned bird'],
  ],
  [
    'takes over what an operator has typed',
    host([
      route('172.20.0.0/16', 'tun0', '10.8.0.3', STATIC, 0),
      route('172.21.0.0/16', 'tun0', '10.8.0.3', BOOT, 0),
    ]),
    ['172.20.0.0/16 peer b 0 learned static', '172.21.0.0/16 peer b 0 learned boot'],
  ],
  [
    'names a protocol without a name by its number',
    host([route('172.20.0.0/16', 'tun0', '10.8.0.3', 77)]),
    ['172.20.0.0/16 peer b 32 learned 77'],
  ],
  [
    "leaves out our own routes, those without a next hop, those to nobody's address and those of other devices",
    host([
      route('172.20.0.0/16', 'tun0', '10.8.0.3', TSVPN),
      route('172.21.0.0/16', 'tun0'),
      route('172.22.0.0/16', 'tun0', '10.8.0.9'),
      route('172.23.0.0/16', 'eth1', '10.8.0.3'),
    ]),
    [],
  ],
  [
    'keeps backups of another metric, and the first of several routes of one',
    host([
      route('172.20.0.0/16', 'tun0', '10.8.0.3'),
      route('172.20.0.0/16', 'tun0', '10.8.0.2'),
      route('172.20.0.0/16', 'tun0', '10.8.0.2', BIRD, 64),
    ]),
    ['172.20.0.0/16 peer b 32 learned bird', '172.20.0.0/16 peer a 64 learned bird'],
  ],
  [
    'lets the next hops of a route share it by their weights, two addresses of one peer as one',
    host([
      { ...route('172.20.0.0/16', 'tun0', '10.8.0.3'), weight: 3 },
      { ...route('172.20.0.0/16', 'tun0', '10.8.0.2'), weight: 1 },
      { ...route('172.20.0.0/16', 'tun0', 'fd08::2'), weight: 1 },
      { ...route('172.20.0.0/16', 'eth1', '10.8.0.2'), weight: 1 },
    ]),
    ['172.20.0.0/16 peer b 32 learned bird weight 3', '172.20.0.0/16 peer a 32 learned bird weight 2'],
  ],
  [
    'takes the only next hop to a peer alone',
    host([
      { ...route('172.20.0.0/16', 'eth1', '172.16.0.9'), weight: 1 },
      { ...route('172.20.0.0/16', 'tun0', '10.8.0.2'), weight: 1 },
    ]),
    ['172.20.0.0/16 peer a 32 learned bird'],
  ],
  [
    'makes an exception of a network of this host inside a prefix of a peer, and of no other',
    host([
      route('10.5.0.0/16', 'eth1'),
      route('10.6.0.0/16', 'eth1', '10.5.0.9'),
      route('10.0.0.0/8', 'eth1'),
      route('0.0.0.0/0', 'eth1', '10.5.0.1'),
      route('192.168.0.0/16', 'eth1'),
      route('10.8.0.0/24', 'tun0'),
    ]),
    ['10.5.0.0/16 local - 0 kernel', '10.6.0.0/16 local - 0 kernel'],
  ],
  [
    "knows this host's addresses, but for loopback and link-local ones",
    host(
      [],
      [
        address('127.0.0.1/8', 'lo'),
        address('::1/128', 'lo'),
        address('192.0.2.1/32', 'lo'),
        address('172.16.0.2/24', 'eth1'),
        address('172.16.0.2/16', 'eth1'),
        address('fe80::1/64', 'eth1'),
        address('fd16::2/64', 'eth1'),
        address('10.8.0.1/24', 'tun0'),
      ],
    ),
    [
      '192.0.2.1/32 own - 0 kernel',
      '172.16.0.2/32 own - 0 kernel',
      'fd16::2/128 own - 0 kernel',
      '10.8.0.1/32 own - 0 kernel',
    ],
  ],
];

describe('what is learned from the host', () => {
  it.each(cases)('%s', (_rule, snapshot, expected) => {
    expect(learned(snapshot)).toEqual(expected);
  });
});
