/**
 * Sizes: what one inner packet becomes on the wire, the link-mtu of the OCC string, and the MSS that keeps TCP from
 * exceeding the path. The computations are those of OpenVPN 2.6 (mss.c, mtu.c), which differ from earlier versions.
 */
import { IPV4_MIN_HEADER } from '../packet/ipv4.ts';
import { IPV6_HEADER } from '../packet/ipv6.ts';
import { TCP_IPV4_HEADERS, TCP_MIN_HEADER } from '../packet/tcp.ts';
import { UDP_HEADER } from '../packet/udp.ts';
import { FRAGMENT_HEADER_SIZE, largestPayload } from './fragmentation.ts';
import { framingSize, MAX_FRAMING_SIZE, type CompressionFraming } from './framing.ts';

/** What a config adds to every packet. Sizes in bytes. */
export interface ChannelShape {
  /** HMAC tag; 0 for `auth none`. */
  readonly hmacSize: number;
  /** Cipher block and IV; 0 for `cipher none`. */
  readonly blockSize: number;
  /** False with `no-replay`. */
  readonly replay: boolean;
  readonly framing: CompressionFraming;
  readonly transport: 'udp' | 'tcp';
  /** `fragment n`; 0 is off. */
  readonly fragment: number;
  readonly tunMtu: number;
  /** `tun-mtu-extra`, room for a link header: 0 on tun, 32 on tap unless configured. */
  readonly tunMtuExtra: number;
}

/** The `mssfix` directive: no argument or none given, `n`, `n mtu`, `n fixed`, `0`. */
export type MssFix =
  | { readonly mode: 'off' }
  | { readonly mode: 'default' }
  | { readonly mode: 'payload' | 'mtu' | 'fixed'; readonly value: number };

const PACKET_ID = 8;
/** Length field in front of each datagram on a TCP transport. */
const TCP_LENGTH = 2;
const DEFAULT_TUN_MTU = 1500;
/** 2.6's mssfix for a default tun-mtu: what an Ethernet frame holds behind PPPoE. */
const DEFAULT_MSSFIX = 1492;

function packetIdSize(shape: ChannelShape): number {
  return shape.replay ? PACKET_ID : 0;
}

function fragmentHeaderSize(shape: ChannelShape): number {
  return shape.fragment > 0 ? FRAGMENT_HEADER_SIZE : 0;
}

/** UDP payload that carries an inner packet of `innerLength` bytes (unfragmented, without a stub-v2 escape). */
export function datagramSize(shape: ChannelShape, innerLength: number): number {
  return sealedSize(shape, fragmentHeaderSize(shape) + framingSize(shape.framing) + innerLength);
}

/** UDP payload that carries `framedLength` bytes, with what framing and `fragment` put in front of a packet. */
export function sealedSize(shape: ChannelShape, framedLength: number): number {
  const { hmacSize, blockSize } = shape;
  const plaintext = packetIdSize(shape) + framedLength;
  if (blockSize === 0) return hmacSize + plaintext;
  return hmacSize + blockSize + blockSize * (Math.floor(plaintext / blockSize) + 1);
}

/** Longest payload, inner packet or control message, that a datagram of `size` bytes carries; not positive for none. */
export function payloadIn(shape: ChannelShape, size: number): number {
  const { blockSize } = shape;
  const room = size - shape.hmacSize - blockSize;
  // CBC always pads by at least one byte.
  const plaintext = blockSize === 0 ? room : Math.floor(room / blockSize) * blockSize - 1;
  return plaintext - packetIdSize(shape) - fragmentHeaderSize(shape) - framingSize(shape.framing);
}

/** IP packet that carries an inner packet of `innerLength` bytes, bytes. */
export function outerSize(shape: ChannelShape, innerLength: number, family: 4 | 6): number {
  return datagramSize(shape, innerLength) + outerHeaders(shape, family);
}

/** IP packet that carries a fragment of `length` bytes of framed payload, bytes. */
export function fragmentOuterSize(shape: ChannelShape, length: number, family: 4 | 6): number {
  return outerSize(shape, length - framingSize(shape.framing), family);
}

/** Longest inner packet that goes whole over a path of `pathMtu` bytes; not positive for none. */
export function innerMtuOf(shape: ChannelShape, pathMtu: number, family: 4 | 6): number {
  return payloadIn(shape, pathMtu - outerHeaders(shape, family));
}

