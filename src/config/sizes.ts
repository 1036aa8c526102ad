/** The sizes that follow from a config, as `tsvpn check` explains them: those of OpenVPN 2.6 for the same lines. */
import { Fragmenter } from '../protocol/fragmentation.ts';
import { framingSize } from '../protocol/framing.ts';
import { maxFragment, mssfixValue } from '../protocol/mtu.ts';
import { packetParts, type PacketParts } from '../protocol/packet-parts.ts';
import { ETHERNET_HEADER } from '../packet/ethernet.ts';
import { IPV4_MIN_HEADER } from '../packet/ipv4.ts';
import { IPV6_HEADER } from '../packet/ipv6.ts';
import { UDP_HEADER } from '../packet/udp.ts';
import { channelShape, fragmentFamily, toldLinkMtu } from './channel-shape.ts';
import type { PeerConfig } from './model.ts';
import { fragmentLine } from './written.ts';

/** A full packet on a path of IPv4, or of IPv6. Bytes. */
interface FamilySizes {
  readonly family: 4 | 6;
  /** UDP header; on TCP the length in front of each datagram. */
  readonly transport: number;
  readonly ip: number;
  /** The whole packet; on TCP what it takes of the stream. */
  readonly onPath: number;
  /** MSS of TCP connections inside, over IPv4 and IPv6; 0 leaves it alone. */
  readonly mss4: number;
  readonly mss6: number;
}

/** Bytes. */
export interface Sizes {
  readonly peer: string;
  readonly transport: 'udp' | 'tcp';
  readonly tunMtu: number;
  /** Datagrams that a full packet becomes: `tun-mtu` bytes, and an Ethernet header on tap. */
  readonly datagrams: number;
  /** The only one of them, or the longest possible. */
  readonly parts: PacketParts;
  readonly families: readonly FamilySizes[];
  /** `link-mtu` as the other end is told. */
  readonly linkMtu: number;
}

const IP_HEADER = { 4: IPV4_MIN_HEADER, 6: IPV6_HEADER } as const;
const TCP_LENGTH = 2;
/** An IPv6 header is so much longer than one of IPv4. */
const IPV6_MORE = 20;

function familySizes(config: PeerConfig, total: number, family: 4 | 6): FamilySizes {
  const shape = channelShape(config);
  const tcp = shape.transport === 'tcp';
  const { mssfix, fromLinkMtu } = config.mtu;
  const known = tcp || config.transport.remotes.length > 0;
  const mss4 = mssfixValue(shape, mssfix, known ? family : undefined, fromLinkMtu);
  const transport = tcp ? TCP_LENGTH : UDP_HEADER;
  const ip = tcp ? 0 : IP_HEADER[family];
  return { family, transport, ip, onPath: total + transport + ip, mss4, mss6: Math.max(0, mss4 - IPV6_MORE) };
}

export function sizesOf(config: PeerConfig): Sizes {
  const shape = channelShape(config);
  const packet = shape.tunMtu + (shape.tunMtuExtra > 0 ? ETHERNET_HEADER : 0);
  const marker = framingSize(shape.framing);
  const fragments = shape.fragment > 0;
  const longest = fragments ? maxFragment(shape, fragmentFamily(config)) : Infinity;
  const parts = packetParts(shape, Math.min(packet, longest - marker));
  return {
    peer: config.name,
    transport: shape.transport,
    tunMtu: shape.tunMtu,
    datagrams: fragments ? new Fragmenter(longest, 0).count(packet + marker) : 1,
    parts,
    families: [familySizes(config, parts.total, 4), familySizes(config, parts.total, 6)],
    linkMtu: toldLinkMtu(config),
  };
}

/** The parts as a sum, in the order of the wire, without those that are nothing. */
function sumText(config: PeerConfig, { parts, datagrams }: Sizes): string {
  const named: readonly (readonly [size: number, name: string])[] = [
    [parts.hmac, `HMAC (${config.digest.name})`],
    [parts.iv, `IV (${config.cipher.name})`],
    [parts.packetId, 'packet id'],
    [parts.fragmentHeader, 'fragment header'],
    [parts.marker, 'compression marker'],
    [parts.packet, datagrams > 1 ? 'of the packet' : 'packet'],
    [parts.padding, 'padding'],
  ];
  return named
    .filter(([size]) => size > 0)
    .map(([size, name]) => `${size} ${name}`)
    .join(' + ');
}

function familyText({ parts, transport: protocol }: Sizes, sizes: FamilySizes): string {
  const { family, transport, ip, onPath, mss4, mss6 } = sizes;
  const outside =
    protocol === 'tcp'
      ? `${parts.total} + ${transport} length = ${onPath} bytes of a TCP stream`
      : `${parts.total} + ${transport} UDP + ${ip} IP = ${onPath} bytes`;
  const inside = mss4 === 0 ? 'MSS of TCP inside left alone' : `MSS of TCP inside ${mss4}, over IPv6 ${mss6}`;
  return `over IPv${family}: ${outside}; ${inside}`;
}

/** Sentences about the sizes of one peer. */
export function describeSizes(config: PeerConfig): string[] {
  const sizes = sizesOf(config);
  const { fragment } = config.mtu;
  const full = `a full packet (tun-mtu ${sizes.tunMtu})`;
  const becomes =
    fragment === undefined || sizes.datagrams < 2
      ? `${full} is a datagram of ${sizes.parts.total} bytes`
      : `\`${fragmentLine(fragment)}\` cuts ${full} into ${sizes.datagrams} datagrams of at most ${sizes.parts.total} bytes`;
  return [
    `${becomes}: ${sumText(config, sizes)}`,
    ...sizes.families.map((family) => familyText(sizes, family)),
    `the peer is told link-mtu ${sizes.linkMtu}`,
  ];
}
