/** Addresses, masks and prefixes as a config writes them, checked strictly: text in, plain values out. */
import { isIPv4, isIPv6 } from 'node:net';

/** A dotted quad as an unsigned 32-bit number, or undefined. */
export function parseIpv4(text: string): number | undefined {
  if (!isIPv4(text)) return undefined;
  return text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** Prefix length of a contiguous mask given as a number, or undefined. */
export function maskLength(mask: number): number | undefined {
  const inverted = ~mask >>> 0;
  // A contiguous mask inverted is 2^k - 1, so adding one leaves no bit in common.
  if ((inverted & (inverted + 1)) !== 0) return undefined;
  return 32 - Math.round(Math.log2(inverted + 1));
}

/** Whether `text` could only be meant as a netmask (255.x.x.x), as stock's "looks like a netmask" test. */
export function looksLikeNetmask(text: string): boolean {
  const value = parseIpv4(text);
  return value !== undefined && value >>> 24 === 255;
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

/** Splits `address/length`; the length is undefined when absent. Returns undefined when it is not a number. */
export function splitPrefix(text: string): { address: string; length: number | undefined } | undefined {
  const [address, length, ...more] = text.split('/');
  if (more.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) return undefined;
  return { address, length: length === undefined ? undefined : Number(length) };
}

/** Whether any bit after the first `length` is set. */
export function hasHostBits(bytes: Uint8Array, length: number): boolean {
  return bytes.some((byte, i) => {
    const bits = Math.min(8, Math.max(0, length - 8 * i));
    return (byte & (0xff >>> bits)) !== 0;
  });
}

/** Keeps the first `bits` bits of a byte. */
function clearTail(byte: number, bits: number): number {
  return bits >= 8 ? byte : byte & ~(0xff >>> Math.max(0, bits));
}

/** The address with all bits after the first `length` cleared, as text for a fix. */
export function clearHostBits(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => clearTail(byte, length - 8 * i));
}

/** Whether two addresses of one family agree in their first `length` bits. */
export function samePrefix(a: Uint8Array, b: Uint8Array, length: number): boolean {
  return a.length === b.length && Buffer.compare(clearHostBits(a, length), clearHostBits(b, length)) === 0;
}

/** The 4 or 16 bytes of an address, or undefined for anything else (a host name). */
export function addressBytes(text: string): Uint8Array | undefined {
  const ipv4 = parseIpv4(text);
  if (ipv4 === undefined) return parseIpv6(text);
  return Uint8Array.of(ipv4 >>> 24, ipv4 >>> 16, ipv4 >>> 8, ipv4);
}

/** RFC 5952 text of 16 bytes. */
export function formatIpv6(bytes: Uint8Array): string {
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
