import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DropReason, PASS, type Verdict } from '../../src/packet/verdict.ts';
import { createFraming } from '../../src/protocol/framing.ts';
import type { CompressionFraming } from '../../src/protocol/framing.ts';
import { contents, contentsHex, fill, slotWithAnnex } from '../support/slot.ts';
import { payloadHex, sessions } from '../support/vectors.ts';

const kinds: readonly CompressionFraming[] = ['off', 'lzo-stub', 'lzo', 'stub', 'lz4', 'stub-v2', 'lz4-v2'];
const { batch, annex } = slotWithAnnex();

function unframe(kind: CompressionFraming): Verdict {
  annex.clear();
  return createFraming(kind).unframe(batch, 0, annex);
}

describe('frame', () => {
  test.each([
    ['off', '45ab', '45ab'],
    ['lzo', '45ab', 'fa45ab'],
    ['lzo-stub', '45ab', 'fa45ab'],
    ['stub', '45ab01', 'fbab0145'],
    ['lz4', '45ab01', 'fbab0145'],
    ['stub', '45', 'fb45'],
    ['stub-v2', '45ab', '45ab'],
    ['stub-v2', '50ab', '500050ab'],
    ['lz4-v2', '50ab', '500050ab'],
  ] as const)('%s: %s becomes %s', (kind, payload, framed) => {
    fill(batch, Buffer.from(payload, 'hex'));
    createFraming(kind).frame(batch, 0);
    expect(contentsHex(batch)).toBe(framed);
  });
});

describe('unframe', () => {
  test.each([
    ['off', 'fa45', PASS, 'fa45'],
    ['lzo', 'fa', PASS, ''],
    ['lzo', '6612aa240000110000', PASS, 'aaaaaaaaaaaaaa'],
    ['lzo', '6645ab', DropReason.Decompression, undefined],
    ['lzo', '66', DropReason.Decompression, undefined],
    ['lzo-stub', 'fa45', PASS, '45'],
    ['lzo-stub', '6612aa240000110000', DropReason.Compressed, undefined],
    ['lzo', '2a187b', DropReason.Framing, undefined],
    ['lzo', 'fb187b2a', DropReason.Framing, undefined],
    ['stub', 'fb', PASS, ''],
    ['stub', '69ab45', DropReason.Compressed, undefined],
    ['stub', 'fa45', DropReason.Framing, undefined],
    ['lz4', 'fb0145', PASS, '4501'],
    ['lz4', '69aa010010bb11', PASS, 'aaaaaaaaaaaabb'],
    ['lz4', '69ab45', DropReason.Decompression, undefined],
    ['lz4', '69', DropReason.Decompression, undefined],
    ['lz4', 'fa45', DropReason.Framing, undefined],
    ['stub-v2', '45ab', PASS, '45ab'],
    ['stub-v2', '500050ab', PASS, '50ab'],
    ['stub-v2', '5000', PASS, ''],
    ['stub-v2', '5001ab', DropReason.Compressed, undefined],
    ['stub-v2', '5002ab', DropReason.Framing, undefined],
    ['stub-v2', '50', DropReason.Framing, undefined],
    ['lz4-v2', '45ab', PASS, '45ab'],
    ['lz4-v2', '500050ab', PASS, '50ab'],
    ['lz4-v2', '500111aa010010bb', PASS, 'aaaaaaaaaaaabb'],
    ['lz4-v2', '5001', DropReason.Decompression, undefined],
    ['lz4-v2', '5002ab', DropReason.Framing, undefined],
  ] as const)('%s: %s', (kind, framed, verdict, payload) => {
    fill(batch, Buffer.from(framed, 'hex'));
    expect(unframe(kind)).toBe(verdict);
    if (payload !== undefined) expect(contentsHex(batch)).toBe(payload);
  });

  test.each(kinds)('%s: an empty payload stays empty', (kind) => {
    fill(batch, Buffer.alloc(0));
    expect(unframe(kind)).toBe(PASS);
    expect(batch.length[0]).toBe(0);
  });
});

test.each(kinds)('%s: what is framed comes out again', (kind) => {
  const framing = createFraming(kind);
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.constantFrom(0x50, 0xfa, 0xfb, 0x45),
      (payload, first) => {
        payload[0] = first;
        fill(batch, payload);
        framing.frame(batch, 0);
        expect(unframe(kind)).toBe(PASS);
        expect(contents(batch).equals(payload)).toBe(true);
      },
    ),
  );
});

/** What stock did with each compression setting; sessions that really compress are partly compressed. */
const recorded: readonly (readonly [session: RegExp, kind: CompressionFraming])[] = [
  [/^(01|02|03|05|06|07|10|13|19|20|23)-/, 'off'],
  [/^(09|17)-/, 'lzo-stub'],
  [/^(09|17)-/, 'lzo'],
  [/^(14|21)-/, 'stub'],
  [/^(14|21)-/, 'lz4'],
  [/^15-/, 'stub-v2'],
];

describe('as stock frames', () => {
  const rows = recorded.flatMap(([pattern, kind]) =>
    sessions
      .filter(({ name }) => pattern.test(name))
      .map((session) => [session.name, kind, session] as const),
  );
  test.each(rows)('%s is %s', (_, kind, session) => {
    const framing = createFraming(kind);
    for (const datagram of session.decoded) {
      fill(batch, Buffer.from(payloadHex(datagram), 'hex'));
      const verdict = unframe(kind);
      const compressed = datagram.kind.includes('compressed');
      expect(verdict).toBe(compressed && !framing.decompresses ? DropReason.Compressed : PASS);
      if (verdict === PASS) expect(contentsHex(batch)).toBe(datagram.inner_hex);
      if (compressed) continue;
      framing.frame(batch, 0);
      expect(contentsHex(batch)).toBe(payloadHex(datagram));
    }
  });
});
