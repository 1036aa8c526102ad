/**
 * Where a peer's datagrams may come from and where ours go (OpenVPN's rules for UDP peers):
 *
 *   no remote          accept any source; send to the last one that delivered a valid payload
 *   remote, no float   accept only the addresses the current remote resolved to, checked before any crypto
 *   remote and float   accept any source; start at the remote, then follow
 *
 * Rows are socket addresses (transport/endpoint.ts); the one we send to lies in the arena, where native code reads it.
 */
import type { Arena } from '../packet/arena.ts';
import { IPV4_MIN_HEADER } from '../packet/ipv4.ts';
import { IPV6_HEADER } from '../packet/ipv6.ts';
import { UDP_HEADER } from '../packet/udp.ts';
import {
  AF_INET,
  copyEndpoint,
  endpointFamily,
  endpointsEqual,
  isMapped,
  localsEqual,
} from '../transport/endpoint.ts';
import type { PeerWay } from './messages.ts';

export class PeerEndpoint {
  /** Offset in the arena of the row we send to; meaningful while `known`. */
  readonly offset: number;
  known = false;
  readonly bytes: Uint8Array;
  private remotes: readonly Uint8Array[] = [];
  private float = false;

  /** The row at `offset` of the arena is this endpoint's for as long as it lives. */
  constructor(arena: Arena, offset: number) {
    this.bytes = arena.bytes;
    this.offset = offset;
  }

  /** Starts over with the addresses of the current remote (none: learn from the first valid payload), unless it is kept. */
  reset({ remotes, float, keep }: Pick<PeerWay, 'remotes' | 'float' | 'keep'>): void {
    this.remotes = remotes;
    this.float = float;
    if (keep && this.known) return;
    this.known = remotes.length > 0;
    if (this.known) copyEndpoint(remotes[0], 0, this.bytes, this.offset);
  }

  /** Bytes of the IP and UDP headers around a datagram to it. */
  get outerHeaders(): number {
    const { bytes, offset } = this;
    const ipv4 = endpointFamily(bytes, offset) === AF_INET || isMapped(bytes, offset);
    return UDP_HEADER + (ipv4 ? IPV4_MIN_HEADER : IPV6_HEADER);
  }

  /** May a datagram from the row at `offset` be looked at? */
  accepts(bytes: Uint8Array, offset: number): boolean {
    if (this.float || this.remotes.length === 0) return true;
    for (const remote of this.remotes) if (endpointsEqual(remote, 0, bytes, offset)) return true;
    return false;
  }

  /**
   * A valid payload came from the row at `offset`; returns true when that is a new address to send to. We answer from the
   * address it was sent to; stock does so as of the last change of the peer's.
   */
  learn(bytes: Uint8Array, offset: number): boolean {
    if (this.known && endpointsEqual(this.bytes, this.offset, bytes, offset)) {
      if (!localsEqual(this.bytes, this.offset, bytes, offset))
        copyEndpoint(bytes, offset, this.bytes, this.offset);
      return false;
    }
    copyEndpoint(bytes, offset, this.bytes, this.offset);
    this.known = true;
    return true;
  }
}
