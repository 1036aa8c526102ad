/**
 * Packets to peers with `fragment`: each is framed whole, then cut into fragments (protocol/fragmentation.ts; nothing of
 * IP's). Holds the one packet that is being cut, so that its fragments may leave in several rounds.
 */
import { Batch, type BatchShape } from '../packet/batch.ts';
import type { Arena } from '../packet/arena.ts';
import type { Fragmenter } from '../protocol/fragmentation.ts';
import type { Peer } from './peer.ts';

function shapeOf(capacity: number): BatchShape {
  return { slots: 1, capacity };
}

export class Splitter {
  /** Where the next packet is to be put, when not `busy`. */
  readonly packet: Batch;
  private fragmenter: Fragmenter | undefined;
  private fragments = 0;
  /** First fragment not yet cut. */
  private next = 0;

  /** `capacity` is that of the batch which the fragments go to. */
  constructor(arena: Arena, capacity: number) {
    this.packet = new Batch(arena, shapeOf(capacity));
  }

  static arenaSize(capacity: number): number {
    return Batch.arenaSize(shapeOf(capacity));
  }

  /** Fragments of a packet are still to be cut. */
  get busy(): boolean {
    return this.next < this.fragments;
  }

  /** Frames the payload in slot 0 of `packet`; false when it would take too many fragments. */
  begin(peer: Peer, fragmenter: Fragmenter): boolean {
    peer.framing.frame(this.packet, 0);
    this.fragmenter = fragmenter;
    this.fragments = fragmenter.count(this.packet.length[0]);
    this.next = 0;
    return this.fragments > 0;
  }

  /** Appends fragments to `to` until all are there or it is full. */
  split(to: Batch): void {
    if (this.fragmenter !== undefined) this.next = this.fragmenter.split(this.packet, 0, this.next, to);
  }

  /** What is still to be cut is not wanted any more. */
  abandon(): void {
    this.fragments = 0;
  }
}
