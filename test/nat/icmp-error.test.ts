import { describe, expect, test } from 'vitest';
import { createView } from '../../src/nat/packet-view.ts';
import {
  rewriteDestination,
  rewriteQuotedDestination,
  rewriteQuotedSource,
  verifyIcmpError,
} from '../../src/nat/rewrite.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import { icmp, ipPacket, tcp, udp, type Ends, type IpShape, type Transport } from '../support/ip-packets.ts';

const view = createView();

/** The router 198.51.100.1 tells 172.16.0.2 about its packet to 203.0.113.9; behind NAT it was 10.8.0.2's. */
const OUTSIDE: Ends = { source: '172.16.0.2', destination: '203.0.113.9' };
const INSIDE: Ends = { source: '10.8.0.2', destination: '203.0.113.9' };
const OUTSIDE6: Ends = { source: 'fd01::2', destination: '2001:db8::9' };
const INSIDE6: Ends = { source: 'fd00::2', destination: '2001:db8::9' };

interface Quoting {
  readonly version?: 4 | 6;
  /** Bytes of the quoted packet; all unless told. */
  readonly keep?: number;
  readonly type?: number;
  readonly rest?: readonly [number, number];
  readonly behind?: Buffer;
}

function error(
  to: string,
  quoted: Buffer,
  { version = 4, keep, type, rest, behind = Buffer.alloc(0) }: Quoting = {},
): Buffer {
  const data = Buffer.concat([quoted.subarray(0, keep), behind]);
  const message = icmp({
    version,
    type: type ?? (version === 4 ? 3 : 1),
    code: 4,
    rest: rest ?? [0, 1300],
    data,
  });
  return ipPacket({ source: version === 4 ? '198.51.100.1' : '2001:db8::1', destination: to }, message);
}

function translate(packet: Buffer, inside: string, port: number): number {
  const verdict = view.read(packet, 0, packet.length);
  if (verdict !== PASS) return verdict;
  const trusted = verifyIcmpError(packet, view);
  if (trusted !== PASS) return trusted;
  rewriteQuotedSource(packet, view, parseAddress(inside), 0, port);
  return rewriteDestination(packet, view, parseAddress(inside), 0, -1);
}

const DATA = Buffer.from('the payload of the packet that did not get through');
const udpFrom = (sourcePort: number, noChecksum = false): Transport =>
  udp({ sourcePort, destinationPort: 33434, data: DATA, noChecksum });
const tcpFrom = (sourcePort: number): Transport => tcp({ sourcePort, destinationPort: 443, data: DATA });
const echoFrom = (id: number, version: 4 | 6): Transport =>
  icmp({ version, type: version === 4 ? 8 : 128, rest: [id, 1], data: DATA });

