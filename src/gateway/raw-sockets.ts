/**
 * Raw sockets for probes of the path (udp/raw.ts), opened once for all links whose packets are routed alike: there are two for
 * each of them, and there may be many links.
 */
import { closeRawSockets, openRawSockets, type RawSockets } from '../udp/raw.ts';
import type { UdpSocketOptions } from '../udp/open.ts';

export class RawSocketPool {
  private readonly pool = new Map<string, RawSockets>();

  /** Undefined when there is no privilege for any. */
  for({ mark, bindDevice }: UdpSocketOptions): RawSockets | undefined {
    const key = `${mark ?? ''} ${bindDevice ?? ''}`;
    let sockets = this.pool.get(key);
    if (sockets === undefined) {
      sockets = openRawSockets(mark, bindDevice);
      this.pool.set(key, sockets);
    }
    return sockets.ipv4 < 0 && sockets.ipv6 < 0 ? undefined : sockets;
  }

  /** When the data plane uses them no more. */
  close(): void {
    for (const sockets of this.pool.values()) closeRawSockets(sockets);
    this.pool.clear();
  }
}
