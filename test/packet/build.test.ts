import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/packet/address.ts';
import { buildPacket, minPacketLength, type PacketShape } from '../../src/packet/build.ts';
import { checkInner, innerLength } from '../../src/packet/inner.ts';
import { checkAddresses } from '../../src/packet/sanity.ts';
import { PASS } from '../../src/packet/verdict.ts';
import { wrongChecksums } from '../support/ip.ts';

const four = { source: parseAddress('10.8.0.2'), destination: parseAddress('192.0.2.9') };
const six = { source: parseAddress('fd00:8::2'), destination: parseAddress('2001:db8::9') };
const ports = { sourcePort: 40_000, destinationPort: 443 };
const protocols = ['tcp', 'udp', 'icmp'] as const;

const families = [
  ['IPv4', four],
  ['IPv6', six],
] as const;
const rows = families.flatMap(([family, addresses]) =>
  protocols.map((protocol) => [`${protocol} over ${family}`, { ...addresses, ...ports, protocol }] as const),
);

describe('buildPacket', () => {
  test.each(rows)('%s: sound at every length', (_, shape) => {
    const least = minPacketLength(shape.source.length, shape.protocol);
    for (const length of [least, least + 1, 576, 1501, 65_535]) {
      const packet = buildPacket({ ...shape, length });
      expect(packet.length).toBe(length);
      expect(checkInner(packet, 0, length)).toBe(PASS);
      expect(innerLength(packet, 0)).toBe(length);
      expect(checkAddresses(packet, 0)).toBe(PASS);
      expect(wrongChecksums(packet)).toEqual([]);
    }
  });

  test.each<[what: string, shape: PacketShape, hex: string]>([
    [
      'a TCP SYN',
      { ...four, ...ports, protocol: 'tcp', dontFragment: true, ttl: 9 },
      '4500002800004000 0906 a5bd 0a080002 c0000209 9c40 01bb 00000000 00000000 5002 0000 45d4 0000',
    ],
    [
      'a UDP datagram',
      { ...six, ...ports, protocol: 'udp' },
      '6000000000081140 fd000008000000000000000000000002 20010db8000000000000000000000009 9c4001bb0008 3716',
    ],
    [
      'an echo request, its identifier and sequence number for ports',
      { ...four, ...ports, protocol: 'icmp' },
      '4500001c00000000 4001 aece 0a080002 c0000209 0800 5a04 9c40 01bb',
    ],
    [
      'an ICMPv6 echo request',
      { ...six, ...ports, protocol: 'icmp' },
      '6000000000083a40 fd000008000000000000000000000002 20010db8000000000000000000000009 8000 b6f4 9c4001bb',
    ],
  ])('gives %s', (_, shape, hex) => {
    expect(Buffer.from(buildPacket(shape)).toString('hex')).toBe(hex.replaceAll(' ', ''));
  });

  test.each<[what: string, shape: PacketShape]>([
    ['addresses of two families', { ...four, ...ports, destination: six.destination, protocol: 'udp' }],
    ['a length below the headers', { ...four, ...ports, protocol: 'tcp', length: 39 }],
    ['a length beyond 16 bits', { ...four, ...ports, protocol: 'tcp', length: 65_536 }],
  ])('refuses %s', (_, shape) => {
    expect(() => buildPacket(shape)).toThrow(RangeError);
  });
});
