/**
 * Hashing of flow keys, which whoever sends packets chooses: HalfSipHash-1-3 (Aumasson and Bernstein 2012; the kernel's
 * hsiphash) with a secret of this process, so that nobody outside can aim at one bucket.
 */
import { readInt32 } from '../packet/word.ts';

export const HASH_SECRET_SIZE = 8;

/** Rounds after the message: one for its length, three to finish. */
const FINAL_ROUNDS = 4;
const WORDS = 4;

export class FlowHash {
  private readonly key0: number;
  private readonly key1: number;

  /** `secret`: HASH_SECRET_SIZE random bytes. */
  constructor(secret: Uint8Array) {
    if (secret.length < HASH_SECRET_SIZE)
      throw new RangeError(`a secret of ${HASH_SECRET_SIZE} bytes is needed`);
    this.key0 = readInt32(secret, 0);
    this.key1 = readInt32(secret, 4);
  }

  /** Hash of four 32-bit words, signed. */
  of(a: number, b: number, c: number, d: number): number {
    let v0 = this.key0;
    let v1 = this.key1;
    let v2 = this.key0 ^ 0x6c796765;
    let v3 = this.key1 ^ 0x74656462;
    for (let i = 0; i < WORDS + FINAL_ROUNDS; i++) {
      const word = i === 0 ? a : i === 1 ? b : i === 2 ? c : i === 3 ? d : i === 4 ? 0x10000000 : 0;
      if (i === WORDS + 1) v2 ^= 0xff;
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    return v1 ^ v3;
  }
}
