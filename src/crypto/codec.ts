/**
 * OpenVPN's CBC data channel over any provider's primitives: where HMAC, IV, ciphertext and padding lie, what is
 * checked in which order, and which verdict follows. In place, no allocation of its own. Packets go to the primitives in
 * bursts, because the fast ones work on many packets at a time.
 *
 *     ├── HMAC ──┼── IV ──┼── CBC ciphertext of [ plaintext │ padding ] ──┤      covered by the HMAC: IV and ciphertext
 */
import type { Arena } from '../packet/arena.ts';
import type { Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import type { Verdict } from '../packet/verdict.ts';
import type { Opener, RandomFill, Sealer, Suite } from './provider.ts';

/**
 * Most packets that are queued before `run`: enough to fill the lanes of every multi-buffer implementation, and few
 * enough that their first bytes are still in the cache when the last are done.
 */
export const MAX_BURST = 64;

/** One direction's cipher with its key: whole blocks, no padding, in place. Offsets are in `arena.bytes`. */
export interface BlockCipher {
  /** Queues `length` bytes at `offset`. The IV is the block before them; decryption may overwrite it. */
  add(arena: Arena, offset: number, length: number): void;
  /** Returns when all that is queued is encrypted or decrypted. */
  run(): void;
  dispose(): void;
}

/** One direction's HMAC with its key. What is queued between two runs lies in one arena, here as for ciphers. */
export interface Mac {
  /** Queues `length` bytes at `offset`, whose tag goes to `tag` in the arena `out`. */
  add(arena: Arena, offset: number, length: number, out: Arena, tag: number): void;
  /** Returns when the tags of all that is queued are written. */
  run(): void;
  dispose(): void;
}

/** Primitives of one direction: undefined stands for `cipher none` and `auth none`. */
export interface Primitives {
  readonly cipher: BlockCipher | undefined;
  readonly mac: Mac | undefined;
  /** TAGS_SIZE bytes for computed tags, used within one call of `open`; a provider's openers share them. */
  readonly tags: Arena;
}

/** Bytes of the largest tag. */
const MAX_TAG = 64;
export const TAGS_SIZE = MAX_BURST * MAX_TAG;

class CbcSealer implements Sealer {
  private readonly cipher: BlockCipher | undefined;
  private readonly mac: Mac | undefined;
  private readonly blockSize: number;
  private readonly macSize: number;
  private readonly random: RandomFill;

  constructor(suite: Suite, { cipher, mac }: Primitives, random: RandomFill) {
    this.cipher = cipher;
    this.mac = mac;
    this.blockSize = suite.cipher.blockSize;
    this.macSize = suite.digest.size;
    this.random = random;
  }

  seal(batch: Batch, first: number, end: number): void {
    for (let from = first; from < end; from += MAX_BURST) {
      const to = Math.min(from + MAX_BURST, end);
      if (this.cipher !== undefined) this.encrypt(batch, from, to, this.cipher);
      if (this.mac !== undefined) this.sign(batch, from, to, this.mac);
    }
  }

  dispose(): void {
    this.cipher?.dispose();
    this.mac?.dispose();
  }

  private encrypt(batch: Batch, first: number, end: number, cipher: BlockCipher): void {
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      const start = batch.start[slot];
      const length = batch.length[slot];
      const padded = length + this.pad(batch.bytes, start + length, length);
      const iv = start - this.blockSize;
      this.random(batch.bytes, iv, this.blockSize);
      cipher.add(batch.arena, start, padded);
      batch.start[slot] = iv;
      batch.length[slot] = this.blockSize + padded;
    }
    cipher.run();
  }

  /** PKCS#7 (RFC 5652 6.3): 1 to blockSize bytes, each holding their number, which is returned. */
  private pad(bytes: Uint8Array, end: number, length: number): number {
    const padding = this.blockSize - (length % this.blockSize);
    for (let i = end; i < end + padding; i++) bytes[i] = padding;
    return padding;
  }

  private sign(batch: Batch, first: number, end: number, mac: Mac): void {
    const { arena } = batch;
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      const start = batch.start[slot];
      const tag = start - this.macSize;
      mac.add(arena, start, batch.length[slot], arena, tag);
      batch.start[slot] = tag;
      batch.length[slot] += this.macSize;
    }
    mac.run();
  }
}

