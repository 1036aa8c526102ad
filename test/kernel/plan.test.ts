import { describe, expect, it } from 'vitest';
import type { GatewayConfig, PeerConfig, PeerRoute, RouteConfig } from '../../src/config/model.ts';
import { renderIp, renderUndo, type DeviceRoutes, type KernelChange } from '../../src/kernel/change.ts';
import { planDifference, planKernel, planOperatorRoutes } from '../../src/kernel/plan.ts';
import { parsePrefix } from '../../src/packet/prefix.ts';

const where = { file: 'peer.conf', line: 4, column: 1 };

interface Given {
  readonly device?: Partial<GatewayConfig['device']>;
  readonly peers?: readonly Partial<PeerConfig>[];
  readonly routes?: readonly RouteConfig[];
  readonly refusals?: GatewayConfig['refusals'];
  readonly tunMtu?: number;
  readonly routeNoExec?: boolean;
}

function config({ device, peers, routes, refusals, tunMtu, routeNoExec }: Given): GatewayConfig {
  return {
    device: { noExec: false, addresses: [], addresses6: [], txQueueLength: undefined, ...device },
    peers: (peers ?? []).map((peer) => ({ peerRoutes: [], routes: [], ...peer })),
    routes: routes ?? [],
    refusals: refusals ?? [],
    tunMtu: tunMtu ?? 1500,
    routeNoExec: routeNoExec ?? false,
  } as unknown as GatewayConfig;
}

const peerRoute = (text: string, metric = 0, kernel = true): PeerRoute => ({
  prefix: parsePrefix(text)!,
  metric,
  kernel,
  directive: 'peer-route',
  where,
});

function routeLine(text: string, gateway: string | undefined, metric?: number): RouteConfig {
  const [network, length] = text.split('/');
  const family = network.includes(':') ? 6 : 4;
  return { family, network, prefixLength: Number(length), gateway, metric, where };
}

/** A peer whose config has these `route` lines, as a stock file does: each is a route of the table as well. */
function stockPeer(...routes: RouteConfig[]): Partial<PeerConfig> {
  const peerRoutes = routes.map(({ network, prefixLength, metric }) =>
    peerRoute(`${network}/${prefixLength}`, metric ?? 0),
  );
  return { routes, peerRoutes: [peerRoute('10.254.0.2'), ...peerRoutes] };
}

const p2p = { kind: 'p2p', local: '10.254.0.1', remote: '10.254.0.2' } as const;
const subnet = { kind: 'subnet', local: '10.4.0.1', prefixLength: 24, netmask: '255.255.255.0' } as const;
const address6 = { local: 'fd00::1', prefixLength: 64, remote: 'fd00::2' };
const viaPeer = routeLine('10.1.0.0/16', '10.254.0.2');

