import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONSUMED, DropReason, PASS, type Verdict } from '../../src/packet/verdict.ts';
import { Fragmenter } from '../../src/protocol/fragmentation.ts';
import { Cutter, Receiver, UNWRITTEN } from '../support/fragments.ts';
import { seeded } from '../support/random.ts';
import { payloadHex, sessions } from '../support/vectors.ts';

const cutter = new Cutter();
const SIZE = 400;

interface Fields {
  readonly sequence?: number;
  readonly index: number;
  readonly last?: boolean;
  readonly length?: number;
  /** Of the other fragments, as the last one tells it. */
  readonly size?: number;
}

function fragment({ sequence = 5, index, last = false, length = SIZE, size = length }: Fields): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(((last ? size / 4 : 0) << 15) | (index << 10) | (sequence << 2) | (last ? 2 : 1));
  return Buffer.concat([header, Buffer.alloc(length, index + 1)]);
}

function whole(header: string, length = 10): Buffer {
  return Buffer.concat([Buffer.from(header, 'hex'), Buffer.alloc(length, 0x45)]);
}

interface Case {
  readonly case: string;
  readonly sequence: readonly string[];
  readonly delivered: boolean;
}

/** A step of behaviour/fragment-cases.json: `[SEQUENCE:]INDEX[(LENGTH)][@TIMEs]`, L for the last, or a header. */
const STEP = /^(?:(\d+):)?(L?)(\d{0,2})(?:\((\d+)\))?(?:@(\d+)s)?$/;

function play(receiver: Receiver, step: string): Verdict {
  if (step.length === 8) return receiver.receive(whole(step));
  const [, sequence = '5', last, index, length = '400', seconds = '0'] = STEP.exec(step)!;
  receiver.nowMs += Number(seconds) * 1000;
  receiver.reassembler.tick(receiver.nowMs);
  const place = { index: index === '' ? 2 : Number(index), last: last !== '' };
  return receiver.receive(fragment({ ...place, sequence: Number(sequence), length: Number(length) }));
}

describe('as stock 2.6.14 does', () => {
  const file = new URL('../behaviour/fragment-cases.json', import.meta.url);
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] };
  const playable = cases.filter(({ sequence }) => sequence.length > 0 && sequence[0] !== '250');
  it.each(playable.map((each) => [each.case, each] as const))('%s', (_, { sequence, delivered }) => {
    const receiver = new Receiver();
    for (const step of sequence) play(receiver, step);
    expect(receiver.whole.length > 0).toBe(delivered);
  });

  it('every payload of the captured session', () => {
    for (const session of sessions.filter(({ name }) => name.startsWith('08-'))) {
      const receiver = new Receiver();
      for (const datagram of session.decoded) {
        const verdict = receiver.receive(Buffer.from(payloadHex(datagram), 'hex'));
        expect(verdict).toBe(datagram.inner_hex === undefined ? CONSUMED : PASS);
        if (verdict === PASS) expect(receiver.whole.at(-1)?.toString('hex')).toBe(datagram.inner_hex);
      }
      expect(receiver.held).toBe(0);
    }
  });
});

describe('a payload is dropped', () => {
  const rows: readonly [rule: string, bytes: Buffer, reason: DropReason][] = [
    ['shorter than a header', Buffer.from('000000', 'hex'), DropReason.FragmentHeader],
    ['of the reserved type', whole('00000003'), DropReason.FragmentHeader],
    ['that is a ping without header', Buffer.from('2a187bf3641eb4cb', 'hex'), DropReason.FragmentHeader],
    [
      'that is an OCC message without header',
      Buffer.from('287f346bd4ef7a81', 'hex'),
      DropReason.FragmentHeader,
    ],
    ['whole, with a sequence number', whole('00000010'), DropReason.FragmentHeader],
    ['of an odd size', fragment({ index: 0, length: 398 }), DropReason.FragmentHeader],
    ['of no bytes', fragment({ index: 0, length: 0 }), DropReason.FragmentHeader],
    [
      'last, behind others of no size',
      fragment({ index: 1, last: true, size: 0 }),
      DropReason.FragmentHeader,
    ],
    ['that reaches beyond the longest', fragment({ index: 5 }), DropReason.TooLong],
    ['that is longer than the longest', fragment({ index: 0, length: 2052 }), DropReason.TooLong],
    ['last, that reaches beyond', fragment({ index: 1, last: true, size: 65532 }), DropReason.TooLong],
  ];
  it.each(rows)('%s', (_, bytes, reason) => {
    const receiver = new Receiver();
    expect(receiver.receive(bytes)).toBe(reason);
    expect(receiver.held).toBe(0);
  });
});

