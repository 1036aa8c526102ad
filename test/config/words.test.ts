/** Addresses, prefixes and nearest names, against slow or library twins. */
import { isIPv6, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clearHostBits, hasHostBits, maskLength, samePrefix } from '../../src/config/address.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../../src/packet/address.ts';
import { nearestDirective } from '../../src/config/directives.ts';
import { editDistance } from '../../src/config/nearest.ts';

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
/** Bytes with runs of zeros, which the short form is about. */
const sparse16 = fc
  .array(fc.constantFrom(0, 0, 0, 1, 0xab), { minLength: 16, maxLength: 16 })
  .map((values) => Uint8Array.from(values));

function bitsOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
}

describe('addresses', () => {
  it('IPv4 text survives parsing and formatting', () => {
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        expect(formatIpv4(parseIpv4(text) ?? 0)).toBe(text);
      }),
    );
  });

  it('IPv6 bytes survive formatting and parsing', () => {
    fc.assert(
      fc.property(fc.oneof(bytes16, sparse16), (bytes) => {
        expect(parseIpv6(formatIpv6(bytes))).toEqual(bytes);
      }),
    );
  });

  it('IPv6 text of any form means what the C library says', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        fc.pre(isIPv6(text));
        const canonical = new SocketAddress({ family: 'ipv6', address: text }).address;
        expect(parseIpv6(text)).toEqual(parseIpv6(canonical));
      }),
    );
  });

  it('a mask is contiguous or none', () => {
    const contiguous = fc.integer({ min: 0, max: 32 }).map((length) => 2 ** 32 - 2 ** (32 - length));
    fc.assert(
      fc.property(fc.oneof(contiguous, fc.nat(0xffffffff)), (mask) => {
        const ones = /^(1*)0*$/.exec(mask.toString(2).padStart(32, '0'))?.[1];
        expect(maskLength(mask)).toBe(ones?.length);
      }),
    );
  });

  it('host bits are the ones behind the length', () => {
    fc.assert(
      fc.property(sparse16, fc.integer({ min: 0, max: 128 }), (bytes, length) => {
        expect(hasHostBits(bytes, length)).toBe(bitsOf(bytes).slice(length).includes('1'));
        expect(bitsOf(clearHostBits(bytes, length))).toBe(bitsOf(bytes).slice(0, length).padEnd(128, '0'));
      }),
    );
  });

  it('two addresses share a prefix when their first bits agree', () => {
    fc.assert(
      fc.property(sparse16, sparse16, fc.integer({ min: 0, max: 128 }), (a, b, length) => {
        expect(samePrefix(a, b, length)).toBe(bitsOf(a).slice(0, length) === bitsOf(b).slice(0, length));
      }),
    );
  });
});

/** The textbook recursion. */
function slowDistance(a: string, b: string): number {
  if (a === '' || b === '') return a.length + b.length;
  const substitution = slowDistance(a.slice(1), b.slice(1)) + (a[0] === b[0] ? 0 : 1);
  const swap =
    a.length > 1 && b.length > 1 && a[0] === b[1] && a[1] === b[0]
      ? slowDistance(a.slice(2), b.slice(2)) + 1
      : Infinity;
  return Math.min(slowDistance(a.slice(1), b) + 1, slowDistance(a, b.slice(1)) + 1, substitution, swap);
}

describe('the nearest name', () => {
  it('is measured as the textbook says', () => {
    const short = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 5 });
    fc.assert(
      fc.property(short, short, (a, b) => {
        expect(editDistance(a, b)).toBe(slowDistance(a, b));
      }),
    );
  });

  const rows: readonly [typed: string, meant: string | undefined][] = [
    ['keepalvie', 'keepalive'],
    ['ifconifg', 'ifconfig'],
    ['DEV', 'dev'],
    ['rmeote', 'remote'],
    ['route-ip6', 'route-ipv6'],
    ['persist_tun', 'persist-tun'],
    ['foobarbaz', undefined],
    ['x'.repeat(1000), undefined],
  ];
  for (const [typed, meant] of rows) {
    it(`of ${typed.slice(0, 20)} is ${meant}`, () => expect(nearestDirective(typed)).toBe(meant));
  }
});
