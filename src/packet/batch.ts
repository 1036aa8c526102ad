/**
 * A batch: descriptors of packets that lie in one arena, and buffers to read packets into, each with room to grow on
 * both sides, so that framing, encryption and authentication happen in place.
 *
 *        buffer i                                                                       buffer i+1
 *        ├── HEADROOM ──────────┬── capacity ──────────────────────┬── TAILROOM ──┬─────┤
 *        │  HMAC ≤64, IV ≤16,   │  packet as read from the TUN     │ padding ≤16  │
 *        │  id+time 8, framing  │  (inbound: datagram as received) │ swap byte    │
 *        └──────────────────────┴──────────────────────────────────┴──────────────┘
 *                   start[slot] ─▶ moves left as headers are put in front, length[slot] grows with it
 *
 * Most slots describe the packet in the buffer of the same number. Datagrams that arrived as one run (UDP GRO) are
 * slots that point into one buffer, one behind the other. A super-packet is many TCP segments of one flow under one
 * header: read from the TUN device it is one slot with `gsoSize` set; coalesced for it, it is a chain of slots whose
 * first holds the header and whose others hold payload only.
 *
 * Vocabulary: a producer *reserves* the slots after `count`, *commits* by raising `count`, and the consumer
 * *flushes* by setting `count` to 0. The batch owns its memory; a reader's view of a packet is valid until then.
 */
import type { Arena } from './arena.ts';

/**
 * Bytes in front of a freshly read packet: a length (2), the largest HMAC (64), IV (16), packet id (8) and framing, rounded
 * up.
 */
export const HEADROOM = 128;
/** Bytes behind a packet: one block of padding (16) and a framing byte, rounded up to a cache line. */
export const TAILROOM = 64;

/** Largest IP packet, super-packets included; more than any datagram. */
export const MAX_PACKET = 65535;

/** Size of one row of transport/endpoint.ts: a socket address, and our own address that it talks to. */
export const ENDPOINT_SIZE = 64;

/** In `network`. */
export const NOT_IP = -1;

/** Ends a chain of slots. */
export const NO_SLOT = -1;

export interface BatchShape {
  /** Packets it can describe. */
  readonly slots: number;
  /** Buffers to read packets into; as many as slots unless told. */
  readonly buffers?: number;
  /** Bytes a buffer holds between headroom and tailroom; MAX_PACKET unless told. */
  readonly capacity?: number;
}

/** An odd number of cache lines, so that buffers spread over the cache's sets. */
function strideOf(capacity: number): number {
  const lines = Math.ceil((HEADROOM + capacity + TAILROOM) / 64);
  return (lines | 1) * 64;
}

export class Batch {
  readonly arena: Arena;
  /** The whole arena; packet i is `bytes[start[i] .. start[i] + length[i])`. */
  readonly bytes: Uint8Array;
  readonly slots: number;
  readonly buffers: number;
  readonly capacity: number;
  readonly start: Int32Array;
  readonly length: Int32Array;
  /** Verdict of each packet (packet/verdict.ts), PASS until a stage decides otherwise. */
  readonly verdict: Uint8Array;
  /** Offset in the arena of the socket address a datagram came from or goes to. */
  readonly endpoint: Int32Array;
  /** TOS byte or traffic class of the IP header around a datagram, received or to be sent. */
  readonly trafficClass: Uint8Array;
  /** 1 for a datagram received that came in IP fragments. */
  readonly fragmented: Uint8Array;
  /** Zone each packet goes to (packet/zone.ts), set where it is forwarded. */
  readonly target: Int16Array;
  /**
   * Bytes from a packet's start to its IP header: 0 on a TUN device, of an Ethernet header on a TAP device; NOT_IP for a frame of
   * something else.
   */
  readonly network: Int8Array;
  /** Payload bytes of each segment of a super-packet; 0 for an ordinary packet. */
  readonly gsoSize: Int32Array;
  /** Bytes from a super-packet's start, link header included, to its TCP or UDP header. */
  readonly transport: Int32Array;
  /** 1 for a UDP super-packet, 0 for TCP. */
  readonly udp: Uint8Array;
  /** Slot that holds the next piece of payload of a coalesced super-packet, or NO_SLOT. */
  readonly next: Int32Array;
  /** Committed packets: slots 0..count-1 hold one each. */
  count = 0;
  private readonly base: number;
  private readonly stride: number;
  private readonly endpointBase: number;

  constructor(arena: Arena, { slots, buffers = slots, capacity = MAX_PACKET }: BatchShape) {
    this.arena = arena;
    this.bytes = arena.bytes;
    this.slots = slots;
    this.buffers = buffers;
    this.capacity = capacity;
    this.start = new Int32Array(slots);
    this.length = new Int32Array(slots);
    this.verdict = new Uint8Array(slots);
    this.endpoint = new Int32Array(slots);
    this.trafficClass = new Uint8Array(slots);
    this.fragmented = new Uint8Array(slots);
    this.target = new Int16Array(slots);
    this.network = new Int8Array(slots);
    this.gsoSize = new Int32Array(slots);
    this.transport = new Int32Array(slots);
    this.udp = new Uint8Array(slots);
    this.next = new Int32Array(slots).fill(NO_SLOT);
    this.stride = strideOf(capacity);
    this.base = arena.take(buffers * this.stride);
    this.endpointBase = arena.take(buffers * ENDPOINT_SIZE);
  }

  /** Arena bytes a batch of this shape needs. */
  static arenaSize({ slots, buffers = slots, capacity = MAX_PACKET }: BatchShape): number {
    return buffers * (strideOf(capacity) + ENDPOINT_SIZE) + 128;
  }

  /** Offset in the arena where a packet is read to: HEADROOM bytes may be written in front of it. */
  packetOffset(buffer: number): number {
    return this.base + buffer * this.stride + HEADROOM;
  }

  /** Offset in the arena of the buffer's own socket address row. */
  endpointOffset(buffer: number): number {
    return this.endpointBase + buffer * ENDPOINT_SIZE;
  }

  /** Makes `slot` describe a fresh packet of `length` bytes in the buffer of the same number. */
  commit(slot: number, length: number): void {
    this.commitAt(slot, this.packetOffset(slot), length);
  }

  /** Makes `slot` describe a fresh packet of `length` bytes at arena offset `start`. */
  commitAt(slot: number, start: number, length: number): void {
    this.start[slot] = start;
    this.length[slot] = length;
    this.verdict[slot] = 0;
    this.trafficClass[slot] = 0;
    this.network[slot] = 0;
    this.fragmented[slot] = 0;
    this.gsoSize[slot] = 0;
    this.next[slot] = NO_SLOT;
  }
}
