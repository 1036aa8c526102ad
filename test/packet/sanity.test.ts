/** What is never carried, whatever the routes say (RFC 1812 5.2.2 and 5.3.7). */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkAddresses, checkIpv4Header, isRedirect } from '../../src/packet/sanity.ts';
import { DropReason, PASS, type Verdict } from '../../src/packet/verdict.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { ipv4Packet, ipv6Packet } from '../support/ip.ts';

const { HeaderChecksum, InnerHeader, Martian, NotForwarded, SourceRoute } = DropReason;
const MARGIN = 5;
/** The packet at an odd offset, between bytes that would be read as anything. */
const embedded = (packet: Uint8Array) =>
  Buffer.concat([Buffer.alloc(MARGIN, 0x83), packet, Buffer.alloc(MARGIN, 0x83)]);

describe('checkIpv4Header', () => {
  test.each<[what: string, options: number[], verdict: Verdict]>([
    ['no options', [], PASS],
    ['no-operation and end', [1, 1, 1, 0], PASS],
    ['record route', [7, 7, 4, 0, 0, 0, 0, 0], PASS],
    ['router alert', [148, 4, 0, 0], PASS],
    ['loose source route', [131, 7, 4, 192, 0, 2, 1, 0], SourceRoute],
    ['strict source route', [137, 7, 4, 192, 0, 2, 1, 0], SourceRoute],
    ['a source route behind other options', [1, 148, 4, 0, 0, 1, 131, 3], SourceRoute],
    ['a source route as the last byte', [1, 1, 1, 131], SourceRoute],
    ['the number of a source route inside another option', [7, 4, 131, 137], PASS],
    ['the number of a source route behind the end', [0, 131, 131, 137], PASS],
    ['an option of no length', [7, 0, 0, 0], InnerHeader],
    ['an option of length 1', [7, 1, 0, 0], InnerHeader],
    ['an option longer than the header', [7, 5, 4, 0], InnerHeader],
    ['an option cut off before its length', [1, 1, 1, 7], InnerHeader],
  ])('with %s', (_, options, verdict) => {
    expect(checkIpv4Header(embedded(ipv4Packet({ options })), MARGIN)).toBe(verdict);
  });

  test('refuses a header with any one bit changed', () => {
    const packet = ipv4Packet({ options: [7, 4, 4, 0] });
    fc.assert(
      // The first byte's bits would make it another packet: `checkInner` has seen to them.
      fc.property(fc.integer({ min: 8, max: packet.length * 8 - 1 }), (bit) => {
        const changed = embedded(packet);
        changed[MARGIN + (bit >> 3)] ^= 1 << (bit & 7);
        expect(checkIpv4Header(changed, MARGIN)).toBe(HeaderChecksum);
      }),
    );
  });

  test('lets IPv6 pass: it has no header checksum', () => {
    expect(checkIpv4Header(embedded(ipv6Packet({ hopLimit: 3 })), MARGIN)).toBe(PASS);
  });
});

