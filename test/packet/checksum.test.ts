import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { onesComplementSum, updateChecksum } from '../../src/packet/checksum.ts';

describe('onesComplementSum', () => {
  test.each([
    // RFC 1071, section 3: 0001 f203 f4f5 f6f7 sums to ddf2.
    ['the example of RFC 1071', '0001f203f4f5f6f7', 0, 0xddf2],
    ['nothing', '', 0, 0],
    ['an odd last byte as the high half', '000145', 0, 0x4501],
    ['a carry that makes another carry', 'ffffffffffff', 0, 0xffff],
    ['a sum continued', '0001', 0xffff, 1],
  ])('%s', (_, hex, initial, sum) => {
    const bytes = Buffer.from(`aa${hex}bb`, 'hex');
    expect(onesComplementSum(bytes, 1, hex.length / 2, initial)).toBe(sum);
  });
});

describe('updateChecksum', () => {
  test('gives the example of RFC 1624, section 4', () => {
    expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  test('keeps a right checksum right', () => {
    const word = fc.nat(0xffff);
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 20 }), fc.nat(), word, (words, pick, after) => {
        const bytes = Buffer.alloc(words.length * 2 + 2);
        words.forEach((value, i) => bytes.writeUInt16BE(value, i * 2));
        const checksum = ~onesComplementSum(bytes, 0, bytes.length) & 0xffff;
        const at = (pick % words.length) * 2;
        const updated = updateChecksum(checksum, bytes.readUInt16BE(at), after);
        bytes.writeUInt16BE(after, at);
        bytes.writeUInt16BE(updated, bytes.length - 2);
        // 0 is the sum of nothing but zeros, the other zero of one's complement.
        expect([0xffff, 0]).toContain(onesComplementSum(bytes, 0, bytes.length));
      }),
    );
  });
});