/** Three passes over a burst: all HMACs are computed, then compared, and only what is authentic is decrypted. */
class CbcOpener implements Opener {
  private readonly cipher: BlockCipher | undefined;
  private readonly mac: Mac | undefined;
  private readonly tags: Arena;
  private readonly blockSize: number;
  private readonly macSize: number;

  constructor(suite: Suite, { cipher, mac, tags }: Primitives) {
    this.cipher = cipher;
    this.mac = mac;
    this.tags = tags;
    this.blockSize = suite.cipher.blockSize;
    this.macSize = suite.digest.size;
  }

  open(batch: Batch, first: number, end: number): void {
    for (let from = first; from < end; from += MAX_BURST) {
      const to = Math.min(from + MAX_BURST, end);
      this.checkLengths(batch, from, to);
      if (this.mac !== undefined) this.authenticate(batch, from, to, this.mac);
      if (this.cipher !== undefined) this.decrypt(batch, from, to, this.cipher);
    }
  }

  dispose(): void {
    this.cipher?.dispose();
    this.mac?.dispose();
  }

  /** Lengths are public and cost nothing to check: no HMAC is computed over what cannot be a packet. */
  private checkLengths(batch: Batch, first: number, end: number): void {
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] === PASS) batch.verdict[slot] = this.checkLength(batch.length[slot]);
    }
  }

  private checkLength(length: number): Verdict {
    const blocks = length - this.macSize - this.blockSize;
    // An HMAC of nothing is no packet; libraries for many packets at a time do not take empty ones.
    if (this.blockSize === 0) return blocks > 0 ? PASS : DropReason.Short;
    if (blocks < this.blockSize) return DropReason.Short;
    return blocks % this.blockSize === 0 ? PASS : DropReason.BadLength;
  }

  private authenticate(batch: Batch, first: number, end: number, mac: Mac): void {
    const { tags, macSize } = this;
    let computed = 0;
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      const start = batch.start[slot] + macSize;
      mac.add(batch.arena, start, batch.length[slot] - macSize, tags, computed);
      computed += macSize;
    }
    mac.run();
    computed = 0;
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      const tag = batch.start[slot];
      if (equal(batch.bytes, tag, tags.bytes, computed, macSize)) {
        batch.start[slot] = tag + macSize;
        batch.length[slot] -= macSize;
      } else batch.verdict[slot] = DropReason.Auth;
      computed += macSize;
    }
  }

  private decrypt(batch: Batch, first: number, end: number, cipher: BlockCipher): void {
    const { blockSize } = this;
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      cipher.add(batch.arena, batch.start[slot] + blockSize, batch.length[slot] - blockSize);
    }
    cipher.run();
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] === PASS) batch.verdict[slot] = this.unpad(batch, slot);
    }
  }

  private unpad(batch: Batch, slot: number): Verdict {
    const start = batch.start[slot] + this.blockSize;
    const length = batch.length[slot] - this.blockSize;
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

/** Compares in constant time: every byte is looked at, whatever the ones before it were. */
function equal(a: Uint8Array, aOffset: number, b: Uint8Array, bOffset: number, length: number): boolean {
  let difference = 0;
  for (let i = 0; i < length; i++) difference |= a[aOffset + i] ^ b[bOffset + i];
  return difference === 0;
}

export function createSealer(suite: Suite, primitives: Primitives, random: RandomFill): Sealer {
  return new CbcSealer(suite, primitives, random);
}

export function createOpener(suite: Suite, primitives: Primitives): Opener {
  return new CbcOpener(suite, primitives);
}
