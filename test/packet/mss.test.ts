import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clampMss } from '../../src/packet/mss.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { buildTcp, tcpOffset, tcpSum } from '../support/packets.ts';
import type { TcpPacket } from '../support/packets.ts';

const MARGIN = 32;

/** Clamps a copy that lies between guard bytes, checks that those are untouched, and returns the copy. */
function clamped(packet: Uint8Array, mss: number): Buffer {
  const bytes = new Uint8Array(packet.length + 2 * MARGIN).fill(0x02);
  bytes.set(packet, MARGIN);
  clampMss(bytes, MARGIN, packet.length, mss);
  const margins = [bytes.subarray(0, MARGIN), bytes.subarray(MARGIN + packet.length)];
  for (const margin of margins) expect(margin.every((byte) => byte === 0x02)).toBe(true);
  return Buffer.from(bytes.subarray(MARGIN, MARGIN + packet.length));
}

const FIN_ACK = 0x11;
const SYN_ACK = 0x12;
const ACK = 0x10;
const mssOption = (mss: number): number[] => [2, 4, mss >> 8, mss & 255];

describe('lowers the MSS', () => {
  test.each<[rule: string, shape: TcpPacket, at: number, expected: number]>([
    ['of an IPv4 SYN', { version: 4 }, 22, 1359],
    ['of an IPv6 SYN, by 20 more', { version: 6 }, 22, 1339],
    ['of a SYN-ACK', { version: 4, flags: SYN_ACK }, 22, 1359],
    ['behind IPv4 options', { version: 4, ipOptions: 8 }, 22, 1359],
    [
      'behind other TCP options',
      { version: 4, options: [3, 3, 7, 4, 2, ...mssOption(1460), 1, 1, 1] },
      27,
      1359,
    ],
    ['at an odd offset', { version: 4, options: [1, ...mssOption(1460), 1, 1, 1] }, 23, 1359],
    ['of a SYN with data of odd length', { version: 4, data: 7 }, 22, 1359],
  ])('%s', (_, shape, at, expected) => {
    const packet = buildTcp(shape);
    const result = clamped(packet, 1359);
    expect(result.readUInt16BE(tcpOffset(packet) + at)).toBe(expected);
    expect(tcpSum(result)).toBe(0xffff);
    const restored = Buffer.from(result);
    packet.copy(restored, tcpOffset(packet) + at, tcpOffset(packet) + at, tcpOffset(packet) + at + 2);
    packet.copy(restored, tcpOffset(packet) + 16, tcpOffset(packet) + 16, tcpOffset(packet) + 18);
    expect(restored).toEqual(packet);
  });
});

describe('leaves alone', () => {
  const syn = buildTcp({ version: 4 });
  const withByte = (at: number, value: number): Buffer => {
    const copy = Buffer.from(syn);
    copy[at] = value;
    return copy;
  };
  test.each<[what: string, packet: Buffer]>([
    ['an MSS that is low enough', buildTcp({ version: 4, options: mssOption(1359) })],
    ['a segment without SYN', buildTcp({ version: 4, flags: FIN_ACK })],
    ['a SYN without options', buildTcp({ version: 4, options: [] })],
    ['a first fragment', buildTcp({ version: 4, fragment: 0x2000 })],
    ['a later fragment', buildTcp({ version: 4, fragment: 0x0010 })],
    ['UDP', buildTcp({ version: 4, protocol: 17 })],
    ['IPv6 with a fragment header', buildTcp({ version: 6, protocol: 44 })],
    ['IPv4 with bytes behind it', Buffer.concat([syn, Buffer.alloc(4)])],
    ['IPv4 cut off', syn.subarray(0, syn.length - 1)],
    ['IPv6 with bytes behind it', Buffer.concat([buildTcp({ version: 6 }), Buffer.alloc(4)])],
    ['an IPv4 header length below 20', withByte(0, 0x44)],
    ['a TCP header length below 20', withByte(32, 0x40)],
    ['a TCP header longer than the segment', withByte(32, 0xf0)],
    ['another IP version', withByte(0, 0x55)],
    ['an option of no length', buildTcp({ version: 4, options: [3, 0, ...mssOption(1460), 1, 1] })],
    ['an option of length 1', buildTcp({ version: 4, options: [3, 1, ...mssOption(1460), 1, 1] })],
    ['an option longer than the header', buildTcp({ version: 4, options: [2, 40, 255, 255] })],
    ['an MSS option of another length', buildTcp({ version: 4, options: [2, 6, 5, 180, 0, 0, 1, 1] })],
    ['an option kind at the very end', buildTcp({ version: 4, options: [1, 1, 1, 2] })],
    ['an MSS behind the end of options', buildTcp({ version: 4, options: [0, 1, 1, 1, ...mssOption(1460)] })],
    ['an empty packet', Buffer.alloc(0)],
  ])('%s', (_, packet) => {
    expect(clamped(packet, 1359)).toEqual(packet);
  });

  test('everything when the limit leaves no room', () => {
    const syn6 = buildTcp({ version: 6 });
    expect(clamped(syn, 0)).toEqual(syn);
    expect(clamped(syn6, 20)).toEqual(syn6);
  });
});

