/**
 * What OpenVPN's data channel puts on the wire in static-key mode: magic numbers and field sizes, nothing of ours.
 * Ping and OCC magics are those of OpenVPN's ping.c and occ.c, the compression markers those of comp.h.
 */

/** Payload of a keepalive ping, whole. */
export const PING_MAGIC = new Uint8Array([
  0x2a, 0x18, 0x7b, 0xf3, 0x64, 0x1e, 0xb4, 0xcb, 0x07, 0xed, 0x2d, 0x0a, 0x98, 0x1f, 0xc7, 0x48,
]);

/** First 16 bytes of every OCC message; an opcode follows. */
export const OCC_MAGIC = new Uint8Array([
  0x28, 0x7f, 0x34, 0x6b, 0xd4, 0xef, 0x7a, 0x81, 0x2d, 0x56, 0xb8, 0xd3, 0xaf, 0xc5, 0x45, 0x9c,
]);

export const OccOpcode = {
  Request: 0,
  Reply: 1,
  MtuLoadRequest: 2,
  MtuLoad: 3,
  MtuRequest: 4,
  MtuReply: 5,
  Exit: 6,
} as const;
export type OccOpcode = (typeof OccOpcode)[keyof typeof OccOpcode];

/** Compression framing markers. */
export const Marker = {
  /** Uncompressed behind a marker (comp-lzo). */
  None: 0xfa,
  /** Uncompressed, first byte moved to the end (compress stub). */
  NoneSwapped: 0xfb,
  Lzo: 0x66,
  /** LZ4 block, first byte moved to the end. */
  Lz4Swapped: 0x69,
  /** Escape of the version 2 framing; the next byte says what follows. */
  V2: 0x50,
  V2None: 0x00,
  V2Lz4: 0x01,
} as const;

/** What carries the packets, and over TCP who calls. */
export type TransportProtocol = 'udp' | 'tcp-client' | 'tcp-server';
