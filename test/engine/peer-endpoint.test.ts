import { describe, expect, it } from 'vitest';
import { PeerEndpoint } from '../../src/engine/peer-endpoint.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { ENDPOINT_SIZE } from '../../src/packet/batch.ts';
import { encodeEndpoint, formatEndpoint, formatLocal, LOCAL_OFFSET } from '../../src/transport/endpoint.ts';
import { wayTo } from '../support/way.ts';

/** The row of a datagram from 192.0.2.2 to our address 192.0.2.`host`, by interface 3. */
function rowVia(host: number): Uint8Array {
  const row = encodeEndpoint('192.0.2.2', 1194);
  row.set([3, 0, 0, 0, 192, 0, 2, host], LOCAL_OFFSET);
  return row;
}

describe('where a peer is (multihome)', () => {
  it('includes the address of ours that it talks to, and follows when it calls another', () => {
    const arena = new HeapArena(ENDPOINT_SIZE);
    const endpoint = new PeerEndpoint(arena, 0);
    endpoint.reset(wayTo([encodeEndpoint('192.0.2.2', 1194)]));
    expect(formatLocal(arena.bytes, 0)).toBeUndefined();
    for (const host of [1, 11]) {
      // The peer itself has not moved.
      expect(endpoint.learn(rowVia(host), 0)).toBe(false);
      expect(formatLocal(arena.bytes, 0)).toBe(`192.0.2.${host}`);
    }
  });

  it('is forgotten with a restart', () => {
    const arena = new HeapArena(ENDPOINT_SIZE);
    const endpoint = new PeerEndpoint(arena, 0);
    endpoint.learn(rowVia(1), 0);
    endpoint.reset(wayTo([encodeEndpoint('192.0.2.2', 1194)]));
    expect(formatLocal(arena.bytes, 0)).toBeUndefined();
  });
});

it.each([
  ['persist-remote-ip goes on where the peer had moved to', true, '[AF_INET]198.51.100.7:5'],
  ['a restart goes back to the remote', false, '[AF_INET]192.0.2.2:1194'],
])('%s', (_, keep, expected) => {
  const arena = new HeapArena(ENDPOINT_SIZE);
  const endpoint = new PeerEndpoint(arena, 0);
  const way = wayTo([encodeEndpoint('192.0.2.2', 1194)], { float: true, keep });
  endpoint.reset(way);
  endpoint.learn(encodeEndpoint('198.51.100.7', 5), 0);
  endpoint.reset(way);
  expect(formatEndpoint(arena.bytes, 0)).toBe(expected);
});
