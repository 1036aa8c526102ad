/**
 * MSS clamping (`mssfix`): lowers the maximum segment size that a TCP SYN or SYN-ACK announces, so that the segments
 * that follow fit the tunnel. Applied in both directions.
 */
import { updateChecksum } from './checksum.ts';
import {
  ipVersion,
  IPV4_MIN_HEADER,
  ipv4HeaderLength,
  ipv4IsFragment,
  ipv4Protocol,
  ipv4TotalLength,
} from './ipv4.ts';
import { IPV6_HEADER, ipv6NextHeader, ipv6TotalLength } from './ipv6.ts';
import {
  PROTOCOL_TCP,
  setTcpChecksum,
  tcpChecksum,
  tcpHeaderLength,
  tcpIsSyn,
  TCP_MIN_HEADER,
  TCP_MSS_OPTION_SIZE,
  TcpOption,
} from './tcp.ts';
import { readUint16, writeUint16 } from './word.ts';

/** The IPv6 header is 20 bytes longer than the IPv4 header. */
const IPV6_EXTRA = IPV6_HEADER - IPV4_MIN_HEADER;

/**
 * Lowers the MSS of the SYN in the IP packet `bytes[offset .. offset + length)` to `mss` (IPv4) or `mss - 20` (IPv6).
 * Leaves anything else as it is: other packets, fragments, IPv6 with extension headers, lengths that contradict each
 * other, an MSS already low enough. Reads and writes nothing outside the packet; allocates nothing.
 */
export function clampMss(bytes: Uint8Array, offset: number, length: number, mss: number): void {
  if (length < IPV4_MIN_HEADER) return;
  const version = ipVersion(bytes, offset);
  if (version === 4) {
    const header = ipv4HeaderLength(bytes, offset);
    if (header < IPV4_MIN_HEADER || ipv4TotalLength(bytes, offset) !== length) return;
    if (ipv4Protocol(bytes, offset) !== PROTOCOL_TCP || ipv4IsFragment(bytes, offset)) return;
    clampTcp(bytes, offset + header, length - header, mss);
  } else if (version === 6) {
    if (length < IPV6_HEADER || ipv6TotalLength(bytes, offset) !== length) return;
    if (ipv6NextHeader(bytes, offset) !== PROTOCOL_TCP) return;
    clampTcp(bytes, offset + IPV6_HEADER, length - IPV6_HEADER, mss - IPV6_EXTRA);
  }
}

function clampTcp(bytes: Uint8Array, offset: number, length: number, mss: number): void {
  if (mss <= 0 || length < TCP_MIN_HEADER || !tcpIsSyn(bytes, offset)) return;
  const header = tcpHeaderLength(bytes, offset);
  if (header < TCP_MIN_HEADER || header > length) return;
  const end = offset + header;
  let option = offset + TCP_MIN_HEADER;
  while (option < end && bytes[option] !== TcpOption.End) {
    if (bytes[option] === TcpOption.NoOperation) {
      option += 1;
      continue;
    }
    if (option + 1 >= end) return;
    const size = bytes[option + 1];
    if (size < 2 || option + size > end) return;
    if (bytes[option] === TcpOption.MaximumSegmentSize && size === TCP_MSS_OPTION_SIZE) {
      lowerMss(bytes, offset, option + 2, mss);
    }
    option += size;
  }
}

function lowerMss(bytes: Uint8Array, tcp: number, value: number, mss: number): void {
  const before = readUint16(bytes, value);
  if (before <= mss) return;
  writeUint16(bytes, value, mss);
  // At an odd distance from the header the value's bytes fall into two words, each in the other half: swapping both
  // values gives the same difference (RFC 1071, byte order independence).
  const odd = ((value - tcp) & 1) !== 0;
  const checksum = tcpChecksum(bytes, tcp);
  const updated = odd
    ? updateChecksum(checksum, swapBytes(before), swapBytes(mss))
    : updateChecksum(checksum, before, mss);
  setTcpChecksum(bytes, tcp, updated);
}

function swapBytes(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}
