/** IP packets longer than the datagram in them: every receiver finds the datagram, and every checksum right. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/packet/address.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { addSums, onesComplementSum } from '../../src/packet/checksum.ts';
import { ipv4DontFragment, ipv4TotalLength } from '../../src/packet/ipv4.ts';
import { ipv6TotalLength } from '../../src/packet/ipv6.ts';
import { addressSum } from '../../src/packet/pseudo-header.ts';
import { fitsSurplus, udpHeaders, writeSurplusPacket } from '../../src/packet/surplus.ts';
import { PROTOCOL_UDP, udpLength } from '../../src/packet/udp.ts';

const ENDS = {
  4: ['192.0.2.1', '198.51.100.2'],
  6: ['2001:db8::1', '2001:db8::2'],
} as const;
const AT = 128;
const arena = new HeapArena(70_000);

function write(family: 4 | 6, datagram: Uint8Array, total: number): { ip: number; udp: number } {
  const [from, to] = ENDS[family].map((address) => parseAddress(address));
  const udp = AT + udpHeaders(to) - 8;
  arena.bytes.fill(0xee);
  arena.bytes.set(datagram, udp + 8);
  const ends = [
    { address: from, port: 1194 },
    { address: to, port: 5000 },
  ] as const;
  writeSurplusPacket(arena, AT, datagram.length, total, ...ends);
  return { ip: AT, udp };
}

/** All ones when the checksum over `length` bytes from the UDP header on is right. */
function sum(udp: number, length: number): number {
  const pseudo = addSums(addressSum(arena, AT, PROTOCOL_UDP), length);
  return addSums(pseudo, onesComplementSum(arena.bytes, udp, length));
}

describe.each([4, 6] as const)('a packet with surplus over IPv%i', (family) => {
  const headers = udpHeaders(parseAddress(ENDS[family][1]));

  test('has the length asked for, the datagram in front, and the right checksum for either length', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.integer({ min: 3, max: 9000 }),
        (datagram, surplus) => {
          const total = headers + datagram.length + surplus;
          const { ip, udp } = write(family, datagram, total);
          const length = family === 4 ? ipv4TotalLength(arena.bytes, ip) : ipv6TotalLength(arena.bytes, ip);
          expect(length).toBe(total);
          expect(udpLength(arena.bytes, udp)).toBe(8 + datagram.length);
          expect(arena.bytes.slice(udp + 8, udp + 8 + datagram.length)).toEqual(datagram);
          expect(sum(udp, 8 + datagram.length)).toBe(0xffff);
          expect(sum(udp, 8 + datagram.length + surplus)).toBe(0xffff);
          expect(arena.bytes[ip + total]).toBe(0xee);
          expect(arena.bytes[ip - 1]).toBe(0xee);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('is an ordinary packet without surplus', () => {
    const { udp } = write(family, Buffer.from('datagram'), headers + 8);
    expect(udpLength(arena.bytes, udp)).toBe(16);
    expect(sum(udp, 16)).toBe(0xffff);
  });

  test('needs room for the option checksum', () => {
    const address = parseAddress(ENDS[family][1]);
    const fits = [-1, 0, 1, 2, 3].map((surplus) => fitsSurplus(address, 100, headers + 100 + surplus));
    expect(fits).toEqual([false, true, false, false, true]);
  });
});

test('must not be fragmented', () => {
  const { ip } = write(4, Buffer.from('datagram'), 1400);
  expect(ipv4DontFragment(arena.bytes, ip)).toBe(true);
  expect(onesComplementSum(arena.bytes, ip, 20)).toBe(0xffff);
});
