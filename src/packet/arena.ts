/** One block of memory that JavaScript and native code share; it never moves and never grows. */

const ALIGNMENT = 64;

export class Arena {
  readonly bytes: Uint8Array;
  /**
   * Machine address of `bytes[0]`, or 0 when native code never sees the arena. Native arenas lie below 2 GiB
   * (ffi/memory.ts), so that an address is a small integer and passing one allocates nothing.
   */
  readonly address: number;
  private used = 0;

  constructor(bytes: Uint8Array, address: number) {
    this.bytes = bytes;
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
