/**
 * Where source NAT is measured: a client behind a tunnel, the gateway at its other end, and a server on the gateway's LAN.
 *
 *     client 192.0.2.1 ──── cable ──── 192.0.2.2 gateway 172.16.0.2 ──── lan ──── 172.16.0.3 server
 *            10.90.N.1 ════ tunnel ════ 10.90.N.2
 *
 * Each contender has a site of its own: the connection tracking that netfilter's NAT needs costs whoever shares its
 * namespace.
 */
import { addRoute } from '../kernel/routes.ts';
import { linkByName } from '../kernel/rtnetlink.ts';
import type { NetworkNamespace } from '../lab/namespaces.ts';
import { forwardFrom, withNetlinkOf } from '../lab/network.ts';
import { parseAddress } from '../packet/address.ts';
import { CABLE, layCable, OUTER, type Testbed } from './testbed.ts';

export const LAN = 'lan';
export const LAN_NETWORK = '172.16.0.0';
export const LAN_MASK = '255.255.255.0';
const GATEWAY = '172.16.0.2';
export const SERVER = '172.16.0.3';

/** The tunnel's ends are `a`, the client, and `b`, the gateway. */
export interface Site extends Testbed {
  readonly server: NetworkNamespace;
}

/** `name` tells the sites of a testbed apart. */
export function buildSite(testbed: Testbed, name: string): Site {
  const [a, b, server] = ['client', 'gateway', 'server'].map((host) => testbed.addHost(`${host}-${name}`));
  layCable(CABLE, [a, OUTER.a], [b, OUTER.b]);
  layCable(LAN, [b, GATEWAY], [server, SERVER]);
  return { ...testbed, a, b, server };
}

/** Makes a router of the gateway, as everybody needs who does not do it himself. The tunnel's device must be there. */
export function forwardAtGateway({ b }: Site, device: string): void {
  for (const each of [device, LAN]) forwardFrom(b, each);
}

/** Without NAT the server must know the way back. */
export function routeBack({ server }: Site, client: string): void {
  withNetlinkOf(server, (netlink) =>
    addRoute(netlink, {
      prefix: { bytes: parseAddress(client), length: 32 },
      gateway: parseAddress(GATEWAY),
      interfaceIndex: linkByName(netlink, LAN)?.index,
      metric: undefined,
    }),
  );
}
