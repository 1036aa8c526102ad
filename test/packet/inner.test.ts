import { describe, expect, test } from 'vitest';
import { checkInner, innerDestinationIs, innerLength } from '../../src/packet/inner.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';
import { buildTcp } from '../support/packets.ts';
import { sessions } from '../support/vectors.ts';

const ipv4 = buildTcp({ version: 4, data: 10 });
const ipv6 = buildTcp({ version: 6, data: 10 });

function changed(packet: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(packet);
  copy[at] = value;
  return copy;
}

describe('checkInner', () => {
  test.each([
    ['an IPv4 packet', ipv4, PASS],
    ['an IPv6 packet', ipv6, PASS],
    ['an IPv4 packet with bytes behind it', Buffer.concat([ipv4, Buffer.alloc(9)]), PASS],
    ['an IPv6 packet with bytes behind it', Buffer.concat([ipv6, Buffer.alloc(9)]), PASS],
    ['an IPv4 header alone', changed(ipv4.subarray(0, 20), 3, 20), PASS],
    ['an IPv6 header alone', changed(ipv6.subarray(0, 40), 5, 0), PASS],
    ['no bytes', Buffer.alloc(0), DropReason.Empty],
    ['version 0', Buffer.alloc(40), DropReason.InnerVersion],
    ['version 5', changed(ipv4, 0, 0x55), DropReason.InnerVersion],
    ['a comp-lzo marker in front', Buffer.concat([Buffer.from([0xfa]), ipv4]), DropReason.InnerVersion],
    ['one byte', ipv4.subarray(0, 1), DropReason.InnerHeader],
    ['19 bytes of IPv4', ipv4.subarray(0, 19), DropReason.InnerHeader],
    ['39 bytes of IPv6', ipv6.subarray(0, 39), DropReason.InnerHeader],
    ['an IPv4 packet cut off', ipv4.subarray(0, ipv4.length - 1), DropReason.InnerHeader],
    ['an IPv6 packet cut off', ipv6.subarray(0, ipv6.length - 1), DropReason.InnerHeader],
    ['an IPv4 header length of 4 words', changed(ipv4, 0, 0x44), DropReason.InnerHeader],
    ['an IPv4 header longer than the packet', changed(changed(ipv4, 0, 0x4f), 3, 50), DropReason.InnerHeader],
    ['an IPv4 total length of 0', changed(changed(ipv4, 2, 0), 3, 0), DropReason.InnerHeader],
  ])('%s', (_, packet, verdict) => {
    const bytes = Buffer.concat([Buffer.alloc(3, 0x45), packet, Buffer.alloc(100, 0x45)]);
    expect(checkInner(bytes, 3, packet.length)).toBe(verdict);
  });

  test('lets every tunnelled packet of the stock sessions pass, whole', () => {
    const packets = sessions
      .filter(({ config_a: config }) => config.includes('dev tun'))
      .flatMap(({ decoded }) => decoded)
      .filter(({ kind, inner_hex: inner }) => kind === 'tunnel-packet' && inner !== undefined)
      .map(({ inner_hex: inner }) => Buffer.from(inner!, 'hex'));
    expect(packets.length).toBe(30);
    for (const packet of packets) {
      expect(checkInner(packet, 0, packet.length)).toBe(PASS);
      expect(innerLength(packet, 0)).toBe(packet.length);
    }
  });
});

test('innerLength is what the header says, not what came', () => {
  const trailing = Buffer.alloc(9);
  expect(innerLength(Buffer.concat([ipv4, trailing]), 0)).toBe(ipv4.length);
  expect(innerLength(Buffer.concat([ipv6, trailing]), 0)).toBe(ipv6.length);
});

describe('innerDestinationIs', () => {
  const to = (hex: string): Buffer => {
    const address = Buffer.from(hex, 'hex');
    const packet = Buffer.from(address.length === 4 ? ipv4 : ipv6);
    address.copy(packet, address.length === 4 ? 16 : 24);
    return packet;
  };
  const v4 = to('c0000202');
  const v6 = to('20010db8000000000000000000000002');
  test.each([
    ['IPv4, the same', v4, '020004aac0000202', true],
    ['IPv4, another', v4, '020004aac0000203', false],
    ['IPv4, as a mapped address', v4, '0a0004aa0000000000000000000000000000ffffc0000202', true],
    ['IPv4, another mapped address', v4, '0a0004aa0000000000000000000000000000ffffc0000203', false],
    [
      'IPv4, the same bytes without the prefix',
      v4,
      '0a0004aa00000000000000000000000000010000c0000202',
      false,
    ],
    ['IPv6, the same', v6, '0a0004aa0000000020010db8000000000000000000000002', true],
    ['IPv6, another', v6, '0a0004aa0000000020010db8000000000000000000000003', false],
    ['IPv6, an IPv4 peer', v6, '020004aac0000202', false],
    ['no address known', v4, '0000000000000000', false],
  ])('%s', (_, packet, endpoint, same) => {
    const bytes = Buffer.concat([packet, Buffer.from(endpoint.padEnd(64, '0'), 'hex')]);
    expect(innerDestinationIs(bytes, 0, packet.length)).toBe(same);
  });
});
