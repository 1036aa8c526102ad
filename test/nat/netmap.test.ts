import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Netmap, type Direction } from '../../src/nat/netmap.ts';
import type { NetmapRule } from '../../src/nat/rule.ts';
import { formatAddress, parseAddress } from '../../src/packet/address.ts';
import { parsePrefix } from '../../src/packet/prefix.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import { bytesPerCall } from '../support/allocs.ts';
import {
  fragments,
  icmp,
  ipPacket,
  tcp,
  udp,
  type Ends,
  type IpShape,
  type Transport,
} from '../support/ip-packets.ts';
import { contents, fill, heapSlot } from '../support/slot.ts';

function rule(kind: 'snat' | 'dnat', local: string, wire: string): NetmapRule {
  return {
    kind,
    local: parsePrefix(local)!,
    wire: parsePrefix(wire)!,
    where: { file: 'a.conf', line: 1, column: 1 },
  };
}

const batch = heapSlot();

function run(netmap: Netmap, direction: Direction, packet: Buffer): number {
  fill(batch, packet);
  return netmap[direction](batch, 0);
}

function translated(netmap: Netmap, direction: Direction, packet: Buffer): Buffer {
  expect(run(netmap, direction, packet)).toBe(PASS);
  return contents(batch);
}

/** Both sites are 10.0.0.0/16: we appear as 10.101.0.0/16, the peer's site as 10.102.0.0/16. */
const twins = new Netmap([
  rule('snat', '10.0.0.0/16', '10.101.0.0/16'),
  rule('dnat', '10.102.0.0/16', '10.0.0.0/16'),
]);
const LOCAL: Ends = { source: '10.0.3.4', destination: '10.102.5.6' };
const WIRE: Ends = { source: '10.101.3.4', destination: '10.0.5.6' };

const reversed = ({ source, destination }: Ends): Ends => ({ source: destination, destination: source });

const DATA = Buffer.from('0123456789abcdef0123456789abcdef');
const TCP = tcp({ sourcePort: 40000, destinationPort: 443, data: DATA });
const UDP = udp({ sourcePort: 40000, destinationPort: 53, data: DATA });

