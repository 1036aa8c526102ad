/**
 * An in-memory wire between two UDP ports, with seeded loss, reordering and duplication, for tests, benches and
 * simulations. Datagrams lie in a ring of fixed rows; a steady flow allocates nothing.
 */
import { MAX_PACKET, type Batch } from '../packet/batch.ts';
import { PASS } from '../packet/verdict.ts';
import { copyEndpoint } from '../transport/endpoint.ts';
import type { SizedSend, TransportPort } from '../transport/port.ts';

export interface WireFaults {
  /** Probabilities, 0 to 1. */
  readonly loss: number;
  readonly duplicate: number;
  readonly reorder: number;
  /** How far back in the queue a reordered datagram may be put, in datagrams. */
  readonly reorderDistance: number;
}

const IPV4_UDP_HEADERS = 28;

const NO_FAULTS: WireFaults = { loss: 0, duplicate: 0, reorder: 0, reorderDistance: 0 };

/** What the wire carries whole, bytes of IP packet; nobody tells when it does not. */
export interface WireMtu {
  /** Of the senders' devices: what is longer leaves in fragments. */
  readonly device: number;
  /** Between the ends, in each direction: longer packets that must not be cut are lost. */
  readonly fromA: number;
  readonly fromB: number;
  /** Fragments are lost. */
  readonly dropsFragments?: boolean;
}

/** A uniform number in [0, 1). */
export type Uniform = () => number;

/** Sees every datagram before the faults do; the bytes are valid during the call only. */
export type Eavesdropper = (bytes: Uint8Array, offset: number, length: number) => void;

/** Datagrams on their way to one port: a ring of `rows`, oldest dropped by the sender when full. */
class WireQueue {
  readonly bytes: Uint8Array;
  private readonly rowSize: number;
  private readonly rows: number;
  /** order[(head + i) % rows] is the row of the i-th waiting datagram. */
  private readonly order: Int32Array;
  private readonly lengths: Int32Array;
  private readonly fragmented: Uint8Array;
  private head = 0;
  waiting = 0;

  constructor(rows: number, rowSize: number) {
    this.rows = rows;
    this.rowSize = rowSize;
    this.bytes = new Uint8Array(rows * rowSize);
    this.order = Int32Array.from({ length: rows }, (_, i) => i);
    this.lengths = new Int32Array(rows);
    this.fragmented = new Uint8Array(rows);
  }

  /** Returns false when the queue is full or the datagram does not fit a row. */
  push(from: Uint8Array, offset: number, length: number, fragmented = false): boolean {
    if (this.waiting === this.rows || length > this.rowSize) return false;
    const row = this.order[(this.head + this.waiting) % this.rows];
    const base = row * this.rowSize;
    for (let i = 0; i < length; i++) this.bytes[base + i] = from[offset + i];
    this.lengths[row] = length;
    this.fragmented[row] = fragmented ? 1 : 0;
    this.waiting++;
    return true;
  }

  /** Moves the youngest datagram up to `distance` places towards the head. */
  moveYoungestForward(distance: number): void {
    for (let i = this.waiting - 1; i > 0 && distance > 0; i--, distance--) {
      const a = (this.head + i) % this.rows;
      const b = (this.head + i - 1) % this.rows;
      const row = this.order[a];
      this.order[a] = this.order[b];
      this.order[b] = row;
    }
  }

  /** The oldest datagram came in fragments. */
  get inFragments(): boolean {
    return this.fragmented[this.order[this.head]] === 1;
  }

  /** Copies the oldest datagram to `to[offset]` and returns its length; the queue must not be empty. */
  shift(to: Uint8Array, offset: number): number {
    const row = this.order[this.head];
    const base = row * this.rowSize;
    const length = this.lengths[row];
    for (let i = 0; i < length; i++) to[offset + i] = this.bytes[base + i];
    this.head = (this.head + 1) % this.rows;
    this.waiting--;
    return length;
  }
}

export class MemoryUdpPort implements TransportPort {
  readonly inbox: WireQueue;
  /** Set while the simulated socket buffer is full: sendBatch then stops at once. */
  blocked = false;
  private readonly wire: Wire;
  readonly source: Uint8Array;

  constructor(wire: Wire, source: Uint8Array, rows: number, rowSize: number) {
    this.wire = wire;
    this.source = source;
    this.inbox = new WireQueue(rows, rowSize);
  }

