import { expect, test } from 'vitest';
import { NativeArena } from '../../src/ffi/memory.ts';

const TWO_GIB = 2 ** 31;

test('many arenas fit below 2 GiB, none on top of another', () => {
  const arenas = Array.from({ length: 1000 }, () => new NativeArena(100_000));
  const byAddress = arenas.toSorted((a, b) => a.address - b.address);
  for (const [i, { address, bytes }] of byAddress.entries()) {
    expect(address + bytes.length).toBeLessThanOrEqual(byAddress[i + 1]?.address ?? TWO_GIB);
  }
});

test('an arena is zeroed and at least as large as asked for', () => {
  const { bytes } = new NativeArena(70_000);
  expect(bytes.length).toBeGreaterThanOrEqual(70_000);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
});
