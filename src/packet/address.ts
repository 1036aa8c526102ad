/** IP addresses between text and bytes in network order. */
import { isIPv4, isIPv6 } from 'node:net';

export type Family = 4 | 6;

/** A dotted quad as an unsigned 32-bit number, or undefined. */
export function parseIpv4(text: string): number | undefined {
  if (!isIPv4(text)) return undefined;
  return text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
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
  if (bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff) {
    return `::ffff:${bytes.subarray(12).join('.')}`;
  }
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] << 8) | bytes[2 * i + 1]).toString(16));
  const runs = [...groups.join(':').matchAll(/\b0(?::0)+\b/g)];
  const longest = runs.reduce<RegExpExecArray | undefined>(
    (best, run) => (best === undefined || run[0].length > best[0].length ? run : best),
    undefined,
  );
  if (longest === undefined) return groups.join(':');
  const text = groups.join(':');
  const head = text.slice(0, longest.index).replace(/:$/, '');
  const tail = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${head}::${tail}`;
}

/** The canonical text of 4 or 16 bytes. */
export function formatAddress(bytes: Uint8Array): string {
  return bytes.length === 4 ? bytes.join('.') : formatIpv6(bytes);
}

/** As `addressBytes`, for text that has been checked before. Throws RangeError when it is not a literal. */
export function parseAddress(text: string): Uint8Array {
  const bytes = addressBytes(text);
  if (bytes === undefined) throw new RangeError(`not an IP address: ${text}`);
  return bytes;
}