describe('client-nat', () => {
  test.each<[string, NetmapRule, Direction, Ends, Ends]>([
    [
      'snat, out: the source',
      rule('snat', '10.0.0.0/16', '10.101.0.0/16'),
      'outbound',
      LOCAL,
      { ...LOCAL, source: '10.101.3.4' },
    ],
    [
      'snat, in: the destination',
      rule('snat', '10.0.0.0/16', '10.101.0.0/16'),
      'inbound',
      reversed({ ...LOCAL, source: '10.101.3.4' }),
      reversed(LOCAL),
    ],
    [
      'dnat, out: the destination',
      rule('dnat', '10.102.0.0/16', '10.0.0.0/16'),
      'outbound',
      LOCAL,
      { ...LOCAL, destination: '10.0.5.6' },
    ],
    [
      'dnat, in: the source',
      rule('dnat', '10.102.0.0/16', '10.0.0.0/16'),
      'inbound',
      reversed({ ...LOCAL, destination: '10.0.5.6' }),
      reversed(LOCAL),
    ],
    [
      'a mask that is no multiple of 8',
      rule('snat', '10.0.2.0/23', '192.168.254.0/23'),
      'outbound',
      LOCAL,
      { ...LOCAL, source: '192.168.255.4' },
    ],
    [
      'one address',
      rule('snat', '10.0.3.4/32', '192.0.2.1/32'),
      'outbound',
      LOCAL,
      { ...LOCAL, source: '192.0.2.1' },
    ],
    ['every address', rule('snat', '0.0.0.0/0', '0.0.0.0/0'), 'outbound', LOCAL, LOCAL],
    ['no match', rule('snat', '10.1.0.0/16', '10.101.0.0/16'), 'outbound', LOCAL, LOCAL],
  ])('%s', (_, one, direction, before, after) => {
    expect(translated(new Netmap([one]), direction, ipPacket(before, TCP))).toEqual(ipPacket(after, TCP));
  });

  test('snat and dnat in one packet, both ways', () => {
    expect(translated(twins, 'outbound', ipPacket(LOCAL, TCP))).toEqual(ipPacket(WIRE, TCP));
    expect(translated(twins, 'inbound', ipPacket(reversed(WIRE), TCP))).toEqual(
      ipPacket(reversed(LOCAL), TCP),
    );
  });

  test('the first rule that matches decides, and its result is not translated again', () => {
    const netmap = new Netmap([
      rule('snat', '10.0.3.0/24', '10.1.3.0/24'),
      rule('snat', '10.0.0.0/16', '10.2.0.0/16'),
      rule('snat', '10.1.0.0/16', '10.3.0.0/16'),
    ]);
    expect(translated(netmap, 'outbound', ipPacket(LOCAL, UDP))).toEqual(
      ipPacket({ ...LOCAL, source: '10.1.3.4' }, UDP),
    );
    const other = { ...LOCAL, source: '10.0.9.9' };
    expect(translated(netmap, 'outbound', ipPacket(other, UDP))).toEqual(
      ipPacket({ ...other, source: '10.2.9.9' }, UDP),
    );
  });

  test('64 entries, the last one included', () => {
    const netmap = new Netmap(
      Array.from({ length: 64 }, (_, i) => rule('snat', `10.0.${i}.0/24`, `10.101.${i}.0/24`)),
    );
    const from = (net: number): Ends => ({ ...LOCAL, source: `10.0.${net}.4` });
    const to = (net: number): Ends => ({ ...LOCAL, source: `10.101.${net}.4` });
    for (const net of [0, 31, 63]) {
      expect(translated(netmap, 'outbound', ipPacket(from(net), UDP))).toEqual(ipPacket(to(net), UDP));
    }
    expect(translated(netmap, 'outbound', ipPacket(from(64), UDP))).toEqual(ipPacket(from(64), UDP));
  });

  test.each<[string, IpShape, Transport]>([
    [
      'a UDP checksum of 0 stays 0',
      {} as IpShape,
      udp({ sourcePort: 1, destinationPort: 2, data: DATA, noChecksum: true }),
    ],
    ['a packet with IP options is not corrupted', { options: Buffer.alloc(20, 1) } as IpShape, TCP],
    ['an echo request', {} as IpShape, icmp({ version: 4, type: 8, rest: [7, 1], data: DATA })],
    ['a protocol without ports', {} as IpShape, { protocol: 47, bytes: DATA, checksum: undefined }],
  ])('%s', (_, shape, transport) => {
    expect(translated(twins, 'outbound', ipPacket({ ...shape, ...LOCAL }, transport))).toEqual(
      ipPacket({ ...shape, ...WIRE }, transport),
    );
  });

  test('a computed UDP checksum of 0 is sent as all ones', () => {
    const datagram = (sourcePort: number): Transport => udp({ sourcePort, destinationPort: 9 });
    let port = 0;
    while (ipPacket(WIRE, datagram(port)).readUInt16BE(26) !== 0xffff) port++;
    expect(translated(twins, 'outbound', ipPacket(LOCAL, datagram(port))).readUInt16BE(26)).toBe(0xffff);
  });

  test('the payload of a second fragment is unchanged', () => {
    const out = fragments(LOCAL, UDP, 9, 16, 32).map((packet) => translated(twins, 'outbound', packet));
    expect(out).toEqual(fragments(WIRE, UDP, 9, 16, 32));
  });
});

describe('ICMP errors through client-nat', () => {
  /** The peer's 10.0.5.6 answers our 10.0.3.4, in the words of either side. */
  const unreachable = (ends: Ends, keep = 28): Buffer =>
    ipPacket(
      reversed(ends),
      icmp({ version: 4, type: 3, code: 3, data: ipPacket(ends, UDP).subarray(0, keep) }),
    );

  test('the quote shows only addresses of the receiver, inbound and outbound', () => {
    expect(translated(twins, 'inbound', unreachable(WIRE))).toEqual(unreachable(LOCAL));
    expect(translated(twins, 'inbound', unreachable(WIRE, 60))).toEqual(unreachable(LOCAL, 60));
    expect(translated(twins, 'outbound', unreachable(reversed(LOCAL)))).toEqual(unreachable(reversed(WIRE)));
  });

  test('also of a router that no rule knows', () => {
    const from = (ends: Ends): Buffer => {
      const message = icmp({ version: 4, type: 11, data: ipPacket(ends, UDP).subarray(0, 28) });
      return ipPacket({ source: '192.0.2.1', destination: ends.source }, message);
    };
    expect(translated(twins, 'inbound', from(WIRE))).toEqual(from(LOCAL));
    const snat = new Netmap([rule('snat', '10.0.0.0/16', '10.101.0.0/16')]);
    const toPeer = (ends: Ends): Buffer => {
      const message = icmp({ version: 4, type: 11, data: ipPacket(ends, UDP).subarray(0, 28) });
      return ipPacket({ source: '192.0.2.1', destination: '198.51.100.9' }, message);
    };
    const about = { source: '198.51.100.9', destination: '10.0.3.4' };
    expect(translated(snat, 'outbound', toPeer(about))).toEqual(
      toPeer({ ...about, destination: '10.101.3.4' }),
    );
  });

  test('with a wrong checksum, or an unreadable quote, are dropped and not changed', () => {
    const wrong = unreachable(WIRE);
    wrong[22] ^= 1;
    expect(run(twins, 'inbound', wrong)).toBe(DropReason.IcmpChecksum);
    expect(contents(batch)).toEqual(wrong);
    expect(run(twins, 'inbound', unreachable(WIRE, 27))).toBe(DropReason.NatHeader);
  });
});