const plans: readonly [rule: string, given: Given, commands: readonly string[]][] = [
  [
    'sets MTU, address, up, route, in this order (the field case)',
    { device: { addresses: [p2p] }, peers: [stockPeer(viaPeer)] },
    [
      'ip link set dev tun0 mtu 1500',
      'ip address add 10.254.0.1 peer 10.254.0.2/32 dev tun0',
      'ip link set dev tun0 up',
      'ip route add 10.1.0.0/16 via 10.254.0.2 proto 86',
    ],
  ],
  [
    'gives a subnet topology its prefix',
    { device: { addresses: [subnet] } },
    ['ip link set dev tun0 mtu 1500', 'ip address add 10.4.0.1/24 dev tun0', 'ip link set dev tun0 up'],
  ],
  [
    'gives the device the addresses of all peers',
    {
      device: {
        addresses: [p2p, { ...p2p, remote: '10.254.0.3' }, subnet],
        addresses6: [address6, address6],
      },
    },
    [
      'ip link set dev tun0 mtu 1500',
      'ip address add 10.254.0.1 peer 10.254.0.2/32 dev tun0',
      'ip address add 10.254.0.1 peer 10.254.0.3/32 dev tun0',
      'ip address add 10.4.0.1/24 dev tun0',
      'ip address add fd00::1/64 dev tun0',
      'ip link set dev tun0 up',
    ],
  ],
  [
    'keeps the order of the config file for routes and writes a metric above 0',
    {
      peers: [
        stockPeer({ ...viaPeer, metric: 9 }, routeLine('10.0.9.0/24', '10.254.0.2', 7)),
        stockPeer(routeLine('10.0.8.0/24', '10.254.0.2', 0)),
      ],
      device: { addresses: [p2p], noExec: true },
    },
    [
      'ip route add 10.1.0.0/16 via 10.254.0.2 metric 9 proto 86',
      'ip route add 10.0.9.0/24 via 10.254.0.2 metric 7 proto 86',
      'ip route add 10.0.8.0/24 via 10.254.0.2 proto 86',
    ],
  ],
  [
    'gives a tap device its MAC address and network, and routes a gateway',
    {
      device: { addresses: [subnet], addresses6: [address6], linkAddress: '02:00:00:00:00:01' },
      routes: [routeLine('10.9.0.0/16', '10.4.0.7'), routeLine('fd01::/48', 'fd00::2')],
    },
    [
      'ip link set dev tun0 mtu 1500',
      'ip link set dev tun0 address 02:00:00:00:00:01',
      'ip address add 10.4.0.1/24 dev tun0',
      'ip address add fd00::1/64 dev tun0',
      'ip link set dev tun0 up',
      'ip route add 10.9.0.0/16 via 10.4.0.7 proto 86',
      'ip -6 route add fd01::/48 via fd00::2 dev tun0 proto 86',
    ],
  ],
  [
    'makes a tap device a port of its bridge before it is up',
    { device: { bridge: 'br0' }, tunMtu: 1400 },
    ['ip link set dev tun0 mtu 1400', 'ip link set dev tun0 master br0', 'ip link set dev tun0 up'],
  ],
  [
    'gives a device without `ifconfig` its MAC address and leaves it down',
    { device: { linkAddress: '02:00:00:00:00:01' } },
    ['ip link set dev tun0 address 02:00:00:00:00:01'],
  ],
  ['leaves the bridge alone with `ifconfig-noexec`', { device: { bridge: 'br0', noExec: true } }, []],
  [
    'names the device and no gateway in an IPv6 route of a tun device',
    {
      device: { addresses6: [address6], txQueueLength: 600 },
      peers: [{ ...stockPeer(routeLine('fd01::/48', undefined)), peerRoutes: [peerRoute('fd01::/48')] }],
      tunMtu: 1400,
    },
    [
      'ip link set dev tun0 mtu 1400',
      'ip link set dev tun0 txqueuelen 600',
      'ip address add fd00::1/64 dev tun0',
      'ip link set dev tun0 up',
      'ip -6 route add fd01::/48 dev tun0 proto 86',
    ],
  ],
  [
    'routes a prefix of the table to the device',
    { peers: [{ peerRoutes: [peerRoute('10.1.0.0/16'), peerRoute('fd01::/48')] }] },
    ['ip route add 10.1.0.0/16 dev tun0 proto 86', 'ip -6 route add fd01::/48 dev tun0 proto 86'],
  ],
  [
    'makes one route of a prefix that several peers have, and leaves metrics to the table',
    {
      peers: [{ peerRoutes: [peerRoute('10.1.0.0/16', 20)] }, { peerRoutes: [peerRoute('10.1.0.0/16', 10)] }],
    },
    ['ip route add 10.1.0.0/16 dev tun0 proto 86'],
  ],
  [
    'takes the `route` line of the better peer when several have one for a prefix',
    {
      device: { addresses: [p2p, { ...p2p, remote: '10.254.0.3' }], noExec: true },
      peers: [
        stockPeer({ ...viaPeer, metric: 20 }),
        stockPeer({ ...viaPeer, gateway: '10.254.0.3', metric: 10 }),
      ],
    },
    ['ip route add 10.1.0.0/16 via 10.254.0.3 metric 10 proto 86'],
  ],
  [
    'makes no route of a prefix inside a network of the device, nor of one marked no-kernel',
    {
      device: { addresses: [subnet], addresses6: [address6], noExec: true },
      peers: [
        {
          peerRoutes: [
            peerRoute('10.4.0.3'),
            peerRoute('10.4.0.0/24'),
            peerRoute('fd00::2'),
            peerRoute('10.1.0.0/16', 0, false),
            peerRoute('10.4.0.0/16'),
          ],
        },
      ],
    },
    ['ip route add 10.4.0.0/16 dev tun0 proto 86'],
  ],
  [
    'adds routes through other gateways as they are written',
    { routes: [routeLine('10.98.0.0/16', '192.0.2.9', 7)] },
    ['ip route add 10.98.0.0/16 via 192.0.2.9 metric 7 proto 86'],
  ],
  [
    'brings what leads to nobody to the device, where it is answered',
    { refusals: [{ kind: 'prohibit', prefix: parsePrefix('10.99.0.0/16')!, metric: 0, where }] },
    ['ip route add 10.99.0.0/16 dev tun0 proto 86'],
  ],
  [
    'leaves a device without ifconfig down and its MTU alone, and still sets the queue length',
    { device: { txQueueLength: 600 }, tunMtu: 1400 },
    ['ip link set dev tun0 txqueuelen 600'],
  ],
  ['takes a queue length of 0 for none', { device: { txQueueLength: 0 } }, []],
  [
    'does nothing to the device under ifconfig-noexec',
    { device: { addresses: [p2p], addresses6: [address6], noExec: true } },
    [],
  ],
  [
    'adds no route under route-noexec',
    {
      device: { addresses: [p2p] },
      peers: [stockPeer(viaPeer)],
      routes: [viaPeer],
      refusals: [{ kind: 'blackhole', prefix: parsePrefix('10.99.0.0/16')!, metric: 0, where }],
      routeNoExec: true,
    },
    [
      'ip link set dev tun0 mtu 1500',
      'ip address add 10.254.0.1 peer 10.254.0.2/32 dev tun0',
      'ip link set dev tun0 up',
    ],
  ],
];

