/** The door to the peers. Implementations: udp/linux.ts (the real one), udp/memory.ts and tcp/port.ts. */
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

/** Why a datagram to the socket address at `endpoint` did not arrive, or did not even leave. */
export interface SendError {
  readonly bytes: Uint8Array;
  readonly endpoint: number;
  readonly errno: number;
  /** With EMSGSIZE: how long IP packets may be. */
  readonly pathMtu: number;
  /** Where the socket address of who says so begins, its port being 0; -1 for this host. */
  readonly reporter: number;
}

export interface TransportPort {
  /** The port as a stream; undefined for one of datagrams. */
  readonly stream?: StreamPort;
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
  /** Reports what routers, the other end and this host have said of datagrams since the last call. */
  readErrors?(report: (error: SendError) => void): void;
  /** This host has. */
  readonly hasErrors?: boolean;
  /** `sendSized` can make IP packets longer than the datagram needs. */
  readonly exactSizes?: boolean;
  /**
   * Sends the datagram in `slot` in an IP packet of `total` bytes that must not be fragmented on its way, to probe the
   * path. Not with TCP.
   */
  sendSized?(batch: Batch, slot: number, total: number): SizedSend;
  /**
   * Sends the datagram in `slot` in two IP fragments, to see whether the path carries any. `identification`, 1 to 65535, is
   * what the receiver knows by that they belong together.
   */
  sendFragments?(batch: Batch, slot: number, identification: number): SizedSend;
  close(): void;
}

/** How a connection ended: closed or broken, or what came over it cannot be a datagram of `length` bytes. */
export type StreamEnd =
  | { readonly kind: 'reset' }
  | { readonly kind: 'bad-length'; readonly length: number; readonly longest: number };

/**
 * A connection to one peer that carries datagrams one behind the other. The peer may insist on packet ids without a gap
 * (OpenVPN 2.3 does), so what is sealed must be sent: `sendBatch` takes everything, and nothing more may be sealed for a
 * congested stream.
 */
export interface StreamPort extends TransportPort {
  /** Socket address of the other end. */
  readonly remote: Uint8Array;
  /** Datagrams wait for the connection to take them. */
  readonly congested: boolean;
  /** Undefined as long as the connection lives; then nothing more comes or goes. */
  readonly ended: StreamEnd | undefined;
  /** To be called when the connection may take more: sends what waits. */
  flush(): void;
}