describe('an ICMP error becomes the one about the packet as its sender sent it', () => {
  const options = Buffer.from([7, 7, 4, 0, 0, 0, 0, 0]);
  test.each<[string, (ends: IpShape, port: number) => Buffer, Quoting]>([
    ['UDP, quoted whole', (ends, port) => ipPacket(ends, udpFrom(port)), {}],
    ['UDP, quoted with 8 bytes', (ends, port) => ipPacket(ends, udpFrom(port)), { keep: 28 }],
    ['UDP without checksum', (ends, port) => ipPacket(ends, udpFrom(port, true)), {}],
    ['TCP, quoted whole', (ends, port) => ipPacket(ends, tcpFrom(port)), {}],
    ['TCP, quoted up to its checksum', (ends, port) => ipPacket(ends, tcpFrom(port)), { keep: 38 }],
    ['TCP, quoted with an odd number of bytes', (ends, port) => ipPacket(ends, tcpFrom(port)), { keep: 41 }],
    ['echo, quoted whole', (ends, port) => ipPacket(ends, echoFrom(port, 4)), {}],
    ['echo, quoted with 8 bytes', (ends, port) => ipPacket(ends, echoFrom(port, 4)), { keep: 28 }],
    ['IP options in the quote', (ends, port) => ipPacket({ ...ends, options }, udpFrom(port)), {}],
    ['IP options and 8 bytes', (ends, port) => ipPacket({ ...ends, options }, udpFrom(port)), { keep: 36 }],
    ['a time exceeded', (ends, port) => ipPacket(ends, udpFrom(port)), { type: 11, rest: [0, 0] }],
  ])('%s', (_, build, quoting) => {
    const packet = error(OUTSIDE.source, build(OUTSIDE, 61000), quoting);
    expect(translate(packet, INSIDE.source, 5000)).toBe(PASS);
    expect(packet).toEqual(error(INSIDE.source, build(INSIDE, 5000), quoting));
  });

  test.each<[string, (ends: IpShape, port: number) => Buffer, Quoting]>([
    ['UDP', (ends, port) => ipPacket(ends, udpFrom(port)), {}],
    ['TCP with 8 bytes', (ends, port) => ipPacket(ends, tcpFrom(port)), { keep: 48 }],
    ['echo', (ends, port) => ipPacket(ends, echoFrom(port, 6)), {}],
    ['packet too big', (ends, port) => ipPacket(ends, tcpFrom(port)), { type: 2 }],
  ])('IPv6: %s', (_, build, quoting) => {
    const packet = error(OUTSIDE6.source, build(OUTSIDE6, 61000), { version: 6, ...quoting });
    expect(translate(packet, INSIDE6.source, 5000)).toBe(PASS);
    expect(packet).toEqual(error(INSIDE6.source, build(INSIDE6, 5000), { version: 6, ...quoting }));
  });

  test('both ends of the quote, for double NAT', () => {
    const packet = error(OUTSIDE.source, ipPacket(OUTSIDE, tcpFrom(61000)));
    view.read(packet, 0, packet.length);
    rewriteQuotedSource(packet, view, parseAddress('10.8.0.2'), 0, 5000);
    rewriteQuotedDestination(packet, view, parseAddress('10.99.0.9'), 0, 8443);
    const quoted = tcp({ sourcePort: 5000, destinationPort: 8443, data: DATA });
    expect(packet).toEqual(
      error(OUTSIDE.source, ipPacket({ source: '10.8.0.2', destination: '10.99.0.9' }, quoted)),
    );
  });

  test('keeps RFC 4884 extensions, which are no part of the quote', () => {
    // 32 words of quote: IP header and 8 bytes of TCP, then zeros, then an extension structure.
    const extensions = Buffer.concat([
      Buffer.alloc(128 - 28),
      Buffer.from('2000dead00080101cafebabe', 'hex'),
    ]);
    const quoting: Quoting = { keep: 28, type: 11, rest: [32, 0], behind: extensions };
    // The header of a quote that was cut to 28 bytes still says how long the packet was.
    const packet = error(OUTSIDE.source, ipPacket(OUTSIDE, udpFrom(61000)), quoting);
    expect(translate(packet, INSIDE.source, 5000)).toBe(PASS);
    expect(packet).toEqual(error(INSIDE.source, ipPacket(INSIDE, udpFrom(5000)), quoting));
  });

  test('what follows the part that RFC 4884 calls the quote is not a TCP header', () => {
    const quoted = ipPacket({ ...OUTSIDE, options: Buffer.alloc(40, 1) }, tcpFrom(61000));
    const padded = Buffer.concat([quoted, Buffer.alloc(64)]).subarray(0, 128);
    const packet = error(OUTSIDE.source, padded, { type: 11, rest: [32, 0], behind: Buffer.alloc(12, 0x20) });
    view.read(packet, 0, packet.length);
    expect(view.quoted!.length).toBe(128);
  });

  test('drops one with a wrong checksum', () => {
    const packet = error(OUTSIDE.source, ipPacket(OUTSIDE, udpFrom(61000)));
    packet[23] ^= 1;
    expect(translate(packet, INSIDE.source, 5000)).toBe(DropReason.IcmpChecksum);
    const packet6 = error(OUTSIDE6.source, ipPacket(OUTSIDE6, udpFrom(61000)), { version: 6 });
    packet6[43] ^= 1;
    expect(translate(packet6, INSIDE6.source, 5000)).toBe(DropReason.IcmpChecksum);
  });

  test('drops one that quotes an IP header with a wrong checksum', () => {
    const quoted = ipPacket(OUTSIDE, udpFrom(61000));
    quoted[10] ^= 1;
    expect(translate(error(OUTSIDE.source, quoted), INSIDE.source, 5000)).toBe(DropReason.IcmpChecksum);
  });

  test('does not mind a wrong transport checksum in the quote, and keeps it as wrong', () => {
    const build = (ends: Ends, port: number): Buffer => {
      const packet = ipPacket(ends, tcpFrom(port));
      packet.writeUInt16BE((packet.readUInt16BE(36) + 7) & 0xffff, 36);
      return packet;
    };
    const packet = error(OUTSIDE.source, build(OUTSIDE, 61000));
    expect(translate(packet, INSIDE.source, 5000)).toBe(PASS);
    expect(packet.readUInt16BE(28 + 36)).toBe(build(INSIDE, 5000).readUInt16BE(36));
    expect(packet).toEqual(error(INSIDE.source, build(INSIDE, 5000)));
  });

  test.each<[string, Buffer]>([
    [
      'a quote with less than 8 bytes behind its header',
      error(OUTSIDE.source, ipPacket(OUTSIDE, udpFrom(1)), { keep: 27 }),
    ],
    ['a quote without a whole header', error(OUTSIDE.source, ipPacket(OUTSIDE, udpFrom(1)), { keep: 19 })],
    ['no quote', error(OUTSIDE.source, Buffer.alloc(0))],
    ['a quote of the other family', error(OUTSIDE.source, ipPacket(OUTSIDE6, udpFrom(1)))],
    ['an error about an error', error(OUTSIDE.source, error(OUTSIDE.source, ipPacket(OUTSIDE, udpFrom(1))))],
  ])('drops %s', (_, packet) => {
    expect(view.read(packet, 0, packet.length)).toBe(DropReason.NatHeader);
  });
});
