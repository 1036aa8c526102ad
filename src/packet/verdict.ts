/**
 * The verdict on one packet: zero is "go on", anything else is the named reason for which it was dropped.
 * Every drop has a name and a counter (engine/counters.ts); none is thrown and none is logged per packet.
 */

/** Verdict of a packet that goes on. */
export const PASS = 0;

/** Verdict of a packet that reached its end here: a ping or an OCC message, not for the TUN device and not a drop. */
export const CONSUMED = 255;

export const DropReason = {
  /** Datagram shorter than HMAC, IV and one cipher block. */
  Short: 1,
  /** Datagram or packet longer than a slot can hold. */
  TooLong: 2,
  /** Ciphertext not a multiple of the cipher's block size. */
  BadLength: 3,
  /** HMAC differs: wrong key, wrong direction, wrong digest, or tampering. */
  Auth: 4,
  /** HMAC right, padding wrong: the cipher differs. */
  Decrypt: 5,
  /** Plaintext shorter than the packet id. */
  Header: 6,
  /** Packet id 0, which no sender uses. */
  IllegalId: 7,
  /** Packet id already received, or older than the replay window. */
  Replay: 8,
  /** Packet id expired by the replay window's time limit. */
  ReplayExpired: 9,
  /** Epoch older than the newest one received. */
  TimeBacktrack: 10,
  /** Our own packet came back (no key-direction: both ends use the same keys). */
  Reflected: 11,
  /** Source address is not the configured remote, and float is off. */
  Source: 12,
  /** Compression marker we do not understand: the peer's framing differs. */
  Framing: 13,
  /** Payload compressed by the peer; tsvpn does not decompress it. */
  Compressed: 14,
  /** OCC message with an unknown opcode or a truncated body. */
  Occ: 15,
  /** Inner packet is neither IPv4 nor IPv6. */
  InnerVersion: 16,
  /** Inner header length or total length contradicts the bytes received. */
  InnerHeader: 17,
  /** No peer address is known yet, nothing can be sent. */
  NoPeer: 18,
  /** Inner destination is the peer's own outer address: the tunnel would swallow itself. */
  Recursive: 19,
  /** The kernel's socket buffer was full (EAGAIN, ENOBUFS). */
  SendBuffer: 20,
  /** The kernel refused to send for another reason (no route, interface down, EPERM...). */
  SendFailed: 21,
  /** The kernel refused the packet on the TUN device (EINVAL, EIO: link down). */
  TunWrite: 22,
  /** Packet id space is used up and the clock has not moved past the epoch. */
  IdRollover: 23,
  /** Datagram carried an empty payload; accepted and otherwise ignored. */
  Empty: 24,
  /** The peer is being restarted (ping-restart, SIGUSR1): packets wait for no one. */
  PeerRestarting: 25,
  /** Datagram larger than the path's MTU with don't-fragment set (EMSGSIZE). */
  MessageSize: 26,
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];
export type Verdict = typeof PASS | typeof CONSUMED | DropReason;

/** Number of counters needed for all verdicts, `PASS` included. */
export const VERDICT_COUNT = 27;