describe('checkAddresses', () => {
  test.each<[source: string, destination: string, verdict: Verdict]>([
    ['10.0.0.1', '192.0.2.1', PASS],
    ['1.0.0.0', '223.255.255.255', PASS],
    ['169.253.0.1', '169.255.0.1', PASS],
    ['126.255.255.255', '128.0.0.0', PASS],
    ['0.0.0.0', '192.0.2.1', Martian],
    ['0.1.2.3', '192.0.2.1', Martian],
    ['127.0.0.1', '192.0.2.1', Martian],
    ['127.255.255.255', '192.0.2.1', Martian],
    ['224.0.0.1', '192.0.2.1', Martian],
    ['239.255.255.255', '192.0.2.1', Martian],
    ['240.0.0.1', '192.0.2.1', Martian],
    ['255.255.255.255', '192.0.2.1', Martian],
    ['10.0.0.1', '0.0.0.0', Martian],
    ['10.0.0.1', '127.0.0.53', Martian],
    ['10.0.0.1', '240.0.0.1', Martian],
    ['10.0.0.1', '255.255.255.254', Martian],
    ['10.0.0.1', '255.255.255.255', NotForwarded],
    ['10.0.0.1', '224.0.0.251', NotForwarded],
    ['10.0.0.1', '239.255.255.250', NotForwarded],
    ['169.254.0.1', '192.0.2.1', NotForwarded],
    ['10.0.0.1', '169.254.169.254', NotForwarded],
    ['127.0.0.1', '224.0.0.251', Martian],
    ['2001:db8::1', 'fd00::1', PASS],
    ['64:ff9b::a00:1', '2001:db8::1', PASS],
    ['::2', '::1:0:0:1', PASS],
    ['::fffe:10.0.0.1', '::1:ffff:10.0.0.1', PASS],
    ['fe7f::1', 'fec0::1', PASS],
    ['::', 'fd00::1', Martian],
    ['::1', 'fd00::1', Martian],
    ['::ffff:10.0.0.1', 'fd00::1', Martian],
    ['ff02::1', 'fd00::1', Martian],
    ['fd00::1', '::', Martian],
    ['fd00::1', '::1', Martian],
    ['fd00::1', '::ffff:10.0.0.1', Martian],
    ['fd00::1', 'ff02::16', NotForwarded],
    ['fd00::1', 'ff0e::1', NotForwarded],
    ['fe80::1', 'fd00::1', NotForwarded],
    ['fd00::1', 'febf:ffff::1', NotForwarded],
    ['::', 'ff02::1', NotForwarded],
    ['::', 'fd00::1', Martian],
  ])('%s to %s', (source, destination, verdict) => {
    const packet = source.includes(':')
      ? ipv6Packet({ source, destination })
      : ipv4Packet({ source, destination });
    expect(checkAddresses(embedded(packet), MARGIN)).toBe(verdict);
  });
});

describe('isRedirect', () => {
  const icmp = (type: number) => Buffer.from([type, 1, 0, 0, 0, 0, 0, 0]);
  test.each<[what: string, packet: Buffer, redirect: boolean]>([
    ['a redirect', ipv4Packet({ protocol: 1, payload: icmp(5) }), true],
    ['a router advertisement', ipv4Packet({ protocol: 1, payload: icmp(9) }), true],
    ['a redirect behind options', ipv4Packet({ protocol: 1, options: [1, 1, 1, 0], payload: icmp(5) }), true],
    ['the first fragment of one', ipv4Packet({ protocol: 1, fragment: 0x2000, payload: icmp(5) }), true],
    ['an IPv6 redirect', ipv6Packet({ nextHeader: 58, payload: icmp(137) }), true],
    ['an IPv6 router advertisement', ipv6Packet({ nextHeader: 58, payload: icmp(134) }), true],
    [
      'an IPv6 redirect behind a header',
      ipv6Packet({
        nextHeader: 0,
        payload: Buffer.concat([Buffer.from([58, 0, 1, 4, 0, 0, 0, 0]), icmp(137)]),
      }),
      true,
    ],
    ['an echo request', ipv4Packet({ protocol: 1, payload: icmp(8) }), false],
    ['an IPv6 echo request', ipv6Packet({ nextHeader: 58, payload: icmp(128) }), false],
    ['an IPv6 message of type 5', ipv6Packet({ nextHeader: 58, payload: icmp(5) }), false],
    ['UDP that begins with a 5', ipv4Packet({ payload: icmp(5) }), false],
    ['a later fragment', ipv4Packet({ protocol: 1, fragment: 1, payload: icmp(5) }), false],
    ['ICMP without a type', ipv4Packet({ protocol: 1 }), false],
  ])('%s', (_, packet, redirect) => {
    expect(isRedirect(embedded(packet), MARGIN, packet.length)).toBe(redirect);
  });
});

test('allocates nothing', () => {
  for (const packet of [ipv4Packet({ options: [1, 1, 1, 0] }), ipv6Packet()]) {
    let verdicts = 0;
    const perCall = bytesPerCall(() => {
      verdicts |= checkIpv4Header(packet, 0) | checkAddresses(packet, 0);
      if (isRedirect(packet, 0, packet.length)) verdicts = 1;
    });
    expect(perCall).toBeLessThan(1);
    expect(verdicts).toBe(PASS);
  }
});
