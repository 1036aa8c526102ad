/**
 * Builds whole TCP, UDP and ICMP packets of both families, and their fragments, for tests: all checksums computed in full. An
 * IP header around any payload is in ip.ts.
 */
import { parseAddress } from '../../src/packet/address.ts';
import { slowSum } from '../oracles/slow-offload.ts';
import { ipv4Packet, ipv6Packet } from './ip.ts';

function words(...values: readonly number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [(value >>> 8) & 0xff, value & 0xff]));
}

export interface Ends {
  readonly source: string;
  readonly destination: string;
}

/** Transport header and payload; its checksum is filled in when the addresses are known. */
export interface Transport {
  readonly protocol: number;
  readonly bytes: Buffer;
  /** Offset of the checksum; undefined where there is none to fill in. */
  readonly checksum: number | undefined;
}

export interface TcpShape {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly flags?: number;
  readonly data?: Uint8Array;
}

export function tcp({
  sourcePort,
  destinationPort,
  flags = 0x10,
  data = Buffer.alloc(0),
}: TcpShape): Transport {
  const header = words(sourcePort, destinationPort, 0x1234, 0x5678, 0, 0, 0x5000 | flags, 64240, 0, 0);
  return { protocol: 6, bytes: Buffer.concat([header, data]), checksum: 16 };
}

export interface UdpShape {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly data?: Uint8Array;
  readonly noChecksum?: boolean;
}

export function udp({
  sourcePort,
  destinationPort,
  data = Buffer.alloc(0),
  noChecksum,
}: UdpShape): Transport {
  const header = words(sourcePort, destinationPort, 8 + data.length, 0);
  return {
    protocol: 17,
    bytes: Buffer.concat([header, data]),
    checksum: noChecksum === true ? undefined : 6,
  };
}

export interface IcmpShape {
  readonly version: 4 | 6;
  readonly type: number;
  readonly code?: number;
  /** Bytes 4 to 7: identifier and sequence number of a query. */
  readonly rest?: readonly [number, number];
  readonly data?: Uint8Array;
}

export function icmp({
  version,
  type,
  code = 0,
  rest = [0, 0],
  data = Buffer.alloc(0),
}: IcmpShape): Transport {
  const header = words((type << 8) | code, 0, ...rest);
  return { protocol: version === 4 ? 1 : 58, bytes: Buffer.concat([header, data]), checksum: 2 };
}

export interface Fragment {
  /** Bytes. */
  readonly offset: number;
  readonly more: boolean;
  readonly id: number;
}

export interface IpShape extends Ends {
  /** IPv4 options or IPv6 extension headers, without the fragment header. */
  readonly options?: Buffer;
  /** Protocol number of the first extension header in `options`. */
  readonly extension?: number;
  readonly fragment?: Fragment;
  readonly ttl?: number;
}

/** The transport bytes with their checksum. */
function completed(addresses: Buffer, { protocol, bytes, checksum }: Transport): Buffer {
  const copy = Buffer.from(bytes);
  if (checksum === undefined) return copy;
  copy.writeUInt16BE(0, checksum);
  const pseudoHeader =
    protocol === 1 ? Buffer.alloc(0) : Buffer.concat([addresses, words(0, copy.length, 0, protocol)]);
  const value = ~slowSum(Buffer.concat([pseudoHeader, copy])) & 0xffff;
  copy.writeUInt16BE(protocol === 17 && value === 0 ? 0xffff : value, checksum);
  return copy;
}

export function ipPacket(shape: IpShape, transport: Transport): Buffer {
  return withHeader(shape, transport.protocol, completed(addressesOf(shape), transport));
}

/** The fragments of a packet whose payload is cut at the given offsets, multiples of 8. */
export function fragments(
  shape: IpShape,
  transport: Transport,
  id: number,
  ...cuts: readonly number[]
): Buffer[] {
  const payload = completed(addressesOf(shape), transport);
  return [0, ...cuts].map((offset, i) => {
    const end = cuts[i] ?? payload.length;
    const fragment = { offset, more: end < payload.length, id };
    return withHeader({ ...shape, fragment }, transport.protocol, payload.subarray(offset, end));
  });
}

function addressesOf({ source, destination }: Ends): Buffer {
  return Buffer.concat([parseAddress(source), parseAddress(destination)]);
}

function withHeader(shape: IpShape, protocol: number, payload: Buffer): Buffer {
  return shape.source.includes(':')
    ? withIpv6Header(shape, protocol, payload)
    : withIpv4Header(shape, protocol, payload);
}

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

function withIpv4Header(
  { source, destination, ttl, options = Buffer.alloc(0), fragment: cut }: IpShape,
  protocol: number,
  payload: Buffer,
): Buffer {
  const identification = cut?.id ?? 0x4242;
  const fragment = cut === undefined ? DONT_FRAGMENT : (cut.more ? MORE_FRAGMENTS : 0) | (cut.offset / 8);
  return ipv4Packet({
    source,
    destination,
    protocol,
    identification,
    fragment,
    options: [...options],
    payload,
    ...(ttl === undefined ? {} : { ttl }),
  });
}

function withIpv6Header(shape: IpShape, protocol: number, payload: Buffer): Buffer {
  const { source, destination, ttl, options = Buffer.alloc(0), extension, fragment } = shape;
  const ofFragment =
    fragment === undefined
      ? Buffer.alloc(0)
      : words(
          protocol << 8,
          fragment.offset | (fragment.more ? 1 : 0),
          fragment.id >>> 16,
          fragment.id & 0xffff,
        );
  const afterOptions = fragment === undefined ? protocol : 44;
  const chain = Buffer.from(options);
  if (chain.length > 0) chain[0] = afterOptions;
  return ipv6Packet({
    source,
    destination,
    nextHeader: chain.length > 0 ? extension! : afterOptions,
    payload: Buffer.concat([chain, ofFragment, payload]),
    ...(ttl === undefined ? {} : { hopLimit: ttl }),
  });
}
