import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Decompress } from '../../src/protocol/decompression.ts';
import { decompressLz4 } from '../../src/protocol/lz4.ts';
import { decompressLzo } from '../../src/protocol/lzo.ts';
import { writeLz4, writeLzo, type LzStep, type Written } from '../oracles/lz-writer.ts';
import { decompressGuarded } from '../support/guarded.ts';
import { payloadHex, sessions } from '../support/vectors.ts';

const CAPACITY = 2048;

interface Format {
  readonly name: string;
  readonly decompress: Decompress;
  readonly write: (steps: readonly LzStep[]) => Written;
}

const LZ4: Format = { name: 'LZ4', decompress: decompressLz4, write: writeLz4 };
const LZO: Format = { name: 'LZO1X', decompress: decompressLzo, write: writeLzo };
const formats = [LZ4, LZO];

const steps = fc.array(
  fc.record({
    literals: fc.oneof(
      fc.uint8Array({ maxLength: 5 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ minLength: 200, maxLength: 600 }),
    ),
    back: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.oneof(
      fc.integer({ min: 2, max: 9 }),
      fc.integer({ min: 2, max: 40 }),
      fc.integer({ min: 200, max: 3000 }),
    ),
  }),
  { minLength: 1, maxLength: 40 },
);

describe.each(formats)('$name', ({ decompress, write }) => {
  test('gives back what was written, whatever the instructions', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const { stream, output } = write(list);
        expect(decompressGuarded(decompress, stream, output.length)?.equals(output)).toBe(true);
      }),
    );
  });

  test('refuses what does not fit, by a single byte', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const { stream, output } = write(list);
        fc.pre(output.length > 0);
        expect(decompressGuarded(decompress, stream, output.length - 1)).toBeUndefined();
      }),
    );
  });

  test('refuses a stream that breaks off anywhere', () => {
    fc.assert(
      fc.property(steps, fc.nat(), (list, cut) => {
        const { stream, output } = write(list);
        const part = stream.subarray(0, cut % stream.length);
        // An LZ4 block may end behind the literals of any sequence; it is then shorter.
        const result = decompressGuarded(decompress, part, output.length);
        if (result !== undefined) expect(result.equals(output.subarray(0, result.length))).toBe(true);
        if (result !== undefined) expect(decompress).toBe(decompressLz4);
      }),
    );
  });

  test('stays within its bounds for changed streams', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(steps, changes, (list, bytes) => {
        const { stream } = write(list);
        for (const [at, value] of bytes) stream[at % stream.length] = value;
        decompressGuarded(decompress, stream, CAPACITY);
      }),
      { numRuns: 2000 },
    );
  });

  test('stays within its bounds for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat({ max: 300 }), (bytes, capacity) => {
        decompressGuarded(decompress, bytes, capacity);
      }),
      { numRuns: 2000 },
    );
  });
});

const malformed: readonly [format: Format, rule: string, hex: string][] = [
  [LZ4, 'nothing at all', ''],
  [LZ4, 'literals beyond the end', '3001'],
  [LZ4, 'a literal length that breaks off', 'f0ff'],
  [LZ4, 'a match before the first byte', '10ff0200'],
  [LZ4, 'a match at distance 0', '10ff000000'],
  [LZ4, 'an offset that breaks off', '10ff01'],
  [LZ4, 'an end behind a match', '10ff0100'],
  [LZ4, 'a match without end', '1fff0100ffffffffffffffffffff00'],
  [LZO, 'nothing at all', ''],
  [LZO, 'no end', '12aa'],
  [LZO, 'bytes behind the end', '12aa11000000'],
  [LZO, 'a match before the first byte', '12aa4801110000'],
  [LZO, 'literals beyond the end', '15aabb'],
  [LZO, 'a literal length that breaks off', '0000'],
  [LZO, 'a match length that breaks off', '12aa2000'],
  [LZO, 'a match without end', '12aa2000000000000000000000000000010000110000'],
];
test.each(malformed.map(([format, rule, hex]) => [format.name, rule, format, hex] as const))(
  '%s refuses %s',
  (_, __, { decompress }, hex) => {
    expect(decompressGuarded(decompress, Buffer.from(hex, 'hex'), CAPACITY)).toBeUndefined();
  },
);

const valid: readonly [format: Format, rule: string, hex: string, output: string][] = [
  [LZ4, 'no literals', '00', ''],
  [LZ4, 'literals alone', '30aabbcc', 'aabbcc'],
  [LZ4, 'a match that reaches into what it produces', '11aa010010bb', 'aaaaaaaaaaaabb'],
  [LZO, 'an empty stream', '110000', ''],
  [LZO, 'a first byte that counts literals', '12aa110000', 'aa'],
  [LZO, 'a match that reaches into what it produces', '12aa240000110000', 'aaaaaaaaaaaaaa'],
  [LZO, 'literals behind a match', '12aa240200bbcc110000', 'aaaaaaaaaaaaaabbcc'],
];
test.each(valid.map(([format, rule, hex, output]) => [format.name, rule, format, hex, output] as const))(
  '%s reads %s',
  (_, __, { decompress }, hex, output) => {
    expect(decompressGuarded(decompress, Buffer.from(hex, 'hex'), CAPACITY)?.toString('hex')).toBe(output);
  },
);

test.each([0.1, 0.4, 0.6, 0.9, 1])('LZO1X reaches back 48 KiB: %d of that', (back) => {
  const literals = Uint8Array.from({ length: 900 }, (_, i) => i * 31 + (i >> 3));
  const long = { literals, back: 1, length: 16_000 };
  const more = { literals: literals.subarray(0, 20), back: 0.9, length: 8000 };
  const { stream, output } = writeLzo([long, more, more, more, more, { literals, back, length: 30 }]);
  expect(output.length).toBeGreaterThan(48 * 1024);
  expect(decompressGuarded(decompressLzo, stream, output.length)?.equals(output)).toBe(true);
});

describe('what stock compressed', () => {
  const rows = sessions
    .filter(({ name }) => /^(17|21)-/.test(name))
    .flatMap(({ name, decoded }) =>
      decoded.flatMap((datagram, i) =>
        datagram.decompressed_hex === undefined ? [] : ([[name, i, datagram] as const] as const),
      ),
    );

  test('is there', () => expect(rows.length).toBeGreaterThan(3));

  test.each(rows)('%s, datagram %i', (name, _, datagram) => {
    const framed = Buffer.from(payloadHex(datagram), 'hex');
    const lzo = name.startsWith('17');
    const stream = lzo ? framed.subarray(1) : Buffer.concat([framed.subarray(-1), framed.subarray(1, -1)]);
    const output = decompressGuarded(lzo ? decompressLzo : decompressLz4, stream, CAPACITY);
    expect(output?.toString('hex')).toBe(datagram.decompressed_hex);
  });
});
