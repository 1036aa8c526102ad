/**
 * An array of mmsghdr in the arena for recvmmsg and sendmmsg, with a pool of iovecs and one control message each.
 * Upper halves of pointers and lengths stay zero: the arena lies below 2 GiB.
 */
import { SOL_UDP, UDP_SEGMENT } from '../ffi/constants.ts';
import { CMSG, IOVEC, MMSGHDR } from '../ffi/layout.ts';
import type { Arena } from '../packet/arena.ts';

export class MessageTable {
  /** Machine address of the first mmsghdr. */
  readonly address: number;
  private readonly words: Int32Array;
  private readonly arenaAddress: number;
  private readonly headers: number;
  private readonly vectors: number;
  private readonly controls: number;

  constructor(arena: Arena, messages: number, vectors: number) {
    this.words = arena.words;
    this.arenaAddress = arena.address;
    this.headers = arena.take(messages * MMSGHDR.size);
    this.vectors = arena.take(vectors * IOVEC.size);
    this.controls = arena.take(messages * CMSG.size);
    this.address = arena.address + this.headers;
  }

  /** Arena bytes such a table takes. */
  static arenaSize(messages: number, vectors: number): number {
    return messages * (MMSGHDR.size + CMSG.size) + vectors * IOVEC.size + 3 * 64;
  }

  /** Message `index` consists of `count` iovecs from `vector` on and goes to or comes from the row at `endpoint`. */
  setMessage(index: number, endpoint: number, endpointLength: number, vector: number, count: number): void {
    const header = (this.headers + index * MMSGHDR.size) >> 2;
    this.words[header + (MMSGHDR.name >> 2)] = this.arenaAddress + endpoint;
    this.words[header + (MMSGHDR.nameLength >> 2)] = endpointLength;
    this.words[header + (MMSGHDR.iov >> 2)] = this.arenaAddress + this.vectors + vector * IOVEC.size;
    this.words[header + (MMSGHDR.iovLength >> 2)] = count;
    this.words[header + (MMSGHDR.controlLength >> 2)] = 0;
  }

  setVector(vector: number, offset: number, length: number): void {
    const word = (this.vectors + vector * IOVEC.size) >> 2;
    this.words[word] = this.arenaAddress + offset;
    this.words[word + (IOVEC.length >> 2)] = length;
  }

  /** Asks the kernel to cut message `index` into datagrams of `size` bytes (UDP_SEGMENT). */
  setSegmentSize(index: number, size: number): void {
    const control = (this.controls + index * CMSG.size) >> 2;
    this.words[control] = CMSG.header + 2;
    this.words[control + (CMSG.level >> 2)] = SOL_UDP;
    this.words[control + (CMSG.type >> 2)] = UDP_SEGMENT;
    this.words[control + (CMSG.header >> 2)] = size;
    this.setControl(index, CMSG.header + 8);
  }

  /** Makes room for one control message of a receive. */
  acceptControl(index: number): void {
    this.setControl(index, CMSG.size);
  }

  private setControl(index: number, length: number): void {
    const header = (this.headers + index * MMSGHDR.size) >> 2;
    this.words[header + (MMSGHDR.control >> 2)] = this.arenaAddress + this.controls + index * CMSG.size;
    this.words[header + (MMSGHDR.controlLength >> 2)] = length;
  }

  /** Bytes of message `index` as counted by the kernel. */
  length(index: number): number {
    return this.words[(this.headers + index * MMSGHDR.size + MMSGHDR.length) >> 2];
  }

  /** Size of the datagrams that the kernel put together into message `index` (UDP_GRO), or 0 for a single one. */
  receivedSegmentSize(index: number): number {
    const header = (this.headers + index * MMSGHDR.size) >> 2;
    if (this.words[header + (MMSGHDR.controlLength >> 2)] < CMSG.header + 4) return 0;
    return this.words[(this.controls + index * CMSG.size + CMSG.header) >> 2];
  }
}
