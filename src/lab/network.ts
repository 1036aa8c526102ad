/** Builds a network of namespaces: cables, addresses, routes, forwarding. */
import { closeSync, writeFileSync } from 'node:fs';
import { withNetlink, type Netlink } from '../ffi/netlink.ts';
import { addRoute, type Route } from '../kernel/routes.ts';
import {
  addAddress,
  addVeth,
  linkByName,
  setForwarding,
  setLink,
  type Address,
} from '../kernel/rtnetlink.ts';
import { familyOf, parseAddress } from '../packet/address.ts';
import { everything, parsePrefix } from '../packet/prefix.ts';
import { inNamespace, type NetworkNamespace } from './namespaces.ts';
import type { HostName } from './report.ts';

export interface Interface<Host extends string> {
  readonly host: Host;
  readonly device: string;
  /** Each with the length of its network, `192.0.2.1/24`. */
  readonly addresses: readonly string[];
  /** Bytes; 1500 when left out. */
  readonly mtu?: number;
}

/** Hosts and what is between them. IPv6 needs a /proc/sys that can be written, which containers may forbid. */
export interface Topology<Host extends string> {
  readonly hosts: readonly Host[];
  /** Ethernet: each joins two interfaces. */
  readonly cables: readonly (readonly [Interface<Host>, Interface<Host>])[];
  /** To a prefix, or to everything else of the gateway's family. */
  readonly routes: readonly { readonly host: Host; readonly to?: string; readonly gateway: string }[];
  /** The hosts that pass packets on. */
  readonly routers: readonly Host[];
}

export type Network<Host extends string = HostName> = Readonly<Record<Host, NetworkNamespace>>;

/** Builds everything; `addHost` makes a namespace and sees to its removal, whatever happens next. */
export function buildNetwork<Host extends string>(
  { hosts, cables, routes, routers }: Topology<Host>,
  addHost: (host: Host) => NetworkNamespace,
): Network<Host> {
  const network = Object.fromEntries(hosts.map((host) => [host, addHost(host)])) as Network<Host>;
  const hasIpv6 = cables.flat().some(({ addresses }) => addresses.some(isIpv6));
  if (hasIpv6) for (const host of hosts) prepareIpv6(network[host], routers.includes(host));
  for (const [near, far] of cables) {
    withNetlinkOf(network[near.host], (netlink) =>
      addVeth(netlink, near.device, { name: far.device, namespaceFd: network[far.host].fd }),
    );
  }
  for (const { host, device, addresses, mtu } of cables.flat()) {
    withNetlinkOf(network[host], (netlink) => {
      const index = upDevice(netlink, device);
      if (mtu !== undefined) setLink(netlink, index, { mtu });
      for (const address of addresses) addAddress(netlink, index, parseInterfaceAddress(address));
      if (routers.includes(host)) setForwarding(netlink, index);
    });
  }
  for (const host of hosts) withNetlinkOf(network[host], (netlink) => upDevice(netlink, 'lo'));
  for (const { host, to, gateway } of routes) {
    withNetlinkOf(network[host], (netlink) => addRoute(netlink, routeTo(to, gateway)));
  }
  return network;
}

function isIpv6(address: string): boolean {
  return address.includes(':');
}

/** Addresses are there at once, without a search for duplicates; only this file knows who else is on the cable. */
function prepareIpv6(namespace: NetworkNamespace, isRouter: boolean): void {
  for (const group of ['all', 'default']) {
    writeSetting(namespace, `net/ipv6/conf/${group}/accept_dad`, 0);
    if (isRouter) writeSetting(namespace, `net/ipv6/conf/${group}/forwarding`, 1);
  }
}

/** Sets one of the namespace's settings, by its path under /proc/sys. */
function writeSetting(namespace: NetworkNamespace, path: string, value: number): void {
  inNamespace(namespace, () => writeFileSync(`/proc/sys/${path}`, `${value}`));
}

function parseInterfaceAddress(text: string): Address {
  const [local, length] = text.split('/');
  return { family: isIpv6(local) ? 6 : 4, local, peer: undefined, prefixLength: Number(length) };
}

/** Runs `use`, which must be synchronous, with an rtnetlink socket of the namespace. */
export function withNetlinkOf<Result>(
  namespace: NetworkNamespace,
  use: (netlink: Netlink) => Result,
): Result {
  return inNamespace(namespace, () => withNetlink(use));
}

/** Lets packets that come in by `device` go on. Writing /proc/sys would do as well, but containers forbid that. */
export function forwardFrom(namespace: NetworkNamespace, device: string): void {
  withNetlinkOf(namespace, (netlink) => {
    const link = linkByName(netlink, device);
    if (link === undefined) throw new Error(`no device ${device} in ${namespace.name}`);
    setForwarding(netlink, link.index);
  });
}

/** Sets the device up and returns its index; it must exist. */
export function upDevice(netlink: Netlink, device: string): number {
  const link = linkByName(netlink, device);
  if (link === undefined) throw new Error(`no device ${device}`);
  setLink(netlink, link.index, { up: true });
  return link.index;
}

function routeTo(to: string | undefined, gateway: string): Route {
  const via = parseAddress(gateway);
  const prefix = to === undefined ? everything(familyOf(via)) : parsePrefix(to)!;
  return { prefix, gateway: via, interfaceIndex: undefined, metric: undefined };
}

/** Gives the descriptors back; a namespace goes when nobody is left in it and its name is gone. */
export function closeNamespaces(namespaces: readonly NetworkNamespace[]): void {
  for (const { fd } of namespaces) closeSync(fd);
}
