/** TCP ports over connected sockets, and the memory they share and hand on. */
import { EAGAIN, EINTR } from '../ffi/constants.ts';
import { IOVEC } from '../ffi/layout.ts';
import { close, errno, read, writev } from '../ffi/libc.ts';
import { NativeArena } from '../ffi/memory.ts';
import type { Arena } from '../packet/arena.ts';
import { ENDED, WAIT, type ByteStream } from './byte-stream.ts';
import { Pieces, TcpMemory, TcpPort } from './port.ts';

/** The iovecs of one write. */
class VectorTable {
  readonly address: number;
  private readonly words: Int32Array;

  constructor(count: number) {
    const { words, address } = new NativeArena(count * IOVEC.size);
    this.words = words;
    this.address = address;
  }

  /** Upper halves of pointers and lengths stay zero: arenas lie below 2 GiB. */
  fill(arena: Arena, offsets: Int32Array, lengths: Int32Array, count: number): void {
    const { words } = this;
    for (let i = 0; i < count; i++) {
      const word = (i * IOVEC.size) >> 2;
      words[word] = arena.address + offsets[i];
      words[word + (IOVEC.length >> 2)] = lengths[i];
    }
  }
}

/** Of a socket that does not block. */
class LinuxStream implements ByteStream {
  private readonly fd: number;
  private readonly vectors: VectorTable;

  constructor(fd: number, vectors: VectorTable) {
    this.fd = fd;
    this.vectors = vectors;
  }

  read(arena: Arena, offset: number, length: number): number {
    const result = read(this.fd, arena.address + offset, length);
    if (result > 0) return result;
    return result === 0 ? ENDED : failed();
  }

  write(arena: Arena, offsets: Int32Array, lengths: Int32Array, count: number): number {
    this.vectors.fill(arena, offsets, lengths, count);
    const result = writev(this.fd, this.vectors.address, count);
    return result > 0 ? result : failed();
  }

  close(): void {
    close(this.fd);
  }
}

/** Whoever waits for the socket comes again after an interruption, too. */
function failed(): number {
  const failure = errno();
  return failure === EAGAIN || failure === EINTR ? WAIT : ENDED;
}

/** Owns and closes the descriptor. */
export class LinuxTcpPort extends TcpPort {
  readonly fd: number;
  private readonly release: () => void;

  constructor(fd: number, options: ConstructorParameters<typeof TcpPort>[0], release: () => void) {
    super(options);
    this.fd = fd;
    this.release = release;
  }

  override close(): void {
    super.close();
    this.release();
  }
}

export interface TcpPortsOptions {
  /** Datagrams of the longest batch, and the bytes it may have. */
  readonly sendSlots: number;
  readonly batchBytes: number;
  /** Bytes. */
  readonly longestDatagram: number;
}

/** Makes ports over connections. Native memory is never given back: a port that is closed leaves its own to the next. */
export class TcpPorts {
  private readonly options: TcpPortsOptions;
  private readonly vectors: VectorTable;
  private readonly pieces: Pieces;
  private readonly free: TcpMemory[] = [];

  constructor(options: TcpPortsOptions) {
    this.options = options;
    this.vectors = new VectorTable(options.sendSlots);
    this.pieces = new Pieces(options.sendSlots);
  }

  /** Takes over `fd`, connected to the socket address `remote`. Throws OsError when memory is used up. */
  open(fd: number, remote: Uint8Array): LinuxTcpPort {
    const { batchBytes, longestDatagram } = this.options;
    const memory = this.free.pop() ?? new TcpMemory(new NativeArena(batchBytes), batchBytes);
    const stream = new LinuxStream(fd, this.vectors);
    const { pieces } = this;
    return new LinuxTcpPort(fd, { stream, remote, memory, pieces, longestDatagram }, () => {
      this.free.push(memory);
    });
  }
}
