/** Packets for tests of the hub, and what its ICMP errors say. */
import { formatAddress } from '../../src/packet/address.ts';
import { onesComplementSum } from '../../src/packet/checksum.ts';
import { icmp, ipPacket, tcp, udp } from './ip-packets.ts';
import type { Hub, HubPeer, PeerOptions } from './hub.ts';

export interface Shape {
  /** Recognises the packet. */
  readonly mark?: number;
  /** Of the whole packet; 60 unless told. */
  readonly length?: number;
  readonly ttl?: number;
  /** IPv4 packets have the don't-fragment flag unless told. */
  readonly mayFragment?: boolean;
}

/** A UDP packet of either family. */
export function packet(source: string, destination: string, shape: Shape = {}): Buffer {
  const { mark = 0, length = 60, ttl = 64, mayFragment = false } = shape;
  const headers = source.includes(':') ? 48 : 28;
  const data = Buffer.alloc(length - headers, mark & 0xff);
  data.writeUInt32BE(mark, 0);
  const fragment = mayFragment ? { fragment: { offset: 0, more: false, id: mark & 0xffff } } : {};
  return ipPacket(
    { source, destination, ttl, ...fragment },
    udp({ sourcePort: 5000, destinationPort: 6000, data }),
  );
}

/** The mark of a packet made by `packet`. */
export function markOf(bytes: Uint8Array): number {
  return Buffer.from(bytes).readUInt32BE(bytes[0] >>> 4 === 4 ? 28 : 48);
}

export function ping(source: string, destination: string, ttl = 64): Buffer {
  const version = source.includes(':') ? 6 : 4;
  const type = version === 4 ? 8 : 128;
  return ipPacket(
    { source, destination, ttl },
    icmp({ version, type, rest: [7, 1], data: Buffer.alloc(32, 1) }),
  );
}

/** An ICMP message that is no query. */
export function icmpMessage(source: string, destination: string, type: number, about: Uint8Array): Buffer {
  const version = source.includes(':') ? 6 : 4;
  return ipPacket({ source, destination }, icmp({ version, type, data: about }));
}

/** A TCP SYN with an MSS option. */
export function syn(source: string, destination: string, mss: number): Buffer {
  const segment = tcp({ sourcePort: 5000, destinationPort: 80, flags: 0x02 });
  const option = Buffer.from([2, 4, mss >> 8, mss & 0xff]);
  const bytes = Buffer.concat([segment.bytes, option]);
  bytes[12] = 6 << 4;
  return ipPacket({ source, destination }, { ...segment, bytes });
}

export function mssOf(bytes: Uint8Array): number {
  const at = (bytes[0] >>> 4 === 4 ? 20 : 40) + 22;
  return (bytes[at] << 8) | bytes[at + 1];
}

export interface IcmpErrorParts {
  readonly source: string;
  readonly destination: string;
  readonly type: number;
  readonly code: number;
  readonly mtu: number;
  readonly quote: Buffer;
}

/** The parts of an ICMP error; throws when a checksum or a length is wrong. */
export function readIcmpError(bytes: Uint8Array): IcmpErrorParts {
  const packet = Buffer.from(bytes);
  const ipv4 = packet[0] >>> 4 === 4;
  const at = ipv4 ? 20 : 40;
  const length = ipv4 ? packet.readUInt16BE(2) : 40 + packet.readUInt16BE(4);
  if (length !== packet.length) throw new Error(`length ${length} of ${packet.length} bytes`);
  if (packet[ipv4 ? 9 : 6] !== (ipv4 ? 1 : 58)) throw new Error('no ICMP');
  if (ipv4 && onesComplementSum(packet, 0, 20) !== 0xffff) throw new Error('IPv4 header checksum');
  const pseudo = ipv4 ? 0 : onesComplementSum(packet, 8, 32, 58 + packet.length - at);
  if (onesComplementSum(packet, at, packet.length - at, pseudo) !== 0xffff) throw new Error('ICMP checksum');
  return {
    source: formatAddress(packet.subarray(ipv4 ? 12 : 8, ipv4 ? 16 : 24)),
    destination: formatAddress(packet.subarray(ipv4 ? 16 : 24, ipv4 ? 20 : 40)),
    type: packet[at],
    code: packet[at + 1],
    mtu: ipv4 ? packet.readUInt16BE(at + 6) : packet.readUInt32BE(at + 4),
    quote: packet.subarray(at + 8),
  };
}

export interface Sites {
  readonly a: HubPeer;
  readonly b: HubPeer;
}

/** Routes of this host in most tests: its tunnel and LAN addresses, and the LAN. */
export const OWN_ROUTES = ['10.8.0.1/32 own', 'fd08::1/128 own', '172.16.0.2/32 own', '172.16.0.0/24 local'];

export const SITE_ROUTES = [
  ...OWN_ROUTES,
  '10.1.0.0/16 a',
  'fd01::/32 a',
  // A part of a's network that is b's.
  '10.1.7.0/24 b',
  '10.2.0.0/16 b',
  'fd02::/32 b',
];

/** Peers a (10.1/16, fd01::/32) and b (10.2/16, fd02::/32, and 10.1.7/24 out of a's). */
export function twoSites(hub: Hub, a: PeerOptions = {}, b: PeerOptions = {}): Sites {
  const sites = { a: hub.add('a', a), b: hub.add('b', b) };
  hub.route(SITE_ROUTES);
  return sites;
}
