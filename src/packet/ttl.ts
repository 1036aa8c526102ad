/** The hop that a router is: TTL (RFC 791 3.2, RFC 1812 5.3.1) and hop limit (RFC 8200 3). */
import { decrementIpv4Ttl, ipVersion, ipv4Ttl } from './ipv4.ts';
import { decrementIpv6HopLimit, ipv6HopLimit } from './ipv6.ts';

/**
 * Takes one off the TTL or hop limit of the packet at `start` and keeps the IPv4 header checksum right. False, and
 * nothing is changed, when the packet may not go further: "time exceeded" is the answer.
 */
export function decrementTtl(bytes: Uint8Array, start: number): boolean {
  if (ipVersion(bytes, start) === 4) {
    if (ipv4Ttl(bytes, start) <= 1) return false;
    decrementIpv4Ttl(bytes, start);
  } else {
    if (ipv6HopLimit(bytes, start) <= 1) return false;
    decrementIpv6HopLimit(bytes, start);
  }
  return true;
}
