/** The hop that a router is: TTL (RFC 791 3.2, RFC 1812 5.3.1) and hop limit (RFC 8200 3). */
import { decrementIpv4Ttl, ipVersion, ipv4Ttl } from './ipv4.ts';
import { decrementIpv6HopLimit, ipv6HopLimit } from './ipv6.ts';

/** May the packet at `start` go no further? "Time exceeded" is the answer then. */
export function isLastHop(bytes: Uint8Array, start: number): boolean {
  return (ipVersion(bytes, start) === 4 ? ipv4Ttl(bytes, start) : ipv6HopLimit(bytes, start)) <= 1;
}

/**
 * Takes one off the TTL or hop limit of the packet at `start` and keeps the IPv4 header checksum right. False, and
 * nothing is changed, when the packet may not go further.
 */
export function decrementTtl(bytes: Uint8Array, start: number): boolean {
  if (isLastHop(bytes, start)) return false;
  if (ipVersion(bytes, start) === 4) decrementIpv4Ttl(bytes, start);
  else decrementIpv6HopLimit(bytes, start);
  return true;
}
