/** Source NAT behind the gateway's own address, with ports lent by the kernel (range mode), and the real kernel. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { tsvpn } from '../support/gateway.ts';
import { capture, createNatLab, NAT, packetsOf, type NatLab } from '../support/nat-lab.ts';
import type { Namespace } from '../support/netns.ts';
import type { Daemon } from '../support/process.ts';
import {
  declareLeakChecks,
  declareRoadWarriorChecks,
  expectNoNetfilter,
  startServers,
  expectTranslated,
} from '../support/road-warrior-checks.ts';
import {
  captureLeaks,
  expectNoLeak,
  gatewayConfig,
  listen,
  probe,
  startNatGateway,
  startRoadWarrior,
  stopRoadWarrior,
  type RoadWarrior,
} from '../support/road-warrior.ts';
import { expectPing, expectPingWithin, expectTransfer } from '../support/traffic.ts';

const MEGABYTE = 1_000_000;
const PORT = 7777;

let lab: NatLab;
let scene: RoadWarrior;
/** Packets with an inside address on the LAN side, of which there are none through all tests. */
let leaks: Daemon;

beforeAll(async () => {
  lab = await createNatLab();
  leaks = await captureLeaks(lab);
  await startServers(lab);
  scene = await startRoadWarrior(lab, 'range');
});
afterEach(() => expectNoLeak(leaks));
afterAll(() => lab.destroy());

async function restart(lines: { readonly both?: string; readonly gateway?: string } = {}): Promise<void> {
  await stopRoadWarrior(scene);
  scene = await startRoadWarrior(lab, 'range', lines);
}

describe('range mode', () => {
  declareRoadWarriorChecks(() => scene);

  it('services of the gateway itself work before, during and after load', async () => {
    const { gateway, lan, client, server } = lab;
    await listen(gateway, 'tcp', NAT.gateway, 22);
    const expectServices = async () => {
      expect((await probe(lan, 'tcp', NAT.gateway, 22)).seenAs).toContain(NAT.lan);
      expect((await probe(gateway, 'tcp', NAT.lan, PORT)).seenAs).toContain(NAT.gateway);
      await expectPing(gateway, NAT.lan);
      const answers = await lan.mustRun(['ping', '-n', '-c', '3', '-i', '0.2', '-W', '2', NAT.gateway]);
      expect(answers.match(/ttl=\d+/g)).toEqual(['ttl=64', 'ttl=64', 'ttl=64']);
    };
    const load = expectTransfer(client, server, NAT.server, 30 * MEGABYTE);
    await expectServices();
    await load;
    await expectServices();
  });

  it('nftables and iptables are empty and conntrack is unused', () => expectNoNetfilter(scene));

  it('no packet on the LAN or at the client has a wrong checksum', async () => {
    const { gateway, lan, client, server } = lab;
    // Checksums that an interface would fill in are not there to be seen.
    for (const host of [gateway, lan, server]) await fillInChecksums(host);
    const dumps = [await capture(gateway, 'eth1', 'ip or ip6'), await capture(client, 'tun0', 'ip or ip6')];
    await expectTranslated(scene);
    await expectTransfer(client, server, NAT.server, MEGABYTE);
    await probe(client, 'udp', NAT.lan, PORT, 3000, 3000);
    await probe(client, 'udp', NAT.lan, 9, 100, 100);
    await client.run(['traceroute', '-n', '-w', '1', '-m', '4', NAT.server]);
    for (const dump of dumps) {
      await dump.stop();
      expect(packetsOf(dump).length).toBeGreaterThan(500);
      expect(dump.log).toMatch(/\(correct\)|udp sum ok/);
      const wrong = dump.log.split('\n').filter((line) => /\b(bad|incorrect|wrong)\b/.test(line));
      expect(wrong).toEqual([]);
    }
  });
});

describe('no inside address leaves the LAN interface', () => {
  declareLeakChecks(() => scene);
});

