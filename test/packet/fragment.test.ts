/** IPv4 fragmentation, with a reassembly written from RFC 791 3.2 as the oracle. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeapArena } from '../../src/packet/arena.ts';
import { Batch } from '../../src/packet/batch.ts';
import { fragment, fragmentCount, mayFragment } from '../../src/packet/fragment.ts';
import { checkInner } from '../../src/packet/inner.ts';
import { checkIpv4Header } from '../../src/packet/sanity.ts';
import { PASS } from '../../src/packet/verdict.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { ipv4Packet, ipv6Packet } from '../support/ip.ts';

const MORE = 0x2000;
const DONT = 0x4000;
const IN = { slots: 2 };
/** As many as the longest packet gives where options leave 8 bytes of payload in each. */
const OUT = { slots: 8200, capacity: 2048 };
const arena = new HeapArena(Batch.arenaSize(IN) + Batch.arenaSize(OUT) + 64);
const input = new Batch(arena, IN);
const output = new Batch(arena, OUT);
/** The slot the packet is in: not the first, so that slots are not mixed up unseen. */
const SLOT = 1;

const filled = (length: number, salt = 0) =>
  Buffer.from(Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + salt) & 255));

function put(packet: Uint8Array): void {
  input.bytes.set(packet, input.packetOffset(SLOT));
  input.commit(SLOT, packet.length);
}

const inputStart = () => input.start[SLOT];
const take = (slot: number) =>
  Buffer.from(output.bytes.slice(output.start[slot], output.start[slot] + output.length[slot]));

function fragments(packet: Uint8Array, mtu: number): Buffer[] {
  put(packet);
  output.count = 0;
  const next = fragment(input, SLOT, 0, output, mtu);
  expect(next).toBe(fragmentCount(input, SLOT, mtu));
  expect(output.count).toBe(next);
  return Array.from({ length: next }, (_, slot) => take(slot));
}

const headerLength = (packet: Buffer) => (packet[0] & 15) * 4;
const field = (packet: Buffer) => packet.readUInt16BE(6);
const payload = (packet: Buffer) => packet.subarray(headerLength(packet));

/** What RFC 791 puts together of fragments that came in order and whole, its header that of the first. */
function reassembled(parts: readonly Buffer[]): Buffer {
  const start = (field(parts[0]) & 0x1fff) * 8;
  const pieces: Buffer[] = [];
  let at = start;
  for (const part of parts) {
    expect((field(part) & 0x1fff) * 8).toBe(at);
    at += payload(part).length;
    pieces.push(payload(part));
  }
  const last = field(parts[parts.length - 1]);
  return ipv4Packet({
    source: parts[0].subarray(12, 16).join('.'),
    destination: parts[0].subarray(16, 20).join('.'),
    protocol: parts[0][9],
    tos: parts[0][1],
    identification: parts[0].readUInt16BE(4),
    ttl: parts[0][8],
    options: [...parts[0].subarray(20, headerLength(parts[0]))],
    fragment: (start / 8) | (last & MORE),
    payload: Buffer.concat(pieces),
  });
}

const optionsField = fc.constantFrom<number[]>(
  [],
  [1, 1, 1, 0],
  [148, 4, 0, 0],
  [7, 7, 4, 0, 0, 0, 0, 0],
  [1, 0x88, 4, 0, 1, 68, 6, 5, 0, 0, 0, 0],
  [148, 4, 0, 0, ...Array.from({ length: 36 }, () => 1)],
  [0x82, 40, ...Array.from({ length: 38 }, (_, i) => i)],
);

const anyShape = fc.record({
  identification: fc.nat(0xffff),
  tos: fc.nat(255),
  ttl: fc.nat(255),
  protocol: fc.nat(255),
  options: optionsField,
  offset: fc.oneof(fc.constant(0), fc.nat(1000)),
  more: fc.boolean(),
  size: fc.oneof({ weight: 9, arbitrary: fc.nat(5000) }, { weight: 1, arbitrary: fc.nat(56_000) }),
  salt: fc.nat(255),
});
type Shape = typeof anyShape extends fc.Arbitrary<infer T> ? T : never;

/** A fragment with more behind it ends with a whole unit. */
const build = ({ offset, more, size, salt, ...fields }: Shape) =>
  ipv4Packet({
    ...fields,
    fragment: offset | (more ? MORE : 0),
    payload: filled(more ? size & ~7 : size, salt),
  });

const anyMtu = fc.oneof(fc.integer({ min: 68, max: 200 }), fc.integer({ min: 68, max: 2000 }));

