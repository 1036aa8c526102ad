/** IP addresses between text and bytes in network order. */
import { isIPv4, isIPv6 } from 'node:net';

export type Family = 4 | 6;

/** Of an address of 4 or 16 bytes. */
export function familyOf({ length }: Uint8Array): Family {
  return length === 4 ? 4 : 6;
}

/** Bytes of an address. */
export function addressSize(family: Family): 4 | 16 {
  return family === 4 ? 4 : 16;
}

/** A dotted quad as an unsigned 32-bit number, or undefined. */
export function parseIpv4(text: string): number | undefined {
  if (!isIPv4(text)) return undefined;
  let address = 0;
  let part = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - DIGIT_ZERO;
    if (digit >= 0) part = part * 10 + digit;
    else {
      address = address * 256 + part;
      part = 0;
    }
  }
  return address * 256 + part;
}

const DIGIT_ZERO = 0x30;

export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The 16 bytes of an IPv6 address without zone, or undefined. */
export function parseIpv6(text: string): Uint8Array | undefined {
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const embedded = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const ipv4 = embedded === null ? undefined : parseIpv4(embedded[2]);
  const groupsText =
    embedded === null || ipv4 === undefined
      ? text
      : `${embedded[1]}${(ipv4 >>> 16).toString(16)}:${(ipv4 & 0xffff).toString(16)}`;
  const [head, tail] = groupsText.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const gap = tail === undefined ? [] : new Array<string>(8 - head.length - tail.length).fill('0');
  const bytes = new Uint8Array(16);
  [...head, ...gap, ...(tail ?? [])].forEach((group, i) => {
    const value = Number.parseInt(group, 16);
    bytes[2 * i] = value >>> 8;
    bytes[2 * i + 1] = value & 255;
  });
  return bytes;
}

/** The 4 or 16 bytes of an address, or undefined for anything else (a host name). */
export function addressBytes(text: string): Uint8Array | undefined {
  const ipv4 = parseIpv4(text);
  if (ipv4 === undefined) return parseIpv6(text);
  return Uint8Array.of(ipv4 >>> 24, ipv4 >>> 16, ipv4 >>> 8, ipv4);
}

/** RFC 5952 text of 16 bytes; IPv4-mapped addresses keep their dotted part. */
export function formatIpv6(bytes: Uint8Array): string {
  const groups = new Array<number>(8);
  for (let i = 0; i < 8; i++) groups[i] = (bytes[2 * i] << 8) | bytes[2 * i + 1];
  const zeros = longestZeros(groups);
  if (zeros.start === 0 && zeros.length === 5 && groups[5] === 0xffff) {
    return `::ffff:${formatQuad(bytes, 12)}`;
  }
  if (zeros.length < 2) return hex(groups);
  return `${hex(groups.slice(0, zeros.start))}::${hex(groups.slice(zeros.start + zeros.length))}`;
}

function hex(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}

/** The first of the longest runs. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let start = 0;
  let length = 0;
  let run = 0;
  for (let i = 0; i < groups.length; i++) {
    run = groups[i] === 0 ? run + 1 : 0;
    if (run <= length) continue;
    length = run;
    start = i + 1 - run;
  }
  return { start, length };
}

function formatQuad(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

/** The canonical text of 4 or 16 bytes. */
export function formatAddress(bytes: Uint8Array): string {
  return bytes.length === 4 ? formatQuad(bytes, 0) : formatIpv6(bytes);
}

/** As `addressBytes`, for text that has been checked before. Throws RangeError when it is not a literal. */
export function parseAddress(text: string): Uint8Array {
  const bytes = addressBytes(text);
  if (bytes === undefined) throw new RangeError(`not an IP address: ${text}`);
  return bytes;
}