describe('with an inner MTU of 1400', () => {
  const INNER_MTU = 1400;
  const mss = INNER_MTU - 40;
  const superPacket = buildTcp({ version: 4, flags: ACK, options: mssOption(1460), data: 60_000 });
  test.each<[rule: string, packet: Buffer, at: number, expected: number]>([
    ['an IPv4 SYN of 1460 leaves with MTU - 40', buildTcp({ version: 4 }), 22, 1360],
    ['an IPv4 SYN-ACK of 1460 leaves with MTU - 40', buildTcp({ version: 4, flags: SYN_ACK }), 22, 1360],
    ['an IPv6 SYN of 1460 leaves with MTU - 60', buildTcp({ version: 6 }), 22, 1340],
    ['an IPv6 SYN-ACK of 1460 leaves with MTU - 60', buildTcp({ version: 6, flags: SYN_ACK }), 22, 1340],
    ['500 stays 500', buildTcp({ version: 4, options: mssOption(500) }), 22, 500],
    ['500 stays 500 over IPv6', buildTcp({ version: 6, options: mssOption(500) }), 22, 500],
    ['1360 stays 1360', buildTcp({ version: 4, options: mssOption(1360) }), 22, 1360],
    ['a first fragment of a SYN stays', buildTcp({ version: 4, fragment: 0x2000 }), 22, 1460],
    ['a later fragment stays', buildTcp({ version: 4, fragment: 0x0003 }), 22, 1460],
    ['a super-packet, never a SYN, stays', superPacket, 22, 1460],
  ])('%s', (_, packet, at, expected) => {
    const result = clamped(packet, mss);
    expect(result.readUInt16BE(tcpOffset(packet) + at)).toBe(expected);
    expect(tcpSum(result)).toBe(0xffff);
    if (packet.readUInt16BE(tcpOffset(packet) + at) === expected) expect(result).toEqual(packet);
  });

  test('a SYN without the option gets none', () => {
    for (const version of [4, 6] as const) {
      const packet = buildTcp({ version, options: [1, 3, 3, 7] });
      expect(clamped(packet, mss)).toEqual(packet);
    }
  });
});

test('a right checksum stays right for every options field and limit', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<4 | 6>(4, 6),
      fc.array(fc.oneof(fc.constantFrom(0, 1, 2, 4), fc.nat(255)), { maxLength: 40 }),
      fc.nat(50),
      fc.nat(65535),
      (version, raw, data, mss) => {
        const options = raw.slice(0, raw.length & ~3);
        const packet = buildTcp({ version, options, data });
        const result = clamped(packet, mss);
        expect(tcpSum(result)).toBe(0xffff);
        expect(result.length).toBe(packet.length);
      },
    ),
    { numRuns: 2000 },
  );
});

test('random bytes and cut-off packets change nothing outside the packet', () => {
  const source = fc.oneof(
    fc.uint8Array({ maxLength: 120 }),
    fc
      .tuple(fc.constantFrom<4 | 6>(4, 6), fc.nat(120), fc.nat(59), fc.nat(255))
      .map(([version, keep, at, value]) => {
        const packet = buildTcp({ version, options: [1, 1, ...mssOption(1460), 1, 1], data: 20 });
        packet[at] = value;
        return packet.subarray(0, keep);
      }),
  );
  fc.assert(
    fc.property(source, fc.nat(2000), (packet, mss) => {
      clamped(packet, mss);
    }),
    { numRuns: 3000 },
  );
});

test('allocates nothing', () => {
  const packet = Uint8Array.from(buildTcp({ version: 4 }));
  let mss = 1_000_000;
  const perCall = bytesPerCall(() => {
    packet[22 + 20] = 0xff;
    clampMss(packet, 0, packet.length, (mss -= 1) & 0x7fff);
  });
  expect(perCall).toBeLessThan(1);
});
