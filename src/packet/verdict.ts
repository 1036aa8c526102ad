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
  /** Payload compressed by the peer, though this end's config names no compression. */
  Compressed: 14,
  /** OCC message with an unknown opcode or a truncated body. */
  Occ: 15,
  /** Inner packet is neither IPv4 nor IPv6. */
  InnerVersion: 16,
  /** Inner header length or total length contradicts the bytes received. */
  InnerHeader: 17,
  /** No peer address is known yet, nothing can be sent. */
  NoPeer: 18,
  /** Inner destination is the outer address of a peer whose tunnel would swallow itself. */
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
  /** IPv4 header checksum wrong (RFC 1812 5.2.2). */
  HeaderChecksum: 27,
  /** Loose or strict source route option in a packet from a peer. */
  SourceRoute: 28,
  /** Source or destination that never crosses a router (RFC 1812 5.3.7): loopback, zero network, class E, multicast source. */
  Martian: 29,
  /** Multicast, broadcast or link-local packet where the device is no link to one peer: several, or routes and NAT of ours. */
  NotForwarded: 30,
  /** ICMP redirect or router advertisement: never carried through the tunnel. */
  Redirect: 31,
  /** Inner source is not one this peer may use (anti-spoof). */
  Spoofed: 32,
  /** No route to the destination. */
  NoRoute: 33,
  /** The route's peer is lost, and no backup is usable. */
  PeerDown: 34,
  /** Route of type blackhole. */
  Blackhole: 35,
  /** Route of type unreachable. */
  Unreachable: 36,
  /** Route of type prohibit. */
  Prohibit: 37,
  /** The route leads back to the peer the packet came from. */
  Loop: 38,
  /** TTL or hop limit used up on the way from peer to peer. */
  TtlExceeded: 39,
  /** Longer than the next peer's inner MTU, and not to be fragmented. */
  TooBig: 40,
  /** ICMP message with a wrong checksum, outer or of the quoted header. */
  IcmpChecksum: 41,
  /** ICMP error about no session of ours. */
  IcmpUnrelated: 42,
  /** Inbound packet that no session, filter or port-forward lets in. */
  NatFiltered: 43,
  /** Every external port of the pool is taken. */
  NatNoPort: 44,
  /** The session table is full of sessions that may not be evicted. */
  NatTableFull: 45,
  /** The inside host has as many sessions, or half-open ones, as it may. */
  NatHostLimit: 46,
  /** The inside host opens new sessions faster than it may. */
  NatRateLimit: 47,
  /** A protocol without ports whose one address-only session is another host's. */
  NatProtocol: 48,
  /** Fragment whose first part never came, is too small, or overlaps. */
  NatFragment: 49,
  /** The kernel sends the destination out of another interface than the rule's. */
  NatEgress: 50,
  /** The address has no counterpart under the prefix translation (RFC 6296 3.3). */
  NatUnmappable: 51,
  /** Transport header cut short or contradicting itself: cannot be translated. */
  NatHeader: 52,
  /** Compressed payload that is malformed, or longer than a packet may be. */
  Decompression: 53,
  /** No header of `fragment`, or one that contradicts itself: the peer has no `fragment`. */
  FragmentHeader: 54,
  /** Header of `fragment`, which this end has not configured. */
  PeerFragments: 55,
  /** Packet of which fragments (`fragment`) are missing: given up after 10 s, or after 25 younger ones. */
  FragmentLost: 56,
  /** Every buffer for packets in fragments (`fragment`) is taken. */
  FragmentMemory: 57,
  /** Marked as congested on the way, and not ECN-capable inside (RFC 6040 4.2). */
  Congestion: 58,
  /** No compression marker in front of what is plainly a payload. */
  Unframed: 59,
  /** A compression marker, and this end expects none. */
  PeerFraming: 60,
  /** Beyond the rate of `shaper`, where packets may not wait for the peer. */
  Shaped: 61,
  /** Shorter than an Ethernet header (`dev tap`). */
  EthernetHeader: 62,
} as const;
export type DropReason = (typeof DropReason)[keyof typeof DropReason];
export type Verdict = typeof PASS | typeof CONSUMED | DropReason;

/** Number of counters needed for all verdicts, `PASS` included. */
export const VERDICT_COUNT = Math.max(...Object.values(DropReason)) + 1;
