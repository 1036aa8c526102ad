/** `dev tap` next to stock OpenVPN: an Ethernet segment of two stations, with addresses of its own. */
import { describe, expect, it } from 'vitest';
import { TSVPN, tsvpn } from '../support/gateway.ts';
import { useLink } from '../support/topology.ts';
import { capturedSynMss, expectPing, expectTransfer } from '../support/traffic.ts';
import { nextNumber, startTunnel, stopTunnel, type End, type Tunnel } from '../support/tunnel.ts';

/** Around the MTU (1472 + 28 = 1500), below and far above it. */
const PING_SIZES = [0, 1472, 1473, 8000];
const TRANSFER_BYTES = 300_000;

const rows: readonly {
  readonly title: string;
  readonly lines: readonly string[];
  readonly cipher?: string;
}[] = [
  { title: 'by default', lines: [] },
  { title: 'key-less cipher', lines: [], cipher: 'none' },
  { title: 'comp-lzo no', lines: ['comp-lzo no'] },
  { title: 'compress stub', lines: ['compress stub'] },
  { title: 'compress stub-v2', lines: ['compress stub-v2'] },
  { title: 'fragment 600', lines: ['fragment 600'] },
  { title: 'fragment 600, compress lz4', lines: ['fragment 600', 'compress lz4'] },
  { title: 'no-replay', lines: ['no-replay'] },
  { title: 'tun-mtu 9000', lines: ['tun-mtu 9000'] },
];

const roles = [
  { role: 'tsvpn listens, stock calls', listener: TSVPN, caller: 'openvpn', rows },
  { role: 'stock listens, tsvpn calls', listener: 'openvpn', caller: TSVPN, rows },
  // What two of us say to each other in other ways, stock has heard.
  { role: 'tsvpn on both ends', listener: TSVPN, caller: TSVPN, rows: rows.slice(0, 1) },
] as const;

const link = useLink();

interface Linked {
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
}

async function linkOf({ namespace, device }: Pick<End, 'namespace' | 'device'>): Promise<Linked> {
  const [found] = JSON.parse(await namespace.ip('-j', 'link', 'show', device)) as Linked[];
  return found;
}

/** The MAC address that `from` has learned of a neighbour. */
async function neighbour(from: End, address: string): Promise<string | undefined> {
  const entries = JSON.parse(await from.namespace.ip('-j', 'neigh', 'show', address, 'dev', from.device)) as {
    readonly lladdr?: string;
  }[];
  return entries[0]?.lladdr;
}

async function expectTraffic({ listener, caller }: Tunnel): Promise<void> {
  for (const size of PING_SIZES) {
    await Promise.all([
      expectPing(listener.namespace, caller.address, size),
      expectPing(caller.namespace, listener.address6, size),
    ]);
  }
  await expectTransfer(caller.namespace, listener.namespace, listener.address, TRANSFER_BYTES);
}

describe.each(roles)('$role', ({ listener, caller, rows: own }) => {
  it.concurrent.each(own)('carries IPv4 and IPv6 of every size and a TCP transfer: $title', async (row) => {
    const tunnel = await startTunnel(link, { ...row, listener, caller, device: 'tap', inner6: true });
    await expectTraffic(tunnel);
    await stopTunnel(tunnel);
  });

  it.concurrent('learns the neighbour’s MAC address by ARP and neighbour discovery', async () => {
    const tunnel = await startTunnel(link, {
      listener,
      caller,
      device: 'tap',
      inner6: true,
      listenerLines: ['lladdr 02:00:5e:10:00:01'],
    });
    const { caller: near, listener: far } = tunnel;
    expect((await linkOf(far)).address).toBe('02:00:5e:10:00:01');
    await Promise.all([expectPing(near.namespace, far.address), expectPing(near.namespace, far.address6)]);
    expect(await neighbour(near, far.address)).toBe('02:00:5e:10:00:01');
    expect(await neighbour(near, far.address6)).toBe('02:00:5e:10:00:01');
    // Link-local addresses and multicast have no route: they work because it is one segment.
    await expectPing(near.namespace, `fe80::5eff:fe10:1%${near.device}`);
    await expectPing(near.namespace, `ff02::1%${near.device}`);
    await stopTunnel(tunnel);
  });

  it.concurrent('reaches a network by the gateway that a route line names', async () => {
    const number = nextNumber(link);
    const behind = `10.5.${number}.1`;
    const tunnel = await startTunnel(link, {
      number,
      listener,
      caller,
      device: 'tap',
      inner6: true,
      callerLines: [`route-gateway 10.4.${number}.1`, `route 10.5.${number}.0 255.255.255.0`],
    });
    const { caller: near, listener: far, hostBehind6 } = tunnel;
    await far.namespace.ip('address', 'add', `${behind}/32`, 'dev', 'lo');
    await far.namespace.ip('address', 'add', `${hostBehind6}/128`, 'dev', 'lo', 'nodad');
    await Promise.all([expectPing(near.namespace, behind), expectPing(near.namespace, hostBehind6)]);
    await stopTunnel(tunnel);
  });
});

