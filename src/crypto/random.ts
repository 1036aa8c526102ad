/** Random bytes for IVs, drawn from the kernel's generator in large pieces. */
import { randomFillSync } from 'node:crypto';
import type { RandomFill } from './provider.ts';

const POOL_SIZE = 65536;

/** A source of `poolSize` bytes at a time. Each byte is handed out once and erased; no call allocates. */
export function randomPool(poolSize = POOL_SIZE): RandomFill {
  const pool = new Uint8Array(poolSize);
  let next = poolSize;
  return (bytes, offset, length) => {
    for (let i = offset; i < offset + length; i++) {
      if (next === poolSize) {
        randomFillSync(pool);
        next = 0;
      }
      bytes[i] = pool[next];
      pool[next++] = 0;
    }
  };
}
