/**
 * A peer's outer address as the kernel writes it: sockaddr_in or sockaddr_in6 in a row of ENDPOINT_SIZE bytes.
 *
 *     sockaddr_in    0 family (host order)  2 port (network order)  4 address
 *     sockaddr_in6   0 family               2 port                  4 flow info   8 address (16)   24 scope id
 *
 * All functions take (bytes, offset) and stay inside one row.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { ENDPOINT_SIZE } from '../packet/batch.ts';

export const AF_INET = 2;
export const AF_INET6 = 10;
const SOCKADDR_IN_SIZE = 16;
const SOCKADDR_IN6_SIZE = 28;

export type EndpointFamily = typeof AF_INET | typeof AF_INET6;

/** Little-endian hosts only: x86-64 and arm64 Linux. */
export function endpointFamily(bytes: Uint8Array, offset: number): number {
  return bytes[offset] | (bytes[offset + 1] << 8);
}

export function endpointPort(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + 2] << 8) | bytes[offset + 3];
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
  if (isIPv4(address) && socketFamily !== AF_INET6) {
    row[0] = AF_INET;
    row.set(address.split('.').map(Number), 4);
  } else {
    const literal = isIPv4(address) ? `::ffff:${address}` : address;
    if (!isIPv6(literal)) throw new RangeError(`not an IP address: ${host}`);
    row[0] = AF_INET6;
    row.set(parseIPv6(literal), 8);
    new DataView(row.buffer).setUint32(24, zone === undefined ? 0 : Number(zone), true);
  }
  row[2] = port >> 8;
  row[3] = port & 0xff;
  return row;
}

/** The 16 bytes of a valid IPv6 literal without zone. */
export function parseIPv6(literal: string): Uint8Array {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(literal);
  let text = literal;
  if (dotted) {
    const [a, b, c, d] = dotted[2].split('.').map(Number);
    text = `${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head, tail] = text.split('::');
  const left = head ? head.split(':') : [];
  const right = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...new Array<string>(zeros).fill('0'), ...right];
  return Uint8Array.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
}

/** Canonical text of 16 address bytes (RFC 5952: lower case, longest run of zeros shortened). */
export function formatIPv6(bytes: Uint8Array, offset: number): string {
  const groups = Array.from(
    { length: 8 },
    (_, i) => (bytes[offset + 2 * i] << 8) | bytes[offset + 2 * i + 1],
  );
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes.slice(offset + 12, offset + 16).join('.')}`;
  }
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  if (runs.length === 0) return text;
  const run = runs[0];
  const before = text.slice(0, run.index);
  const after = text.slice(run.index + run[0].length);
  return `${before}:${after.startsWith(':') ? after : `:${after}`}`;
}

/** The address alone; IPv4-mapped addresses are shown as IPv4. */
export function endpointHost(bytes: Uint8Array, offset: number): string {
  if (endpointFamily(bytes, offset) === AF_INET) return bytes.slice(offset + 4, offset + 8).join('.');
  return formatIPv6(bytes, offset + 8).replace(/^::ffff:(?=\d+\.)/, '');
}

/** As OpenVPN prints it: `[AF_INET]192.0.2.1:1194`. */
export function formatEndpoint(bytes: Uint8Array, offset: number): string {
  const host = endpointHost(bytes, offset);
  return `[${isIPv4(host) ? 'AF_INET' : 'AF_INET6'}]${host}:${endpointPort(bytes, offset)}`;
}
