/**
 * Links and addresses of the current network namespace, by rtnetlink(7). One function is one request; refusals are
 * thrown as NetlinkError. Names and numbers are those of linux/rtnetlink.h, if_link.h, if_addr.h.
 */
import { formatAddress, parseAddress, type Family } from '../packet/address.ts';
import { AF_INET, AF_INET6, ENODEV } from '../ffi/constants.ts';
import {
  attribute,
  concat,
  decodeText,
  NetlinkError,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  parseAttributes,
  readU32,
  u32,
  zeroTerminated,
  type Netlink,
} from '../ffi/netlink.ts';

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;

const IFF_UP = 1;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_TXQLEN = 13;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const RTEXT_FILTER_SKIP_STATS = 8;
const IFLA_INET_CONF = 1;
const IPV4_DEVCONF_FORWARDING = 1;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_TUN_PERSIST = 6;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
/** For IPv6 the same bit says temporary. */
const IFA_F_SECONDARY = 0x01;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_TENTATIVE = 0x40;

const RT_SCOPE_UNIVERSE = 0;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** Bytes. */
  readonly mtu: number;
  /** Packets. */
  readonly txQueueLength: number;
  /** Six bytes on Ethernet, none on a TUN device. */
  readonly hardwareAddress: Uint8Array;
  /** Index of the bridge it is a port of, 0 for none. */
  readonly master: number;
  /** A TUN device that stays when nobody holds it. */
  readonly persistent: boolean;
}

export interface Address {
  readonly family: Family;
  readonly local: string;
  /** Address of the other end of a point-to-point link. */
  readonly peer: string | undefined;
  /** Of the peer address when there is one, else of the local address. */
  readonly prefixLength: number;
}

/** An address as the kernel tells it. */
export interface FoundAddress {
  readonly local: Uint8Array;
  /** Other end of a point-to-point link. */
  readonly peer: Uint8Array | undefined;
  /** Of the peer address when there is one, else of the local address. */
  readonly prefixLength: number;
  readonly interfaceIndex: number;
  /** Valid beyond this link and host. */
  readonly global: boolean;
  /** Not secondary, temporary, deprecated or tentative: what the kernel would choose first. */
  readonly preferred: boolean;
}

export function linkByName(netlink: Netlink, name: string): Link | undefined {
  return getLink(netlink, ifinfomsg(0), attribute(IFLA_IFNAME, zeroTerminated(name)));
}

export function linkByIndex(netlink: Netlink, index: number): Link | undefined {
  return getLink(netlink, ifinfomsg(index));
}

function getLink(netlink: Netlink, ...request: Uint8Array[]): Link | undefined {
  try {
    const [answer] = netlink.transact('RTM_GETLINK', RTM_GETLINK, 0, concat(...request));
    return parseLink(answer);
  } catch (error) {
    if (error instanceof NetlinkError && error.errno === ENODEV) return undefined;
    throw error;
  }
}

export function dumpLinks(netlink: Netlink): Link[] {
  const request = concat(ifinfomsg(0), attribute(IFLA_EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS)));
  return netlink.transact('RTM_GETLINK', RTM_GETLINK, NLM_F_DUMP, request).map(parseLink);
}

/** struct ifinfomsg: 0 family  2 type  4 index  8 flags  12 change mask  16 attributes */
function ifinfomsg(index: number, flags = 0, change = 0): Uint8Array {
  return concat(new Uint8Array(4), u32(index), u32(flags), u32(change));
}

function parseLink(message: Uint8Array): Link {
  const attributes = parseAttributes(message, 16);
  return {
    index: readU32(message.subarray(4)),
    name: decodeText(attributes.get(IFLA_IFNAME)!),
    up: (readU32(message.subarray(8)) & IFF_UP) !== 0,
    mtu: readU32(attributes.get(IFLA_MTU)!),
    txQueueLength: readU32(attributes.get(IFLA_TXQLEN)!),
    hardwareAddress: attributes.get(IFLA_ADDRESS) ?? new Uint8Array(0),
    master: attributes.has(IFLA_MASTER) ? readU32(attributes.get(IFLA_MASTER)!) : 0,
    persistent: isPersistentTun(attributes.get(IFLA_LINKINFO)),
  };
}

function isPersistentTun(linkInfo: Uint8Array | undefined): boolean {
  if (linkInfo === undefined) return false;
  const info = parseAttributes(linkInfo, 0);
  const kind = info.get(IFLA_INFO_KIND);
  const data = info.get(IFLA_INFO_DATA);
  if (kind === undefined || decodeText(kind) !== 'tun' || data === undefined) return false;
  return parseAttributes(data, 0).get(IFLA_TUN_PERSIST)?.[0] === 1;
}

export interface LinkChange {
  readonly up?: boolean;
  readonly mtu?: number;
  readonly txQueueLength?: number;
  readonly hardwareAddress?: Uint8Array;
  readonly master?: number;
}

