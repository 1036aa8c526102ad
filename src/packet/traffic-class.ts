/**
 * TOS byte of IPv4 and traffic class of IPv6: DSCP (RFC 2474) and, in the lowest two bits, ECN (RFC 3168). A tunnel
 * copies the DSCP outwards. ECN follows RFC 6040: a router on the way may mark a datagram as congested only if our peer
 * hands the mark on, and stock does not, so our datagrams leave as not ECN-capable (4.3, compatibility mode); a mark
 * on one that comes in is handed on (4.2).
 */
import { IPV4_MIN_HEADER, ipVersion, ipv4Tos, setIpv4Tos } from './ipv4.ts';
import { IPV6_HEADER, ipv6TrafficClass, setIpv6TrafficClass } from './ipv6.ts';
import { DropReason, PASS, type Verdict } from './verdict.ts';

const ECN_BITS = 3;
/** Congestion experienced. */
const ECN_CE = 3;

/** The byte for the header around the packet at `start`; 0 for what is not IP. */
export function outerTrafficClass(bytes: Uint8Array, start: number): number {
  const version = ipVersion(bytes, start);
  if (version === 4) return ipv4Tos(bytes, start) & ~ECN_BITS;
  return version === 6 ? ipv6TrafficClass(bytes, start) & ~ECN_BITS : 0;
}

export function isCongested(trafficClass: number): boolean {
  return (trafficClass & ECN_BITS) === ECN_CE;
}

/** Marks the packet at `start` as congested, for which it must be ECN-capable. Leaves alone what is not IP. */
export function markCongested(bytes: Uint8Array, start: number, length: number): Verdict {
  const version = ipVersion(bytes, start);
  if (version === 4 && length >= IPV4_MIN_HEADER) {
    const tos = ipv4Tos(bytes, start);
    if ((tos & ECN_BITS) === 0) return DropReason.Congestion;
    setIpv4Tos(bytes, start, tos | ECN_CE);
  } else if (version === 6 && length >= IPV6_HEADER) {
    const trafficClass = ipv6TrafficClass(bytes, start);
    if ((trafficClass & ECN_BITS) === 0) return DropReason.Congestion;
    setIpv6TrafficClass(bytes, start, trafficClass | ECN_CE);
  }
  return PASS;
}