describe('other configs', () => {
  it('without mssfix, a transfer by way of a link of MTU 1300 does not stall', async () => {
    const { client, server } = lab;
    const clampedMs = await expectTransfer(client, server, NAT.server, 2 * MEGABYTE);
    await restart({ both: 'mssfix 0' });
    const ms = await expectTransfer(client, server, NAT.server, 2 * MEGABYTE);
    // A machine that is slow for both is not what is looked for.
    expect(ms).toBeLessThan(Math.max(2000, 4 * clampedMs));
  });

  it('without a port left, new UDP flows are refused and counted; TCP to another address goes on', async () => {
    await restart({ gateway: 'setenv opt nat-ports 65531 65534' });
    const { client, lan, server } = lab;
    const flows = await probe(client, 'udp-each', NAT.lan, 5000, 6);
    expect(flows).toMatchObject({ answered: 4, EHOSTUNREACH: 2 });
    // A port of its own: connections of the tests before may still be sending their last segments.
    for (const [host, address] of [
      [lan, NAT.lan],
      [server, NAT.server],
    ] as const) {
      await listen(host, 'tcp', address, PORT + 1);
      for (let i = 0; i < 4; i++) {
        expect((await probe(client, 'tcp', address, PORT + 1)).seenAs).toMatch(/^172\.16\.0\.2:6553[1-4]$/);
      }
    }
    const { stdout } = await tsvpn(lab, lab.gateway, 'status', 'gateway', '--json');
    const status = JSON.parse(stdout) as { drops: Record<string, number> };
    expect(status.drops['nat-no-port']).toBe(2);
    await expectPing(lan, NAT.gateway);
  });

  it('a firewall that drops what is forwarded is reported with the rules to add, and they suffice', async () => {
    const { gateway, lan, client } = lab;
    const chain = 'add chain inet host forward { type filter hook forward priority 0; policy drop; }';
    await gateway.mustRun(['nft', `add table inet host; ${chain}`]);
    await scene.gateway.stop();
    scene.gateway = startNatGateway(lab, gatewayConfig('range'));
    await expectPingWithin(client, NAT.tunnelGateway);
    expect((await probe(client, 'tcp', NAT.lan, PORT)).error).toBe('no answer');
    await expectPing(lan, NAT.gateway);
    expect(warnings(scene.gateway).filter((text) => text.includes('policy drop'))).toHaveLength(1);
    const rules = warnings(scene.gateway).filter((line) => line.startsWith('nft '));
    expect(rules).toHaveLength(2);
    for (const rule of rules) await gateway.mustRun(['sh', '-c', rule]);
    await expectTranslated(scene);
    await expectTransfer(client, lan, NAT.lan, 10 * MEGABYTE);
    await expectPing(lan, NAT.gateway);
    await gateway.mustRun(['nft', 'flush ruleset']);
  });

  it('the capture that has seen nothing sees a packet with an inside address', async () => {
    expectNoLeak(leaks);
    // The gateway's own, which does not pass the tunnel.
    await lab.gateway.run(['ping', '-n', '-c', '1', '-W', '1', '-I', NAT.tunnelGateway, NAT.lan]);
    await leaks.waitFor(/10\.8\.0\.1 > 172\.16\.0\.3/, 5000);
    leaks = await captureLeaks(lab);
  });
});

/** The log's texts of level `warn`. */
function warnings(daemon: Daemon): string[] {
  const lines = daemon.log.split('\n').filter((line) => line.startsWith('{'));
  const records = lines.map((line) => JSON.parse(line) as { level: string; msg: string });
  return records.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
}

/** Makes the host complete its checksums itself. */
async function fillInChecksums(host: Namespace): Promise<void> {
  const links = await host.ip('-o', 'link', 'show', 'type', 'veth');
  for (const [, device] of links.matchAll(/^\d+: ([^@:]+)/gm)) {
    await host.mustRun(['ethtool', '-K', device, 'tx', 'off']);
  }
}
