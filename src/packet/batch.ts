/**
 * A batch: a fixed number of slots in one arena, each holding one packet with room to grow on both sides, so
 * that framing, encryption and authentication happen in place.
 *
 *        slot i                                                                         slot i+1
 *        ├── HEADROOM ──────────┬── capacity ──────────────────────┬── TAILROOM ──┬─────┤
 *        │  HMAC ≤64, IV ≤16,   │  packet as read from the TUN     │ padding ≤16  │
 *        │  id+time 8, framing  │  (inbound: datagram as received) │ swap byte    │
 *        └──────────────────────┴──────────────────────────────────┴──────────────┘
 *                   start[i] ───▶ moves left as headers are put in front, length[i] grows with it
 *
 * Vocabulary: a producer *reserves* the slots after `count`, *commits* by raising `count`, and the consumer
 * *flushes* by setting `count` to 0. The batch owns its slots; a reader's view of a packet is valid until then.
 */
import type { Arena } from './arena.ts';

/** Bytes in front of a freshly read packet: the largest HMAC (64), IV (16), packet id (8) and framing, rounded up. */
const HEADROOM = 128;
/** Bytes behind a packet: one block of padding (16) and a framing byte, rounded up to a cache line. */
const TAILROOM = 64;

/** Largest UDP payload over IPv4 (65535 - 20 - 8), which also bounds every inner packet we can carry. */
export const MAX_DATAGRAM = 65507;

/** Bytes of arena one slot takes: not a power of two, so that slots spread over the cache's sets. */
const SLOT_STRIDE =
  HEADROOM + MAX_DATAGRAM + TAILROOM + ((64 - ((HEADROOM + MAX_DATAGRAM + TAILROOM) % 64)) % 64) + 64;

/** Size of one socket address row: sockaddr_in6 (28 bytes) rounded up. */
export const ENDPOINT_SIZE = 32;

export class Batch {
  readonly arena: Arena;
  /** The whole arena; packet i is `bytes[start[i] .. start[i] + length[i])`. */
  readonly bytes: Uint8Array;
  readonly slots: number;
  readonly start: Int32Array;
  readonly length: Int32Array;
  /** Verdict of each packet (packet/verdict.ts), PASS until a stage decides otherwise. */
  readonly verdict: Uint8Array;
  /** Offset in the arena of the socket address a datagram came from or goes to. */
  readonly endpoint: Int32Array;
  /** Committed packets: slots 0..count-1 hold one each. */
  count = 0;
  private readonly base: number;
  private readonly endpointBase: number;

  constructor(arena: Arena, slots: number) {
    this.arena = arena;
    this.bytes = arena.bytes;
    this.slots = slots;
    this.start = new Int32Array(slots);
    this.length = new Int32Array(slots);
    this.verdict = new Uint8Array(slots);
    this.endpoint = new Int32Array(slots);
    this.base = arena.take(slots * SLOT_STRIDE);
    this.endpointBase = arena.take(slots * ENDPOINT_SIZE);
  }

  /** Arena bytes a batch of `slots` needs. */
  static arenaSize(slots: number): number {
    return slots * (SLOT_STRIDE + ENDPOINT_SIZE) + 128;
  }

  /** Offset in the arena where a packet is read to: HEADROOM bytes may be written in front of it. */
  packetOffset(slot: number): number {
    return this.base + slot * SLOT_STRIDE + HEADROOM;
  }

  /** Offset in the arena of the slot's own socket address row. */
  endpointOffset(slot: number): number {
    return this.endpointBase + slot * ENDPOINT_SIZE;
  }

  /** Makes slot `slot` hold a fresh packet of `length` bytes at its packet offset. */
  commit(slot: number, length: number): void {
    this.start[slot] = this.packetOffset(slot);
    this.length[slot] = length;
    this.verdict[slot] = 0;
  }
}
