/**
 * A UDP socket driven by recvmmsg and sendmmsg: one system call moves a batch. The message tables are laid out once
 * in the arena; a receive rewrites nothing but the address lengths, a send rewrites base, length and address.
 */
import { EAGAIN, EINTR, EMSGSIZE, ENOBUFS, MSG_DONTWAIT } from '../ffi/constants.ts';
import { IOVEC, MMSGHDR } from '../ffi/layout.ts';
import { close, errno, recvmmsg, sendmmsg } from '../ffi/libc.ts';
import { type Arena } from '../packet/arena.ts';
import { ENDPOINT_SIZE, MAX_DATAGRAM, type Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import { endpointLength } from './endpoint.ts';
import type { UdpPort } from './port.ts';

/** An array of mmsghdr with one iovec each, in the arena. Indices into `words` are 32-bit words. */
class MessageTable {
  readonly address: number;
  private readonly words: Int32Array;
  private readonly headers: number;
  private readonly vectors: number;

  constructor(arena: Arena, slots: number) {
    this.words = new Int32Array(arena.bytes.buffer, arena.bytes.byteOffset, arena.bytes.length >> 2);
    const headers = arena.take(slots * MMSGHDR.size);
    const vectors = arena.take(slots * IOVEC.size);
    this.address = arena.address + headers;
    this.headers = headers >> 2;
    this.vectors = vectors >> 2;
    for (let i = 0; i < slots; i++) {
      this.words[this.header(i) + (MMSGHDR.iov >> 2)] = arena.address + vectors + i * IOVEC.size;
      this.words[this.header(i) + (MMSGHDR.iovLength >> 2)] = 1;
    }
  }

  private header(index: number): number {
    return this.headers + ((index * MMSGHDR.size) >> 2);
  }

  /** Upper halves of pointers and lengths stay zero: the arena lies below 2 GiB. */
  set(index: number, buffer: number, length: number, name: number, nameLength: number): void {
    const header = this.header(index);
    const vector = this.vectors + ((index * IOVEC.size) >> 2);
    this.words[header + (MMSGHDR.name >> 2)] = name;
    this.words[header + (MMSGHDR.nameLength >> 2)] = nameLength;
    this.words[vector] = buffer;
    this.words[vector + (IOVEC.length >> 2)] = length;
  }

  /** Bytes of message `index` as counted by the kernel. */
  length(index: number): number {
    return this.words[this.header(index) + (MMSGHDR.length >> 2)];
  }
}

/** The message tables of one port, made once: a port that is reopened takes them over. */
export class UdpTables {
  readonly receive: MessageTable;
  readonly send: MessageTable;
  /** Slot of each message in the send table: slots with a verdict are left out. */
  readonly sendSlot: Int32Array;

  constructor(arena: Arena, slots: number) {
    this.receive = new MessageTable(arena, slots);
    this.send = new MessageTable(arena, slots);
    this.sendSlot = new Int32Array(slots);
  }

  /** Arena bytes the tables for `slots` slots take. */
  static arenaSize(slots: number): number {
    return 2 * (slots * (MMSGHDR.size + IOVEC.size) + 128);
  }
}

/** Owns and closes the descriptor. Batches must lie in the arena the tables were made on. */
export class LinuxUdpPort implements UdpPort {
  readonly fd: number;
  private readonly receive: MessageTable;
  private readonly send: MessageTable;
  private readonly sendSlot: Int32Array;

  constructor(fd: number, tables: UdpTables) {
    this.fd = fd;
    this.receive = tables.receive;
    this.send = tables.send;
    this.sendSlot = tables.sendSlot;
  }

  recvBatch(batch: Batch): number {
    const first = batch.count;
    const free = batch.slots - first;
    if (free === 0) return 0;
    const { address } = batch.arena;
    for (let i = 0; i < free; i++) {
      const slot = first + i;
      const name = address + batch.endpointOffset(slot);
      this.receive.set(i, address + batch.packetOffset(slot), MAX_DATAGRAM, name, ENDPOINT_SIZE);
    }
    let received = recvmmsg(this.fd, this.receive.address, free, MSG_DONTWAIT, 0);
    while (received < 0 && errno() === EINTR) {
      received = recvmmsg(this.fd, this.receive.address, free, MSG_DONTWAIT, 0);
    }
    // EAGAIN is the normal end; anything else (ECONNREFUSED from ICMP) is information about an earlier send.
    if (received <= 0) return 0;
    for (let i = 0; i < received; i++) {
      batch.commit(first + i, this.receive.length(i));
      batch.endpoint[first + i] = batch.endpointOffset(first + i);
    }
    batch.count = first + received;
    return received;
  }

  sendBatch(batch: Batch, first: number, end: number): number {
    const count = this.fillSendTable(batch, first, end);
    let sent = 0;
    while (sent < count) {
      const result = sendmmsg(this.fd, this.send.address + sent * MMSGHDR.size, count - sent, MSG_DONTWAIT);
      if (result > 0) {
        sent += result;
        continue;
      }
      const failure = errno();
      if (failure === EINTR) continue;
      if (failure === EAGAIN) return this.sendSlot[sent];
      // sendmmsg reports the error of the first message it could not send: that one is lost, the rest go on.
      batch.verdict[this.sendSlot[sent]] = sendVerdict(failure);
      sent++;
    }
    return end;
  }

  private fillSendTable(batch: Batch, first: number, end: number): number {
    const { bytes } = batch;
    const { address } = batch.arena;
    let count = 0;
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      const endpoint = batch.endpoint[slot];
      const nameLength = endpointLength(bytes, endpoint);
      this.send.set(count, address + batch.start[slot], batch.length[slot], address + endpoint, nameLength);
      this.sendSlot[count++] = slot;
    }
    return count;
  }

  close(): void {
    close(this.fd);
  }
}

function sendVerdict(failure: number): DropReason {
  if (failure === EMSGSIZE) return DropReason.MessageSize;
  return failure === ENOBUFS ? DropReason.SendBuffer : DropReason.SendFailed;
}
