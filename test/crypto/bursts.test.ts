/** Many packets in one call: lengths, batch sizes and verdicts in every mixture. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { suiteOf } from '../../src/bench/suites.ts';
import type { CryptoProvider, DirectionKeys, RandomFill, Suite } from '../../src/crypto/provider.ts';
import { NativeArena } from '../../src/ffi/memory.ts';
import { Batch } from '../../src/packet/batch.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { noble, providers } from '../support/providers.ts';

const SLOTS = 150;
const MAX_LENGTH = 2000;
const SEALED_EXTRA = 64 + 16 + 16;
/** Bytes on both sides of a packet that must stay as they are. */
const MARGIN = 200;
const CANARY = 0xc5;

const shape = { slots: SLOTS, capacity: 2 * MAX_LENGTH };
const batch = new Batch(new NativeArena(Batch.arenaSize(shape)), shape);

function keysOf(suite: Suite): DirectionKeys {
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => 3 + 31 * i);
  return { cipher: bytes(suite.cipher.keySize), hmac: bytes(suite.digest.size) };
}

/** Counts instead of being random, so that two providers seal alike. */
function countingRandom(): RandomFill {
  let next = 0;
  return (bytes, offset, length) => {
    for (let i = offset; i < offset + length; i++) bytes[i] = next++;
  };
}

interface Packet {
  readonly length: number;
  /** Bytes by which the packet starts before or after the usual place. */
  readonly shift: number;
  readonly verdict: number;
}

const packets = fc.array(
  fc.record({
    length: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: MAX_LENGTH })),
    shift: fc.integer({ min: -16, max: 64 }),
    verdict: fc.constantFrom(PASS, PASS, PASS, PASS, PASS, DropReason.Source),
  }),
  { minLength: 1, maxLength: SLOTS },
);

function load(list: readonly Packet[]): void {
  list.forEach(({ length, shift, verdict }, slot) => {
    const start = batch.packetOffset(slot) + shift;
    batch.bytes.fill(CANARY, start - MARGIN / 2, start + length + MARGIN);
    for (let i = 0; i < length; i++) batch.bytes[start + i] = i * 7 + slot;
    batch.commit(slot, length);
    batch.start[slot] = start;
    batch.verdict[slot] = verdict;
  });
}

/** Bytes around and of each packet, as they lie in the arena. */
function snapshot(list: readonly Packet[]): Buffer[] {
  return list.map(({ length, shift }, slot) => {
    const start = batch.packetOffset(slot) + shift;
    return Buffer.from(batch.bytes.slice(start - MARGIN / 2, start + length + SEALED_EXTRA + MARGIN / 2));
  });
}

function sealAll(
  provider: CryptoProvider,
  suite: Suite,
  list: readonly Packet[],
  first: number,
  end: number,
): Buffer[] {
  const sealer = provider.createSealer(suite, keysOf(suite), countingRandom());
  load(list);
  sealer.seal(batch, first, end);
  sealer.dispose();
  return snapshot(list);
}

const SUITES = [
  suiteOf('AES-256-CBC', 'SHA256'),
  suiteOf('AES-128-CBC', 'SHA1'),
  suiteOf('AES-192-CBC', 'SHA224'),
  suiteOf('AES-256-CBC', 'SHA384'),
  suiteOf('AES-128-CBC', 'SHA512'),
  suiteOf('AES-256-CBC', 'none'),
  suiteOf('none', 'SHA256'),
  suiteOf('none', 'SHA512'),
];

