/**
 * Two sites and a path between them, whose narrowest part neither gateway sees:
 *
 *     hosta ────── gatewaya ────── routera ══════ there ═════> routerb ────── gatewayb ────── hostb
 *     10.1.0.2   10.1.0.1  192.0.2.2   192.0.2.1  <═ back ═  198.51.100.1  198.51.100.2  10.2.0.1  10.2.0.2
 *     fd00:1::2  fd00:1::1  2001:db8:a::2      ::1        2001:db8:b::1  ::2             fd00:2::1  fd00:2::2
 *
 * The two routers have a link for each direction, so that the directions may differ. All other links have an MTU of 1500,
 * or the path's if that is greater. The path knows neither site's network: what crosses it is in a tunnel.
 */
import { spawnSync } from 'node:child_process';
import { setDeviceConf, setLink } from '../kernel/rtnetlink.ts';
import { inNamespace, type NetworkNamespace } from './namespaces.ts';
import { buildNetwork, upDevice, withNetlinkOf, type Network, type Topology } from './network.ts';

/**
 * What the routers do with a packet that does not fit:
 * - `icmp`: as they should, Fragmentation Needed or Packet Too Big, or fragments when it may be cut;
 * - `black-hole`: no ICMP, as behind a firewall that drops all of it; what may be cut still arrives in fragments;
 * - `no-fragments`: and no fragment passes either, as in some clouds and behind many firewalls.
 */
export type PathKind = 'icmp' | 'black-hole' | 'no-fragments';
export const PATH_KINDS: readonly PathKind[] = ['icmp', 'black-hole', 'no-fragments'];

export interface PathMtu {
  /** From site A to site B, bytes. */
  readonly there: number;
  /** From site B to site A, bytes. */
  readonly back: number;
}

export interface PathOptions extends PathMtu {
  readonly kind: PathKind;
  /** Addresses of both families, inside and outside, instead of IPv4 alone. */
  readonly ipv6: boolean;
}

const PATH_HOSTS = ['hosta', 'gatewaya', 'routera', 'routerb', 'gatewayb', 'hostb'] as const;
type PathHost = (typeof PATH_HOSTS)[number];
export type Path = Network<PathHost>;

export interface PathSite {
  readonly host: string;
  readonly host6: string;
  /** The gateway's address on the path. */
  readonly outer: string;
  readonly outer6: string;
  /** Dotted quad of the site's /16. */
  readonly network: string;
  /** A /32. */
  readonly network6: string;
}

export const PATH_A: PathSite = {
  host: '10.1.0.2',
  host6: 'fd00:1::2',
  outer: '192.0.2.2',
  outer6: '2001:db8:a::2',
  network: '10.1.0.0',
  network6: 'fd00:1::',
};

export const PATH_B: PathSite = {
  host: '10.2.0.2',
  host6: 'fd00:2::2',
  outer: '198.51.100.2',
  outer6: '2001:db8:b::2',
  network: '10.2.0.0',
  network6: 'fd00:2::',
};

/** The routers' devices: packets to site B take `there`, packets to site A `back`. */
const THERE = 'there';
const BACK = 'back';
const USUAL_MTU = 1500;
/** Number of net.ipv4.conf.DEVICE.rp_filter in linux/ip.h. */
const IPV4_DEVCONF_RP_FILTER = 8;

