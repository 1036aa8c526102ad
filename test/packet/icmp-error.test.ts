/** ICMP errors about packets that are not carried: when, and every byte of them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/packet/address.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { IcmpError, MAX_ICMP_ERROR, mayAnswer, writeIcmpError } from '../../src/packet/icmp-error.ts';
import type { IcmpErrorKind } from '../../src/packet/icmp-error.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { ipv4Packet, ipv6Packet, wrongChecksums } from '../support/ip.ts';

const GATEWAY_4 = parseAddress('10.8.0.1');
const GATEWAY_6 = parseAddress('fd00:8::1');

const filled = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7) & 255));
/** A payload that begins with an ICMP type and code. */
const icmp = (type: number, code = 0) => Buffer.concat([Buffer.from([type, code]), filled(62)]);

const PACKET_AT = 6000;
const arena = new HeapArena(80_000);

/** The error about a packet, written to `at`, with nothing changed beside it. */
function errorAbout(packet: Uint8Array, error: IcmpErrorKind, mtu = 0, at = 1024): Buffer {
  arena.bytes.fill(0xee);
  arena.bytes.set(packet, PACKET_AT);
  const source = packet[0] >>> 4 === 4 ? GATEWAY_4 : GATEWAY_6;
  const before = arena.bytes.slice();
  const length = writeIcmpError(arena, at, PACKET_AT, packet.length, error, mtu, source);
  for (const guard of [at - 1, at + length]) expect(arena.bytes[guard]).toBe(before[guard]);
  return Buffer.from(arena.bytes.slice(at, at + length));
}

describe('writeIcmpError gives', () => {
  test.each<[what: string, error: IcmpErrorKind, ipv4: string, ipv6: string]>([
    ['no route', IcmpError.NetUnreachable, '3/0', '1/0'],
    ['host unreachable', IcmpError.HostUnreachable, '3/1', '1/3'],
    ['port unreachable', IcmpError.PortUnreachable, '3/3', '1/4'],
    ['too big', IcmpError.TooBig, '3/4', '2/0'],
    ['administratively prohibited', IcmpError.AdminProhibited, '3/13', '1/1'],
    ['source address failed policy', IcmpError.SourcePolicy, '3/13', '1/5'],
    ['time exceeded', IcmpError.TimeExceeded, '11/0', '3/0'],
  ])('%s its type and code in either family', (_, error, ipv4, ipv6) => {
    const four = errorAbout(ipv4Packet({ payload: filled(30) }), error);
    const six = errorAbout(ipv6Packet({ payload: filled(30) }), error);
    expect(`${four[20]}/${four[21]}`).toBe(ipv4);
    expect(`${six[40]}/${six[41]}`).toBe(ipv6);
  });
});

describe('an IPv4 error', () => {
  const packet = ipv4Packet({ payload: filled(30), ttl: 1, options: [1, 1, 1, 0] });
  const error = errorAbout(packet, IcmpError.TimeExceeded);

  test('goes from the gateway to the source of the packet', () => {
    expect(error.subarray(12, 16)).toEqual(Buffer.from(GATEWAY_4));
    expect(error.subarray(16, 20)).toEqual(packet.subarray(12, 16));
  });

  test('has precedence 6, TTL 64, no fragment bits, and no options', () => {
    expect([error[0], error[1], error[8], error[9]]).toEqual([0x45, 0xc0, 64, 1]);
    expect(error.readUInt16BE(6)).toBe(0);
    expect(error.readUInt16BE(2)).toBe(error.length);
  });

  test('quotes a short packet whole, behind four zero bytes', () => {
    expect(error.subarray(24)).toEqual(Buffer.concat([Buffer.alloc(4), packet]));
  });

  test('quotes of a long packet what fits in 576 bytes', () => {
    const long = ipv4Packet({ payload: filled(1480) });
    expect(errorAbout(long, IcmpError.HostUnreachable).subarray(28)).toEqual(long.subarray(0, 548));
  });

  test('about a packet too big says the MTU in its second half of the word (RFC 1191)', () => {
    const tooBig = errorAbout(ipv4Packet({ payload: filled(1480) }), IcmpError.TooBig, 1300);
    expect(tooBig.readUInt32BE(24)).toBe(1300);
  });
});

