/** Paths of six MTUs, with and without ICMP and fragments: measured exactly, in seconds, and then everything passes. */
import { expect, it } from 'vitest';
import { PATH_KINDS } from '../../src/lab/path.ts';
import { PATH_MTUS } from '../support/path.ts';
import { expectMeeting, measureMtu, meet, onPath } from '../support/path-tunnel.ts';

const LIMIT_MS = 5000;
const PEERS = ['openvpn', 'tsvpn'] as const;

const CASES = PATH_KINDS.flatMap((kind) =>
  PATH_MTUS.flatMap((mtu) => PEERS.map((peer) => ({ kind, mtu, peer }))),
);
/** What the other family changes is in the headers alone. */
const IPV6_CASES = CASES.filter(({ kind, mtu }) =>
  kind === 'icmp' ? mtu === 1492 : kind === 'no-fragments' && (mtu === 1280 || mtu === 9000),
);

it.concurrent.each([
  ...CASES.map((path) => ({ ...path, outer: 'ipv4' as const })),
  ...IPV6_CASES.map((path) => ({ ...path, outer: 'ipv6' as const })),
])('a path of $mtu over $outer, $kind, to $peer', (path) => {
  const { mtu, peer, outer } = path;
  return onPath({ ...path, ipv6: true }, async (tunnel) => {
    const report = await measureMtu(tunnel);
    expect(report).toMatchObject({
      software: peer,
      family: outer === 'ipv4' ? 4 : 6,
      toPeer: { mtu, upTo: mtu },
    });
    expect(report.tookMs).toBeLessThanOrEqual(LIMIT_MS);
    await expectMeeting(tunnel, { ipv6: true });
  });
});

it.concurrent('without a measurement nothing passes, or these tests prove nothing', () => {
  const path = { kind: 'no-fragments', mtu: 1400, peer: 'openvpn', ipv6: false } as const;
  return onPath({ ...path, ourLines: ['setenv opt mtu-probe off'] }, async (tunnel) => {
    for (const meeting of await meet(tunnel, { limitMs: 2000 })) {
      expect(meeting).toMatchObject({ handshake: false, bulk: false });
    }
  });
});
