/**
 * By which way the kernel sends to each peer: interface, its MTU, next hop, our own address. Another way, after a route or an
 * address of this host has changed, may carry less or more.
 */
import { withNetlink } from '../ffi/netlink.ts';
import { wayTo } from '../kernel/egress.ts';
import { addressBytes } from '../packet/address.ts';
import type { PeerSession } from './peer-session.ts';

export class OuterWays {
  private readonly ways = new WeakMap<PeerSession, string>();

  /** Returns those of `peers` to which the way has changed since they were looked at last. */
  look(peers: readonly PeerSession[]): PeerSession[] {
    return withNetlink((netlink) =>
      peers.filter((peer) => {
        const before = this.ways.get(peer);
        const { outerAddress = '', config } = peer;
        const way = wayTo(netlink, addressBytes(outerAddress.split('%')[0]), config.transport.mark ?? 0);
        this.ways.set(peer, way);
        return before !== undefined && before !== way;
      }),
    );
  }
}