describe('of packets that cannot be translated', () => {
  const cut = ipPacket(LOCAL, { ...TCP, bytes: TCP.bytes.subarray(0, 19), checksum: undefined });
  test('those a rule matches are dropped', () => {
    expect(run(twins, 'outbound', cut)).toBe(DropReason.NatHeader);
    expect(run(twins, 'outbound', fragments(LOCAL, TCP, 1, 16)[0])).toBe(DropReason.NatFragment);
  });

  test('the others pass', () => {
    const elsewhere = new Netmap([rule('snat', '192.168.0.0/16', '10.101.0.0/16')]);
    expect(translated(elsewhere, 'outbound', cut)).toEqual(cut);
    const ipv6 = ipPacket({ source: 'fd00::1', destination: 'fd00::2' }, TCP);
    expect(translated(twins, 'outbound', ipv6)).toEqual(ipv6);
  });
});

/** RFC 6296 appendix B: the adjustment is 0xD54F, or 0x2AB0 the other way. */
const RFC6296 = rule('snat', 'fd01:203:405::/48', '2001:db8:1::/48');

describe('NPTv6', () => {
  const map = (one: NetmapRule, direction: Direction, address: string): string | undefined => {
    const end = direction === 'outbound' ? 'source' : 'destination';
    const mapped = new Netmap([one]).map(direction, end, parseAddress(address));
    return mapped?.address === undefined ? undefined : formatAddress(mapped.address);
  };

  test.each<[string, NetmapRule, string, string]>([
    ["the RFC's example", RFC6296, 'fd01:203:405:1::1234', '2001:db8:1:d550::1234'],
    ['a result of all ones is written as zero', RFC6296, 'fd01:203:405:2ab0::1', '2001:db8:1::1'],
    [
      'a prefix shorter than 48',
      rule('snat', 'fd00::/40', '2001:db8:a00::/40'),
      'fd00:0:12:1::1',
      '2001:db8:a12:c548::1',
    ],
    [
      'a prefix longer than 48: in the first word of the interface',
      rule('snat', 'fd01:203:405:1::/64', '2001:db8:1:2::/64'),
      'fd01:203:405:1::1',
      '2001:db8:1:2:d54e::1',
    ],
    [
      'that is not all ones',
      rule('snat', 'fd01:203:405:1::/64', '2001:db8:1:2::/64'),
      'fd01:203:405:1:ffff:0:ffff:1',
      '2001:db8:1:2:ffff:d54e:ffff:1',
    ],
    [
      'a prefix longer than 64: behind it',
      rule('snat', 'fd01:203:405:1:0:8000::/84', '2001:db8:1:2:0:1000::/84'),
      'fd01:203:405:1:0:8123:0:7',
      '2001:db8:1:2:0:1123:454f:7',
    ],
  ])('%s', (_, one, local, wire) => {
    const mapped = map(one, 'outbound', local)!;
    expect(mapped).toBe(wire);
    expect(map(one, 'inbound', mapped)).toBe(local);
  });

  test.each<[string, NetmapRule, string]>([
    ['a subnet of all ones', RFC6296, 'fd01:203:405:ffff::1'],
    [
      'an interface of all ones',
      rule('snat', 'fd01:203:405:1::/64', '2001:db8:1:2::/64'),
      'fd01:203:405:1:ffff:ffff:ffff:ffff',
    ],
    ['a prefix longer than 112', rule('snat', 'fd01::/120', 'fd02::/120'), 'fd01::1'],
  ])('has no counterpart for %s', (_, one, source) => {
    expect(map(one, 'outbound', source)).toBeUndefined();
    const packet = ipPacket({ source, destination: '2001:db8:9::9' }, TCP);
    expect(run(new Netmap([one]), 'outbound', packet)).toBe(DropReason.NatUnmappable);
    expect(contents(batch)).toEqual(packet);
  });

  const LOCAL6: Ends = { source: 'fd01:203:405:1::1234', destination: '2001:db8:9::9' };
  const WIRE6: Ends = { ...LOCAL6, source: '2001:db8:1:d550::1234' };
  const npt = new Netmap([RFC6296]);

  test.each<[string, Transport]>([
    ['TCP', TCP],
    ['UDP', UDP],
    ['UDP without checksum', udp({ sourcePort: 1, destinationPort: 2, data: DATA, noChecksum: true })],
    ['an echo request', icmp({ version: 6, type: 128, rest: [7, 1], data: DATA })],
    ['a protocol nobody knows', { protocol: 99, bytes: DATA, checksum: undefined }],
  ])('leaves every byte behind the addresses as it was, and checksums right: %s', (_, transport) => {
    const packet = ipPacket(LOCAL6, transport);
    const out = translated(npt, 'outbound', packet);
    expect(out.subarray(40)).toEqual(packet.subarray(40));
    expect(out).toEqual(ipPacket(WIRE6, transport));
    expect(translated(npt, 'inbound', ipPacket(reversed(WIRE6), transport))).toEqual(
      ipPacket(reversed(LOCAL6), transport),
    );
  });

  test('translates addresses in the quote of an ICMPv6 error, packet too big included', () => {
    for (const type of [1, 2, 3]) {
      const error = (ends: Ends): Buffer =>
        ipPacket(
          { source: '2001:db8:9::1', destination: ends.source },
          icmp({ version: 6, type, rest: [0, 1280], data: ipPacket(ends, TCP) }),
        );
      expect(translated(npt, 'inbound', error(WIRE6))).toEqual(error(LOCAL6));
    }
  });

  test('is checksum-neutral and comes back, for any prefixes and addresses', () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 112 }), bytes, bytes, bytes, (length, from, to, host) => {
        const prefix = (network: Uint8Array): string => {
          const masked = network.map(
            (byte, i) => byte & ~(0xff >>> Math.min(8, Math.max(0, length - 8 * i))),
          );
          return `${formatAddress(masked)}/${length}`;
        };
        const one = rule('snat', prefix(from), prefix(to));
        const local = host.map((byte, i) => {
          const mask = 0xff >>> Math.min(8, Math.max(0, length - 8 * i));
          return one.local.bytes[i] | (byte & mask);
        });
        const netmap = new Netmap([one]);
        const wire = netmap.map('outbound', 'source', local)!.address;
        if (wire === undefined) return;
        const residue = (address: Uint8Array): number =>
          address.reduce((sum, byte, i) => sum + (i % 2 === 0 ? byte * 256 : byte), 0) % 0xffff;
        expect(residue(wire)).toBe(residue(local));
        const back = netmap.map('inbound', 'destination', wire)!.address!;
        // RFC 6296 3.4: an adjusted word of zero and of all ones are one and the same; all ones never comes out.
        expect(residue(back)).toBe(residue(local));
        expect(formatAddress(back)).toBe(formatAddress(local));
      }),
      { numRuns: 3000 },
    );
  });
});

