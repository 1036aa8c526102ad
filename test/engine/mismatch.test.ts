/** Ends whose framing differs: what the receiver says about it, from the first ping on. */
import { describe, expect, it } from 'vitest';
import { DropReason } from '../../src/packet/verdict.ts';
import type { CompressionFraming } from '../../src/protocol/framing.ts';
import { Pair } from '../support/pair.ts';

const { Framing, Unframed, PeerFraming, Compressed } = DropReason;

describe('a peer with', () => {
  const rows: readonly [peer: CompressionFraming, here: CompressionFraming, reason: DropReason][] = [
    ['off', 'lzo-stub', Unframed],
    ['off', 'lzo', Unframed],
    ['off', 'stub', Unframed],
    ['off', 'lz4', Unframed],
    ['stub-v2', 'lzo', Unframed],
    ['lzo-stub', 'off', PeerFraming],
    ['lzo', 'off', PeerFraming],
    ['stub', 'off', PeerFraming],
    ['lz4', 'stub-v2', PeerFraming],
    ['lzo', 'stub', Framing],
    ['stub', 'lzo-stub', Framing],
  ];
  it.each(rows)('framing %s where this end has %s is told from its pings', (peer, here, reason) => {
    const pair = new Pair({ a: { framing: peer, pingSec: 1 }, b: { framing: here } }).connect();
    pair.advance(3000);
    expect(pair.b.drops(reason)).toBeGreaterThan(0);
    for (const other of [Framing, Unframed, PeerFraming, Compressed].filter((each) => each !== reason)) {
      expect(pair.b.drops(other)).toBe(0);
    }
    expect(pair.b.delivered).toEqual([]);
  });

  const compatible: readonly [peer: CompressionFraming, here: CompressionFraming][] = [
    ['off', 'stub-v2'],
    ['lzo-stub', 'lzo'],
    ['lz4', 'stub'],
    ['lz4-v2', 'off'],
  ];
  it.each(compatible)('framing %s is understood by one with %s', (peer, here) => {
    const pair = new Pair({ a: { framing: peer, pingSec: 1 }, b: { framing: here } }).connect();
    pair.advance(3000);
    expect(pair.b.peer.heard).toBe(true);
  });
});
