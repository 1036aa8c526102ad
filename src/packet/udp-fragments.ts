/** A UDP packet in two IP fragments, written for the sake of being fragments: to see whether a path carries any. */
import type { Arena } from './arena.ts';
import { FRAGMENT_UNIT, IPV4_MIN_HEADER, setIpv4Fragment } from './ipv4.ts';
import { IPV6_HEADER, setIpv6TotalLength } from './ipv6.ts';
import { PROTOCOL_UDP } from './udp.ts';
import { writeUint16, writeUint32 } from './word.ts';

/** IPv6 extension header (RFC 8200 4.5): next header, reserved, offset and flags, identification. */
const FRAGMENT_HEADER = 44;
const FRAGMENT_HEADER_SIZE = 8;
const IPV6_NEXT_HEADER = 6;
const IPV4_IDENTIFICATION = 4;
const IPV4_FLAGS = 6;

/**
 * Writes to `offset` the first or second fragment of the packet of `length` bytes at `packet`, which has no options; returns
 * its length. The first has half of the payload. `identification` is the same for both, 1 to 65535.
 */
export function writeFragment(
  arena: Arena,
  packet: number,
  length: number,
  offset: number,
  which: 'first' | 'second',
  identification: number,
): number {
  const { bytes } = arena;
  const ipv4 = bytes[packet] >>> 4 === 4;
  const header = ipv4 ? IPV4_MIN_HEADER : IPV6_HEADER;
  const room = ipv4 ? header : header + FRAGMENT_HEADER_SIZE;
  const payload = length - header;
  const cut = Math.floor(payload / 2 / FRAGMENT_UNIT) * FRAGMENT_UNIT;
  const [from, end] = which === 'first' ? [0, cut] : [cut, payload];
  const total = room + end - from;
  bytes.copyWithin(offset, packet, packet + header);
  bytes.copyWithin(offset + room, packet + header + from, packet + header + end);
  if (ipv4) {
    writeUint16(bytes, offset + IPV4_IDENTIFICATION, identification);
    writeUint16(bytes, offset + IPV4_FLAGS, 0);
    setIpv4Fragment(bytes, offset, header, total, from / FRAGMENT_UNIT, which === 'first');
  } else {
    setIpv6TotalLength(bytes, offset, total);
    bytes[offset + IPV6_NEXT_HEADER] = FRAGMENT_HEADER;
    writeUint32(bytes, offset + header, PROTOCOL_UDP << 24);
    writeUint16(bytes, offset + header + 2, from | (which === 'first' ? 1 : 0));
    writeUint32(bytes, offset + header + 4, identification);
  }
  return total;
}
