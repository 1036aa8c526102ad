/** Builds IPv4 and IPv6 packets of every kind for tests: all checksums computed in full, by a naive sum of its own. */
import { parseAddress } from '../../src/packet/address.ts';

/** RFC 1071, word by word; never the code under test. */
function naiveSum(parts: readonly Uint8Array[]): number {
  const data = Buffer.concat(parts);
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += i % 2 === 0 ? data[i] * 256 : data[i];
  return sum % 0xffff === 0 && sum > 0 ? 0xffff : sum % 0xffff;
}

/** The field's value for data whose checksum field is zero. */
function naiveChecksum(...parts: readonly Uint8Array[]): number {
  return 0xffff - naiveSum(parts);
}

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
  const value = naiveChecksum(pseudoHeader, copy);
  copy.writeUInt16BE(protocol === 17 && value === 0 ? 0xffff : value, checksum);
  return copy;
}

export function ipPacket(shape: IpShape, transport: Transport): Buffer {
  const addresses = Buffer.concat([parseAddress(shape.source), parseAddress(shape.destination)]);
  const payload = completed(addresses, transport);
  return withHeader(shape, addresses, transport.protocol, payload);
}

/** The fragments of a packet whose payload is cut at the given offsets, multiples of 8. */
export function fragments(
  shape: IpShape,
  transport: Transport,
  id: number,
  ...cuts: readonly number[]
): Buffer[] {
  const addresses = Buffer.concat([parseAddress(shape.source), parseAddress(shape.destination)]);
  const payload = completed(addresses, transport);
  return [0, ...cuts].map((offset, i) => {
    const end = cuts[i] ?? payload.length;
    const fragment = { offset, more: end < payload.length, id };
    return withHeader({ ...shape, fragment }, addresses, transport.protocol, payload.subarray(offset, end));
  });
}

function withHeader(shape: IpShape, addresses: Buffer, protocol: number, payload: Buffer): Buffer {
  return addresses.length === 8
    ? ipv4Packet(shape, addresses, protocol, payload)
    : ipv6Packet(shape, addresses, protocol, payload);
}

function ipv4Packet(shape: IpShape, addresses: Buffer, protocol: number, payload: Buffer): Buffer {
  const { options = Buffer.alloc(0), fragment, ttl = 64 } = shape;
  const length = 20 + options.length;
  const bits = fragment === undefined ? 0x4000 : (fragment.more ? 0x2000 : 0) | (fragment.offset / 8);
  const header = Buffer.concat([
    words(
      0x4000 | ((length / 4) << 8),
      length + payload.length,
      fragment?.id ?? 0x4242,
      bits,
      (ttl << 8) | protocol,
      0,
    ),
    addresses,
    options,
  ]);
  header.writeUInt16BE(naiveChecksum(header), 10);
  return Buffer.concat([header, payload]);
}

function ipv6Packet(shape: IpShape, addresses: Buffer, protocol: number, payload: Buffer): Buffer {
  const { options = Buffer.alloc(0), extension, fragment, ttl = 64 } = shape;
  const ofFragment =
    fragment === undefined
      ? Buffer.alloc(0)
      : Buffer.concat([
          words(
            protocol << 8,
            fragment.offset | (fragment.more ? 1 : 0),
            fragment.id >>> 16,
            fragment.id & 0xffff,
          ),
        ]);
  const afterOptions = fragment === undefined ? protocol : 44;
  const chain = Buffer.from(options);
  if (chain.length > 0) chain[0] = afterOptions;
  const next = chain.length > 0 ? extension! : afterOptions;
  const length = chain.length + ofFragment.length + payload.length;
  return Buffer.concat([words(0x6000, 0, length, (next << 8) | ttl), addresses, chain, ofFragment, payload]);
}
