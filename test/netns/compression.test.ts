/** Stock OpenVPN that really compresses, as versions up to 2.4 do unasked: we read it, and send uncompressed. */
import { describe, expect, it, vi } from 'vitest';
import { TSVPN, tsvpn } from '../support/gateway.ts';
import { PATIENCE_MS } from '../support/process.ts';
import { useLink } from '../support/topology.ts';
import { expectPing, expectTransfer } from '../support/traffic.ts';
import { startTunnel, stopTunnel, type End } from '../support/tunnel.ts';

const PING_SIZES = [0, 100, 1000, 1472, 8000];
const TRANSFER_BYTES = 300_000;

const rows: readonly (readonly string[])[] = [
  ['comp-lzo yes'],
  ['comp-lzo adaptive'],
  ['compress lzo'],
  ['compress lz4'],
  ['compress lz4-v2'],
  ['comp-lzo yes', 'fragment 600'],
  ['compress lz4', 'fragment 600'],
  ['compress lz4-v2', 'fragment 300'],
];

const roles = [
  { role: 'tsvpn listens, stock calls', listener: TSVPN, caller: 'openvpn' },
  { role: 'stock listens, tsvpn calls', listener: 'openvpn', caller: TSVPN },
] as const;

interface Compression {
  readonly preDecompress: number;
  readonly postDecompress: number;
}

const link = useLink();

async function statusOf({ namespace, name }: End) {
  const { stdout } = await tsvpn(link, namespace, 'status', name, '--json');
  return JSON.parse(stdout) as { traffic: { compression: Compression }; drops: Record<string, number> };
}

describe.each(roles)('$role', ({ listener, caller }) => {
  const stock = listener === TSVPN ? 'caller' : 'listener';
  const ours = listener === TSVPN ? 'listener' : 'caller';
  it.concurrent.each(rows.map((lines) => [lines.join(', '), lines] as const))(
    'carries pings of every size and a TCP transfer: %s',
    async (_, lines) => {
      const tunnel = await startTunnel(link, {
        listener,
        caller,
        lines,
        [`${stock}Lines`]: ['allow-compression yes'],
      });
      const { listener: to, caller: from } = tunnel;
      for (const size of PING_SIZES) {
        await Promise.all([
          expectPing(to.namespace, from.address, size),
          expectPing(from.namespace, to.address, size),
        ]);
      }
      // The peer's packets are compressed, or this proves nothing; by `adaptive` not in every minute.
      const compressed = async () => {
        await expectTransfer(from.namespace, to.namespace, to.address, TRANSFER_BYTES, to.address, 'text');
        return (await statusOf(tunnel[ours])).traffic.compression.postDecompress > TRANSFER_BYTES;
      };
      await vi.waitUntil(compressed, { timeout: 2 * PATIENCE_MS, interval: 1000 });
      await expectTransfer(from.namespace, to.namespace, to.address, TRANSFER_BYTES);
      const { traffic, drops } = await statusOf(tunnel[ours]);
      expect(traffic.compression.preDecompress).toBeLessThan(traffic.compression.postDecompress);
      // The kernel may have had something to send before the peer was there.
      expect({ ...drops, 'no-peer': 0 }).toEqual({ 'no-peer': 0 });
      await stopTunnel(tunnel);
    },
  );
});
