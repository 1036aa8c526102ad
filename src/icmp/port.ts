/**
 * The door for ICMP messages of translated sessions whose outside address is this host's own. They must stay the
 * kernel's (it answers pings, and ICMP tells it about its own connections), so that we take copies: a raw socket
 * delivers one of each message, and sends ours. Implemented by icmp/linux.ts.
 */
import type { Batch } from '../packet/batch.ts';

/** Results of `send` besides an MTU. */
export const SENT = 0;
export const REFUSED = -1;

export interface IcmpPort {
  /** Appends copies of received messages, each a whole IPv4 packet, until none waits or `batch` is full. */
  recvBatch(batch: Batch): number;
  /**
   * Sends the whole IPv4 packet in `slot` to its destination: SENT, or REFUSED when the kernel does not (no route, or its
   * buffer is full), or the MTU of the way, bytes, when the packet is longer: the kernel cuts nothing here.
   */
  send(batch: Batch, slot: number): number;
  close(): void;
}
