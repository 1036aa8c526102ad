/** Builds IP packets with TCP segments for tests, checksums included. */
import { onesComplementSum } from '../../src/packet/checksum.ts';

export interface TcpPacket {
  readonly version: 4 | 6;
  readonly flags?: number;
  /** TCP options, a multiple of 4 bytes. */
  readonly options?: readonly number[];
  readonly data?: number;
  /** IPv4 options, a multiple of 4 bytes. */
  readonly ipOptions?: number;
  /** IPv4 flags and fragment offset. */
  readonly fragment?: number;
  readonly protocol?: number;
}

const SYN = 0x02;

function tcpSegment({ flags = SYN, options = [2, 4, 5, 180], data = 0 }: TcpPacket): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(40000, 0);
  header.writeUInt16BE(443, 2);
  header.writeUInt32BE(0x12345678, 4);
  header[12] = ((20 + options.length) / 4) << 4;
  header[13] = flags;
  header.writeUInt16BE(64240, 14);
  return Buffer.concat([header, Buffer.from(options), Buffer.alloc(data, 0x61)]);
}

/** Offset of the TCP header in a packet of `buildTcp`. */
export function tcpOffset(packet: Uint8Array): number {
  return packet[0] >>> 4 === 4 ? (packet[0] & 15) * 4 : 40;
}

/** Sum over pseudo header (RFC 9293 3.1, RFC 8200 8.1) and segment: 0xffff when the checksum is right. */
export function tcpSum(packet: Uint8Array): number {
  const at = tcpOffset(packet);
  const length = packet.length - at;
  const addresses = packet[0] >>> 4 === 4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  return onesComplementSum(packet, at, length, onesComplementSum(addresses, 0, addresses.length, 6 + length));
}

export function buildTcp(shape: TcpPacket): Buffer {
  const segment = tcpSegment(shape);
  const header = Buffer.alloc(shape.version === 4 ? 20 + (shape.ipOptions ?? 0) : 40, 1);
  if (shape.version === 4) {
    header[0] = 0x40 | (header.length / 4);
    header.writeUInt16BE(header.length + segment.length, 2);
    header.writeUInt16BE(shape.fragment ?? 0x4000, 6);
    header[9] = shape.protocol ?? 6;
  } else {
    header[0] = 0x60;
    header.writeUInt16BE(segment.length, 4);
    header[6] = shape.protocol ?? 6;
  }
  const packet = Buffer.concat([header, segment]);
  packet.writeUInt16BE(~tcpSum(packet) & 0xffff, tcpOffset(packet) + 16);
  return packet;
}