describe('for every packet and MTU the fragments', () => {
  test('reassemble to the packet', () => {
    fc.assert(
      fc.property(anyShape, anyMtu, (shape, mtu) => {
        const packet = build(shape);
        expect(reassembled(fragments(packet, mtu)).equals(packet)).toBe(true);
        const original = input.bytes.subarray(inputStart(), inputStart() + packet.length);
        expect(packet.equals(original)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('fit the MTU, are whole packets with right checksums, and none could be spared', () => {
    fc.assert(
      fc.property(anyShape, anyMtu, (shape, mtu) => {
        const packet = build(shape);
        const parts = fragments(packet, mtu);
        for (const part of parts) {
          expect(part.length).toBeLessThanOrEqual(mtu);
          expect(part.readUInt16BE(2)).toBe(part.length);
          expect(checkInner(part, 0, part.length)).toBe(PASS);
          expect(checkIpv4Header(part, 0)).toBe(PASS);
        }
        for (const part of parts.slice(0, -1)) {
          expect(field(part) & MORE).toBe(MORE);
          expect(payload(part).length % 8).toBe(0);
          expect(part.length + 8).toBeGreaterThan(mtu);
        }
        const last = parts[parts.length - 1];
        expect(payload(last).length > 0 || parts.length === 1).toBe(true);
        if (parts.length > 1) {
          const together = payload(parts[parts.length - 2]).length + payload(last).length;
          expect(headerLength(parts[parts.length - 2]) + together).toBeGreaterThan(mtu);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('are the same when the batch fills up in between', () => {
    fc.assert(
      fc.property(anyShape, anyMtu, fc.integer({ min: 1, max: 40 }), (shape, mtu, room) => {
        const whole = fragments(build(shape), mtu);
        const parts: Buffer[] = [];
        for (let next = 0; next < whole.length;) {
          output.count = output.slots - room;
          next = fragment(input, SLOT, next, output, mtu);
          for (let slot = output.slots - room; slot < output.count; slot++) parts.push(take(slot));
        }
        expect(parts).toEqual(whole);
      }),
      { numRuns: 100 },
    );
  });
});

describe('fragments', () => {
  const shapes = (packet: Buffer, mtu: number) =>
    fragments(packet, mtu).map((part) => [
      part.length,
      (field(part) & 0x1fff) * 8,
      (field(part) & MORE) !== 0,
    ]);

  test.each<[what: string, payload: number, fragment: number, mtu: number, expected: unknown[]]>([
    ['a packet that just fits stays one', 1280, 0, 1300, [[1300, 0, false]]],
    [
      'one byte more is two',
      1281,
      0,
      1300,
      [
        [1300, 0, true],
        [21, 1280, false],
      ],
    ],
    [
      'pieces are multiples of 8',
      2000,
      0,
      1307,
      [
        [1300, 0, true],
        [740, 1280, false],
      ],
    ],
    [
      'the last one may use up what the others leave of the MTU',
      1280 + 1287,
      0,
      1307,
      [
        [1300, 0, true],
        [1307, 1280, false],
      ],
    ],
    [
      'of a first fragment all say that more follow',
      1480,
      MORE,
      1300,
      [
        [1300, 0, true],
        [220, 1280, true],
      ],
    ],
    [
      'of a last fragment they go on at its offset',
      1480,
      185,
      1300,
      [
        [1300, 1480, true],
        [220, 2760, false],
      ],
    ],
  ])('%s', (_, size, fragment, mtu, expected) => {
    expect(shapes(ipv4Packet({ fragment, payload: filled(size) }), mtu)).toEqual(expected);
  });

  test('keep the identification, a zero too', () => {
    for (const identification of [0, 0xbeef]) {
      const parts = fragments(ipv4Packet({ identification, payload: filled(3000) }), 1300);
      expect(parts.map((part) => part.readUInt16BE(4))).toEqual(parts.map(() => identification));
    }
  });

  test.each<[what: string, options: number[], later: number[]]>([
    ['an option with the copied flag', [148, 4, 0, 0], [148, 4, 0, 0]],
    ['one without', [7, 7, 4, 0, 0, 0, 0, 0], []],
    ['one behind another without, padded', [68, 4, 5, 0, 0x88, 3, 7, 0], [0x88, 3, 7, 0]],
    ['no-operation between', [1, 0x88, 3, 7, 1, 0x85, 2, 0], [0x88, 3, 7, 0x85, 2, 0, 0, 0]],
    ['nothing behind the end', [0, 148, 4, 0], []],
    ['nothing behind a malformed one', [148, 4, 0, 0, 7, 0, 148, 4], [148, 4, 0, 0]],
  ])('of options, the later ones have %s', (_, options, later) => {
    const parts = fragments(ipv4Packet({ options, payload: filled(4000) }), 1300);
    const got = parts.map((part) => [...part.subarray(20, headerLength(part))]);
    expect(got).toEqual([options, ...parts.slice(1).map(() => later)]);
  });

  test('of the longest packet at the least MTU', () => {
    const parts = fragments(ipv4Packet({ payload: filled(65_515) }), 68);
    expect(parts.length).toBe(Math.ceil(65_515 / 48));
  });
});

describe('mayFragment', () => {
  test.each<[what: string, packet: Buffer, mtu: number, may: boolean]>([
    ['a packet without flags', ipv4Packet({ payload: filled(1480) }), 1300, true],
    ['a fragment', ipv4Packet({ fragment: MORE | 185, payload: filled(1480) }), 1300, true],
    [
      'the last fragment of the longest datagram',
      ipv4Packet({ fragment: 8000, payload: filled(1515) }),
      68,
      true,
    ],
    ['a fragment that reaches further', ipv4Packet({ fragment: 8000, payload: filled(1516) }), 68, false],
    ['a packet with don’t-fragment', ipv4Packet({ fragment: DONT, payload: filled(1480) }), 1300, false],
    ['IPv6', ipv6Packet({ payload: filled(1480) }), 1300, false],
    ['an MTU no IPv4 link may have', ipv4Packet({ payload: filled(1480) }), 67, false],
  ])('%s', (_, packet, mtu, may) => {
    expect(mayFragment(packet, 0, mtu)).toBe(may);
  });
});

test('allocates nothing', () => {
  put(ipv4Packet({ options: [148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0], payload: filled(3000) }));
  const perCall = bytesPerCall(() => {
    output.count = 0;
    if (mayFragment(input.bytes, inputStart(), 1300)) fragment(input, SLOT, 0, output, 1300);
  });
  expect(perCall).toBeLessThan(1);
  expect(output.count).toBe(3);
});
