/** Builds the lab's network: namespaces, cables, addresses, default routes, forwarding. */
import { closeSync } from 'node:fs';
import { Netlink } from '../ffi/netlink.ts';
import { addRoute, type Route } from '../kernel/routes.ts';
import { addAddress, addVeth, linkByName, setForwarding, setLink } from '../kernel/rtnetlink.ts';
import { parseAddress } from '../packet/address.ts';
import { createNamespace, inNamespace, type NetworkNamespace } from './namespaces.ts';
import type { HostName } from './report.ts';
import { DEFAULT_ROUTES, HOSTS, LINKS, ROUTERS } from './topology.ts';

export type Network = Readonly<Record<HostName, NetworkNamespace>>;

/**
 * Builds everything; namespaces are called `PREFIX-HOST`. `onNamespace` hears of each one as soon as it exists, so
 * that it can be removed whatever happens next.
 */
export function buildNetwork(prefix: string, onNamespace: (namespace: NetworkNamespace) => void): Network {
  const create = (host: HostName): NetworkNamespace => {
    const namespace = createNamespace(`${prefix}-${host}`);
    onNamespace(namespace);
    return namespace;
  };
  const network = Object.fromEntries(HOSTS.map((host) => [host, create(host)])) as unknown as Network;
  for (const [near, far] of LINKS) {
    withNetlink(network[near.host], (netlink) =>
      addVeth(netlink, near.device, { name: far.device, namespaceFd: network[far.host].fd }),
    );
  }
  for (const { host, device, address, prefixLength } of LINKS.flat()) {
    withNetlink(network[host], (netlink) => {
      const index = upDevice(netlink, device);
      addAddress(netlink, index, { family: 4, local: address, peer: undefined, prefixLength });
      if (ROUTERS.includes(host)) setForwarding(netlink, index);
    });
  }
  for (const host of HOSTS) withNetlink(network[host], (netlink) => upDevice(netlink, 'lo'));
  for (const [host, gateway] of DEFAULT_ROUTES) {
    withNetlink(network[host], (netlink) => addRoute(netlink, defaultRoute(gateway)));
  }
  return network;
}

/** Runs `use`, which must be synchronous, with an rtnetlink socket of the namespace. */
export function withNetlink<Result>(namespace: NetworkNamespace, use: (netlink: Netlink) => Result): Result {
  return inNamespace(namespace, () => {
    const netlink = new Netlink();
    try {
      return use(netlink);
    } finally {
      netlink.close();
    }
  });
}

/** Lets packets that come in by `device` go on. Writing /proc/sys would do as well, but containers forbid that. */
export function forwardFrom(namespace: NetworkNamespace, device: string): void {
  withNetlink(namespace, (netlink) => {
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

function defaultRoute(gateway: string): Route {
  return {
    prefix: { bytes: new Uint8Array(4), length: 0 },
    gateway: parseAddress(gateway),
    interfaceIndex: undefined,
    metric: undefined,
  };
}

/** Gives the descriptors back; a namespace goes when nobody is left in it and its name is gone. */
export function closeNamespaces(namespaces: readonly NetworkNamespace[]): void {
  for (const { fd } of namespaces) closeSync(fd);
}
