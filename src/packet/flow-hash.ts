/** A number for a packet's flow: the same for all its packets, spread evenly over different flows. */
import {
  ipVersion,
  IPV4_DESTINATION,
  IPV4_SOURCE,
  ipv4HeaderLength,
  ipv4IsFragment,
  ipv4Protocol,
} from './ipv4.ts';
import { IPV6_DESTINATION, IPV6_HEADER, IPV6_SOURCE, ipv6NextHeader } from './ipv6.ts';
import { PROTOCOL_TCP } from './tcp.ts';
import { PROTOCOL_UDP } from './udp.ts';
import { readInt32 } from './word.ts';

/** Bytes of both ports. */
const PORTS = 4;

/**
 * Of addresses, protocol and ports, signed 32 bits; without the ports in fragments, all of which go one way, and in what is
 * neither TCP nor UDP. The packet, of `length` bytes, has passed `checkInner`. With another `seed` every flow has another
 * number: two routers in a row must not choose alike.
 */
export function flowHash(bytes: Uint8Array, start: number, length: number, seed: number): number {
  const ipv4 = ipVersion(bytes, start) === 4;
  const protocol = ipv4 ? ipv4Protocol(bytes, start) : ipv6NextHeader(bytes, start);
  const source = start + (ipv4 ? IPV4_SOURCE : IPV6_SOURCE);
  // Both addresses stand side by side.
  const end = start + (ipv4 ? IPV4_DESTINATION + 4 : IPV6_DESTINATION + 16);
  let hash = seed ^ protocol;
  for (let at = source; at < end; at += 4) hash = mix(hash ^ readInt32(bytes, at));
  const transport = ipv4 ? ipv4HeaderLength(bytes, start) : IPV6_HEADER;
  const hasPorts = (protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) && transport + PORTS <= length;
  if (!hasPorts || (ipv4 && ipv4IsFragment(bytes, start))) return hash;
  return mix(hash ^ readInt32(bytes, start + transport));
}

/** Every bit of the result depends on every bit of the word (the finalizer of MurmurHash3). */
export function mix(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
