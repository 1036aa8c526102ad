import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressBytes,
  formatAddress,
  formatIpv4,
  formatIpv6,
  parseIpv4,
  parseIpv6,
} from '../../src/packet/address.ts';

/** 16 bytes, with runs of zeros more often than by chance. */
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat({ max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 255])));

describe('addresses as text', () => {
  it('IPv4 comes back as it went', () => {
    fc.assert(
      fc.property(fc.nat({ max: 0xffffffff }), (address) => {
        const text = formatIpv4(address);
        expect(parseIpv4(text)).toBe(address);
        expect(formatAddress(addressBytes(text)!)).toBe(text);
        expect(new URL(`http://${text}`).hostname).toBe(text);
      }),
    );
  });

  it('IPv6 comes back as it went, in the form that URLs have too', () => {
    fc.assert(
      fc.property(ipv6, (bytes) => {
        const text = formatIpv6(bytes);
        expect(parseIpv6(text)).toEqual(bytes);
        if (!text.includes('.')) expect(new URL(`http://[${text}]`).hostname).toBe(`[${text}]`);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['fd00:0:0:0:0:0:0:0', 'fd00::'],
    ['::ffff:c000:201', '::ffff:192.0.2.1'],
    ['::ffff:0:0', '::ffff:0.0.0.0'],
    ['::fffe:c000:201', '::fffe:c000:201'],
  ])('%s is written %s (RFC 5952)', (text, canonical) => {
    expect(formatIpv6(parseIpv6(text)!)).toBe(canonical);
  });

  it.each(['', '10.1.2', '10.1.2.256', '10.1.2.3.4', '01.2.3.4', ' 10.1.2.3', 'fd00::%1', 'fd00:::1'])(
    '%j is no address',
    (text) => expect(addressBytes(text)).toBeUndefined(),
  );
});
