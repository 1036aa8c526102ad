import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createView, NO_CHECKSUM, type PacketView } from '../../src/nat/packet-view.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import { fragments, icmp, ipPacket, tcp, udp, type Transport } from '../support/ip-packets.ts';

const V4 = { source: '10.8.0.2', destination: '172.16.0.3' };
const V6 = { source: 'fd00::2', destination: 'fd01::3' };
const DATA = Buffer.alloc(40, 0x61);
const TCP = tcp({ sourcePort: 40000, destinationPort: 443, flags: 0x12, data: DATA });
const UDP = udp({ sourcePort: 40000, destinationPort: 53, data: DATA });

const view = createView();

function read(packet: Uint8Array): PacketView {
  expect(view.read(packet, 0, packet.length)).toBe(PASS);
  return view;
}

const verdictOn = (packet: Uint8Array): number => view.read(packet, 0, packet.length);
const echo = (version: 4 | 6, type: number): Transport => icmp({ version, type, rest: [777, 1] });

describe('a view says', () => {
  test.each<[string, Buffer, Partial<PacketView>]>([
    [
      'IPv4 TCP',
      ipPacket(V4, TCP),
      {
        family: 4,
        kind: 'tcp',
        sourcePort: 40000,
        destinationPort: 443,
        tcpFlags: 0x12,
        transport: 20,
        checksum: 36,
      },
    ],
    [
      'IPv4 TCP behind options',
      ipPacket({ ...V4, options: Buffer.alloc(12, 1) }, TCP),
      { kind: 'tcp', sourcePort: 40000, transport: 32, transportLength: 60, checksum: 48 },
    ],
    [
      'IPv6 UDP',
      ipPacket(V6, UDP),
      {
        family: 6,
        addressSize: 16,
        kind: 'udp',
        destinationPort: 53,
        transport: 40,
        source: 8,
        destination: 24,
      },
    ],
    [
      'IPv6 UDP behind destination options',
      ipPacket({ ...V6, options: Buffer.from([0, 1, 1, 12, ...Buffer.alloc(12)]), extension: 60 }, UDP),
      { kind: 'udp', protocol: 17, destinationPort: 53, transport: 56, transportLength: 48 },
    ],
    [
      'an IPv4 echo request',
      ipPacket(V4, echo(4, 8)),
      { kind: 'icmp-query', sourcePort: 777, destinationPort: 777 },
    ],
    ['an IPv4 echo reply', ipPacket(V4, echo(4, 0)), { kind: 'icmp-query', sourcePort: 777, icmpType: 0 }],
    ['a timestamp request', ipPacket(V4, echo(4, 13)), { kind: 'icmp-query', sourcePort: 777 }],
    [
      'an IPv6 echo request',
      ipPacket(V6, echo(6, 128)),
      { kind: 'icmp-query', sourcePort: 777, checksum: 42 },
    ],
    ['an ICMP redirect', ipPacket(V4, echo(4, 5)), { kind: 'other', sourcePort: 0 }],
    ['an ICMPv6 router solicitation', ipPacket(V6, echo(6, 133)), { kind: 'other', sourcePort: 0 }],
    ['ICMP in IPv6', ipPacket(V6, echo(4, 8)), { kind: 'other', protocol: 1, checksum: NO_CHECKSUM }],
    [
      'ESP',
      ipPacket(V4, { protocol: 50, bytes: DATA, checksum: undefined }),
      { kind: 'other', protocol: 50, sourcePort: 0, checksum: NO_CHECKSUM },
    ],
    ['no fragment of a whole packet', ipPacket(V4, TCP), { isFragment: false, fragmentOffset: 0 }],
  ])('%s', (_, packet, expected) => {
    expect(read(packet)).toMatchObject(expected);
  });

  test.each<[4 | 6, Buffer[], number]>([
    [4, fragments(V4, UDP, 0xbeef, 24, 40), 0xbeef],
    [6, fragments(V6, UDP, 0x89abcdef, 24, 40), 0x89abcdef | 0],
  ])('the fragments of IPv%i', (_, [first, middle, last], fragmentId) => {
    expect(read(first)).toMatchObject({
      kind: 'udp',
      destinationPort: 53,
      isFragment: true,
      fragmentOffset: 0,
      fragmentLength: 24,
      moreFragments: true,
      fragmentId,
    });
    expect(read(middle)).toMatchObject({
      kind: 'fragment',
      protocol: 17,
      destinationPort: 0,
      fragmentOffset: 24,
      fragmentLength: 16,
      moreFragments: true,
      fragmentId,
      checksum: NO_CHECKSUM,
    });
    expect(read(last)).toMatchObject({
      kind: 'fragment',
      fragmentOffset: 40,
      moreFragments: false,
      fragmentId,
    });
  });

  test('the quote of an ICMP error', () => {
    const message = icmp({ version: 4, type: 3, code: 3, data: ipPacket(V4, UDP).subarray(0, 28) });
    const error = read(ipPacket({ source: V4.destination, destination: V4.source }, message));
    expect(error).toMatchObject({ kind: 'icmp-error', icmpType: 3, icmpCode: 3 });
    expect(error.quoted).toMatchObject({
      kind: 'udp',
      start: 28,
      source: 40,
      sourcePort: 40000,
      destinationPort: 53,
      length: 28,
    });
  });

  test('an atomic fragment is a whole packet', () => {
    const packet = fragments(V6, UDP, 5)[0];
    expect(read(packet)).toMatchObject({ kind: 'udp', isFragment: false, transport: 48 });
  });

  test('padding behind the packet is not part of it', () => {
    const packet = Buffer.concat([ipPacket(V4, TCP), Buffer.alloc(6)]);
    expect(read(packet)).toMatchObject({ length: packet.length - 6, transportLength: 60 });
  });
});

