import { describe, expect, it } from 'vitest';
import type { PeerConfig, RouteConfig } from '../../src/config/model.ts';
import { renderIp, renderUndo, type KernelChange } from '../../src/kernel/change.ts';
import { planKernel } from '../../src/kernel/plan.ts';

const where = { file: 'peer.conf', line: 4, column: 1 };

function config(
  device: Partial<PeerConfig['device']>,
  routes: readonly Partial<RouteConfig>[] = [],
  rest: { tunMtu?: number; routeNoExec?: boolean } = {},
): PeerConfig {
  const route = { family: 4, prefixLength: 16, gateway: undefined, metric: undefined, where };
  return {
    device: { noExec: false, address: undefined, address6: undefined, txQueueLength: undefined, ...device },
    mtu: { tunMtu: rest.tunMtu ?? 1500 },
    routes: routes.map((given) => ({ ...route, ...given })),
    routeNoExec: rest.routeNoExec ?? false,
  } as unknown as PeerConfig;
}

const p2p = { kind: 'p2p', local: '10.254.0.1', remote: '10.254.0.2' } as const;
const subnet = { kind: 'subnet', local: '10.4.0.1', prefixLength: 24, netmask: '255.255.255.0' } as const;
const address6 = { local: 'fd00::1', prefixLength: 64, remote: 'fd00::2' };
const viaPeer = { network: '10.1.0.0', gateway: '10.254.0.2' };

const plans: readonly [rule: string, config: PeerConfig, commands: readonly string[]][] = [
  [
    'sets MTU, address, up, route, in this order (the field case)',
    config({ address: p2p }, [viaPeer]),
    [
      'ip link set dev tun0 mtu 1500',
      'ip address add 10.254.0.1 peer 10.254.0.2/32 dev tun0',
      'ip link set dev tun0 up',
      'ip route add 10.1.0.0/16 via 10.254.0.2 proto 86',
    ],
  ],
  [
    'gives a subnet topology its prefix',
    config({ address: subnet }),
    ['ip link set dev tun0 mtu 1500', 'ip address add 10.4.0.1/24 dev tun0', 'ip link set dev tun0 up'],
  ],
  [
    'skips an IPv4 route without a gateway, and says so',
    config({ address: subnet, noExec: true }, [{ network: '10.1.0.0' }]),
    [
      '# route 10.1.0.0/16 skipped: no gateway: name one in the route line or with route-gateway (topology subnet has no default)',
    ],
  ],
  [
    'keeps the order of the config file for routes and writes a metric above 0',
    config({ noExec: true }, [
      { ...viaPeer, metric: 0 },
      { ...viaPeer, network: '10.0.9.0', prefixLength: 24, metric: 7 },
    ]),
    [
      'ip route add 10.1.0.0/16 via 10.254.0.2 proto 86',
      'ip route add 10.0.9.0/24 via 10.254.0.2 metric 7 proto 86',
    ],
  ],
  [
    'names the device and no gateway in an IPv6 route',
    config(
      { address6, txQueueLength: 600 },
      [{ family: 6, network: 'fd01::', prefixLength: 48, gateway: 'fd00::2' }],
      { tunMtu: 1400 },
    ),
    [
      'ip link set dev tun0 mtu 1400',
      'ip link set dev tun0 txqueuelen 600',
      'ip address add fd00::1/64 dev tun0',
      'ip link set dev tun0 up',
      'ip -6 route add fd01::/48 dev tun0 proto 86',
    ],
  ],
  [
    'leaves a device without ifconfig down and its MTU alone, and still sets the queue length',
    config({ txQueueLength: 600 }, [], { tunMtu: 1400 }),
    ['ip link set dev tun0 txqueuelen 600'],
  ],
  ['does nothing to the device under ifconfig-noexec', config({ address: p2p, address6, noExec: true }), []],
  [
    'adds no route under route-noexec',
    config({ address: p2p }, [viaPeer], { routeNoExec: true }),
    [
      'ip link set dev tun0 mtu 1500',
      'ip address add 10.254.0.1 peer 10.254.0.2/32 dev tun0',
      'ip link set dev tun0 up',
    ],
  ],
];

describe('planKernel', () => {
  it.each(plans)('%s', (_rule, config, commands) => {
    expect(planKernel(config, 'tun0').map(renderIp)).toEqual(commands);
  });

  it('is plain data that survives JSON', () => {
    const changes = planKernel(config({ address: p2p, address6 }, [viaPeer]), 'tun0');
    expect((JSON.parse(JSON.stringify(changes)) as KernelChange[]).map(renderIp)).toEqual(
      changes.map(renderIp),
    );
  });
});

const device = 'tun0';
const undos: readonly [change: KernelChange, before: number | undefined, command: string][] = [
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
];

describe('renderUndo', () => {
  it.each(undos)('takes back %o', (change, before, command) => {
    expect(renderUndo(change, before)).toBe(command);
  });
});
