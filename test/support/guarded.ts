/** Runs a decompressor between guard bytes, to see that it reads and writes nothing but what it was given. */
import { expect } from 'vitest';
import { MALFORMED, type Decompress } from '../../src/protocol/decompression.ts';

const GUARD = 64;

/** What `input` decompresses to, undefined when malformed. Fails when anything outside was touched, or mattered. */
export function decompressGuarded(
  decompress: Decompress,
  input: Uint8Array,
  capacity: number,
): Buffer | undefined {
  const first = run(decompress, input, capacity, 0x00);
  const second = run(decompress, input, capacity, 0xff);
  expect(first === undefined).toBe(second === undefined);
  if (first !== undefined && second !== undefined) expect(first.equals(second)).toBe(true);
  return first;
}

function run(decompress: Decompress, input: Uint8Array, capacity: number, guard: number): Buffer | undefined {
  const start = GUARD;
  const end = start + input.length;
  const to = end + GUARD;
  const memory = Buffer.alloc(to + capacity + GUARD, guard);
  memory.set(input, start);
  const length = decompress(memory, start, end, to, capacity);
  const untouched = Buffer.alloc(to, guard);
  untouched.set(input, start);
  expect(memory.compare(untouched, 0, to, 0, to)).toBe(0);
  expect(memory.compare(untouched, 0, GUARD, to + capacity)).toBe(0);
  if (length === MALFORMED) return undefined;
  expect(length).toBeGreaterThanOrEqual(0);
  expect(length).toBeLessThanOrEqual(capacity);
  return memory.subarray(to, to + length);
}
