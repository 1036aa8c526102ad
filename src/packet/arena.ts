/** One block of memory that JavaScript and native code share; it never moves and never grows. */

const ALIGNMENT = 64;

export class Arena {
  readonly bytes: Uint8Array;
  /** The same memory as 32-bit words, for checksums and struct tables. */
  readonly words: Int32Array;
  /**
   * Machine address of `bytes[0]`, or 0 when native code never sees the arena. Native arenas lie below 2 GiB
   * (ffi/memory.ts), so that an address is a small integer and passing one allocates nothing.
   */
  readonly address: number;
  private used = 0;

  /** `bytes` starts at a multiple of 4 in its buffer. */
  constructor(bytes: Uint8Array, address: number) {
    this.bytes = bytes;
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    this.address = address;
  }

  /** Takes `size` bytes, aligned to a cache line; returns their offset. Throws when the arena is used up. */
  take(size: number): number {
    const offset = Math.ceil(this.used / ALIGNMENT) * ALIGNMENT;
    if (offset + size > this.bytes.length)
      throw new RangeError(`arena of ${this.bytes.length} bytes is used up`);
    this.used = offset + size;
    return offset;
  }
}

/** An arena of plain JavaScript memory, for tests, benches and everything without native code. */
export class HeapArena extends Arena {
  constructor(size: number) {
    super(new Uint8Array(size), 0);
  }
}
