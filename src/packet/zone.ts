/**
 * A zone is where a packet comes from or goes to: a peer, by its index, or one of the doors to this host. Which LAN
 * interface a packet crossed is not visible in it: everything behind the TUN device is one zone.
 */

/** A peer's index, or one of the zones below. */
export type Zone = number;

/** The kernel: this host and every network it routes for. */
export const ZONE_TUN = -1;
/** Copies of ICMP messages to this host's own address, taken by a raw socket, and messages sent through it. */
export const ZONE_ICMP = -2;

/** Peers have indexes 0 to MAX_PEERS - 1, so that a zone fits 16 bits. */
export const MAX_PEERS = 4096;

export function isPeer(zone: Zone): boolean {
  return zone >= 0;
}
