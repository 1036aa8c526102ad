/** TCP header fields (RFC 9293) of the segment at `offset`. Callers have checked that 20 bytes are there. */
import { readUint16, writeUint16 } from './word.ts';

export const PROTOCOL_TCP = 6;
export const TCP_MIN_HEADER = 20;
const DATA_OFFSET = 12;
const FLAGS = 13;
const CHECKSUM = 16;

const SYN = 0x02;

export const TcpOption = { End: 0, NoOperation: 1, MaximumSegmentSize: 2 } as const;
/** Kind, length and value of the MSS option (RFC 9293 3.7.1). */
export const TCP_MSS_OPTION_SIZE = 4;

/** Header length with options, bytes: 0..60, valid from 20 on. */
export function tcpHeaderLength(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + DATA_OFFSET] >>> 4) * 4;
}

/** True for SYN and SYN-ACK. */
export function tcpIsSyn(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset + FLAGS] & SYN) !== 0;
}

export function tcpChecksum(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + CHECKSUM);
}

export function setTcpChecksum(bytes: Uint8Array, offset: number, checksum: number): void {
  writeUint16(bytes, offset + CHECKSUM, checksum);
}
