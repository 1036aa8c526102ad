/** An IP header around any payload, and whether the checksums of a packet are right, as plainly as can be. */
import { parseAddress } from '../../src/packet/address.ts';
import { slowSum } from '../oracles/slow-offload.ts';

export interface Ipv4Fields {
  readonly source?: string;
  readonly destination?: string;
  readonly protocol?: number;
  readonly tos?: number;
  readonly identification?: number;
  /** Flags and fragment offset. */
  readonly fragment?: number;
  readonly ttl?: number;
  /** A multiple of 4 bytes. */
  readonly options?: readonly number[];
  readonly payload?: Uint8Array;
}

export interface Ipv6Fields {
  readonly source?: string;
  readonly destination?: string;
  readonly nextHeader?: number;
  readonly hopLimit?: number;
  readonly payload?: Uint8Array;
}

const NO_BYTES = new Uint8Array();

export function ipv4Packet(fields: Ipv4Fields = {}): Buffer {
  const { options = [], payload = NO_BYTES } = fields;
  const header = Buffer.alloc(20 + options.length);
  header[0] = 0x40 | (header.length / 4);
  header[1] = fields.tos ?? 0;
  // The length field of a packet longer than there can be has its low bits.
  header.writeUInt16BE((header.length + payload.length) & 0xffff, 2);
  header.writeUInt16BE(fields.identification ?? 0x1234, 4);
  header.writeUInt16BE(fields.fragment ?? 0, 6);
  header[8] = fields.ttl ?? 64;
  header[9] = fields.protocol ?? 17;
  header.set(parseAddress(fields.source ?? '10.8.0.2'), 12);
  header.set(parseAddress(fields.destination ?? '10.9.0.3'), 16);
  header.set(options, 20);
  header.writeUInt16BE(~slowSum(header) & 0xffff, 10);
  return Buffer.concat([header, payload]);
}

export function ipv6Packet(fields: Ipv6Fields = {}): Buffer {
  const { payload = NO_BYTES } = fields;
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length, 4);
  header[6] = fields.nextHeader ?? 17;
  header[7] = fields.hopLimit ?? 64;
  header.set(parseAddress(fields.source ?? 'fd00:8::2'), 8);
  header.set(parseAddress(fields.destination ?? 'fd00:9::3'), 24);
  return Buffer.concat([header, payload]);
}

/** Names of the wrong checksums of an unfragmented TCP, UDP or ICMP packet without IPv6 extension headers. */
export function wrongChecksums(packet: Uint8Array): string[] {
  const ipv4 = packet[0] >>> 4 === 4;
  const headerLength = ipv4 ? (packet[0] & 15) * 4 : 40;
  const protocol = packet[ipv4 ? 9 : 6];
  const payload = packet.subarray(headerLength);
  const addresses = ipv4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const pseudo = [...addresses, 0, protocol, payload.length >> 8, payload.length & 255];
  const covered = protocol === 1 ? payload : Uint8Array.from([...pseudo, ...payload]);
  const wrong: string[] = [];
  if (ipv4 && slowSum(packet.subarray(0, headerLength)) !== 0xffff) wrong.push('IPv4 header');
  if (slowSum(covered) !== 0xffff) wrong.push(`protocol ${protocol}`);
  return wrong;
}