describe('payloads in the making', () => {
  it('are 25 at most: the oldest is given up for the 26th', () => {
    const receiver = new Receiver();
    for (let sequence = 0; sequence < 25; sequence++) receiver.receive(fragment({ sequence, index: 0 }));
    expect(receiver.held).toBe(25);
    expect(receiver.reassembler.tick(receiver.nowMs)).toBe(0);
    receiver.receive(fragment({ sequence: 25, index: 0 }));
    expect(receiver.held).toBe(25);
    expect(receiver.reassembler.tick(receiver.nowMs)).toBe(1);
    expect(receiver.receive(fragment({ sequence: 1, index: 1, last: true }))).toBe(PASS);
    expect(receiver.receive(fragment({ sequence: 0, index: 1, last: true }))).toBe(CONSUMED);
  });

  it('are all given up when the sequence number jumps by 25, forward or back', () => {
    for (const sequence of [125, 75, 0]) {
      const receiver = new Receiver();
      receiver.receive(fragment({ sequence: 100, index: 0 }));
      receiver.receive(fragment({ sequence, index: 0 }));
      expect(receiver.held).toBe(1);
      expect(receiver.reassembler.tick(receiver.nowMs)).toBe(1);
      expect(receiver.receive(fragment({ sequence, index: 1, last: true }))).toBe(PASS);
    }
  });

  it('are kept when it moves by 24', () => {
    for (const sequence of [124, 76]) {
      const receiver = new Receiver();
      receiver.receive(fragment({ sequence: 100, index: 0 }));
      receiver.receive(fragment({ sequence, index: 0 }));
      expect(receiver.receive(fragment({ sequence: 100, index: 1, last: true }))).toBe(PASS);
    }
  });

  it('are told apart where the sequence numbers wrap', () => {
    const receiver = new Receiver();
    const sequences = [250, 251, 252, 253, 254, 255, 0, 1, 2, 3];
    for (const sequence of sequences) receiver.receive(fragment({ sequence, index: 0 }));
    for (const sequence of sequences.toReversed()) {
      expect(receiver.receive(fragment({ sequence, index: 1, last: true }))).toBe(PASS);
    }
    expect(receiver.held).toBe(0);
  });

  it('are given up 10 s after their last fragment, and counted once', () => {
    const receiver = new Receiver();
    const { reassembler } = receiver;
    expect(reassembler.dueMs()).toBe(Infinity);
    receiver.receive(fragment({ sequence: 1, index: 0 }));
    receiver.nowMs += 6000;
    receiver.receive(fragment({ sequence: 2, index: 0 }));
    expect(reassembler.dueMs()).toBe(11_000);
    expect(reassembler.tick(10_999)).toBe(0);
    expect(reassembler.tick(11_000)).toBe(1);
    expect(receiver.held).toBe(1);
    expect(reassembler.dueMs()).toBe(17_000);
    expect(reassembler.tick(17_000)).toBe(1);
    expect(reassembler.dueMs()).toBe(Infinity);
    expect(receiver.held).toBe(0);
  });

  it('live as long as fragments come', () => {
    const receiver = new Receiver({ capacity: 8192 });
    for (let index = 0; index < 10; index++) {
      receiver.receive(fragment({ index }));
      receiver.nowMs += 9_000;
      expect(receiver.reassembler.tick(receiver.nowMs)).toBe(0);
    }
    expect(receiver.receive(fragment({ index: 10, last: true }))).toBe(PASS);
  });

  it('find no room when others have all of it', () => {
    const receiver = new Receiver({ rows: 2 });
    receiver.receive(fragment({ sequence: 1, index: 0 }));
    receiver.receive(fragment({ sequence: 2, index: 0 }));
    expect(receiver.receive(fragment({ sequence: 3, index: 0 }))).toBe(DropReason.FragmentMemory);
    expect(receiver.receive(fragment({ sequence: 1, index: 1, last: true }))).toBe(PASS);
    expect(receiver.receive(fragment({ sequence: 3, index: 0 }))).toBe(CONSUMED);
  });

  it('are forgotten at a reset, with their memory', () => {
    const receiver = new Receiver();
    for (let sequence = 0; sequence < 9; sequence++) receiver.receive(fragment({ sequence, index: 0 }));
    receiver.reassembler.reset();
    expect([receiver.held, receiver.reassembler.tick(1e9), receiver.reassembler.dueMs()]).toEqual([
      0,
      0,
      Infinity,
    ]);
    expect(receiver.receive(fragment({ sequence: 200, index: 0, last: true }))).toBe(PASS);
  });

  it('begin anew with a second last fragment at another place', () => {
    const receiver = new Receiver();
    receiver.receive(fragment({ index: 1, last: true, length: 8, size: SIZE }));
    receiver.receive(fragment({ index: 2, last: true, length: 8, size: SIZE }));
    expect(receiver.receive(fragment({ index: 0 }))).toBe(CONSUMED);
    expect(receiver.receive(fragment({ index: 1 }))).toBe(PASS);
    expect(receiver.whole[0]).toHaveLength(2 * SIZE + 8);
  });
});

