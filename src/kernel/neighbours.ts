/** Proxy entries of the neighbour tables (`ip neigh show proxy`), by rtnetlink(7); names as in linux/neighbour.h. */
import {
  attribute,
  concat,
  NLM_F_CREATE,
  NLM_F_DUMP,
  parseAttributes,
  readU32,
  u32,
  type Netlink,
} from '../ffi/netlink.ts';
import { formatAddress, parseAddress, type Family } from '../packet/address.ts';
import { addressFamily } from './rtnetlink.ts';

const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const NDA_DST = 1;
const NTF_PROXY = 0x08;
const NUD_PERMANENT = 0x80;

/** struct ndmsg: 0 family  4 interface (u32)  8 state (u16)  10 flags  11 type  12 attributes */
function ndmsg(family: Family, index: number, state: number): Uint8Array {
  return concat(
    Uint8Array.of(addressFamily(family), 0, 0, 0),
    u32(index),
    Uint8Array.of(state, 0, NTF_PROXY, 0),
  );
}

export function addProxyNeighbour(netlink: Netlink, index: number, family: Family, address: string): void {
  const entry = concat(ndmsg(family, index, NUD_PERMANENT), attribute(NDA_DST, parseAddress(address)));
  netlink.transact('RTM_NEWNEIGH', RTM_NEWNEIGH, NLM_F_CREATE, entry);
}

export function deleteProxyNeighbour(netlink: Netlink, index: number, family: Family, address: string): void {
  const entry = concat(ndmsg(family, index, 0), attribute(NDA_DST, parseAddress(address)));
  netlink.transact('RTM_DELNEIGH', RTM_DELNEIGH, 0, entry);
}

export function proxyNeighbourExists(
  netlink: Netlink,
  index: number,
  family: Family,
  address: string,
): boolean {
  const wanted = formatAddress(parseAddress(address));
  return netlink.transact('RTM_GETNEIGH', RTM_GETNEIGH, NLM_F_DUMP, ndmsg(family, 0, 0)).some((message) => {
    const destination = parseAttributes(message, 12).get(NDA_DST);
    return (
      readU32(message.subarray(4)) === index &&
      destination !== undefined &&
      formatAddress(destination) === wanted
    );
  });
}