test('out then in is the identity, for any IPv4 packet a rule matches', () => {
  const octet = fc.nat(255);
  fc.assert(
    fc.property(
      octet,
      octet,
      octet,
      octet,
      fc.nat(65535),
      fc.nat(65535),
      (a, b, c, d, sourcePort, destinationPort) => {
        const ends = { source: `10.0.${a}.${b}`, destination: `10.102.${c}.${d}` };
        const packet = ipPacket(ends, udp({ sourcePort, destinationPort, data: DATA }));
        const out = translated(twins, 'outbound', packet);
        expect(out).not.toEqual(packet);
        // The answer's addresses are those of the packet, the other way round.
        const answer = reversed({ source: `10.101.${a}.${b}`, destination: `10.0.${c}.${d}` });
        const transport = udp({ sourcePort: destinationPort, destinationPort: sourcePort, data: DATA });
        expect(translated(twins, 'inbound', ipPacket(answer, transport))).toEqual(
          ipPacket(reversed(ends), transport),
        );
      },
    ),
    { numRuns: 1000 },
  );
});

test('says which rule maps an address', () => {
  const mapped = twins.map('outbound', 'destination', parseAddress('10.102.5.6'))!;
  expect(mapped.rule.kind).toBe('dnat');
  expect(formatAddress(mapped.address!)).toBe('10.0.5.6');
  expect(twins.map('outbound', 'destination', parseAddress('10.103.5.6'))).toBeUndefined();
});

test.each<[string, Netmap, Buffer]>([
  ['IPv4', twins, ipPacket(LOCAL, TCP)],
  [
    'IPv6',
    new Netmap([RFC6296]),
    ipPacket({ source: 'fd01:203:405:1::1', destination: '2001:db8:9::9' }, UDP),
  ],
])('allocates nothing per packet: %s', (_, netmap, packet) => {
  const bytes = bytesPerCall(() => {
    batch.bytes.set(packet, batch.packetOffset(0));
    batch.commit(0, packet.length);
    netmap.outbound(batch, 0);
    netmap.inbound(batch, 0);
  });
  expect(bytes).toBeLessThan(1);
});
