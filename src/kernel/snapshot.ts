/** What this host has right now: its addresses, and the unicast routes of table main. */
import { withNetlink, type Netlink } from '../ffi/netlink.ts';
import { familyOf, formatAddress, type Family } from '../packet/address.ts';
import { readHostRoutes, type HostRoutes } from './host-routes.ts';
import { dumpAddresses, dumpLinks, type FoundAddress } from './rtnetlink.ts';

export interface HostAddress extends FoundAddress {
  /** Name of the interface. */
  readonly device: string;
}

export interface HostInterfaces {
  /** Names. */
  readonly devices: readonly string[];
  readonly addresses: readonly HostAddress[];
}

export interface HostSnapshot extends HostInterfaces {
  /** Index of the gateway's own device; 0 when it is not there. */
  readonly own: number;
  /** Names of interfaces by their indexes. */
  readonly names: ReadonlyMap<number, string>;
  readonly routes: HostRoutes;
}

const FAMILIES: readonly Family[] = [4, 6];

/**
 * Interfaces, addresses and routes of the calling thread's network namespace; of the routes not those of ours on the
 * gateway's own `device`.
 */
export function snapshot(device: string): HostSnapshot {
  return withLinks((netlink, names) => {
    const own = [...names].find(([, name]) => name === device)?.[0] ?? 0;
    return { ...readInterfaces(netlink, names), own, names, routes: readHostRoutes(netlink, own) };
  });
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
    ({ local, ...found }) => found.device === device && found.global && familyOf(local) === family,
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
  return withNetlink((netlink) =>
    read(netlink, new Map(dumpLinks(netlink).map(({ index, name }) => [index, name]))),
  );
}

function readInterfaces(netlink: Netlink, names: Names): HostInterfaces {
  const addresses = FAMILIES.flatMap((family) => dumpAddresses(netlink, family)).map((address) => ({
    ...address,
    device: names.get(address.interfaceIndex) ?? '',
  }));
  return { devices: [...names.values()], addresses };
}