  recvBatch(batch: Batch): number {
    const first = batch.count;
    while (batch.count < batch.buffers && this.inbox.waiting > 0) {
      const slot = batch.count++;
      const { inFragments } = this.inbox;
      batch.commit(slot, this.inbox.shift(batch.bytes, batch.packetOffset(slot)));
      batch.fragmented[slot] = inFragments ? 1 : 0;
      copyEndpoint(this.wire.other(this).source, 0, batch.bytes, batch.endpointOffset(slot));
      batch.endpoint[slot] = batch.endpointOffset(slot);
    }
    return batch.count - first;
  }

  sendBatch(batch: Batch, first: number, end: number): number {
    for (let slot = first; slot < end; slot++) {
      if (this.blocked) return slot;
      if (batch.verdict[slot] === PASS)
        this.wire.carry(this, batch.bytes, batch.start[slot], batch.length[slot]);
    }
    return end;
  }

  get exactSizes(): boolean {
    return this.wire.mtu !== undefined && this.wire.exactSizes;
  }

  sendSized(batch: Batch, slot: number, total: number): SizedSend {
    const { bytes, start, length } = batch;
    if (this.wire.mtu === undefined) return 'unable';
    if (!this.exactSizes && total !== length[slot] + IPV4_UDP_HEADERS) return 'unable';
    if (total > this.wire.mtu.device) return 'too-big';
    this.wire.carry(this, bytes, start[slot], length[slot], total);
    return 'sent';
  }

  sendFragments(batch: Batch, slot: number): SizedSend {
    if (!this.exactSizes) return 'unable';
    this.wire.carry(this, batch.bytes, batch.start[slot], batch.length[slot], Infinity);
    return 'sent';
  }

  close(): void {
    this.blocked = false;
  }
}

export interface WireOptions {
  /** Socket addresses of the two ends (endpoint.ts). */
  readonly a: Uint8Array;
  readonly b: Uint8Array;
  readonly random: Uniform;
  readonly faults?: WireFaults;
  readonly mtu?: WireMtu;
  /** Datagrams that may wait for each port. */
  readonly rows?: number;
  readonly rowSize?: number;
}

export class Wire {
  readonly a: MemoryUdpPort;
  readonly b: MemoryUdpPort;
  faults: WireFaults;
  /** Undefined: it carries everything, and cannot be probed. */
  mtu: WireMtu | undefined;
  /** Ends can send IP packets of any size; without it, only as long as the datagram needs. */
  exactSizes = true;
  eavesdropper: Eavesdropper | undefined;
  /** Datagrams lost to the faults or to a full queue. */
  lost = 0;
  private readonly random: Uniform;

  constructor(options: WireOptions) {
    const rows = options.rows ?? 256;
    const rowSize = options.rowSize ?? MAX_PACKET;
    this.a = new MemoryUdpPort(this, options.a, rows, rowSize);
    this.b = new MemoryUdpPort(this, options.b, rows, rowSize);
    this.random = options.random;
    this.faults = options.faults ?? NO_FAULTS;
    this.mtu = options.mtu;
  }

  other(port: MemoryUdpPort): MemoryUdpPort {
    return port === this.a ? this.b : this.a;
  }

  /** `total`: bytes of the IP packet. */
  carry(
    from: MemoryUdpPort,
    bytes: Uint8Array,
    offset: number,
    length: number,
    total = length + IPV4_UDP_HEADERS,
  ): void {
    this.eavesdropper?.(bytes, offset, length);
    const fragmented = this.mtu !== undefined && total > this.mtu.device;
    if (this.isLostTo(from, total, fragmented)) {
      this.lost++;
      return;
    }
    const { loss, duplicate, reorder, reorderDistance } = this.faults;
    if (loss > 0 && this.random() < loss) {
      this.lost++;
      return;
    }
    const copies = duplicate > 0 && this.random() < duplicate ? 2 : 1;
    const { inbox } = this.other(from);
    for (let i = 0; i < copies; i++) {
      if (!inbox.push(bytes, offset, length, fragmented)) {
        this.lost++;
        continue;
      }
      if (reorder > 0 && this.random() < reorder)
        inbox.moveYoungestForward(1 + Math.floor(this.random() * reorderDistance));
    }
  }

  private isLostTo(from: MemoryUdpPort, total: number, fragmented: boolean): boolean {
    if (this.mtu === undefined) return false;
    if (fragmented) return this.mtu.dropsFragments === true;
    return total > (from === this.a ? this.mtu.fromA : this.mtu.fromB);
  }
}
