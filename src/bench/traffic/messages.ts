/**
 * A table of mmsghdr for sendmmsg and recvmmsg, laid out once. The bench has its own, without any offload: it must
 * make the traffic of an ordinary application, and cost as little as it can.
 */
import { IOVEC, MMSGHDR } from '../../ffi/layout.ts';
import { NativeArena } from '../../ffi/memory.ts';
import { ENDPOINT_SIZE } from '../../packet/batch.ts';

export interface MessageTable {
  readonly count: number;
  /** Machine address of the mmsghdr array. */
  readonly address: number;
  /** The first `bufferSize` bytes of message `index`. */
  buffer(index: number): DataView;
  /** Sets the length of all messages. */
  setLength(length: number): void;
}

/** `shared`: all messages have one buffer. `destination` is a socket address row (transport/endpoint.ts). */
export function messageTable(
  count: number,
  bufferSize: number,
  { shared = false, destination }: { shared?: boolean; destination?: Uint8Array } = {},
): MessageTable {
  const buffers = shared ? 1 : count;
  const size = count * (MMSGHDR.size + IOVEC.size) + buffers * bufferSize + ENDPOINT_SIZE;
  const arena = new NativeArena(size + 4 * 64);
  const view = new DataView(arena.bytes.buffer, arena.bytes.byteOffset);
  const headers = arena.take(count * MMSGHDR.size);
  const vectors = arena.take(count * IOVEC.size);
  const name = arena.take(ENDPOINT_SIZE);
  const data = arena.take(buffers * bufferSize);
  const bufferAt = (index: number) => data + (shared ? 0 : index * bufferSize);
  if (destination !== undefined) arena.bytes.set(destination, name);
  for (let i = 0; i < count; i++) {
    // The upper halves stay zero: the arena lies below 2 GiB.
    const header = headers + i * MMSGHDR.size;
    const vector = vectors + i * IOVEC.size;
    view.setUint32(header + MMSGHDR.iov, arena.address + vector, true);
    view.setUint32(header + MMSGHDR.iovLength, 1, true);
    view.setUint32(vector + IOVEC.base, arena.address + bufferAt(i), true);
    view.setUint32(vector + IOVEC.length, bufferSize, true);
    if (destination === undefined) continue;
    view.setUint32(header + MMSGHDR.name, arena.address + name, true);
    view.setUint32(header + MMSGHDR.nameLength, SOCKADDR_IN_SIZE, true);
  }
  return {
    count,
    address: arena.address + headers,
    buffer: (index) => new DataView(arena.bytes.buffer, arena.bytes.byteOffset + bufferAt(index), bufferSize),
    setLength: (length) => {
      for (let i = 0; i < count; i++) view.setUint32(vectors + i * IOVEC.size + IOVEC.length, length, true);
    },
  };
}

const SOCKADDR_IN_SIZE = 16;
