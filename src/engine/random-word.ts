import type { RandomFill } from '../crypto/provider.ts';
import { readInt32 } from '../packet/word.ts';

/** 32 bits, signed. */
export function randomWord(random: RandomFill): number {
  const bytes = new Uint8Array(4);
  random(bytes, 0, bytes.length);
  return readInt32(bytes, 0);
}