describe('an IPv6 error', () => {
  const packet = ipv6Packet({ payload: filled(31), hopLimit: 1 });
  const error = errorAbout(packet, IcmpError.TimeExceeded);

  test('goes from the gateway to the source of the packet', () => {
    expect(error.subarray(8, 24)).toEqual(Buffer.from(GATEWAY_6));
    expect(error.subarray(24, 40)).toEqual(packet.subarray(8, 24));
  });

  test('has hop limit 64, no flow label, and its own length', () => {
    expect(error.readUInt32BE(0)).toBe(0x60000000);
    expect([error[6], error[7]]).toEqual([58, 64]);
    expect(error.readUInt16BE(4)).toBe(error.length - 40);
  });

  test('quotes a short packet whole, behind four zero bytes', () => {
    expect(error.subarray(44)).toEqual(Buffer.concat([Buffer.alloc(4), packet]));
  });

  test('quotes of a long packet what fits in 1280 bytes', () => {
    const long = ipv6Packet({ payload: filled(1460) });
    expect(errorAbout(long, IcmpError.HostUnreachable).subarray(48)).toEqual(long.subarray(0, 1232));
  });

  test('about a packet too big says the MTU in 32 bits', () => {
    const tooBig = errorAbout(ipv6Packet({ payload: filled(1460) }), IcmpError.TooBig, 1400);
    expect(tooBig.readUInt32BE(44)).toBe(1400);
  });
});

test('every error has right checksums and fits, wherever it is written and whatever it quotes', () => {
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.oneof(fc.nat(1500), fc.nat(65_000)),
      fc.nat(255),
      fc.constantFrom(...Object.values(IcmpError)),
      fc.integer({ min: 68, max: 65535 }),
      fc.integer({ min: 1, max: 7000 }),
      (ipv4, size, salt, error, mtu, at) => {
        const payload = filled(size).map((byte) => byte ^ salt);
        const packet = ipv4 ? ipv4Packet({ payload }) : ipv6Packet({ payload });
        const message = errorAbout(packet, error, mtu, at);
        expect(wrongChecksums(message)).toEqual([]);
        expect(message.length).toBeLessThanOrEqual(MAX_ICMP_ERROR);
        const quote = message.subarray(ipv4 ? 28 : 48);
        expect(quote).toEqual(packet.subarray(0, quote.length));
      },
    ),
    { numRuns: 500 },
  );
});

