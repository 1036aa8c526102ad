import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decrementTtl } from '../../src/packet/ttl.ts';
import { bytesPerCall } from '../support/allocs.ts';
import { ipv4Packet, ipv6Packet } from '../support/ip.ts';

const MARGIN = 3;
const embedded = (packet: Uint8Array) => Buffer.concat([Buffer.alloc(MARGIN), packet, Buffer.alloc(MARGIN)]);

describe('decrementTtl', () => {
  test.each([255, 64, 3, 2])('takes one off %i, the checksum as if computed anew', (ttl) => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(255), fc.nat(255), (identification, protocol, tos) => {
        const bytes = embedded(ipv4Packet({ ttl, identification, protocol, tos }));
        expect(decrementTtl(bytes, MARGIN)).toBe(true);
        expect(bytes).toEqual(embedded(ipv4Packet({ ttl: ttl - 1, identification, protocol, tos })));
      }),
    );
    const six = embedded(ipv6Packet({ hopLimit: ttl }));
    expect(decrementTtl(six, MARGIN)).toBe(true);
    expect(six).toEqual(embedded(ipv6Packet({ hopLimit: ttl - 1 })));
  });

  test.each([1, 0])('refuses %i and changes nothing', (ttl) => {
    for (const packet of [ipv4Packet({ ttl }), ipv6Packet({ hopLimit: ttl })]) {
      const bytes = embedded(packet);
      expect(decrementTtl(bytes, MARGIN)).toBe(false);
      expect(bytes).toEqual(embedded(packet));
    }
  });

  test('allocates nothing', () => {
    for (const packet of [ipv4Packet(), ipv6Packet()]) {
      const ttlAt = packet[0] >>> 4 === 4 ? 8 : 7;
      const perCall = bytesPerCall(() => {
        packet[ttlAt] = 200;
        decrementTtl(packet, 0);
      });
      expect(perCall).toBeLessThan(1);
    }
  });
});
