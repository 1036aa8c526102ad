/** TCP header fields (RFC 9293) of the segment at `offset`. Callers have checked that 20 bytes are there. */
import { IPV4_MIN_HEADER } from './ipv4.ts';
import { IPV6_HEADER } from './ipv6.ts';
import { readUint16, readInt32, writeUint16, writeUint32 } from './word.ts';

export const PROTOCOL_TCP = 6;
export const TCP_MIN_HEADER = 20;
/** What a segment's MSS does not count, without options. */
export const TCP_IPV4_HEADERS = IPV4_MIN_HEADER + TCP_MIN_HEADER;
export const TCP_IPV6_HEADERS = IPV6_HEADER + TCP_MIN_HEADER;
const SEQUENCE = 4;
const ACKNOWLEDGEMENT = 8;
const DATA_OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
/** Offset of the checksum in the header. */
export const TCP_CHECKSUM = 16;

export const TcpFlag = { Fin: 0x01, Syn: 0x02, Rst: 0x04, Psh: 0x08, Ack: 0x10, Cwr: 0x80 } as const;

export const TcpOption = { End: 0, NoOperation: 1, MaximumSegmentSize: 2 } as const;
/** Kind, length and value of the MSS option (RFC 9293 3.7.1). */
export const TCP_MSS_OPTION_SIZE = 4;

/** Header length with options, bytes: 0..60, valid from 20 on. */
export function tcpHeaderLength(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + DATA_OFFSET] >>> 4) * 4;
}

/** `length` in bytes, a multiple of 4; clears the reserved bits beside it. */
export function setTcpHeaderLength(bytes: Uint8Array, offset: number, length: number): void {
  bytes[offset + DATA_OFFSET] = (length / 4) << 4;
}

/** True for SYN and SYN-ACK. */
export function tcpIsSyn(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset + FLAGS] & TcpFlag.Syn) !== 0;
}

export function tcpChecksum(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + TCP_CHECKSUM);
}

export function setTcpChecksum(bytes: Uint8Array, offset: number, checksum: number): void {
  writeUint16(bytes, offset + TCP_CHECKSUM, checksum);
}

export function tcpFlags(bytes: Uint8Array, offset: number): number {
  return bytes[offset + FLAGS];
}

export function setTcpFlags(bytes: Uint8Array, offset: number, flags: number): void {
  bytes[offset + FLAGS] = flags;
}

/** Modulo 2^32, as a signed number. */
export function tcpSequence(bytes: Uint8Array, offset: number): number {
  return readInt32(bytes, offset + SEQUENCE);
}

export function setTcpSequence(bytes: Uint8Array, offset: number, sequence: number): void {
  writeUint32(bytes, offset + SEQUENCE, sequence);
}

/** Modulo 2^32, as a signed number. */
export function tcpAcknowledgement(bytes: Uint8Array, offset: number): number {
  return readInt32(bytes, offset + ACKNOWLEDGEMENT);
}

export function tcpWindow(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + WINDOW);
}
