/** Two sites on one broadcast domain by kernel bridges: what hosts of a LAN do, they do across the tunnel. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  bridge,
  createBridgedSites,
  endBridge,
  HOST,
  type BridgedSites,
  type BridgedTunnel,
  type Bridging,
} from '../support/bridged-sites.ts';
import { example } from '../support/examples.ts';
import { COMPLETED, startGateway, TSVPN, tsvpn, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import type { Namespace } from '../support/netns.ts';
import { OUTER } from '../support/topology.ts';
import { mssOf, syn } from '../support/hub-packets.ts';
import { tcpSum } from '../support/packets.ts';
import { expectPing, expectPingWithin, expectTransfer, pings } from '../support/traffic.ts';

const STATION = join(import.meta.dirname, '../support/ethernet-station.mjs');
const TRANSFER_BYTES = 1_000_000;

const roles: readonly (Bridging & { readonly role: string })[] = [
  { role: 'tsvpn at A, stock at B', a: TSVPN, b: 'openvpn' },
  { role: 'stock at A, tsvpn at B', a: 'openvpn', b: TSVPN },
  { role: 'tsvpn at both', a: TSVPN, b: TSVPN },
  { role: 'tsvpn at both, bridged by scripts', a: TSVPN, b: TSVPN, scripts: true },
];

async function macOf(host: Namespace, device = 'lan'): Promise<string> {
  const [{ address }] = JSON.parse(await host.ip('-j', 'link', 'show', device)) as { address: string }[];
  return address;
}

async function neighbours(host: Namespace, address: string): Promise<unknown> {
  return JSON.parse(await host.ip('-j', 'neigh', 'show', address));
}

/** A station on the bridge of each site; the first sends `frames`, and the second's log is what it got. */
async function sendFrames(
  { a, b }: BridgedSites,
  frames: readonly Buffer[],
  mtu = 1500,
): Promise<readonly string[]> {
  const start = (gateway: Namespace, sent: readonly Buffer[]) =>
    gateway.spawn([
      process.execPath,
      STATION,
      'station',
      'br0',
      String(mtu),
      ...sent.map((frame) => frame.toString('hex')),
    ]);
  const [sender, receiver] = [start(a, frames), start(b, [])];
  await Promise.all([sender.waitFor(/ready/), receiver.waitFor(/ready/)]);
  sender.signal('SIGUSR2');
  const last = frames.at(-1)!.toString('hex', 0, 18);
  await receiver.waitFor(new RegExp(`\n${last}`));
  await Promise.all([sender.stop(), receiver.stop()]);
  return receiver.log.split('\n').filter((line) => line.startsWith(BROADCAST + SENDER));
}

/** Everybody, and a station whose frames are found again by it. */
const BROADCAST = 'ffffffffffff';
const SENDER = '02005e100099';

