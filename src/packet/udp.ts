/** UDP header fields (RFC 768) of the datagram at `offset`. Callers have checked that 8 bytes are there. */
import { readUint16, writeUint16 } from './word.ts';

export const PROTOCOL_UDP = 17;
export const UDP_HEADER = 8;
const LENGTH = 4;
/** Offset of the checksum in the header. */
export const UDP_CHECKSUM = 6;

/** Length of header and payload by the header. */
export function udpLength(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + LENGTH);
}

export function udpChecksum(bytes: Uint8Array, offset: number): number {
  return readUint16(bytes, offset + UDP_CHECKSUM);
}

/** Puts in the pseudo-header's sum, for the kernel to complete. */
export function setPartialUdpChecksum(bytes: Uint8Array, offset: number, sum: number): void {
  writeUint16(bytes, offset + UDP_CHECKSUM, sum);
}

export function setUdpLength(bytes: Uint8Array, offset: number, length: number): void {
  writeUint16(bytes, offset + LENGTH, length);
}

/** Before computing: the field counts as zero. */
export function clearUdpChecksum(bytes: Uint8Array, offset: number): void {
  writeUint16(bytes, offset + UDP_CHECKSUM, 0);
}

/** RFC 768: a computed checksum of zero is sent as all ones, zero means none. */
export function setUdpChecksum(bytes: Uint8Array, offset: number, checksum: number): void {
  writeUint16(bytes, offset + UDP_CHECKSUM, checksum === 0 ? 0xffff : checksum);
}
