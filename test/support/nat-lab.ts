/**
 * The network in which source NAT is tried:
 *
 *   client ───┐                  gateway                    ┌─── lan ──────────── server
 *   eth0 .10  ├── wan ──── eth0         eth1 ───────────────┤    172.16.0.3       192.168.50.5
 *             │   .9       203.0.113.2  172.16.0.2          │    192.168.50.1
 *             │   203.0.113.0/24        172.16.0.0/24       │    a link of MTU 1300 that nobody knows of
 *   (others) ─┘                                  (others) ──┘
 *
 * Nobody on the LAN side has a route to the tunnel's network, so that an answer proves a translation. The gateway has
 * strict reverse-path filters, `ip_forward` 0 and an empty netfilter.
 */
import { createLab, type Lab, type Namespace } from './netns.ts';
import type { Daemon } from './process.ts';

export interface NatLab extends Lab {
  /** The road warrior: a host on the WAN. */
  readonly client: Namespace;
  readonly gateway: Namespace;
  /** Host on the LAN, and router to the server. */
  readonly lan: Namespace;
  readonly server: Namespace;
  readonly wan: Namespace;
  /** Another host, 203.0.113.0/24 or 172.16.0.0/24, with its address on `eth0`. */
  addHost(network: 'wan' | 'lan', name: string, address: string): Promise<Namespace>;
}

export const NAT = {
  client: '203.0.113.10',
  wan: '203.0.113.9',
  gatewayWan: '203.0.113.2',
  gateway: '172.16.0.2',
  lan: '172.16.0.3',
  server: '192.168.50.5',
  /** Nobody has it: for alias mode. */
  alias: '172.16.0.9',
  tunnelGateway: '10.8.0.1',
  tunnelClient: '10.8.0.2',
  /** MTU of the link between the LAN's router and the server. */
  hiddenMtu: 1300,
} as const;

export async function createNatLab(): Promise<NatLab> {
  const lab = createLab();
  const gateway = await lab.namespace('gw');
  const lan = await lab.namespace('lan');
  const wan = await lab.namespace('wan');
  const server = await lab.namespace('server');

  await addSegment(wan, NAT.wan);
  await addSegment(lan, NAT.lan);
  await plug(lab, wan, gateway, 'eth0', NAT.gatewayWan);
  await plug(lab, lan, gateway, 'eth1', NAT.gateway);
  await gateway.ip('route', 'add', '192.168.50.0/24', 'via', NAT.lan);
  await gateway.sysctl('net/ipv4/ip_forward', 0);
  for (const name of ['all', 'default', 'eth0', 'eth1']) {
    await gateway.sysctl(`net/ipv4/conf/${name}/rp_filter`, 1);
  }
  await hideLink(lab, lan, server);

  const addHost: NatLab['addHost'] = async (network, name, address) => {
    const host = await lab.namespace(name);
    await plug(lab, network === 'wan' ? wan : lan, host, 'eth0', address);
    return host;
  };
  const client = await addHost('wan', 'client', NAT.client);
  return { ...lab, client, gateway, lan, server, wan, addHost };
}

/** A bridge with an address: the host that has it is on the segment like those plugged in. */
async function addSegment(host: Namespace, address: string): Promise<void> {
  await host.ip('link', 'add', 'br0', 'type', 'bridge');
  await host.ip('address', 'add', `${address}/24`, 'dev', 'br0');
  await host.ip('link', 'set', 'br0', 'up');
}

async function plug(
  lab: Lab,
  segment: Namespace,
  host: Namespace,
  device: string,
  address: string,
): Promise<void> {
  const port = host.name.slice(-14);
  await lab.connect(segment, port, host, device);
  await segment.ip('link', 'set', port, 'master', 'br0');
  await host.ip('address', 'add', `${address}/24`, 'dev', device);
}

/** The server sends no packet the link cannot carry, and offers an MSS as if the link had an MTU of 1500. */
async function hideLink(lab: Lab, router: Namespace, server: Namespace): Promise<void> {
  await lab.connect(router, 'hidden', server, 'eth0');
  await router.ip('link', 'set', 'hidden', 'mtu', String(NAT.hiddenMtu));
  await router.ip('address', 'add', '192.168.50.1/24', 'dev', 'hidden');
  await router.sysctl('net/ipv4/ip_forward', 1);
  // The tests cause more ICMP errors than one in a second.
  for (const host of [router, server]) await host.sysctl('net/ipv4/icmp_ratelimit', 0);
  await server.ip('address', 'add', `${NAT.server}/24`, 'dev', 'eth0');
  const limits = ['mtu', 'lock', String(NAT.hiddenMtu), 'advmss', '1460'];
  await server.ip('route', 'add', 'default', 'via', '192.168.50.1', ...limits);
}

/** A running tcpdump, `-v` so that it verifies checksums; its log has a line or two for each packet. */
export async function capture(at: Namespace, device: string, filter: string): Promise<Daemon> {
  const words = ['tcpdump', '-n', '-l', '-U', '-vv', '-i', device, ...filter.split(' ')];
  const daemon = at.spawn(words);
  await daemon.waitFor(/listening on/);
  return daemon;
}

/** What a capture saw, without tcpdump's own words. */
export function packetsOf(dump: Daemon): string[] {
  return dump.log.split('\n').filter((line) => /(> |ARP)/.test(line));
}