describe('what is cut and put together again is the same', () => {
  const traffic = fc.record({
    maxFragment: fc.integer({ min: 64, max: 700 }),
    lengths: fc.array(fc.integer({ min: 0, max: 2048 }), { minLength: 1, maxLength: 60 }),
    seed: fc.nat(),
    first: fc.nat({ max: 255 }),
  });

  function payloads(lengths: readonly number[]): Buffer[] {
    return lengths.map((length, number) => {
      const payload = Buffer.from(Uint8Array.from({ length }, (_, i) => i * 13 + number));
      if (length >= 2) payload.writeUInt16BE(number);
      return payload;
    });
  }

  it('in order', () => {
    fc.assert(
      fc.property(traffic, ({ maxFragment, lengths, first }) => {
        const fragmenter = new Fragmenter(maxFragment, first);
        const receiver = new Receiver();
        const sent = payloads(lengths.filter((length) => fragmenter.count(length) > 0));
        for (const payload of sent)
          for (const piece of cutter.cut(fragmenter, payload)) receiver.receive(piece);
        expect(receiver.whole.length).toBe(sent.length);
        expect(sent.every((payload, i) => payload.equals(receiver.whole[i]))).toBe(true);
        expect(receiver.held).toBe(0);
      }),
    );
  });

  it('out of order and with duplicates: each payload at least once, and nothing else', () => {
    fc.assert(
      fc.property(traffic, ({ maxFragment, lengths, first, seed }) => {
        const random = seeded(seed);
        const fragmenter = new Fragmenter(maxFragment, first);
        const receiver = new Receiver();
        const sent = payloads(lengths).filter(({ length }) => length > 1 && fragmenter.count(length) > 0);
        // Fragments of up to 8 payloads are mixed, far less than the window.
        for (let i = 0; i < sent.length; i += 8) {
          const pieces = sent.slice(i, i + 8).flatMap((payload) => cutter.cut(fragmenter, payload));
          const doubled = pieces.flatMap((piece) => (random() < 0.3 ? [piece, piece] : [piece]));
          const order = doubled.map((piece) => ({ piece, at: random() })).sort((a, b) => a.at - b.at);
          for (const { piece } of order) receiver.receive(piece);
        }
        const delivered = new Set(receiver.whole.map((payload) => payload.toString('hex')));
        expect(delivered).toEqual(new Set(sent.map((payload) => payload.toString('hex'))));
      }),
    );
  });

  it('with losses: nothing but payloads that were sent', () => {
    fc.assert(
      fc.property(traffic, ({ maxFragment, lengths, first, seed }) => {
        const random = seeded(seed);
        const fragmenter = new Fragmenter(maxFragment, first);
        const receiver = new Receiver();
        const sent = payloads(lengths).filter(({ length }) => length > 1 && fragmenter.count(length) > 0);
        const known = new Set(sent.map((payload) => payload.toString('hex')));
        let untouched = 0;
        for (const payload of sent) {
          const pieces = cutter.cut(fragmenter, payload);
          const arrived = pieces.filter(() => random() > 0.1);
          if (arrived.length === pieces.length) untouched++;
          for (const piece of arrived) receiver.receive(piece);
        }
        expect(receiver.whole.every((payload) => known.has(payload.toString('hex')))).toBe(true);
        expect(receiver.whole.length).toBe(untouched);
        expect(receiver.held).toBeLessThanOrEqual(25);
      }),
    );
  });
});

it('gives out no byte that no fragment brought, and no row for good, whatever comes', () => {
  const anything = fc.array(
    fc.record({
      sequence: fc.integer({ min: 0, max: 40 }),
      index: fc.integer({ min: 0, max: 4 }),
      last: fc.boolean(),
      length: fc.constantFrom(0, 4, 8, 12, 100, 398, 400),
      size: fc.constantFrom(0, 4, 8, 12, 100, 400),
      ms: fc.constantFrom(0, 0, 0, 4000),
    }),
    { maxLength: 200 },
  );
  fc.assert(
    fc.property(anything, (fragments) => {
      const receiver = new Receiver({ rows: 8, capacity: 1000 });
      for (const { ms, ...fields } of fragments) {
        receiver.nowMs += ms;
        receiver.receive(fragment(fields));
        receiver.reassembler.tick(receiver.nowMs);
      }
      expect(receiver.whole.some((payload) => payload.includes(UNWRITTEN))).toBe(false);
      receiver.reassembler.tick(receiver.nowMs + 10_000);
      expect(receiver.held).toBe(0);
    }),
    { numRuns: 1000 },
  );
});

it('takes any bytes at all', () => {
  const receiver = new Receiver();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const verdict = receiver.receive(bytes);
      expect([PASS, CONSUMED, DropReason.FragmentHeader, DropReason.TooLong]).toContain(verdict);
    }),
    { numRuns: 2000 },
  );
});
