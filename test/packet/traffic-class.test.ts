/** RFC 6040: what of DSCP and ECN goes to the outer header (4.3, compatibility mode), and what comes back (4.2). */
import { describe, expect, it } from 'vitest';
import { onesComplementSum } from '../../src/packet/checksum.ts';
import { isCongested, markCongested, outerTrafficClass } from '../../src/packet/traffic-class.ts';
import { DropReason, PASS } from '../../src/packet/verdict.ts';

const EF = 0xb8;
const [NOT_ECT, ECT_1, ECT_0, CE] = [0, 1, 2, 3];

function ipv4(tos: number): Uint8Array {
  const packet = Uint8Array.of(0x45, tos, 0, 20, 1, 2, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2);
  const checksum = ~onesComplementSum(packet, 0, 20) & 0xffff;
  packet.set([checksum >> 8, checksum & 0xff], 10);
  return packet;
}

function ipv6(trafficClass: number): Uint8Array {
  const packet = new Uint8Array(40).fill(0x11);
  packet.set([0x60 | (trafficClass >> 4), ((trafficClass & 15) << 4) | 0x0a, 0xbc, 0xde, 0, 0, 59, 64]);
  return packet;
}

const kinds = [
  { kind: 'IPv4', make: ipv4 },
  { kind: 'IPv6', make: ipv6 },
];

describe.each(kinds)('$kind', ({ make }) => {
  it.each([NOT_ECT, ECT_0, ECT_1, CE])('goes out with its DSCP and without ECN: %i', (ecn) => {
    expect(outerTrafficClass(make(EF | ecn), 0)).toBe(EF);
  });

  it.each([ECT_0, ECT_1, CE])('takes over that it is congested: %i', (ecn) => {
    const packet = make(EF | ecn);
    expect(markCongested(packet, 0, packet.length)).toBe(PASS);
    expect(packet).toEqual(make(EF | CE));
  });

  it('is dropped when it is not ECN-capable and congested', () => {
    const packet = make(EF);
    expect(markCongested(packet, 0, packet.length)).toBe(DropReason.Congestion);
    expect(packet).toEqual(make(EF));
  });

  it('is left alone when it is cut short', () => {
    const packet = make(EF | ECT_0);
    expect(markCongested(packet, 0, 12)).toBe(PASS);
    expect(packet).toEqual(make(EF | ECT_0));
  });
});

it('knows nothing of what is not IP', () => {
  expect(outerTrafficClass(Uint8Array.of(0x2a, 0xff), 0)).toBe(0);
  expect(markCongested(Uint8Array.of(0x2a, 0xff), 0, 2)).toBe(PASS);
});

it.each([NOT_ECT, ECT_0, ECT_1])('is congested with both bits only: not %i', (ecn) => {
  expect(isCongested(EF | ecn)).toBe(false);
  expect(isCongested(EF | CE)).toBe(true);
});