function topologyOf({ there, back, ipv6 }: PathOptions): Topology<PathHost> {
  const edge = Math.max(USUAL_MTU, there, back);
  const at = (host: PathHost, device: string, mtu: number, ...addresses: string[]) => ({
    host,
    device,
    mtu,
    addresses: ipv6 ? addresses : addresses.filter((address) => !address.includes(':')),
  });
  const routes: Topology<PathHost>['routes'] = [
    { host: 'hosta', gateway: '10.1.0.1' },
    { host: 'gatewaya', gateway: '192.0.2.1' },
    { host: 'routera', to: '198.51.100.0/24', gateway: '203.0.113.2' },
    { host: 'routerb', to: '192.0.2.0/24', gateway: '203.0.113.129' },
    { host: 'gatewayb', gateway: '198.51.100.1' },
    { host: 'hostb', gateway: '10.2.0.1' },
    { host: 'hosta', gateway: 'fd00:1::1' },
    { host: 'gatewaya', gateway: '2001:db8:a::1' },
    { host: 'routera', to: '2001:db8:b::/64', gateway: '2001:db8:1::2' },
    { host: 'routerb', to: '2001:db8:a::/64', gateway: '2001:db8:2::1' },
    { host: 'gatewayb', gateway: '2001:db8:b::1' },
    { host: 'hostb', gateway: 'fd00:2::1' },
  ];
  return {
    hosts: PATH_HOSTS,
    cables: [
      [
        at('hosta', 'lan', edge, '10.1.0.2/16', 'fd00:1::2/64'),
        at('gatewaya', 'lan', edge, '10.1.0.1/16', 'fd00:1::1/64'),
      ],
      [
        at('gatewaya', 'wan', edge, '192.0.2.2/24', '2001:db8:a::2/64'),
        at('routera', 'site', edge, '192.0.2.1/24', '2001:db8:a::1/64'),
      ],
      [
        at('routera', THERE, there, '203.0.113.1/25', '2001:db8:1::1/64'),
        at('routerb', THERE, there, '203.0.113.2/25', '2001:db8:1::2/64'),
      ],
      [
        at('routera', BACK, back, '203.0.113.129/25', '2001:db8:2::1/64'),
        at('routerb', BACK, back, '203.0.113.130/25', '2001:db8:2::2/64'),
      ],
      [
        at('routerb', 'site', edge, '198.51.100.1/24', '2001:db8:b::1/64'),
        at('gatewayb', 'wan', edge, '198.51.100.2/24', '2001:db8:b::2/64'),
      ],
      [
        at('gatewayb', 'lan', edge, '10.2.0.1/16', 'fd00:2::1/64'),
        at('hostb', 'lan', edge, '10.2.0.2/16', 'fd00:2::2/64'),
      ],
    ],
    routes: ipv6 ? routes : routes.filter(({ gateway }) => !gateway.includes(':')),
    routers: ['gatewaya', 'routera', 'routerb', 'gatewayb'],
  };
}

/** Builds it; `addHost` makes a namespace and sees to its removal. Kinds other than `icmp` need the program nft. */
export function buildPath(options: PathOptions, addHost: (name: string) => NetworkNamespace): Path {
  const path = buildNetwork(topologyOf(options), addHost);
  for (const router of [path.routera, path.routerb]) {
    withNetlinkOf(router, (netlink) => {
      // What comes by one link goes back by the other.
      for (const device of [THERE, BACK]) {
        setDeviceConf(netlink, upDevice(netlink, device), IPV4_DEVCONF_RP_FILTER, 0);
      }
    });
    if (options.kind !== 'icmp') filter(router, options.kind);
  }
  return path;
}

/** Changes what the path carries, as a route that changes does: nobody is told. */
export function setPathMtu({ routera, routerb }: Path, { there, back }: PathMtu): void {
  for (const router of [routera, routerb]) {
    withNetlinkOf(router, (netlink) => {
      setLink(netlink, upDevice(netlink, THERE), { mtu: there });
      setLink(netlink, upDevice(netlink, BACK), { mtu: back });
    });
  }
}

const SILENT = `
  chain silent {
    type filter hook output priority filter
    icmp type destination-unreachable icmp code frag-needed drop
    icmpv6 type packet-too-big drop
  }`;
/** Before connection tracking, if there were any, would put them together. */
const NO_FRAGMENTS = `
  chain fragments {
    type filter hook prerouting priority -450
    ip frag-off & 0x3fff != 0 drop
    exthdr frag exists drop
  }`;

function filter(router: NetworkNamespace, kind: Exclude<PathKind, 'icmp'>): void {
  const chains = kind === 'black-hole' ? SILENT : SILENT + NO_FRAGMENTS;
  const input = `table inet path {${chains}\n}\n`;
  const { status, stderr, error } = inNamespace(router, () =>
    spawnSync('nft', ['-f', '-'], { input, encoding: 'utf8' }),
  );
  if (status !== 0) throw new Error(`nft: ${error?.message ?? stderr}`);
}
