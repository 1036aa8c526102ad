/**
 * Datagrams over one TCP connection: each has its length in front (16 bits, big endian, itself not counted).
 *
 * Reading takes what the kernel has into whole buffers of the batch, and the datagrams are slots that point into them. The
 * beginning of a datagram whose rest has not come yet is kept until the next call.
 *
 * Writing takes datagrams with one system call, straight from where they lie. What the connection does not take is copied
 * to a queue, which holds one batch: the port is congested then, and gets no more than the rest of that batch until the
 * queue is empty.
 */
import type { Arena } from '../packet/arena.ts';
import type { Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import { copyEndpoint } from '../transport/endpoint.ts';
import type { StreamEnd, StreamPort } from '../transport/port.ts';
import { ENDED, WAIT, type ByteStream } from './byte-stream.ts';

/** Bytes of the length in front of each datagram. */
const LENGTH_SIZE = 2;
/** What the length can say. */
const MAX_LENGTH = 0xffff;
/** Buffers filled in one call: half a megabyte, so that other links get their turn. */
const RECEIVE_BUFFERS = 8;

/**
 * Longest datagram to expect where the longest inner packet has `tunMtu` bytes. Generous, since the peer may have another
 * MTU; still, text in place of a length (two letters are 16705 at least) is recognised at once.
 */
export function longestDatagram(tunMtu: number): number {
  return Math.min(MAX_LENGTH - LENGTH_SIZE, Math.max(0x4000, tunMtu + 512));
}

/** Memory of one port, which the next port may take over. */
export class TcpMemory {
  /** The queue; reachable for the stream. */
  readonly arena: Arena;
  readonly queue: number;
  readonly queueSize: number;
  /** What was received behind the last whole datagram. */
  readonly kept = new Uint8Array(MAX_LENGTH);

  /** `queueSize`: bytes of the longest batch, its lengths included. */
  constructor(arena: Arena, queueSize: number) {
    this.arena = arena;
    this.queue = arena.take(queueSize);
    this.queueSize = queueSize;
  }
}

/** Where the pieces of one write lie; all ports of a thread share one. */
export class Pieces {
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;

  constructor(count: number) {
    this.offsets = new Int32Array(count);
    this.lengths = new Int32Array(count);
  }
}

export interface TcpPortOptions {
  readonly stream: ByteStream;
  /** Socket address of the other end (transport/endpoint.ts). */
  readonly remote: Uint8Array;
  readonly memory: TcpMemory;
  readonly pieces: Pieces;
  /** Bytes. */
  readonly longestDatagram: number;
}

export class TcpPort implements StreamPort {
  readonly stream: StreamPort = this;
  ended: StreamEnd | undefined;
  private readonly options: TcpPortOptions;
  private kept = 0;
  /** What waits in the queue: from here to there. */
  private queueHead = 0;
  private queueEnd = 0;

  constructor(options: TcpPortOptions) {
    this.options = options;
  }

  get remote(): Uint8Array {
    return this.options.remote;
  }

  get congested(): boolean {
    return this.queueHead < this.queueEnd;
  }

  recvBatch(batch: Batch): number {
    const first = batch.count;
    if (this.ended !== undefined) return 0;
    const endpoint = batch.endpointOffset(0);
    copyEndpoint(this.options.remote, 0, batch.bytes, endpoint);
    const buffers = Math.min(batch.buffers, RECEIVE_BUFFERS);
    for (let buffer = 0; buffer < buffers && batch.count < batch.slots; buffer++) {
      const start = batch.packetOffset(buffer);
      const kept = this.restore(batch.bytes, start);
      const room = batch.capacity - kept;
      const read = room > 0 ? this.options.stream.read(batch.arena, start + kept, room) : 0;
      const end = start + kept + Math.max(0, read);
      this.keep(batch.bytes, this.deframe(batch, start, end, endpoint), end);
      if (read === ENDED) this.ended ??= { kind: 'reset' };
      // A connection that filled less than it could is empty.
      if (read < room || this.ended !== undefined) break;
    }
    return batch.count - first;
  }

  /** Makes slots of the datagrams between `at` and `end`; returns where the first incomplete one begins. */
  private deframe(batch: Batch, at: number, end: number, endpoint: number): number {
    const { bytes } = batch;
    const longest = this.options.longestDatagram;
    while (end - at >= LENGTH_SIZE && batch.count < batch.slots) {
      const length = (bytes[at] << 8) | bytes[at + 1];
      if (length === 0 || length > longest) {
        this.ended = { kind: 'bad-length', length, longest };
        return end;
      }
      if (end - at - LENGTH_SIZE < length) break;
      const slot = batch.count++;
      batch.commitAt(slot, at + LENGTH_SIZE, length);
      batch.endpoint[slot] = endpoint;
      at += LENGTH_SIZE + length;
    }
    return at;
  }

  private keep(bytes: Uint8Array, from: number, end: number): void {
    const { kept } = this.options.memory;
    this.kept = end - from;
    for (let i = 0; i < this.kept; i++) kept[i] = bytes[from + i];
  }

  private restore(bytes: Uint8Array, to: number): number {
    const { kept } = this.options.memory;
    for (let i = 0; i < this.kept; i++) bytes[to + i] = kept[i];
    return this.kept;
  }

  sendBatch(batch: Batch, first: number, end: number): number {
    const count = this.frame(batch, first, end);
    if (count === 0) return end;
    const written = this.write(batch, count);
    if (written === ENDED) {
      this.ended ??= { kind: 'reset' };
      for (let slot = first; slot < end; slot++) batch.verdict[slot] ||= DropReason.SendFailed;
      return end;
    }
    this.enqueue(batch.bytes, count, written === WAIT ? 0 : written);
    return end;
  }

  /** Behind what waits already, datagrams wait too. */
  private write({ arena }: Batch, count: number): number {
    const { stream, pieces } = this.options;
    if (this.ended !== undefined) return ENDED;
    return this.congested ? WAIT : stream.write(arena, pieces.offsets, pieces.lengths, count);
  }

  /** Writes the length in front of each datagram, into its headroom; returns how many pieces there are to send. */
  private frame(batch: Batch, first: number, end: number): number {
    const { bytes, start, length, verdict } = batch;
    const { offsets, lengths } = this.options.pieces;
    let count = 0;
    for (let slot = first; slot < end; slot++) {
      if (verdict[slot] !== PASS) continue;
      if (length[slot] > MAX_LENGTH) {
        verdict[slot] = DropReason.MessageSize;
        continue;
      }
      const at = start[slot] - LENGTH_SIZE;
      bytes[at] = length[slot] >> 8;
      bytes[at + 1] = length[slot] & 0xff;
      offsets[count] = at;
      lengths[count] = LENGTH_SIZE + length[slot];
      count++;
    }
    return count;
  }

  /** Keeps what is behind the first `written` bytes of the pieces. */
  private enqueue(bytes: Uint8Array, count: number, written: number): void {
    const { memory, pieces } = this.options;
    if (!this.congested) this.queueHead = this.queueEnd = 0;
    for (let piece = 0; piece < count; piece++) {
      const done = Math.min(written, pieces.lengths[piece]);
      written -= done;
      const from = pieces.offsets[piece] + done;
      const rest = pieces.lengths[piece] - done;
      if (rest === 0) continue;
      if (this.queueEnd + rest > memory.queueSize) throw new RangeError('a batch longer than the queue');
      memory.arena.bytes.set(bytes.subarray(from, from + rest), memory.queue + this.queueEnd);
      this.queueEnd += rest;
    }
  }

  flush(): void {
    const { stream, memory, pieces } = this.options;
    if (!this.congested || this.ended !== undefined) return;
    pieces.offsets[0] = memory.queue + this.queueHead;
    pieces.lengths[0] = this.queueEnd - this.queueHead;
    const written = stream.write(memory.arena, pieces.offsets, pieces.lengths, 1);
    if (written === ENDED) this.ended = { kind: 'reset' };
    if (written > 0) this.queueHead += written;
  }

  close(): void {
    this.options.stream.close();
  }
}
