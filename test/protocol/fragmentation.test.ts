import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fragmenter, largestPayload, MAX_FRAGMENTS } from '../../src/protocol/fragmentation.ts';
import { Cutter } from '../support/fragments.ts';
import { payloadHex, sessions } from '../support/vectors.ts';

const cutter = new Cutter();

function payloadOf(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8)));
}

function lengths(maxFragment: number, length: number): number[] {
  return cutter.cut(new Fragmenter(maxFragment, 0), payloadOf(length)).map((fragment) => fragment.length - 4);
}

describe('a payload', () => {
  it.each([
    ['that fits stays whole', 531, 531, [531]],
    ['of nothing stays whole', 531, 0, [0]],
    ['of one byte more becomes two halves', 531, 532, [268, 264]],
    ['leaves a last fragment of three quarters as it is', 100, 175, [100, 75]],
    ['evens out a shorter one', 100, 174, [88, 86]],
    ['of whole fragments has no rest', 100, 300, [100, 100, 100]],
    ['as stock cuts it (vector 08)', 531, 1428, [480, 480, 468]],
    ['may be longer than a fragment that is no multiple of 4', 103, 103, [103]],
    ['of that many is cut at multiples of 4', 103, 104, [56, 48]],
  ])('%s', (_, maxFragment, length, expected) => {
    expect(lengths(maxFragment, length)).toEqual(expected);
  });

  it('of more than 32 fragments is not sent', () => {
    expect(new Fragmenter(103, 0).count(3200)).toBe(32);
    expect(new Fragmenter(103, 0).count(3201)).toBe(0);
    expect(largestPayload(103)).toBe(3200);
    expect(new Fragmenter(3, 0).count(4)).toBe(0);
    expect(largestPayload(-29)).toBe(0);
  });

  it('becomes fragments of one length, a multiple of 4, and a last one that is not longer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 2000 }), fc.integer({ min: 1, max: 20_000 }), (most, length) => {
        fc.pre(length <= largestPayload(most));
        const pieces = lengths(most, length);
        const count = new Fragmenter(most, 0).count(length);
        expect(pieces.length).toBe(count);
        expect(count).toBeLessThanOrEqual(MAX_FRAGMENTS);
        expect(pieces.reduce((sum, piece) => sum + piece, 0)).toBe(length);
        if (count === 1) return;
        const [size] = pieces;
        expect(size % 4).toBe(0);
        expect(size).toBeLessThanOrEqual(most);
        expect(pieces.slice(0, -1).every((piece) => piece === size)).toBe(true);
        expect(pieces.at(-1)).toBeGreaterThan(0);
        expect(pieces.at(-1)).toBeLessThanOrEqual(size);
        // No more of them than needed: the evening costs none.
        expect(count).toBe(Math.ceil(length / (most - (most % 4))));
      }),
    );
  });
});

describe('the header', () => {
  const headers = (fragmenter: Fragmenter, length: number) =>
    cutter.cut(fragmenter, payloadOf(length)).map((fragment) => fragment.toString('hex', 0, 4));

  it('of a whole payload is zero', () => {
    expect(headers(new Fragmenter(531, 7), 100)).toEqual(['00000000']);
  });

  it('of a fragment has type, sequence number and index, of the last the size of the others', () => {
    expect(headers(new Fragmenter(531, 156), 1428)).toEqual(['00000275', '00000675', '003c0a76']);
  });

  it('counts the payloads that are cut, from 255 on to 0, and only these', () => {
    const fragmenter = new Fragmenter(100, 254);
    const sequence = (length: number) => (Number.parseInt(headers(fragmenter, length)[0], 16) >> 2) & 255;
    expect([sequence(200), sequence(50), sequence(200), sequence(200)]).toEqual([255, 0, 0, 1]);
  });
});

it('goes on where it stopped for lack of slots', () => {
  const few = new Cutter(3);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1600 }), (length) => {
      const payload = payloadOf(length);
      const atOnce = cutter.cut(new Fragmenter(50, 9), payload);
      expect(few.cut(new Fragmenter(50, 9), payload)).toEqual(atOnce);
    }),
  );
});

interface SizeCase {
  readonly fragment: number;
  readonly max_frag: number;
  /** Length of the payload, number of fragments, length of all but the last, and of the last. */
  readonly cuts: readonly (readonly [length: number, count: number, size: number, last: number])[];
}

describe('as stock cuts', () => {
  const file = new URL('../behaviour/fragment-sizes.json', import.meta.url);
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: SizeCase[] };
  it.each(cases.map((each) => [each.fragment, each] as const))(
    'payloads of many lengths with fragment %i',
    (_, { max_frag: maxFragment, cuts }) => {
      for (const [length, count, size, last] of cuts) {
        expect(lengths(maxFragment, length)).toEqual([...Array<number>(count - 1).fill(size), last]);
      }
    },
  );

  const session = sessions.find(({ name }) => name.startsWith('08-fragment600.a'))!;

  it('every payload of the captured session', () => {
    let cut = 0;
    for (const [i, datagram] of session.decoded.entries()) {
      if (datagram.inner_hex === undefined) continue;
      const inner = Buffer.from(datagram.inner_hex, 'hex');
      const sequence = (Number.parseInt(payloadHex(datagram).slice(0, 8), 16) >> 2) & 255;
      const fragments = cutter.cut(new Fragmenter(531, sequence - 1), inner);
      const sent = session.decoded.slice(i + 1 - fragments.length, i + 1).map(payloadHex);
      expect(fragments.map((fragment) => fragment.toString('hex'))).toEqual(sent);
      if (fragments.length > 1) cut++;
    }
    expect(cut).toBeGreaterThan(0);
  });
});
