import { choice, int, ipv4, optional, text, word } from '../arguments.ts';
import { set } from '../draft.ts';
import type { Draft } from '../draft.ts';
import { refuse } from '../findings.ts';
import type { Line } from '../lexer.ts';
import { ignored, later, refused, supported } from './spec.ts';
import type { Section } from './spec.ts';

const METRIC = int('METRIC', 0, 0xffffffff);
const REDIRECT = 'add `route` lines for the networks behind the peer';

/** `default` stands for an argument that is left out. */
function given(argument: string | undefined): string | undefined {
  return argument === 'default' ? undefined : argument;
}

function routeMetric(draft: Draft, metric: string | undefined, line: Line): number | undefined {
  if (given(metric) === undefined || metric === undefined) return undefined;
  const read = METRIC.read(metric);
  if ('value' in read) return read.value;
  refuse(
    draft.findings,
    line.where,
    'CONFIG_ARGUMENT',
    `${line.name}: the metric ${metric} is not ${read.expected}`,
  );
  return undefined;
}

function addRoute(draft: Draft, words: readonly (string | undefined)[], line: Line): void {
  const [network, netmask, gateway, metric] = words;
  if (network === undefined) return;
  const value = {
    network,
    netmask: given(netmask),
    gateway: given(gateway),
    metric: routeMetric(draft, metric, line),
  };
  draft.routes.push({ value, where: line.where });
}

export const DEVICE: Section = {
  title: 'Device, addresses and routes',
  directives: [
    supported(
      'dev',
      [text('NAME')],
      'The device: `tun` for the next free one, or its name (tun0).',
      (draft, [name], line) => set(draft, 'device', name, line),
      { shared: true },
    ),
    supported(
      'dev-type',
      [choice(['tun', 'tap', 'null'])],
      'Type of the device when its name does not say.',
      (draft, [type], line) => set(draft, 'deviceType', type, line),
      { shared: true },
    ),
    supported(
      'dev-node',
      [word('PATH')],
      "The kernel's TUN/TAP door.",
      (draft, [path], line) => set(draft, 'deviceNode', path, line),
      { preset: '/dev/net/tun', shared: true },
    ),
    supported(
      'ifconfig',
      [ipv4('LOCAL'), ipv4('REMOTE|NETMASK')],
      "Address of the device and the peer's address; with `topology subnet` the netmask.",
      (draft, [local, second], line) => set(draft, 'ifconfig', { local, second }, line),
    ),
    supported(
      'ifconfig-ipv6',
      [word('ADDRESS/LENGTH'), word('REMOTE')],
      "IPv6 address of the device with its prefix length (64 to 124), and the peer's address.",
      (draft, [local, remote], line) => set(draft, 'ifconfig6', { local, remote }, line),
    ),
    supported(
      'topology',
      [choice(['net30', 'p2p', 'subnet'])],
      'How `ifconfig` is meant: two single addresses (net30, p2p) or a network (subnet).',
      (draft, [mode], line) => set(draft, 'topology', mode, line),
      { preset: 'net30' },
    ),
    supported(
      'ifconfig-noexec',
      [],
      'Do not touch addresses and state of the device.',
      (draft, _, line) => set(draft, 'ifconfigNoExec', true, line),
      { shared: true },
    ),
    supported('ifconfig-nowarn', [], 'Do not compare addresses with the peer.', (draft, _, line) =>
      set(draft, 'ifconfigNoWarn', true, line),
    ),
    supported(
      'route',
      [word('NETWORK'), optional(word('NETMASK')), optional(word('GATEWAY')), optional(word('METRIC'))],
      'Send packets for a network into the tunnel; `default` skips an argument.',
      (draft, words, line) => addRoute(draft, words, line),
      { preset: 'netmask 255.255.255.255, gateway as in route-gateway' },
    ),
    supported(
      'route-ipv6',
      [word('NETWORK/LENGTH'), optional(word('GATEWAY')), optional(word('METRIC'))],
      'Send packets for an IPv6 network into the tunnel.',
      (draft, [prefix, , metric], line) =>
        draft.routes6.push({
          value: { prefix, metric: routeMetric(draft, metric, line) },
          where: line.where,
        }),
    ),
    supported(
      'route-gateway',
      [word('ADDRESS')],
      'Gateway of routes that name none.',
      (draft, [address], line) => set(draft, 'routeGateway', address, line),
      { preset: 'the second address of ifconfig, when that is not a netmask' },
    ),
    supported(
      'route-ipv6-gateway',
      [word('ADDRESS')],
      'Gateway of IPv6 routes; a tun device needs none.',
      () => undefined,
    ),
    supported(
      'route-metric',
      [METRIC],
      'Metric of routes that name none.',
      (draft, [metric], line) => set(draft, 'routeMetric', metric, line),
      { preset: "the kernel's" },
    ),
    supported('route-noexec', [], 'Do not install the routes.', (draft, _, line) =>
      set(draft, 'routeNoExec', true, line),
    ),
    supported(
      'txqueuelen',
      [int('PACKETS', 0, 1_000_000)],
      'Length of the transmit queue of the device.',
      (draft, [packets], line) => set(draft, 'txQueueLength', packets, line),
      { preset: "the kernel's, 500", shared: true },
    ),
    later('redirect-gateway', 'Send all traffic into the tunnel.', REDIRECT),
    later('redirect-private', 'redirect-gateway without the default route.', REDIRECT),
    later(
      'route-delay',
      'Install routes some time after the peer answered.',
      'remove it; routes come with the device',
    ),
    ignored('block-ipv6', 'Refuse IPv6 packets into the tunnel.', 'add no `route-ipv6`, and IPv6 stays out'),
    ignored('tun-ipv6', 'Carry IPv6; every tunnel does.', 'the tunnel carries IPv6 always'),
    ignored('max-routes', 'Limit on routes.', 'there is no limit'),
    ignored('iproute', 'Path of ip(8).', 'tsvpn talks to the kernel itself'),
    ignored('route-table', 'Routing table for routes (OpenVPN 2.7).', 'routes go to the main table'),
    ignored('route-nopull', 'Do not take routes from a server.'),
    ignored(
      'dhcp-option',
      'DNS and other settings for scripts.',
      'tsvpn runs no scripts; set DNS up yourself',
    ),
    ignored('dns', 'DNS settings for scripts.', 'tsvpn runs no scripts; set DNS up yourself'),
    ignored('dns-updown', 'DNS script (OpenVPN 2.7).', 'tsvpn runs no scripts; set DNS up yourself'),
    ignored('disable-dco', "Do not use the kernel's data channel; static-key tunnels never do."),
    refused(
      'lladdr',
      'MAC address of a tap device.',
      'only `dev tap` has one, and tsvpn has no tap yet',
      'remove it',
    ),
    refused(
      'mktun',
      'Make a persistent device.',
      'it is a command of its own',
      'ip tuntap add dev tun0 mode tun',
    ),
    refused(
      'rmtun',
      'Remove a persistent device.',
      'it is a command of its own',
      'ip tuntap del dev tun0 mode tun',
    ),
  ],
};
