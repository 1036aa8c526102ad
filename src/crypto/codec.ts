/**
 * OpenVPN's CBC data channel over any provider's primitives: where HMAC, IV, ciphertext and padding lie, what is
 * checked in which order, and which verdict follows. In place, no allocation of its own.
 *
 *     ├── HMAC ──┼── IV ──┼── CBC ciphertext of [ plaintext │ padding ] ──┤      covered by the HMAC: IV and ciphertext
 */
import type { Arena } from '../packet/arena.ts';
import type { Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import type { Verdict } from '../packet/verdict.ts';
import type { Opener, RandomFill, Sealer, Suite } from './provider.ts';

/** One direction's cipher with its key: whole blocks, no padding, in place. Offsets are in `arena.bytes`. */
export interface BlockCipher {
  /** Encrypts or decrypts `length` bytes at `offset` with the IV at `iv`. */
  apply(arena: Arena, iv: number, offset: number, length: number): void;
  dispose(): void;
}

/** One direction's HMAC with its key. Offsets are in `arena.bytes`. */
export interface Mac {
  /** Writes the tag of `length` bytes at `offset` to `tag`. */
  sign(arena: Arena, offset: number, length: number, tag: number): void;
  /** Compares that tag with the one at `tag` in constant time. */
  verify(arena: Arena, offset: number, length: number, tag: number): boolean;
  dispose(): void;
}

/** Primitives of one direction: undefined stands for `cipher none` and `auth none`. */
export interface Primitives {
  readonly cipher: BlockCipher | undefined;
  readonly mac: Mac | undefined;
}

class CbcSealer implements Sealer {
  private readonly primitives: Primitives;
  private readonly blockSize: number;
  private readonly macSize: number;
  private readonly random: RandomFill;

  constructor(suite: Suite, primitives: Primitives, random: RandomFill) {
    this.primitives = primitives;
    this.blockSize = suite.cipher.blockSize;
    this.macSize = suite.digest.size;
    this.random = random;
  }

  seal(batch: Batch, first: number, end: number): void {
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      this.encrypt(batch, slot);
      this.sign(batch, slot);
    }
  }

  dispose(): void {
    this.primitives.cipher?.dispose();
    this.primitives.mac?.dispose();
  }

  private encrypt(batch: Batch, slot: number): void {
    const { cipher } = this.primitives;
    if (cipher === undefined) return;
    const { arena, bytes } = batch;
    const start = batch.start[slot];
    const length = batch.length[slot];
    // PKCS#7 (RFC 5652 6.3): 1 to blockSize bytes, each holding their number.
    const padding = this.blockSize - (length % this.blockSize);
    for (let i = start + length; i < start + length + padding; i++) bytes[i] = padding;
    const iv = start - this.blockSize;
    this.random(bytes, iv, this.blockSize);
    cipher.apply(arena, iv, start, length + padding);
    batch.start[slot] = iv;
    batch.length[slot] = this.blockSize + length + padding;
  }

  private sign(batch: Batch, slot: number): void {
    const { mac } = this.primitives;
    if (mac === undefined) return;
    const start = batch.start[slot];
    mac.sign(batch.arena, start, batch.length[slot], start - this.macSize);
    batch.start[slot] = start - this.macSize;
    batch.length[slot] += this.macSize;
  }
}

class CbcOpener implements Opener {
  private readonly primitives: Primitives;
  private readonly blockSize: number;
  private readonly macSize: number;

  constructor(suite: Suite, primitives: Primitives) {
    this.primitives = primitives;
    this.blockSize = suite.cipher.blockSize;
    this.macSize = suite.digest.size;
  }

  open(batch: Batch, first: number, end: number): void {
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      let verdict = this.checkLength(batch.length[slot]);
      if (verdict === PASS) verdict = this.verify(batch, slot);
      if (verdict === PASS) verdict = this.decrypt(batch, slot);
      batch.verdict[slot] = verdict;
    }
  }

  dispose(): void {
    this.primitives.cipher?.dispose();
    this.primitives.mac?.dispose();
  }

  /** Lengths are public and cost nothing to check: no HMAC is computed over what cannot be a packet. */
  private checkLength(length: number): Verdict {
    const blocks = length - this.macSize - this.blockSize;
    if (this.blockSize === 0) return blocks >= 0 ? PASS : DropReason.Short;
    if (blocks < this.blockSize) return DropReason.Short;
    return blocks % this.blockSize === 0 ? PASS : DropReason.BadLength;
  }

  private verify(batch: Batch, slot: number): Verdict {
    const { mac } = this.primitives;
    if (mac === undefined) return PASS;
    const tag = batch.start[slot];
    const start = tag + this.macSize;
    const length = batch.length[slot] - this.macSize;
    if (!mac.verify(batch.arena, start, length, tag)) return DropReason.Auth;
    batch.start[slot] = start;
    batch.length[slot] = length;
    return PASS;
  }

  private decrypt(batch: Batch, slot: number): Verdict {
    const { cipher } = this.primitives;
    if (cipher === undefined) return PASS;
    const iv = batch.start[slot];
    const start = iv + this.blockSize;
    const length = batch.length[slot] - this.blockSize;
    cipher.apply(batch.arena, iv, start, length);
    const padding = this.paddingOf(batch.bytes, start + length);
    if (padding === 0) return DropReason.Decrypt;
    batch.start[slot] = start;
    batch.length[slot] = length - padding;
    return PASS;
  }

  /** Bytes of padding before `end`, 0 when it is malformed; looks at all of it whatever it finds. */
  private paddingOf(bytes: Uint8Array, end: number): number {
    const padding = bytes[end - 1];
    if (padding === 0 || padding > this.blockSize) return 0;
    let difference = 0;
    for (let i = end - padding; i < end; i++) difference |= bytes[i] ^ padding;
    return difference === 0 ? padding : 0;
  }
}

export function createSealer(suite: Suite, primitives: Primitives, random: RandomFill): Sealer {
  return new CbcSealer(suite, primitives, random);
}

export function createOpener(suite: Suite, primitives: Primitives): Opener {
  return new CbcOpener(suite, primitives);
}