/** `link-mtu` of the OCC string: tun-mtu and the most that can be added to it. */
export function linkMtu(shape: ChannelShape): number {
  return (
    shape.tunMtu +
    shape.tunMtuExtra +
    framingSize(shape.framing) +
    fragmentHeaderSize(shape) +
    packetIdSize(shape) +
    2 * shape.blockSize +
    shape.hmacSize +
    (shape.transport === 'tcp' ? TCP_LENGTH : 0)
  );
}

/**
 * Longest fragment, bytes of framed payload, for datagrams of at most `shape.fragment` bytes; not positive when there is no
 * room. The `mtu` form counts outer headers of `countedFamily` too. As OpenVPN 2.6 computes it; the receiver need not
 * agree.
 */
export function maxFragment(shape: ChannelShape, countedFamily: 4 | 6 | undefined): number {
  const { blockSize } = shape;
  const outer = countedFamily === undefined ? 0 : outerHeaders(shape, countedFamily);
  const room = shape.fragment - shape.hmacSize - outer;
  // CBC always pads by at least one byte.
  const plaintext = blockSize > 0 ? Math.floor((room - blockSize) / blockSize) * blockSize - 1 : room;
  return plaintext - packetIdSize(shape) - FRAGMENT_HEADER_SIZE;
}

/**
 * Longest inner packet, Ethernet header not counted: `tun-mtu`, or less when `fragment` cannot carry that much; 0 when it cannot
 * carry anything.
 */
export function innerMtu(shape: ChannelShape, countedFamily: 4 | 6 | undefined): number {
  if (shape.fragment === 0) return shape.tunMtu;
  const longest = largestPayload(maxFragment(shape, countedFamily)) - MAX_FRAMING_SIZE - shape.tunMtuExtra;
  return Math.max(0, Math.min(shape.tunMtu, longest));
}

/** What `mssfix` limits: `limit` bytes of datagram, with or without outer headers, or `fixed` bytes of inner packet. */
type MssBase = { readonly limit: number; readonly outer: boolean } | { readonly fixed: number } | undefined;

function mssBase(shape: ChannelShape, mssfix: MssFix, fromLinkMtu: boolean): MssBase {
  switch (mssfix.mode) {
    case 'off':
      return undefined;
    case 'fixed':
      return { fixed: mssfix.value };
    case 'payload':
      return { limit: mssfix.value, outer: false };
    case 'mtu':
      return { limit: mssfix.value, outer: true };
    case 'default':
      if (shape.fragment > 0) return { limit: shape.fragment, outer: true };
      if (fromLinkMtu) return undefined;
      if (shape.tunMtu !== DEFAULT_TUN_MTU) return { fixed: shape.tunMtu };
      return { limit: DEFAULT_MSSFIX, outer: true };
  }
}

/** IP and UDP or TCP headers; stock counts IPv6 as long as it does not know the peer. */
export function outerHeaders(shape: ChannelShape, peerFamily: 4 | 6 | undefined): number {
  const transport = shape.transport === 'tcp' ? TCP_MIN_HEADER : UDP_HEADER;
  return transport + (peerFamily === 4 ? IPV4_MIN_HEADER : IPV6_HEADER);
}

/**
 * MSS to clamp IPv4 SYNs to (IPv6 gets 20 less); 0 leaves them alone, which is also the answer to an mssfix with no
 * room for a single byte. `peerFamily` is that of the configured remote, undefined without one.
 */
export function mssfixValue(
  shape: ChannelShape,
  mssfix: MssFix,
  peerFamily: 4 | 6 | undefined,
  fromLinkMtu: boolean,
): number {
  const base = mssBase(shape, mssfix, fromLinkMtu);
  if (base === undefined) return 0;
  if ('fixed' in base) return Math.max(0, base.fixed - TCP_IPV4_HEADERS);

  const { blockSize } = shape;
  const id = packetIdSize(shape);
  const headers =
    (shape.transport === 'tcp' ? TCP_LENGTH : 0) +
    shape.hmacSize +
    (blockSize > 0 ? blockSize : id) +
    (base.outer ? outerHeaders(shape, peerFamily) : 0);
  const payloadOverhead =
    TCP_IPV4_HEADERS +
    shape.tunMtuExtra +
    framingSize(shape.framing) +
    fragmentHeaderSize(shape) +
    (blockSize > 0 ? id : 0);
  const room = base.limit - headers;
  // CBC always pads by at least one byte.
  const payload = blockSize > 0 ? Math.floor(room / blockSize) * blockSize - 1 : room;
  return Math.max(0, payload - payloadOverhead);
}
