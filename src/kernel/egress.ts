/** Which way the kernel would send a packet (`ip route get`). */
import { attribute, concat, Netlink, NetlinkError, parseAttributes, readU32, u32 } from '../ffi/netlink.ts';
import { familyOf } from '../packet/address.ts';
import { addressFamily, linkByIndex } from './rtnetlink.ts';

const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;
const RTA_MARK = 16;
const RTA_VIA = 18;

export interface Egress {
  readonly interfaceIndex: number;
  /** Name of the interface. */
  readonly device: string;
  /** The address the host itself would send from. */
  readonly source: Uint8Array;
}

/** Answers in the network namespace of the thread that opened it; an answer takes two system calls, some 20 µs. */
export interface EgressLookup {
  /** Undefined when the kernel has no route to `destination` (4 or 16 bytes). `mark`: of the socket (SO_MARK). */
  find(destination: Uint8Array, mark?: number): Egress | undefined;
  /** Names of interfaces are remembered; forgets them. */
  forget(): void;
  close(): void;
}

export function openEgressLookup(): EgressLookup {
  const netlink = new Netlink();
  const names = new Map<number, string>();
  const nameOf = (index: number): string => {
    const name = names.get(index) ?? linkByIndex(netlink, index)?.name ?? '';
    names.set(index, name);
    return name;
  };
  return {
    find: (destination, mark = 0) => {
      const answer = getRoute(netlink, destination, mark);
      if (answer === undefined) return undefined;
      const attributes = parseAttributes(answer, 12);
      const oif = attributes.get(RTA_OIF);
      if (oif === undefined) return undefined;
      const interfaceIndex = readU32(oif);
      const source = attributes.get(RTA_PREFSRC) ?? new Uint8Array(destination.length);
      return { interfaceIndex, device: nameOf(interfaceIndex), source };
    },
    forget: () => names.clear(),
    close: () => netlink.close(),
  };
}

/** A text that is another one when packets to `destination` with that mark (0: none) go another way; empty without a route. */
export function wayTo(netlink: Netlink, destination: Uint8Array | undefined, mark: number): string {
  const answer = destination && getRoute(netlink, destination, mark);
  if (answer === undefined) return '';
  const attributes = parseAttributes(answer, 12);
  const oif = attributes.get(RTA_OIF);
  const mtu = oif && linkByIndex(netlink, readU32(oif))?.mtu;
  const parts = [RTA_OIF, RTA_GATEWAY, RTA_VIA, RTA_PREFSRC].map((type) => attributes.get(type)?.join('.'));
  return [...parts, mtu].join(' ');
}

function getRoute(netlink: Netlink, destination: Uint8Array, mark: number): Uint8Array | undefined {
  const family = familyOf(destination);
  // struct rtmsg, see routes.ts.
  const header = Uint8Array.of(addressFamily(family), destination.length * 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  try {
    return netlink.transact(
      'RTM_GETROUTE',
      RTM_GETROUTE,
      0,
      concat(header, attribute(RTA_DST, destination), attribute(RTA_MARK, u32(mark))),
    )[0];
  } catch (error) {
    if (error instanceof NetlinkError) return undefined;
    throw error;
  }
}
