import { describe, expect, it } from 'vitest';
import { largestUnfragmented, outerCost, WIDE_SHAPE } from '../../src/bench/mtu.ts';

/** Datagram: HMAC 32, IV 16, then packet id 8 and packet padded to blocks of 16. Outer headers: IPv4 20, UDP 8. */
describe('bytes a packet costs outside, AES-256-CBC/SHA256 on a path of 1500', () => {
  it.each([
    ['64 bytes: 48 + 80 + 28', 64, 1, 92],
    ['512 bytes: 48 + 528 + 28', 512, 1, 92],
    ['one byte of padding: 48 + 1424 + 28', 1415, 1, 85],
    ['one byte more: 48 + 1440 and 28 + 20 of headers', 1416, 2, 120],
    ['9000 bytes: 48 + 9024 and 8 + 7 x 20 of headers', 9000, 7, 220],
  ])('%s', (_, size, frames, overhead) => {
    expect(outerCost(WIDE_SHAPE, size)).toEqual({ frames, overhead });
  });

  it('the largest packet that is not fragmented has 1415 bytes', () => {
    expect(largestUnfragmented(WIDE_SHAPE)).toBe(1415);
  });

  it('fragments carry multiples of 8 bytes: a path of 1499 carries no more than one of 1496', () => {
    const [odd, even] = [1499, 1496].map((mtu) => outerCost(WIDE_SHAPE, 4000, mtu));
    expect(odd).toEqual(even);
  });
});