describe('next to stock', () => {
  it.concurrent.each([
    ['listener', 1311],
    ['caller', 1327],
  ] as const)('announces the MSS that stock would, as %s', async (ours, mss) => {
    const stock = ours === 'listener' ? 'caller' : 'listener';
    const tunnel = await startTunnel(link, {
      listener: ours === 'listener' ? TSVPN : 'openvpn',
      caller: ours === 'caller' ? TSVPN : 'openvpn',
      device: 'tap',
      [`${stock}Lines`]: ['mssfix 0'],
    });
    const [us, peer] = [tunnel[ours], tunnel[stock]];
    const at = { at: peer.namespace, device: peer.device };
    expect(await capturedSynMss(us.namespace, peer.address, at)).toBe(mss);
    await stopTunnel(tunnel);
  });

  it.concurrent('has the option string that stock expects, and finds stock’s as expected', async () => {
    const tunnel = await startTunnel(link, {
      listener: TSVPN,
      caller: 'openvpn',
      device: 'tap',
      inner6: true,
      lines: ['tun-mtu 1400', 'tun-mtu-extra 40', 'ifconfig-nowarn'],
      callerLines: ['verb 7'],
    });
    await tunnel.caller.daemon.waitFor(/Expected Remote Options String/);
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    expect(tunnel.caller.daemon.log).not.toMatch(/used inconsistently|is present in/);
    expect(tunnel.listener.daemon.log).not.toMatch(/WARNING.*(?:dev-type|mtu)/);
    await stopTunnel(tunnel);
  });

  it.concurrent('tells that the peer has a tun device', async () => {
    const tunnel = await startTunnel(link, {
      listener: TSVPN,
      caller: 'openvpn',
      device: 'tap',
      callerLines: ['dev-type tun', 'topology p2p', 'ifconfig 10.4.250.1 10.4.250.2'],
    });
    await tunnel.listener.daemon.waitFor(/the peer has a tun device/);
    await stopTunnel(tunnel);
  });
});

describe('the device', () => {
  it.concurrent('stays down without `ifconfig`, and keeps what was set up by others', async () => {
    const number = nextNumber(link);
    const device = `t${number}`;
    await link.a.ip('tuntap', 'add', 'dev', device, 'mode', 'tap');
    await link.a.ip('link', 'set', device, 'mtu', '1400', 'up');
    const before = await linkOf({ namespace: link.a, device });
    const tunnel = await startTunnel(link, {
      number,
      listener: TSVPN,
      caller: TSVPN,
      device: 'tap',
      lines: ['ifconfig-noexec'],
      listenerLines: ['lladdr 02:00:5e:10:00:02'],
    });
    const { listener, caller } = tunnel;
    expect((await linkOf(caller)).flags).not.toContain('UP');
    const held = await linkOf(listener);
    expect(held).toMatchObject({ mtu: 1400, address: '02:00:5e:10:00:02' });
    expect(held.flags).toContain('UP');
    await stopTunnel(tunnel);
    expect((await linkOf(listener)).address).toBe(before.address);
  });

  it.concurrent('is told by status, which refuses to follow packets', async () => {
    const tunnel = await startTunnel(link, {
      listener: TSVPN,
      caller: TSVPN,
      device: 'tap',
    });
    const { listener } = tunnel;
    const run = (...words: string[]) => tsvpn(link, listener.namespace, ...words);
    const { stdout } = await run('status', listener.name);
    expect(stdout).toMatch(/device: t\d+ \(Ethernet\), MTU 1500, TCP MSS 1311/);
    const trace = await run('trace', '10.4.1.1', '10.4.1.2', '--tunnel', listener.name);
    expect([trace.code, trace.stderr]).toEqual([2, expect.stringContaining('tap device')]);
    const route = await run('route', 'add', '10.9.0.0/16', 'peer', listener.name, '--tunnel', listener.name);
    expect([route.code, route.stderr]).toEqual([2, expect.stringContaining('tap device')]);
    await stopTunnel(tunnel);
  });
});
