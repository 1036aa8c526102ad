/** The largest packet that `tsvpn mtu` says goes over the path whole does, next to stock, and one byte more does not. */
import { expect, it } from 'vitest';
import { PATH_B } from '../../src/lab/path.ts';
import type { Namespace } from '../support/netns.ts';
import { measureMtu, onPath } from '../support/path-tunnel.ts';

const ICMP_HEADERS = 28;

/** Is an echo request in a packet of `size` bytes, which must not be cut, answered? */
async function passes(from: Namespace, to: string, size: number): Promise<boolean> {
  const words = ['ping', '-n', '-c', '2', '-i', '0.2', '-W', '1', '-M', 'do', '-s', `${size - ICMP_HEADERS}`];
  const { stdout } = await from.run([...words, to]);
  return / [12] received/.test(stdout);
}

it.concurrent.each<[title: string, mtu: number, outer: 'ipv4' | 'ipv6', lines: string[]]>([
  ['AES-256-CBC, SHA256', 1400, 'ipv4', []],
  ['AES-256-CBC, SHA256', 1400, 'ipv6', []],
  ['AES-128-CBC, SHA1', 1460, 'ipv4', ['cipher AES-128-CBC', 'auth SHA1']],
  ['BF-CBC, SHA1', 1461, 'ipv4', ['providers legacy default', 'cipher BF-CBC', 'auth SHA1']],
  ['cipher none', 1453, 'ipv4', ['cipher none']],
  ['auth none', 1407, 'ipv4', ['auth none']],
  ['comp-lzo no', 1428, 'ipv4', ['comp-lzo no']],
  ['no-replay', 1333, 'ipv4', ['no-replay']],
])('%s on a path of %i over %s', (_, mtu, outer, lines) =>
  onPath(
    {
      kind: 'no-fragments',
      mtu,
      peer: 'openvpn',
      ipv6: outer === 'ipv6',
      outer,
      lines,
      ourLines: ['setenv opt mtu-probe off'],
    },
    async (tunnel) => {
      const { toPeer, largest } = await measureMtu(tunnel);
      expect(toPeer).toEqual({ mtu, upTo: mtu });
      expect(largest!.outer).toBeLessThanOrEqual(mtu);
      expect(await passes(tunnel.hostA, PATH_B.host, largest!.inner)).toBe(true);
      expect(await passes(tunnel.hostA, PATH_B.host, largest!.inner + 1)).toBe(false);
    },
  ),
);
