/** What this host has right now: its addresses, and the unicast routes of table main. */
import { Netlink } from '../ffi/netlink.ts';
import { formatAddress, type Family } from '../packet/address.ts';
import type { Prefix } from '../packet/prefix.ts';
import { dumpAddresses, dumpLinks, type FoundAddress } from './rtnetlink.ts';
import { dumpRoutes, RT_TABLE_MAIN } from './routes.ts';

export interface HostAddress extends FoundAddress {
  /** Name of the interface. */
  readonly device: string;
}

/** One next hop of a route; a route with several (of equal cost) appears as several. */
export interface HostRoute {
  readonly prefix: Prefix;
  /** May be of the other family (RFC 5549); undefined for a network on the link itself. */
  readonly gateway: Uint8Array | undefined;
  readonly interfaceIndex: number;
  /** Name of the interface. */
  readonly device: string;
  /** RTPROT_*, see protocolName(). */
  readonly protocol: number;
  readonly metric: number;
}

export interface HostInterfaces {
  /** Names. */
  readonly devices: readonly string[];
  readonly addresses: readonly HostAddress[];
}

export interface HostSnapshot extends HostInterfaces {
  readonly routes: readonly HostRoute[];
}

const FAMILIES: readonly Family[] = [4, 6];

/** Interfaces, addresses and routes of the calling thread's network namespace. */
export function snapshot(): HostSnapshot {
  return withLinks((netlink, names) => ({
    ...readInterfaces(netlink, names),
    routes: readRoutes(netlink, names),
  }));
}

/** The part of a snapshot that costs little, however many routes there are. */
export function hostInterfaces(): HostInterfaces {
  return withLinks(readInterfaces);
}

/** The address by which the kernel would introduce itself on `device`: the first that is preferred, global and in use. */
export function interfaceAddress(
  addresses: readonly HostAddress[],
  device: string,
  family: Family,
): Uint8Array | undefined {
  const candidates = addresses.filter(
    ({ local, ...found }) =>
      found.device === device && found.global && local.length === (family === 4 ? 4 : 16),
  );
  return (candidates.find(({ preferred }) => preferred) ?? candidates[0])?.local;
}

/** Is this an address of the host itself, on whichever interface? */
export function isOwnAddress(addresses: readonly HostAddress[], address: Uint8Array): boolean {
  const text = formatAddress(address);
  return addresses.some(({ local }) => formatAddress(local) === text);
}

/** Names by interface index. */
type Names = ReadonlyMap<number, string>;

function withLinks<Result>(read: (netlink: Netlink, names: Names) => Result): Result {
  const netlink = new Netlink();
  try {
    return read(netlink, new Map(dumpLinks(netlink).map(({ index, name }) => [index, name])));
  } finally {
    netlink.close();
  }
}

function readInterfaces(netlink: Netlink, names: Names): HostInterfaces {
  const addresses = FAMILIES.flatMap((family) => dumpAddresses(netlink, family)).map((address) => ({
    ...address,
    device: names.get(address.interfaceIndex) ?? '',
  }));
  return { devices: [...names.values()], addresses };
}

function readRoutes(netlink: Netlink, names: Names): HostRoute[] {
  return FAMILIES.flatMap((family) => dumpRoutes(netlink, family, { table: RT_TABLE_MAIN })).flatMap(
    ({ destination, prefixLength, protocol, metric, nextHops }) =>
      nextHops.map(({ gateway, interfaceIndex }) => ({
        prefix: { bytes: destination, length: prefixLength },
        gateway,
        interfaceIndex,
        device: names.get(interfaceIndex) ?? '',
        protocol,
        metric,
      })),
  );
}
