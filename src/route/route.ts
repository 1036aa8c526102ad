/** One entry of the routing table, in the words of ip-route(8). */
import type { Prefix } from '../packet/prefix.ts';
import type { SourcePosition } from '../errors.ts';

/**
 * - peer: to the peer named
 * - local: to the kernel, by the TUN device (a network of this host inside a peer's prefix)
 * - own: an address of this host; like local, and no peer may use it as a source
 * - blackhole: dropped in silence; unreachable, prohibit: dropped with ICMP 3/1, 3/13 (IPv6 1/3, 1/1)
 */
export type RouteKind = 'peer' | 'local' | 'own' | 'blackhole' | 'unreachable' | 'prohibit';

/** Who said so. */
export type RouteSource =
  /** A line of the config. */
  | { readonly kind: 'config'; readonly where: SourcePosition; readonly directive: string }
  /** The kernel's own table: addresses and networks of this host. */
  | { readonly kind: 'kernel' }
  /** A routing daemon, by way of the kernel's table; `protocol` as `ip route` shows it, for example `bird`. */
  | { readonly kind: 'learned'; readonly protocol: string }
  /** `tsvpn route add`; gone with the process. */
  | { readonly kind: 'operator' };

export interface Route {
  readonly prefix: Prefix;
  readonly kind: RouteKind;
  /** Name of the peer, of kind `peer` only. */
  readonly peer: string | undefined;
  /** Lower wins among routes to one prefix; the next is the backup. */
  readonly metric: number;
  /** Of a learnt route that shares the packets of its prefix with others of its metric, flow by flow: how many, against theirs. */
  readonly weight?: number;
  readonly source: RouteSource;
}