describe.each(providers.filter(([, provider]) => provider !== noble))('%s', (_, provider) => {
  const rows = SUITES.map((suite) => [suite.cipher.name, suite.digest.name, suite] as const);

  test.each(rows)('seals any mixture as noble does, and touches nothing else: %s, %s', (__, ___, suite) => {
    fc.assert(
      fc.property(packets, fc.nat(20), fc.nat(20), (list, skipFirst, skipLast) => {
        const first = Math.min(skipFirst, list.length);
        const end = Math.max(first, list.length - skipLast);
        const expected = sealAll(noble, suite, list, first, end);
        const frames = list.map((____, slot) => [batch.start[slot], batch.length[slot], batch.verdict[slot]]);
        expect(sealAll(provider, suite, list, first, end)).toEqual(expected);
        expect(
          list.map((____, slot) => [batch.start[slot], batch.length[slot], batch.verdict[slot]]),
        ).toEqual(frames);
      }),
      { numRuns: 12 },
    );
  });

  test.each(rows)('opens any mixture of good and bad as noble does: %s, %s', (__, ___, suite) => {
    fc.assert(
      fc.property(packets, fc.array(fc.nat(), { maxLength: 20 }), fc.nat(9), (list, tampered, skip) => {
        const end = Math.max(1, list.length - skip);
        const outcome = (opening: CryptoProvider): unknown => {
          sealAll(noble, suite, list, 0, list.length);
          for (const n of tampered) {
            const slot = n % list.length;
            if (batch.verdict[slot] === PASS)
              batch.bytes[batch.start[slot] + (n % batch.length[slot])] ^= 1 + (n % 255);
          }
          const opener = opening.createOpener(suite, keysOf(suite));
          opener.open(batch, 0, end);
          opener.dispose();
          return list.map((____, slot) => [
            batch.verdict[slot],
            batch.start[slot],
            batch.length[slot],
            batch.verdict[slot] === PASS &&
              Buffer.from(
                batch.bytes.slice(batch.start[slot], batch.start[slot] + batch.length[slot]),
              ).toString('latin1'),
          ]);
        };
        expect(outcome(provider)).toEqual(outcome(noble));
      }),
      { numRuns: 12 },
    );
  });

  test.each(rows)('opens without touching a byte around the datagram: %s, %s', (__, ___, suite) => {
    const lengths = [1, 15, 16, 17, 55, 56, 63, 64, 65, 119, 120, 500, 1408, 1500];
    const list = lengths.map((length) => ({ length, shift: 0, verdict: PASS }));
    sealAll(noble, suite, list, 0, list.length);
    const around = (start: number, length: number): Buffer =>
      Buffer.concat([
        batch.bytes.slice(start - 64, start),
        batch.bytes.slice(start + length, start + length + MARGIN / 2),
      ]);
    const starts = Array.from(batch.start.subarray(0, list.length));
    const sizes = Array.from(batch.length.subarray(0, list.length));
    const before = starts.map((start, slot) => around(start, sizes[slot]));
    const opener = provider.createOpener(suite, keysOf(suite));
    opener.open(batch, 0, list.length);
    expect(starts.map((start, slot) => around(start, sizes[slot]))).toEqual(before);
    expect(list.map((____, slot) => batch.length[slot])).toEqual(lengths);
  });

  test.each([
    ['AES-256-CBC', 'SHA256'],
    ['AES-128-CBC', 'SHA1'],
    ['AES-256-CBC', 'SHA512'],
    ['AES-128-CBC', 'none'],
    ['none', 'SHA512'],
  ])('seals and opens 19 packets without allocating: %s, %s', (cipher, digest) => {
    const suite = suiteOf(cipher, digest);
    const count = 19;
    const sealer = provider.createSealer(suite, keysOf(suite), countingRandom());
    const opener = provider.createOpener(suite, keysOf(suite));
    const perBatch = bytesPerCall(() => {
      for (let slot = 0; slot < count; slot++) batch.commit(slot, 40 + slot * 8);
      sealer.seal(batch, 0, count);
      opener.open(batch, 0, count);
    }, 1000);
    expect(batch.verdict[count - 1]).toBe(PASS);
    expect(batch.length[count - 1]).toBe(40 + (count - 1) * 8);
    expect(perBatch).toBeLessThan(1);
  });
});