function frame(tags: string, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${BROADCAST}${SENDER}${tags}`, 'hex'), payload]);
}

describe.each(roles)('$role', (options) => {
  let sites: BridgedSites;
  let tunnel: BridgedTunnel;
  beforeAll(async () => {
    sites = await createBridgedSites();
    tunnel = await bridge(sites, options);
  });
  afterAll(() => sites.destroy());

  it('hosts answer each other’s ARP and neighbour discovery themselves', async () => {
    const { hostA, hostB } = sites;
    await expectPingWithin(hostA, HOST.b.ipv4);
    await Promise.all([expectPing(hostA, HOST.b.ipv4, 1472), expectPing(hostB, HOST.a.ipv6, 8000)]);
    expect(await neighbours(hostA, HOST.b.ipv4)).toMatchObject([{ lladdr: await macOf(hostB) }]);
    expect(await neighbours(hostB, HOST.a.ipv6)).toMatchObject([{ lladdr: await macOf(hostA) }]);
    await expectPing(hostA, 'ff02::1%lan');
  });

  it('a DHCP server at A gives a host at B its address', async () => {
    const { hostA, hostB } = sites;
    const config = join(sites.folder, 'udhcpd.conf');
    const files = ['lease_file', 'pidfile'].map((name) => `${name} ${join(sites.folder, name)}`);
    writeFileSync(
      config,
      [
        'interface lan',
        'start 10.7.0.100',
        'end 10.7.0.110',
        'option subnet 255.255.255.0',
        ...files,
        '',
      ].join('\n'),
    );
    writeFileSync(join(sites.folder, 'lease_file'), '');
    const script = join(sites.folder, 'lease');
    writeFileSync(script, '#!/bin/sh\necho "$1 $ip $subnet"\n', { mode: 0o755 });
    const server = hostA.spawn(['udhcpd', '-f', config]);
    const words = ['udhcpc', '-i', 'lan', '-n', '-q', '-f', '-t', '5', '-T', '1', '-s', script];
    const { code, stdout, stderr } = await hostB.run(words);
    await server.stop();
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^bound 10\.7\.0\.1(?:0\d|10) 255\.255\.255\.0$/m);
  });

  it('VLAN tags cross it, and the MSS behind them is lowered', async () => {
    const opening = syn('10.70.0.1', '10.70.0.2', 1460);
    const sent = [
      frame('0800', opening),
      frame('810000640800', opening),
      frame('8100006488b5', Buffer.alloc(1500, 7)),
    ];
    const got = await sendFrames(sites, sent);
    expect(got).toHaveLength(3);
    for (const [i, header] of [14, 18].entries()) {
      const inner = Buffer.from(got[i], 'hex').subarray(header);
      expect(got[i].slice(0, 2 * header)).toBe(sent[i].toString('hex', 0, header));
      expect(mssOf(inner)).toBe(1311);
      expect(tcpSum(inner)).toBe(0xffff);
    }
    expect(got[2]).toBe(sent[2].toString('hex'));
  });

  it('a transfer is whole', async () => {
    const { hostA, hostB } = sites;
    await expectTransfer(hostA, hostB, HOST.b.ipv4, TRANSFER_BYTES);
    await expectTransfer(hostB, hostA, HOST.a.ipv6, TRANSFER_BYTES);
  });

  it('a bulk transfer goes both ways at once', async () => {
    const { hostA, hostB } = sites;
    const server = hostB.spawn(['iperf3', '-s', '-1', '--forceflush']);
    await server.waitFor(/Server listening/);
    const output = await hostA.mustRun(['iperf3', '-c', HOST.b.ipv4, '--bidir', '-t', '2', '-J']);
    const { end } = JSON.parse(output) as {
      end: Record<'sum_received' | 'sum_received_bidir_reverse', { bytes: number }>;
    };
    await server.exited;
    expect(end.sum_received.bytes).toBeGreaterThan(100_000);
    expect(end.sum_received_bidir_reverse.bytes).toBeGreaterThan(100_000);
    for (const site of ['a', 'b'] as const) {
      if (options[site] === 'openvpn') continue;
      const { stdout } = await tsvpn(sites, sites[site], 'status', `bridge-0-${site}`, '--json');
      const { drops } = JSON.parse(stdout) as { drops: object };
      for (const reason of ['inner-header', 'ethernet-header', 'too-big', 'tun-write', 'replay'])
        expect(drops).not.toHaveProperty(reason);
    }
  });

  it('nothing is left when it ends', async () => {
    await endBridge(tunnel);
    for (const gateway of [sites.a, sites.b]) expect(await gateway.ip('link')).not.toContain('tap0');
  });
});

describe('tsvpn at both', () => {
  let sites: BridgedSites;
  const run: Bridging = { a: TSVPN, b: TSVPN };
  beforeAll(async () => {
    sites = await createBridgedSites();
  });
  afterAll(() => sites.destroy());

  it('carries jumbo frames, tagged twice', async () => {
    const { hostA, hostB, a, b } = sites;
    for (const [namespace, device] of [
      [hostA, 'lan'],
      [hostB, 'lan'],
      [a, 'lan'],
      [b, 'lan'],
    ] as const)
      await namespace.ip('link', 'set', device, 'mtu', '9000');
    const tunnel = await bridge(sites, { ...run, lines: ['tun-mtu 9000'] });
    await expectPingWithin(hostA, HOST.b.ipv4);
    await hostA.mustRun(['ping', '-c', '2', '-M', 'do', '-s', '8972', '-i', '0.2', HOST.b.ipv4]);
    const sent = [frame('88a80064810000070800', Buffer.alloc(9000, 1)), frame('88b5', Buffer.alloc(1))];
    expect(await sendFrames(sites, sent, 9000)).toEqual(sent.map((each) => each.toString('hex')));
    await endBridge(tunnel);
    for (const [namespace, device] of [
      [hostA, 'lan'],
      [hostB, 'lan'],
      [a, 'lan'],
      [b, 'lan'],
    ] as const)
      await namespace.ip('link', 'set', device, 'mtu', '1500');
  });

  it('bridges two sites by the configs of examples/bridged-sites as they are, but for the addresses', async () => {
    writeKey(sites, 'static.key', staticKeyText());
    const start = (site: 'a' | 'b') => {
      const remote = `remote ${OUTER[site === 'a' ? 'b' : 'a'].ipv4}`;
      const config = example('bridged-sites', `site-${site}.conf`).replace(/^remote .*$/m, remote);
      return startGateway(sites, sites[site], { implementation: TSVPN, name: `site-${site}`, config });
    };
    const tunnel = { a: start('a'), b: start('b') };
    await Promise.all([tunnel.a.waitFor(COMPLETED), tunnel.b.waitFor(COMPLETED)]);
    await expectPingWithin(sites.hostA, HOST.b.ipv4);
    await endBridge(tunnel);
  });

  it('moves to another bridge at a reload, without a restart', async () => {
    const tunnel = await bridge(sites, run);
    const { a, hostA } = sites;
    await expectPingWithin(hostA, HOST.b.ipv4);
    await a.ip('link', 'add', 'br1', 'type', 'bridge');
    await a.ip('link', 'set', 'br1', 'up');
    const file = join(sites.folder, 'bridge-0-a.conf');
    writeFileSync(file, readFileSync(file, 'utf8').replace('bridge br0', 'bridge br1'));
    const { stdout } = await tsvpn(sites, a, 'reload', 'bridge-0-a');
    expect(stdout).toContain('changed the MAC address or the bridge of the device');
    expect(await a.ip('link', 'show', 'tap0')).toContain('master br1');
    await a.ip('link', 'set', 'lan', 'master', 'br1');
    await expectPingWithin(hostA, HOST.b.ipv4);
    await a.ip('link', 'set', 'lan', 'master', 'br0');
    expect(tunnel.a.count(COMPLETED)).toBe(1);
    await endBridge(tunnel);
    await a.ip('link', 'del', 'br1');
  });

  it('leaves nothing behind a kill -9, and starts again', async () => {
    const tunnel = await bridge(sites, run);
    await expectPingWithin(sites.hostA, HOST.b.ipv4);
    await tunnel.a.stop('SIGKILL');
    expect(await sites.a.ip('link')).not.toContain('tap0');
    expect(await pings(sites.hostA, HOST.b.ipv4)).toBe(false);
    const config = readFileSync(join(sites.folder, 'bridge-0-a.conf'), 'utf8');
    const again = startGateway(sites, sites.a, { implementation: TSVPN, name: 'bridge-0-a', config });
    await again.waitFor(COMPLETED);
    await expectPingWithin(sites.hostA, HOST.b.ipv4);
    await endBridge({ a: again, b: tunnel.b });
  });

  it('takes a persistent device out of the bridge again, and leaves it as it was', async () => {
    const { a } = sites;
    await a.ip('tuntap', 'add', 'dev', 'tap0', 'mode', 'tap');
    const state = async () => (await a.ip('-br', 'link', 'show', 'tap0')).replace(/LOWER_UP|NO-CARRIER/g, '');
    const before = await state();
    const tunnel = await bridge(sites, run);
    expect(await a.ip('link', 'show', 'tap0')).toContain('master br0');
    await tunnel.a.stop('SIGKILL');
    expect(await a.ip('link', 'show', 'tap0')).toContain('master br0');
    const { stdout } = await tsvpn(sites, a, 'cleanup');
    expect(stdout).toContain('ip link set dev tap0 nomaster');
    expect(await a.ip('link', 'show', 'tap0')).not.toContain('master');
    expect(await state()).toBe(before);
    await tunnel.b.stop();
    await a.ip('link', 'del', 'tap0');
  });

  it('says so when there is no such bridge, and undoes what it did', async () => {
    const daemon = startGateway(sites, sites.a, {
      implementation: TSVPN,
      name: 'nowhere',
      config: readFileSync(join(sites.folder, 'bridge-0-a.conf'), 'utf8').replace('bridge br0', 'bridge br7'),
    });
    expect(await daemon.exited).toBe(1);
    expect(daemon.log).toContain('there is no bridge br7');
    expect(daemon.log).toContain('ip link add br7 type bridge');
    expect(await sites.a.ip('link')).not.toContain('tap0');
  });

  it('survives a broadcast storm, and carries on when the loop is cut', async () => {
    const { hostA, hostB, a } = sites;
    // Two tunnels between the same bridges and no spanning tree: one broadcast goes round for ever.
    const first = await bridge(sites, run);
    await expectPingWithin(hostA, HOST.b.ipv4);
    const second = await bridge(sites, { ...run, number: 1 });
    await hostA.run(['ping', '-b', '-c', '3', '-i', '0.2', '-W', '1', '10.7.0.255']);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const memory = residentBytes(first.a.pid);
    await a.ip('link', 'set', 'tap1', 'nomaster');
    // The storm taught the bridges that each host is behind the other one; they unlearn it (IEEE 802.1D 7.8: after
    // 300 s, or) when the host itself says something.
    await Promise.all([expectPingWithin(hostA, HOST.b.ipv4), expectPingWithin(hostB, HOST.a.ipv4)]);
    expect(residentBytes(first.a.pid)).toBeLessThan(memory + 64 * 1024 * 1024);
    const { stdout } = await tsvpn(sites, a, 'status', 'bridge-0-a', '--json');
    const { traffic } = JSON.parse(stdout) as { traffic: { tunRead: { packets: number } } };
    expect(traffic.tunRead.packets, 'there was a storm').toBeGreaterThan(1000);
    await endBridge(second);
    await endBridge(first);
  });
});

/** `pid` is that of `ip netns exec`, which has become the program. */
function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
