/**
 * A peer's outer address as the kernel writes it: sockaddr_in or sockaddr_in6 in a row of ENDPOINT_SIZE bytes.
 *
 *     sockaddr_in    0 family (host order)  2 port (network order)  4 address
 *     sockaddr_in6   0 family               2 port                  4 flow info   8 address (16)   24 scope id
 *
 * With `multihome` the row ends with the address and interface of ours that the peer talks to, also as the kernel writes
 * it; the interface is 0 when it is not known.
 *
 *     in_pktinfo    32 interface  36 address
 *     in6_pktinfo   32 address (16)          48 interface
 *
 * All functions take (bytes, offset) and stay inside one row.
 */
import { isIPv4 } from 'node:net';
import { AF_INET, AF_INET6 } from '../ffi/constants.ts';
import { formatAddress, parseAddress } from '../packet/address.ts';
import { ENDPOINT_SIZE } from '../packet/batch.ts';

export { AF_INET, AF_INET6 };

const SOCKADDR_IN_SIZE = 16;
const SOCKADDR_IN6_SIZE = 28;
/** Where the part about our own address begins, and its fields, from the row's start. */
export const LOCAL_OFFSET = 32;
const LOCAL_IN_INTERFACE = 32;
const LOCAL_IN_ADDRESS = 36;
const LOCAL_IN6_INTERFACE = 48;
const LOCAL_END = 52;

export type EndpointFamily = typeof AF_INET | typeof AF_INET6;

/** Little-endian hosts only: x86-64 and arm64 Linux. */
export function endpointFamily(bytes: Uint8Array, offset: number): number {
  return bytes[offset] | (bytes[offset + 1] << 8);
}

export function endpointPort(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + 2] << 8) | bytes[offset + 3];
}

/** A copy of the address, 4 or 16 bytes; IPv4-mapped addresses are IPv4. */
export function endpointAddress(bytes: Uint8Array, offset: number): Uint8Array {
  if (endpointFamily(bytes, offset) === AF_INET) return bytes.slice(offset + 4, offset + 8);
  return bytes.slice(offset + (isMapped(bytes, offset) ? 20 : 8), offset + 24);
}

/** Bytes of the row that the kernel looks at. */
export function endpointLength(bytes: Uint8Array, offset: number): number {
  return endpointFamily(bytes, offset) === AF_INET6 ? SOCKADDR_IN6_SIZE : SOCKADDR_IN_SIZE;
}

/** Same family, port and address (and scope, for link-local IPv6); the flow label does not count. */
export function endpointsEqual(a: Uint8Array, aOffset: number, b: Uint8Array, bOffset: number): boolean {
  const length = endpointLength(a, aOffset);
  for (let i = 0; i < length; i++) {
    if (length === SOCKADDR_IN6_SIZE && i >= 4 && i < 8) continue;
    if (length === SOCKADDR_IN_SIZE && i >= 8) break;
    if (a[aOffset + i] !== b[bOffset + i]) return false;
  }
  return true;
}

/** Same address, whatever the ports. */
export function hostsEqual(a: Uint8Array, aOffset: number, b: Uint8Array, bOffset: number): boolean {
  const [one, other] = [endpointAddress(a, aOffset), endpointAddress(b, bOffset)];
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

/** An IPv4 address in an AF_INET6 row (RFC 4291 2.5.5.2). */
export function isMapped(bytes: Uint8Array, offset: number): boolean {
  for (let i = 8; i < 18; i++) if (bytes[offset + i] !== 0) return false;
  return bytes[offset + 18] === 0xff && bytes[offset + 19] === 0xff;
}

/** Is it known which address of ours the peer talks to? */
export function hasLocal(bytes: Uint8Array, offset: number): boolean {
  return localInterface(bytes, offset) !== 0;
}

/** Index of the interface that the peer's datagrams come in by; 0 when not known. */
export function localInterface(bytes: Uint8Array, offset: number): number {
  const ipv4 = endpointFamily(bytes, offset) === AF_INET;
  const at = offset + (ipv4 ? LOCAL_IN_INTERFACE : LOCAL_IN6_INTERFACE);
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

/** Makes the row one that says nothing about an address of ours. */
export function clearLocal(bytes: Uint8Array, offset: number): void {
  for (let i = LOCAL_OFFSET; i < LOCAL_END; i++) bytes[offset + i] = 0;
}

/** The same address and interface of ours, or none in both. */
export function localsEqual(a: Uint8Array, aOffset: number, b: Uint8Array, bOffset: number): boolean {
  for (let i = LOCAL_OFFSET; i < LOCAL_END; i++) if (a[aOffset + i] !== b[bOffset + i]) return false;
  return true;
}

/** Copies one row; allocates nothing. */
export function copyEndpoint(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number): void {
  for (let i = 0; i < ENDPOINT_SIZE; i++) to[toOffset + i] = from[fromOffset + i];
}

/**
 * Builds the row for a literal address. An IPv4 address for an AF_INET6 socket becomes IPv4-mapped (RFC 4291
 * 2.5.5.2). A zone (`fe80::1%eth0`) must be numeric here. Throws RangeError when `host` is not a literal.
 */
export function encodeEndpoint(host: string, port: number, socketFamily?: EndpointFamily): Uint8Array {
  const row = new Uint8Array(ENDPOINT_SIZE);
  const [address, zone] = host.split('%');
  const mapped = isIPv4(address) && socketFamily === AF_INET6 ? `::ffff:${address}` : address;
  const bytes = parseAddress(mapped);
  row[0] = bytes.length === 4 ? AF_INET : AF_INET6;
  row.set(bytes, bytes.length === 4 ? 4 : 8);
  if (zone !== undefined) new DataView(row.buffer).setUint32(24, Number(zone), true);
  row[2] = port >> 8;
  row[3] = port & 0xff;
  return row;
}

/** Our own address that the peer talks to; undefined when not known. */
export function formatLocal(bytes: Uint8Array, offset: number): string | undefined {
  const address = localAddress(bytes, offset);
  return address && formatAddress(address);
}

/** Our own address that the peer talks to, 4 or 16 bytes; undefined when not known. */
export function localAddress(bytes: Uint8Array, offset: number): Uint8Array | undefined {
  if (!hasLocal(bytes, offset)) return undefined;
  if (endpointFamily(bytes, offset) === AF_INET)
    return bytes.slice(offset + LOCAL_IN_ADDRESS, offset + LOCAL_IN_ADDRESS + 4);
  const mapped = isMapped(bytes, offset) ? 12 : 0;
  return bytes.slice(offset + LOCAL_OFFSET + mapped, offset + LOCAL_OFFSET + 16);
}

/** The address alone; IPv4-mapped addresses are shown as IPv4. */
export function formatHost(bytes: Uint8Array, offset: number): string {
  return formatAddress(endpointAddress(bytes, offset));
}

/** As OpenVPN prints it: `[AF_INET]192.0.2.1:1194`. */
export function formatEndpoint(bytes: Uint8Array, offset: number): string {
  const host = formatHost(bytes, offset);
  return `[${isIPv4(host) ? 'AF_INET' : 'AF_INET6'}]${host}:${endpointPort(bytes, offset)}`;
}
