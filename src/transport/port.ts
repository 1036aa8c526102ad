/** The door to the peers. Implementations: udp/linux.ts (the real one), udp/memory.ts and tcp/linux.ts. */
import type { Batch } from '../packet/batch.ts';

/** What the kernel can do with runs of datagrams of equal size. */
export interface UdpOffload {
  /** The socket accepts UDP_SEGMENT. */
  readonly segment: boolean;
  /** UDP_GRO is on. */
  readonly receive: boolean;
}

/** `too-big`: for the first device on the way; `unable`: for another reason. */
export type SizedSend = 'sent' | 'too-big' | 'unable';

export interface TransportPort {
  /**
   * Appends waiting datagrams to `batch` until it is full or none waits, without blocking; `batch.endpoint[i]` is
   * the offset of the sender's socket address. Returns how many were appended.
   */
  recvBatch(batch: Batch): number;
  /**
   * Sends slots first..end-1 whose verdict is PASS to the socket address at `batch.endpoint[i]`, in order.
   * Returns the first slot not dealt with: `end`, or less when the socket buffer is full (try again when the port
   * is writable). A datagram the kernel refuses gets a verdict (MessageSize, SendFailed) and the others go on.
   */
  sendBatch(batch: Batch, first: number, end: number): number;
  /** `sendSized` can make IP packets longer than the datagram needs. */
  readonly exactSizes?: boolean;
  /**
   * Sends the datagram in `slot` in an IP packet of `total` bytes that must not be fragmented on its way, to probe the
   * path. Not with TCP.
   */
  sendSized?(batch: Batch, slot: number, total: number): SizedSend;
  close(): void;
}
