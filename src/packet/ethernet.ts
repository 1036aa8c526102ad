/**
 * Ethernet II frames as a TAP device hands them over, without preamble and checksum: destination (6 bytes), source (6), up
 * to two VLAN tags (IEEE 802.1Q, 802.1ad) of 4 bytes, EtherType, payload.
 */
import { NOT_IP } from './batch.ts';
import { checkInner } from './inner.ts';
import { ipVersion } from './ipv4.ts';
import { PASS } from './verdict.ts';
import { readUint16 } from './word.ts';

/** What a device's packets are: IP packets, or Ethernet frames. */
export type DeviceType = 'tun' | 'tap';

/** Addresses and EtherType. */
export const ETHERNET_HEADER = 14;
const ETHER_TYPE = 12;
const VLAN_TAG = 4;
const MAX_VLAN_TAGS = 2;
/** Longest header in front of an IP packet. */
export const MAX_ETHERNET_HEADER = ETHERNET_HEADER + MAX_VLAN_TAGS * VLAN_TAG;

/** EtherTypes of a VLAN tag, and of what may be behind it. */
const TAG_CUSTOMER = 0x8100;
const TAG_SERVICE = 0x88a8;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;

/**
 * Length of the header of the frame `bytes[offset .. offset + length)` when there is an IP packet behind it, whose headers fit;
 * else NOT_IP. Behind the packet there may be padding.
 */
export function ethernetHeaderLength(bytes: Uint8Array, offset: number, length: number): number {
  let type = ETHER_TYPE;
  for (let tags = 0; tags < MAX_VLAN_TAGS && isTag(readUint16(bytes, offset + type)); tags++) {
    type += VLAN_TAG;
    if (type + 2 > length) return NOT_IP;
  }
  const header = type + 2;
  const version = ipVersionOf(readUint16(bytes, offset + type));
  if (version === 0 || header === length || ipVersion(bytes, offset + header) !== version) return NOT_IP;
  return checkInner(bytes, offset + header, length - header) === PASS ? header : NOT_IP;
}

function isTag(etherType: number): boolean {
  return etherType === TAG_CUSTOMER || etherType === TAG_SERVICE;
}

function ipVersionOf(etherType: number): number {
  if (etherType === TYPE_IPV4) return 4;
  return etherType === TYPE_IPV6 ? 6 : 0;
}
