/**
 * The kernel's TUN or TAP device on the data path, non-blocking: a read or write is one IP packet or Ethernet frame, or with
 * offloads one super-packet of up to 64 KiB behind a virtio_net_hdr.
 */
import { EINTR, EINVAL } from '../ffi/constants.ts';
import { IOVEC } from '../ffi/layout.ts';
import { close, errno, read, write, writev } from '../ffi/libc.ts';
import type { Arena } from '../packet/arena.ts';
import { NO_SLOT, type Batch } from '../packet/batch.ts';
import { MAX_SEGMENTS, type Coalescible } from '../packet/coalesce.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import type { TunDevice } from './device.ts';
import type { OpenTun } from './open.ts';
import { readVirtioHeader, VIRTIO_NET_HEADER, writeVirtioHeader } from './virtio-net-header.ts';

/** Owns and closes the descriptor. Batches must lie in the native arena the device was built on. */
export class LinuxTun implements TunDevice {
  readonly name: string;
  readonly fd: number;
  private readonly header: number;
  private readonly vectors: number;
  private readonly arena: Arena;
  private readonly virtio: boolean;
  /** What the kernel takes as super-packets; less after it has refused one. */
  superPackets: Coalescible;

  constructor(device: OpenTun, arena: Arena) {
    this.name = device.name;
    this.fd = device.fd;
    this.arena = arena;
    this.virtio = device.offload !== 'none';
    const udp = device.offload === 'tso+uso';
    this.superPackets = { tcp: udp || device.offload === 'tso', udp };
    this.header = arena.take(VIRTIO_NET_HEADER);
    this.vectors = arena.take((MAX_SEGMENTS + 1) * IOVEC.size);
  }

  /** Arena bytes a device needs. */
  static arenaSize(): number {
    return 64 + (MAX_SEGMENTS + 1) * IOVEC.size + 128;
  }

  readBatch(batch: Batch, budgetBytes: number): number {
    const first = batch.count;
    let bytes = 0;
    while (batch.count < batch.slots && bytes < budgetBytes) {
      const length = this.readOne(batch);
      if (length < 0) break;
      bytes += length;
    }
    return batch.count - first;
  }

  /** Bytes of the packet committed, or -1 when none waits. */
  private readOne(batch: Batch): number {
    const slot = batch.count;
    const headerSize = this.virtio ? VIRTIO_NET_HEADER : 0;
    const offset = batch.packetOffset(slot) - headerSize;
    let length = read(this.fd, this.arena.address + offset, batch.capacity + headerSize);
    while (length < 0 && errno() === EINTR) {
      length = read(this.fd, this.arena.address + offset, batch.capacity + headerSize);
    }
    if (length <= headerSize) return -1;
    batch.commit(slot, length - headerSize);
    batch.count++;
    if (this.virtio && !readVirtioHeader(batch, slot, offset)) batch.verdict[slot] = DropReason.InnerHeader;
    return length - headerSize;
  }

  writeBatch(batch: Batch, first: number, end: number): void {
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      const written = this.virtio ? this.writeVirtio(batch, slot) : this.writePlain(batch, slot);
      // A write is never partial. EINVAL is a malformed packet, EIO a link that is down: neither is fatal.
      if (written < 0) this.refused(batch, slot);
    }
  }

  private writePlain(batch: Batch, slot: number): number {
    return write(this.fd, this.arena.address + batch.start[slot], batch.length[slot]);
  }

  private writeVirtio(batch: Batch, slot: number): number {
    const { bytes, address } = this.arena;
    if (batch.gsoSize[slot] > 0) writeVirtioHeader(batch, slot, this.header);
    else bytes.fill(0, this.header, this.header + VIRTIO_NET_HEADER);
    this.setVector(0, this.header, VIRTIO_NET_HEADER);
    let count = 1;
    for (let piece = slot; piece !== NO_SLOT; piece = batch.next[piece]) {
      this.setVector(count++, batch.start[piece], batch.length[piece]);
    }
    return writev(this.fd, address + this.vectors, count);
  }

  /** The arena lies below 2 GiB: the upper halves of address and length stay zero. */
  private setVector(index: number, offset: number, length: number): void {
    const word = (this.vectors + index * IOVEC.size) >> 2;
    this.arena.words[word] = this.arena.address + offset;
    this.arena.words[word + (IOVEC.length >> 2)] = length;
  }

  /** A kernel that takes no such super-packets after all gets none any more; TCP sends the lost ones again. */
  private refused(batch: Batch, slot: number): void {
    if (batch.gsoSize[slot] > 0 && errno() === EINVAL) {
      const udp = batch.udp[slot] === 1;
      this.superPackets = { tcp: this.superPackets.tcp && udp, udp: this.superPackets.udp && !udp };
    }
    for (let piece = slot; piece !== NO_SLOT; piece = batch.next[piece])
      batch.verdict[piece] = DropReason.TunWrite;
  }

  close(): void {
    close(this.fd);
  }
}
