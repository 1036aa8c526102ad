/** The pseudo-header that TCP and UDP checksums cover: RFC 9293 3.1, RFC 768, and RFC 8200 8.1 for IPv6. */
import type { Arena } from './arena.ts';
import { addSums, arenaSum } from './checksum.ts';
import { ipVersion, IPV4_SOURCE } from './ipv4.ts';
import { IPV6_SOURCE } from './ipv6.ts';

const IPV4_ADDRESSES = 8;
const IPV6_ADDRESSES = 32;

/** One's complement sum of both addresses and the protocol of the IP packet at `offset`; the length is not in it. */
export function addressSum(arena: Arena, offset: number, protocol: number): number {
  const ipv4 = ipVersion(arena.bytes, offset) === 4;
  const sum = ipv4
    ? arenaSum(arena, offset + IPV4_SOURCE, IPV4_ADDRESSES)
    : arenaSum(arena, offset + IPV6_SOURCE, IPV6_ADDRESSES);
  return addSums(sum, protocol);
}