describe('planKernel', () => {
  it.each(plans)('%s', (_rule, given, commands) => {
    expect(planKernel(config(given), 'tun0').map(renderIp)).toEqual(commands);
  });

  it('is plain data that survives JSON', () => {
    const given = { device: { addresses: [p2p], addresses6: [address6] }, peers: [stockPeer(viaPeer)] };
    const changes = planKernel(config(given), 'tun0');
    expect((JSON.parse(JSON.stringify(changes)) as KernelChange[]).map(renderIp)).toEqual(
      changes.map(renderIp),
    );
  });
});

describe('planOperatorRoutes', () => {
  it("adds the operator's own prefixes to those of the plan, each once", () => {
    const given = { peers: [{ peerRoutes: [peerRoute('10.1.0.0/16'), peerRoute('fd01::/48')] }] };
    const plan = planKernel(config(given), 'tun0');
    const prefixes = ['10.2.0.0/16', '10.1.0.0/16', '10.1.0.0/24', 'fd01::/48', '10.2.0.0/16'];
    const extra = planOperatorRoutes(
      plan,
      prefixes.map((text) => parsePrefix(text)!),
      'tun0',
    );
    expect(extra.map(renderIp)).toEqual([
      'ip route add 10.2.0.0/16 dev tun0 proto 86',
      'ip route add 10.1.0.0/24 dev tun0 proto 86',
    ]);
  });
});

const basis: Given = {
  device: { addresses: [p2p] },
  peers: [{ peerRoutes: [peerRoute('10.1.0.0/16'), peerRoute('10.2.0.0/16')] }],
};
const differences: readonly [
  rule: string,
  after: Given,
  toAdd: readonly string[],
  toRemove: readonly string[],
][] = [
  ['is empty between equal plans', basis, [], []],
  [
    'names only what came and what went',
    { ...basis, peers: [{ peerRoutes: [peerRoute('10.3.0.0/16'), peerRoute('10.1.0.0/16')] }] },
    ['ip route add 10.3.0.0/16 dev tun0 proto 86'],
    ['ip route add 10.2.0.0/16 dev tun0 proto 86'],
  ],
  [
    'sets a new value without taking the old one back',
    { ...basis, tunMtu: 1400 },
    ['ip link set dev tun0 mtu 1400'],
    [],
  ],
  [
    'removes in reverse order',
    { ...basis, device: {}, peers: [] },
    [],
    [
      'ip route add 10.2.0.0/16 dev tun0 proto 86',
      'ip route add 10.1.0.0/16 dev tun0 proto 86',
      'ip link set dev tun0 up',
      'ip address add 10.254.0.1 peer 10.254.0.2/32 dev tun0',
      'ip link set dev tun0 mtu 1500',
    ],
  ],
  [
    'does not see the line a route came from',
    {
      ...basis,
      peers: [
        {
          peerRoutes: basis.peers![0].peerRoutes!.map((route) => ({
            ...route,
            where: { ...where, line: 9 },
          })),
        },
      ],
    },
    [],
    [],
  ],
];

describe('planDifference', () => {
  it.each(differences)('%s', (_rule, after, toAdd, toRemove) => {
    const difference = planDifference(planKernel(config(basis), 'tun0'), planKernel(config(after), 'tun0'));
    expect(difference.toAdd.map(renderIp)).toEqual(toAdd);
    expect(difference.toRemove.map(renderIp)).toEqual(toRemove);
  });
});

const device = 'tun0';
const undos: readonly [
  change: KernelChange | DeviceRoutes,
  before: number | undefined,
  command: string,
  saved?: string,
][] = [
  [
    { kind: 'link-address', device, address: '02:00:00:00:00:01' },
    undefined,
    'ip link set dev tun0 address 36:42:4f:ac:ae:8e',
    '36424facae8e',
  ],
  [{ kind: 'master', device, master: 'br0' }, undefined, 'ip link set dev tun0 nomaster'],
  [{ kind: 'mtu', device, mtu: 1400 }, 1500, 'ip link set dev tun0 mtu 1500'],
  [{ kind: 'txqueuelen', device, packets: 600 }, 500, 'ip link set dev tun0 txqueuelen 500'],
  [{ kind: 'up', device }, undefined, 'ip link set dev tun0 down'],
  [
    { kind: 'address', device, family: 4, local: '10.4.0.1', peer: '10.4.0.2', prefixLength: 32 },
    undefined,
    'ip address del 10.4.0.1 peer 10.4.0.2/32 dev tun0',
  ],
  [
    {
      kind: 'route',
      family: 6,
      network: 'fd01::',
      prefixLength: 48,
      gateway: undefined,
      device,
      metric: 3,
      where,
    },
    undefined,
    'ip -6 route del fd01::/48 dev tun0 metric 3 proto 86',
  ],
  [{ kind: 'device-routes', family: 6, device }, undefined, 'ip -6 route flush table all dev tun0 proto 86'],
];

describe('renderUndo', () => {
  it.each(undos)('takes back %o', (change, before, command, saved) => {
    expect(renderUndo(change, before, saved)).toBe(command);
  });
});
