import { choice, int, ipv4, ipv6, linkAddress, optional, rest, text, word } from '../arguments.ts';
import { REDIRECT_FLAGS, set } from '../draft.ts';
import type { Draft, DraftRedirect } from '../draft.ts';
import { refuse, shorten, warn } from '../findings.ts';
import type { Line } from '../lexer.ts';
import { ignored, refused, supported } from './spec.ts';
import type { DirectiveSpec, Section } from './spec.ts';

const METRIC = int('METRIC', 0, 0xffffffff);

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
    { fix: 'the last argument is the metric; `default` skips one' },
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

function addRedirect(draft: Draft, name: DraftRedirect['name'], line: Line): void {
  const flags: DraftRedirect['flags'][number][] = [];
  for (const { text, where } of line.words) {
    const flag = REDIRECT_FLAGS.find((each) => each === text);
    if (flag !== undefined) flags.push(flag);
    else {
      const what = `${name}: \`${shorten(text)}\` is not a flag`;
      refuse(draft.findings, where, 'CONFIG_ARGUMENT', what, { fix: `use ${REDIRECT_FLAGS.join(', ')}` });
    }
    if (text.startsWith('bypass-')) {
      const what = `${name}: ${text} has no effect`;
      warn(draft.findings, where, 'CONFIG_NO_EFFECT', what, { why: 'it is for Windows clients' });
    }
  }
  draft.redirects.push({ value: { name, flags }, where: line.where });
}

function redirect(name: DraftRedirect['name'], help: string): DirectiveSpec {
  return supported(name, [optional(rest('FLAG'))], help, (draft, _, line) => addRedirect(draft, name, line), {
    forms: [`${name} [${REDIRECT_FLAGS.join('] [')}]`],
    difference:
      'A remote on the same network needs no route of its own. Rules and a table of ours (`ip rule`) keep what came in by the old ' +
      'default gateway on it.',
  });
}

export const DEVICE: Section = {
  title: 'Device, addresses and routes',
  directives: [
    supported(
      'dev',
      [text('NAME')],
      'The device: `tun` or `tap` for the next free one, or its name (tun0). A tap device carries Ethernet frames, to one peer.',
      (draft, [name], line) => set(draft, 'device', name, line),
      {
        shared: true,
        difference:
          '`dev null` is refused; a name that the kernel would not take is an error before anything is changed. OpenVPN 2.7 means `tun` without the line.',
      },
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
      "Address of the device and the peer's address; with `topology subnet`, and on a tap device, the netmask.",
      (draft, [local, second], line) => set(draft, 'ifconfig', { local, second }, line),
      {
        difference:
          "Addresses only, no host names. A netmask where the peer's address belongs, and the reverse, are errors; OpenVPN warns and makes an unusable device.",
      },
    ),
    supported(
      'ifconfig-ipv6',
      [word('ADDRESS/LENGTH'), word('REMOTE')],
      "IPv6 address of the device with its prefix length (64 to 124), and the peer's address.",
      (draft, [local, remote], line) => set(draft, 'ifconfig6', { local, remote }, line),
      { difference: 'Addresses only, no host names.' },
    ),
    supported(
      'topology',
      [choice(['net30', 'p2p', 'subnet'])],
      'How `ifconfig` is meant: two single addresses (net30, p2p) or a network (subnet). A tap device has a network always.',
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
      'Send packets for a network into the tunnel; `default` skips an argument. Network and gateway may be addresses, names of hosts, ' +
        '`vpn_gateway`, `net_gateway` (of the default route) or `remote_host` (the remote).',
      (draft, words, line) => addRoute(draft, words, line),
      {
        preset: 'netmask 255.255.255.255, gateway as in route-gateway',
        difference:
          'A network with bits behind its mask is an error; OpenVPN goes on without the route. Any other route that the kernel refuses is a warning, as in OpenVPN.',
      },
    ),
    supported(
      'route-ipv6',
      [word('NETWORK/LENGTH'), optional(word('GATEWAY')), optional(word('METRIC'))],
      'Send packets for an IPv6 network into the tunnel.',
      (draft, [prefix, gateway, metric], line) =>
        draft.routes6.push({
          value: { prefix, gateway: given(gateway), metric: routeMetric(draft, metric, line) },
          where: line.where,
        }),
      {
        preset: 'length 64',
        difference:
          'Bits behind the length are told; the route is made without them, as the kernel does for OpenVPN.',
      },
    ),
    supported(
      'route-gateway',
      [word('ADDRESS')],
      'Gateway of routes that name none.',
      (draft, [address], line) => set(draft, 'routeGateway', address, line),
      {
        preset: 'the second address of ifconfig, when that is not a netmask',
        difference: '`dhcp` is refused: there is no server to answer.',
      },
    ),
    supported(
      'route-ipv6-gateway',
      [ipv6('ADDRESS')],
      'Gateway of IPv6 routes that name none. A tun device needs none: there only scripts are told.',
      (draft, [address], line) => set(draft, 'routeGateway6', address, line),
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
      'Length of the transmit queue of the device; 0 leaves it as it is.',
      (draft, [packets], line) => set(draft, 'txQueueLength', packets, line),
      { preset: "the kernel's, 500", shared: true },
    ),
    supported(
      'lladdr',
      [linkAddress],
      'MAC address of a tap device.',
      (draft, [address], line) => set(draft, 'linkAddress', address, line),
      {
        preset: "the kernel's, a random one",
        shared: true,
        difference: 'The address of a group is refused; OpenVPN warns, and goes on with another.',
      },
    ),
    redirect(
      'redirect-gateway',
      'Send all traffic into the tunnel, as far as no other route says otherwise. The remote keeps its way by the old gateway, and so ' +
        'do connections to the addresses of the old interface, a remote shell for example.',
    ),
    redirect('redirect-private', 'As redirect-gateway, but keep the default route.'),
    supported(
      'route-delay',
      [optional(int('SECONDS', 0, 3600)), optional(int('WINDOW', 0, 3600))],
      'Make the routes so long after the peer has been heard. WINDOW is for Windows.',
      (draft, [sec = 0], line) => set(draft, 'routeDelay', sec, line),
      {
        preset: 'off: routes come with the device',
        shared: true,
        difference: 'WINDOW has no effect, which is for Windows.',
      },
    ),
    ignored(
      'block-ipv6',
      'Refuse IPv6 packets into the tunnel.',
      'add no `route-ipv6`, and IPv6 stays out',
      'OpenVPN answers IPv6 packets with ICMPv6; here they are routed.',
    ),
    ignored(
      'tun-ipv6',
      'Carry IPv6; every tunnel does.',
      'the tunnel carries IPv6 always',
      'None: since 2.4 OpenVPN ignores it, too.',
    ),
    ignored(
      'max-routes',
      'Limit on routes.',
      'there is no limit',
      'None: OpenVPN accepts it without effect, too.',
    ),
    ignored(
      'iproute',
      'Path of ip(8).',
      'tsvpn talks to the kernel itself',
      'OpenVPN without iproute2 support, as Debian builds it, does not know the line.',
    ),
    ignored('route-table', 'Routing table for routes (OpenVPN 2.7).', 'routes go to the main table'),
    ignored(
      'route-nopull',
      'Do not take routes from a server.',
      undefined,
      'None: there is no server to pull from.',
    ),
    ignored(
      'disable-dco',
      "Do not use the kernel's data channel; static-key tunnels never do.",
      undefined,
      'None: OpenVPN never uses it for a static key.',
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