describe('cannot be read:', () => {
  const short = (transport: Transport, keep: number): Transport => ({
    ...transport,
    bytes: transport.bytes.subarray(0, keep),
    checksum: undefined,
  });
  const withByte = (packet: Buffer, at: number, value: number): Buffer => {
    const copy = Buffer.from(packet);
    copy[at] = value;
    return copy;
  };
  const chain = (count: number): Buffer => {
    const headers = Buffer.alloc(8 * count);
    for (let i = 0; i < count - 1; i++) headers[8 * i] = 60;
    headers[8 * (count - 1)] = 17;
    const packet = ipPacket({ ...V6, options: headers, extension: 60 }, UDP);
    headers.copy(packet, 40);
    return packet;
  };
  test.each<[string, Buffer, number]>([
    ['nothing', Buffer.alloc(0), DropReason.InnerHeader],
    ['another version', withByte(ipPacket(V4, TCP), 0, 0x55), DropReason.InnerVersion],
    ['an IPv4 header length below 20', withByte(ipPacket(V4, TCP), 0, 0x44), DropReason.InnerHeader],
    ['an IPv4 packet cut off', ipPacket(V4, TCP).subarray(0, 60), DropReason.InnerHeader],
    ['an IPv6 packet cut off', ipPacket(V6, TCP).subarray(0, 60), DropReason.InnerHeader],
    ['19 bytes of TCP', ipPacket(V4, short(TCP, 19)), DropReason.NatHeader],
    ['a TCP header length below 20', withByte(ipPacket(V4, TCP), 32, 0x40), DropReason.NatHeader],
    [
      'a TCP header longer than the packet',
      withByte(ipPacket(V4, short(TCP, 20)), 32, 0x60),
      DropReason.NatHeader,
    ],
    ['7 bytes of UDP', ipPacket(V4, short(UDP, 7)), DropReason.NatHeader],
    ['7 bytes of ICMP', ipPacket(V4, short(echo(4, 8), 7)), DropReason.NatHeader],
    ['a first fragment with 16 bytes of TCP', fragments(V4, TCP, 1, 16)[0], DropReason.NatFragment],
    ['an IPv6 first fragment with 16 bytes of TCP', fragments(V6, TCP, 1, 16)[0], DropReason.NatFragment],
    [
      'an extension header cut off',
      withByte(ipPacket({ ...V6, options: Buffer.alloc(8), extension: 60 }, UDP), 41, 40),
      DropReason.NatHeader,
    ],
    ['more than 8 extension headers', chain(9), DropReason.NatHeader],
    [
      'a source route not at its end',
      ipPacket({ ...V6, options: Buffer.from([0, 0, 4, 1, 0, 0, 0, 0]), extension: 43 }, UDP),
      DropReason.NatHeader,
    ],
  ])('%s', (_, packet, verdict) => {
    expect(verdictOn(packet)).toBe(verdict);
  });

  test('8 extension headers can', () => {
    expect(verdictOn(chain(8))).toBe(PASS);
  });

  test('addresses are known even when the transport header is cut short', () => {
    verdictOn(ipPacket(V6, short(UDP, 7)));
    expect(view).toMatchObject({ family: 6, source: 8, destination: 24, protocol: 17, kind: 'other' });
  });
});

test('whatever the bytes, all that a view points at lies inside the packet', () => {
  const header = fc.constantFrom(
    ...[V4, V6].flatMap((ends) => [ipPacket(ends, TCP), ipPacket(ends, UDP), ...fragments(ends, UDP, 9, 24)]),
  );
  const source = fc
    .tuple(header, fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }), fc.nat(120))
    .map(([packet, edits, keep]) => {
      const copy = Buffer.from(packet);
      for (const [at, value] of edits) copy[at % copy.length] = value;
      return copy.subarray(0, keep);
    });
  const within = (packet: PacketView, end: number): void => {
    expect(packet.transport).toBeGreaterThanOrEqual(packet.start);
    expect(packet.transport + packet.transportLength).toBeLessThanOrEqual(end);
    expect(packet.destination + packet.addressSize).toBeLessThanOrEqual(end);
    if (packet.checksum !== NO_CHECKSUM) expect(packet.checksum + 2).toBeLessThanOrEqual(end);
  };
  fc.assert(
    fc.property(source, (packet) => {
      if (verdictOn(packet) !== PASS) return;
      within(view, packet.length);
      if (view.kind === 'icmp-error') within(view.quoted!, packet.length);
    }),
    { numRuns: 5000 },
  );
});