/** Sets what is given and leaves the rest alone. */
export function setLink(netlink: Netlink, index: number, change: LinkChange): void {
  const parts = [ifinfomsg(index, change.up ? IFF_UP : 0, change.up === undefined ? 0 : IFF_UP)];
  if (change.mtu !== undefined) parts.push(attribute(IFLA_MTU, u32(change.mtu)));
  if (change.txQueueLength !== undefined) parts.push(attribute(IFLA_TXQLEN, u32(change.txQueueLength)));
  if (change.hardwareAddress !== undefined) parts.push(attribute(IFLA_ADDRESS, change.hardwareAddress));
  if (change.master !== undefined) parts.push(attribute(IFLA_MASTER, u32(change.master)));
  netlink.transact('RTM_NEWLINK', RTM_NEWLINK, 0, concat(...parts));
}

/** Sets one of the IPv4 settings of net.ipv4.conf.DEVICE, by its number in linux/ip.h. */
export function setDeviceConf(netlink: Netlink, index: number, number: number, value: number): void {
  const conf = attribute(IFLA_INET_CONF, attribute(number, u32(value)));
  const request = concat(ifinfomsg(index), attribute(IFLA_AF_SPEC, attribute(AF_INET, conf)));
  netlink.transact('RTM_NEWLINK', RTM_NEWLINK, 0, request);
}

/** Lets IPv4 packets that come in by this device be forwarded, as net.ipv4.conf.DEVICE.forwarding does. */
export function setForwarding(netlink: Netlink, index: number): void {
  setDeviceConf(netlink, index, IPV4_DEVCONF_FORWARDING, 1);
}

/** Creates a pair of connected Ethernet interfaces; `peer` is created in the namespace of `peer.namespaceFd`. */
export function addVeth(
  netlink: Netlink,
  name: string,
  peer: { readonly name: string; readonly namespaceFd: number },
): void {
  const peerLink = attribute(
    VETH_INFO_PEER,
    ifinfomsg(0),
    attribute(IFLA_IFNAME, zeroTerminated(peer.name)),
    attribute(IFLA_NET_NS_FD, u32(peer.namespaceFd)),
  );
  const info = attribute(
    IFLA_LINKINFO,
    attribute(IFLA_INFO_KIND, zeroTerminated('veth')),
    attribute(IFLA_INFO_DATA, peerLink),
  );
  const request = concat(ifinfomsg(0), attribute(IFLA_IFNAME, zeroTerminated(name)), info);
  netlink.transact('RTM_NEWLINK', RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, request);
}

export function addAddress(netlink: Netlink, index: number, address: Address): void {
  netlink.transact('RTM_NEWADDR', RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, ifaddrmsg(index, address));
}

export function deleteAddress(netlink: Netlink, index: number, address: Address): void {
  netlink.transact('RTM_DELADDR', RTM_DELADDR, 0, ifaddrmsg(index, address));
}

/** struct ifaddrmsg: 0 family  1 prefix length  2 flags  3 scope  4 index  8 attributes */
function ifaddrmsg(index: number, { family, local, peer, prefixLength }: Address): Uint8Array {
  return concat(
    Uint8Array.of(addressFamily(family), prefixLength, 0, RT_SCOPE_UNIVERSE),
    u32(index),
    attribute(IFA_LOCAL, parseAddress(local)),
    attribute(IFA_ADDRESS, parseAddress(peer ?? local)),
  );
}

/** Of one device, or of all. */
export function dumpAddresses(netlink: Netlink, family: Family, index = 0): FoundAddress[] {
  const request = concat(Uint8Array.of(addressFamily(family), 0, 0, 0), u32(index));
  return netlink
    .transact('RTM_GETADDR', RTM_GETADDR, NLM_F_DUMP, request)
    .map(parseAddressMessage)
    .filter((found) => index === 0 || found.interfaceIndex === index);
}

function parseAddressMessage(message: Uint8Array): FoundAddress {
  const attributes = parseAttributes(message, 8);
  const address = attributes.get(IFA_ADDRESS);
  // IPv6 without a peer has IFA_ADDRESS only.
  const local = attributes.get(IFA_LOCAL) ?? address!;
  return {
    local,
    peer: address !== undefined && formatAddress(address) !== formatAddress(local) ? address : undefined,
    prefixLength: message[1],
    interfaceIndex: readU32(message.subarray(4)),
    global: message[3] === RT_SCOPE_UNIVERSE,
    preferred: (message[2] & (IFA_F_SECONDARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE)) === 0,
  };
}

export function addressExists(netlink: Netlink, index: number, wanted: Address): boolean {
  const { family, prefixLength } = wanted;
  const local = formatAddress(parseAddress(wanted.local));
  const peer = formatAddress(parseAddress(wanted.peer ?? wanted.local));
  return dumpAddresses(netlink, family, index).some(
    (found) =>
      found.prefixLength === prefixLength &&
      formatAddress(found.local) === local &&
      formatAddress(found.peer ?? found.local) === peer,
  );
}

export function addressFamily(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}
