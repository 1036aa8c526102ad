import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AF_INET6,
  encodeEndpoint,
  endpointLength,
  endpointPort,
  endpointsEqual,
  formatEndpoint,
} from '../../src/transport/endpoint.ts';

describe('a socket address', () => {
  it.each([
    ['192.0.2.1', 1194, undefined, '[AF_INET]192.0.2.1:1194', 16],
    ['255.255.255.255', 65535, undefined, '[AF_INET]255.255.255.255:65535', 16],
    ['192.0.2.1', 1194, AF_INET6, '[AF_INET]192.0.2.1:1194', 28],
    ['2001:db8::1', 1194, undefined, '[AF_INET6]2001:db8::1:1194', 28],
    ['::', 0, undefined, '[AF_INET6]:::0', 28],
    ['1:0:0:2:0:0:0:3', 1, undefined, '[AF_INET6]1:0:0:2::3:1', 28],
    ['fe80::1%7', 5, undefined, '[AF_INET6]fe80::1:5', 28],
  ] as const)('of %s port %i for family %s reads %s', (host, port, family, text, size) => {
    const row = encodeEndpoint(host, port, family);
    expect(formatEndpoint(row, 0)).toBe(text);
    expect(endpointLength(row, 0)).toBe(size);
    expect(endpointPort(row, 0)).toBe(port);
  });

  it('refuses what is not a literal', () => {
    expect(() => encodeEndpoint('vpn.example.org', 1194)).toThrow(RangeError);
  });

  it('equals another only with the same family, address, port and scope', () => {
    const row = encodeEndpoint('192.0.2.1', 1194);
    expect(endpointsEqual(row, 0, encodeEndpoint('192.0.2.1', 1194), 0)).toBe(true);
    for (const other of [
      encodeEndpoint('192.0.2.2', 1194),
      encodeEndpoint('192.0.2.1', 1195),
      encodeEndpoint('::1', 1194),
    ]) {
      expect(endpointsEqual(row, 0, other, 0)).toBe(false);
    }
    expect(endpointsEqual(encodeEndpoint('fe80::1%1', 1), 0, encodeEndpoint('fe80::1%2', 1), 0)).toBe(false);
  });

  it('survives a round trip through text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65535 }), (host, port) => {
        const row = encodeEndpoint(host, port);
        const [, address] = /^\[AF_INET6?\](.*):\d+$/.exec(formatEndpoint(row, 0)) ?? [];
        const again = encodeEndpoint(address, port, endpointLength(row, 0) === 28 ? AF_INET6 : undefined);
        expect(again).toEqual(row);
      }),
    );
  });
});
