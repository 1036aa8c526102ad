/**
 * tsvpn next to stock OpenVPN: every suite of the specification's table in both roles, with the other dimensions (key
 * direction, device, outer family, inner IPv6) spread over the cells so that each value meets each role.
 */
import { describe, it } from 'vitest';
import { TSVPN } from '../support/gateway.ts';
import { useLink, type Link } from '../support/topology.ts';
import { expectPing, expectTransfer } from '../support/traffic.ts';
import { startTunnel, stopTunnel, type Tunnel, type TunnelOptions } from '../support/tunnel.ts';

/** Around the MTU (1472 + 28 = 1500), below and far above it. */
const PING_SIZES = [0, 1, 100, 1400, 1472, 1473, 4000, 8000];
const TRANSFER_BYTES = 300_000;

const suites = [
  ...['AES-128-CBC', 'AES-192-CBC', 'AES-256-CBC'].flatMap((cipher) =>
    ['SHA1', 'SHA256', 'SHA384', 'SHA512'].map((auth) => ({ cipher, auth, lines: [] as string[] })),
  ),
  { cipher: 'none', auth: 'SHA256', lines: [] },
  { cipher: 'BF-CBC', auth: 'SHA1', lines: ['providers legacy default'] },
];

const directions = ['none', '0-1', '1-0'] as const;

type Cell = Omit<TunnelOptions, 'number' | 'listener' | 'caller'> & { readonly title: string };

const suiteCells: readonly Cell[] = suites.map((suite, index) => {
  const direction = directions[index % 3];
  const device = index % 2 === 0 ? 'p2p' : 'subnet';
  const outer = (index >> 1) % 2 === 0 ? 'ipv4' : 'ipv6';
  const inner6 = index % 4 !== 3;
  const title = `${suite.cipher} ${suite.auth}, key direction ${direction}, ${device}, outer ${outer}${inner6 ? ', inner IPv6' : ''}`;
  return { ...suite, direction, device, outer, inner6, title };
});

const framingCells: readonly Cell[] = [
  { title: 'comp-lzo no', lines: ['comp-lzo no'], inner6: true },
  { title: 'compress stub', lines: ['compress stub'], inner6: true },
  { title: 'compress stub-v2', lines: ['compress stub-v2'], inner6: true },
  { title: 'no-replay', lines: ['no-replay'], inner6: true },
  { title: 'auth none', auth: 'none', inner6: true },
];

const cells = [...suiteCells, ...framingCells];

const roles = [
  { role: 'tsvpn listens, stock calls', listener: TSVPN, caller: 'openvpn' },
  { role: 'stock listens, tsvpn calls', listener: 'openvpn', caller: TSVPN },
] as const;

describe.each(roles)('$role', ({ listener, caller }) => {
  const link = useLink();

  it.concurrent.each(cells)('carries pings of every size and a TCP transfer: $title', async (cell) => {
    const tunnel = await startTunnel(link, { ...cell, listener, caller });
    await expectPings(tunnel);
    if (cell.inner6 === true) await expectIpv6(link, tunnel);
    const { caller: from, listener: to } = tunnel;
    await expectTransfer(from.namespace, to.namespace, to.address, TRANSFER_BYTES);
    await stopTunnel(tunnel);
  });
});

async function expectPings({ listener, caller }: Tunnel): Promise<void> {
  for (const size of PING_SIZES) {
    await Promise.all([
      expectPing(listener.namespace, caller.address, size),
      expectPing(caller.namespace, listener.address, size),
    ]);
  }
}

/** The peer's address, and one that only the configured IPv6 route leads to. */
async function expectIpv6(link: Link, { listener, caller, hostBehind6 }: Tunnel): Promise<void> {
  await link.a.ip('address', 'add', `${hostBehind6}/128`, 'dev', 'lo', 'nodad');
  await Promise.all([
    expectPing(listener.namespace, caller.address6, 1452),
    expectPing(caller.namespace, listener.address6, 8000),
    expectPing(caller.namespace, hostBehind6),
  ]);
}