describe('mayAnswer', () => {
  const fragmentHeader = (next: number, offset: number) =>
    Buffer.from([next, 0, (offset * 8) >> 8, (offset * 8) & 0xff, 0, 0, 0, 1]);
  const everyHeader = Buffer.from(
    [
      [60, 0, 1, 4, 0, 0, 0, 0],
      [43, 1, 1, 12, ...Buffer.alloc(12)],
      [51, 0, 0, 0, 0, 0, 0, 0],
      [58, 2, ...Buffer.alloc(14)],
    ].flat(),
  );
  const behind = (header: Buffer, type = 1) => Buffer.concat([header, icmp(type)]);

  test.each<[what: string, packet: Buffer]>([
    ['UDP', ipv4Packet({ payload: filled(8) })],
    ['TCP over IPv6', ipv6Packet({ nextHeader: 6, payload: filled(20) })],
    ['a header alone', ipv4Packet()],
    ['a first fragment', ipv4Packet({ fragment: 0x2000, payload: filled(64) })],
    ['an echo request', ipv4Packet({ protocol: 1, payload: icmp(8) })],
    ['an echo reply', ipv4Packet({ protocol: 1, payload: icmp(0) })],
    ['a timestamp request', ipv4Packet({ protocol: 1, payload: icmp(13) })],
    ['an IPv6 echo request', ipv6Packet({ nextHeader: 58, payload: icmp(128) })],
    [
      'an IPv6 echo request behind hop-by-hop, destination, routing and authentication headers',
      ipv6Packet({ nextHeader: 0, payload: behind(everyHeader, 128) }),
    ],
    [
      'an IPv6 header with nothing behind',
      ipv6Packet({ nextHeader: 60, payload: Buffer.from([59, 0, 1, 4, 0, 0, 0, 0]) }),
    ],
    ['a first fragment of IPv6 UDP', ipv6Packet({ nextHeader: 44, payload: behind(fragmentHeader(17, 0)) })],
  ])('answers %s', (_, packet) => {
    expect(mayAnswer(packet, 0, packet.length, IcmpError.NetUnreachable)).toBe(true);
  });

  test.each<[what: string, packet: Buffer]>([
    ['a later fragment', ipv4Packet({ fragment: 0x0001, payload: filled(64) })],
    ['an unreachable', ipv4Packet({ protocol: 1, payload: icmp(3, 1) })],
    ['a source quench', ipv4Packet({ protocol: 1, payload: icmp(4) })],
    ['a redirect', ipv4Packet({ protocol: 1, payload: icmp(5) })],
    ['a time exceeded', ipv4Packet({ protocol: 1, payload: icmp(11) })],
    ['a parameter problem', ipv4Packet({ protocol: 1, payload: icmp(12) })],
    ['an ICMP type nobody knows', ipv4Packet({ protocol: 1, payload: icmp(8 + 32) })],
    ['an error behind IPv4 options', ipv4Packet({ protocol: 1, options: [1, 1, 1, 0], payload: icmp(3) })],
    ['ICMP without its type', ipv4Packet({ protocol: 1 })],
    ['ICMP without its code', ipv4Packet({ protocol: 1, payload: Buffer.from([8]) })],
    ['an IPv6 error', ipv6Packet({ nextHeader: 58, payload: icmp(1) })],
    ['an IPv6 error nobody knows', ipv6Packet({ nextHeader: 58, payload: icmp(127) })],
    ['an IPv6 redirect', ipv6Packet({ nextHeader: 58, payload: icmp(137) })],
    [
      'an IPv6 error behind hop-by-hop, destination, routing and authentication headers',
      ipv6Packet({ nextHeader: 0, payload: behind(everyHeader) }),
    ],
    [
      'an IPv6 error in a first fragment',
      ipv6Packet({ nextHeader: 44, payload: behind(fragmentHeader(58, 0)) }),
    ],
    ['a later fragment of IPv6 UDP', ipv6Packet({ nextHeader: 44, payload: behind(fragmentHeader(17, 3)) })],
    ['IPv6 headers cut short', ipv6Packet({ nextHeader: 0, payload: Buffer.from([17, 0, 1, 4]) })],
    [
      'an IPv6 header longer than the packet',
      ipv6Packet({ nextHeader: 60, payload: Buffer.from([58, 200, 1, 4, 0, 0, 0, 0]) }),
    ],
  ])('does not answer %s', (_, packet) => {
    expect(mayAnswer(packet, 0, packet.length, IcmpError.NetUnreachable)).toBe(false);
  });

  test.each([
    ['10.0.0.1', '192.0.2.1', true],
    ['0.0.0.0', '192.0.2.1', false],
    ['127.0.0.1', '192.0.2.1', false],
    ['224.0.0.5', '192.0.2.1', false],
    ['240.0.0.1', '192.0.2.1', false],
    ['255.255.255.255', '192.0.2.1', false],
    ['10.0.0.1', '224.0.0.251', false],
    ['10.0.0.1', '255.255.255.255', false],
    ['2001:db8::1', '2001:db8::2', true],
    ['::', '2001:db8::2', false],
    ['::1', '2001:db8::2', false],
    ['ff02::1', '2001:db8::2', false],
    ['2001:db8::1', 'ff05::2', false],
  ])('from %s to %s: %s', (source, destination, answer) => {
    const packet = source.includes(':')
      ? ipv6Packet({ source, destination })
      : ipv4Packet({ source, destination });
    expect(mayAnswer(packet, 0, packet.length, IcmpError.NetUnreachable)).toBe(answer);
  });

  test('about an IPv6 multicast: only that it is too big (RFC 4443 2.4e)', () => {
    const packet = ipv6Packet({ destination: 'ff0e::1234' });
    expect(mayAnswer(packet, 0, packet.length, IcmpError.TooBig)).toBe(true);
    expect(mayAnswer(packet, 0, packet.length, IcmpError.TimeExceeded)).toBe(false);
    const four = ipv4Packet({ destination: '239.1.2.3' });
    expect(mayAnswer(four, 0, four.length, IcmpError.TooBig)).toBe(false);
  });

  test('says nothing about any of our own errors', () => {
    for (const error of Object.values(IcmpError)) {
      for (const packet of [ipv4Packet({ payload: filled(40) }), ipv6Packet({ payload: filled(40) })]) {
        const message = errorAbout(packet, error);
        expect(mayAnswer(message, 0, message.length, error)).toBe(false);
      }
    }
  });

  test('stays inside the packet, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.nat(255), fc.uint8Array({ maxLength: 60 }), (ipv4, protocol, payload) => {
        const packet = ipv4
          ? ipv4Packet({ protocol, payload })
          : ipv6Packet({ nextHeader: protocol, payload });
        const answers = [0x00, 0xff].map((margin) => {
          const bytes = Buffer.concat([Buffer.alloc(8, margin), packet, Buffer.alloc(2100, margin)]);
          return mayAnswer(bytes, 8, packet.length, IcmpError.TimeExceeded);
        });
        expect(answers[0]).toBe(answers[1]);
      }),
      { numRuns: 2000 },
    );
  });
});

test('allocates nothing', () => {
  for (const packet of [ipv4Packet({ payload: filled(900) }), ipv6Packet({ payload: filled(900) })]) {
    const { length } = packet;
    arena.bytes.set(packet, PACKET_AT);
    const source = packet[0] >>> 4 === 4 ? GATEWAY_4 : GATEWAY_6;
    const perCall = bytesPerCall(() => {
      if (mayAnswer(arena.bytes, PACKET_AT, length, IcmpError.TooBig)) {
        writeIcmpError(arena, 1024, PACKET_AT, length, IcmpError.TooBig, 1300, source);
      }
    });
    expect(perCall).toBeLessThan(1);
  }
});
