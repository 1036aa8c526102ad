/** Paths of six MTUs, with and without ICMP and fragments: measured exactly, in seconds, and then everything passes. */
import { expect, it } from 'vitest';
import { PATH_A, PATH_B, PATH_KINDS } from '../../src/lab/path.ts';
import { PATH_MTUS } from '../support/path.ts';
import { handshake, measureMtu, onPath, type PathTunnel } from '../support/path-tunnel.ts';
import { expectTransfer } from '../support/traffic.ts';

const LIMIT_MS = 5000;
const BULK_BYTES = 3_000_000;
const PEERS = ['openvpn', 'tsvpn'] as const;
const PROBE = ['setenv opt mtu-probe start'];
const ARRIVED = { answer: expect.any(Number) };

const CASES = PATH_KINDS.flatMap((kind) =>
  PATH_MTUS.flatMap((mtu) => PEERS.map((peer) => ({ kind, mtu, peer }))),
);
/** What a family changes is in the headers alone. */
const IPV6_CASES = CASES.filter(({ kind, mtu }) => kind !== 'black-hole' && [1280, 1492, 9000].includes(mtu));

/** New connections from both sites, in both families. */
async function expectHandshakes({ hostA, hostB }: PathTunnel): Promise<void> {
  for (const address of [PATH_B.host, PATH_B.host6])
    expect(await handshake(hostA, hostB, address)).toMatchObject(ARRIVED);
  for (const address of [PATH_A.host, PATH_A.host6])
    expect(await handshake(hostB, hostA, address)).toMatchObject(ARRIVED);
}

it.concurrent.each([
  ...CASES.map((path) => ({ ...path, outer: 'ipv4' as const })),
  ...IPV6_CASES.map((path) => ({ ...path, outer: 'ipv6' as const })),
])('a path of $mtu over $outer, $kind, to $peer', (path) => {
  const { mtu, peer, outer } = path;
  return onPath({ ...path, ipv6: true, ourLines: PROBE }, async (tunnel) => {
    const report = await measureMtu(tunnel);
    expect(report).toMatchObject({
      software: peer,
      family: outer === 'ipv4' ? 4 : 6,
      toPeer: { mtu, upTo: mtu },
    });
    expect(report.tookMs).toBeLessThanOrEqual(LIMIT_MS);
    await expectHandshakes(tunnel);
    await expectTransfer(tunnel.hostA, tunnel.hostB, PATH_B.host, BULK_BYTES);
    await expectTransfer(tunnel.hostB, tunnel.hostA, PATH_A.host6, BULK_BYTES);
  });
});

it.concurrent('without a measurement nothing passes, or these tests prove nothing', () =>
  onPath({ kind: 'no-fragments', mtu: 1400, peer: 'openvpn', ipv6: false }, async ({ hostA, hostB }) => {
    expect(await handshake(hostA, hostB, PATH_B.host, 2000)).toEqual({});
  }),
);
