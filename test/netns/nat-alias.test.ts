/** Source NAT behind a spare address of the LAN (alias mode), and the real kernel. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createNatLab, NAT, type NatLab } from '../support/nat-lab.ts';
import type { Daemon } from '../support/process.ts';
import {
  declareLeakChecks,
  declareRoadWarriorChecks,
  expectNoNetfilter,
  startServers,
} from '../support/road-warrior-checks.ts';
import {
  captureLeaks,
  expectNoLeak,
  gatewayConfig,
  probe,
  startNatGateway,
  startRoadWarrior,
  stopRoadWarrior,
  type RoadWarrior,
} from '../support/road-warrior.ts';
import { expectPing, expectPingWithin, expectTransfer } from '../support/traffic.ts';

const MEGABYTE = 1_000_000;

let lab: NatLab;
let scene: RoadWarrior;
/** Packets with an inside address on the LAN side, of which there are none through all tests. */
let leaks: Daemon;

beforeAll(async () => {
  lab = await createNatLab();
  leaks = await captureLeaks(lab);
  await startServers(lab);
  scene = await startRoadWarrior(lab, 'alias');
});
afterEach(() => expectNoLeak(leaks));
afterAll(() => lab.destroy());

describe('alias mode', () => {
  it('leaves the strict reverse-path filter of the tunnel device alone', async () => {
    expect(await lab.gateway.mustRun(['cat', '/proc/sys/net/ipv4/conf/tun0/rp_filter'])).toBe('1\n');
  });

  declareRoadWarriorChecks(() => scene);

  it('the alias answers a ping from the LAN, and the gateway its own', async () => {
    await expectPing(lab.lan, NAT.alias);
    await expectPing(lab.lan, NAT.gateway);
  });

  it('nftables and iptables are empty and conntrack is unused', () => expectNoNetfilter(scene));

  describe('no inside address leaves the LAN interface', () => {
    declareLeakChecks(() => scene);
  });

  it('without mssfix, a transfer by way of a link of MTU 1300 does not stall', async () => {
    const { client, server } = lab;
    const clampedMs = await expectTransfer(client, server, NAT.server, 2 * MEGABYTE);
    await stopRoadWarrior(scene);
    scene = await startRoadWarrior(lab, 'alias', { both: 'mssfix 0' });
    const ms = await expectTransfer(client, server, NAT.server, 2 * MEGABYTE);
    expect(ms).toBeLessThan(Math.max(2000, 4 * clampedMs));
  });

  it('after kill -9 nobody answers ARP for the alias, and the next start works', async () => {
    const arping = ['arping', '-q', '-c', '1', '-w', '5', '-I', 'br0', NAT.alias];
    expect((await lab.lan.run(arping)).code, 'an answer while the gateway runs').toBe(0);
    await scene.gateway.stop('SIGKILL');
    expect((await lab.lan.run(arping)).code, 'no answer').not.toBe(0);
    await expectPing(lab.lan, NAT.gateway);
    scene.gateway = startNatGateway(lab, gatewayConfig('alias'));
    await expectPingWithin(lab.client, NAT.lan);
  });

  it('refuses to start when a host of the LAN has the address', async () => {
    await scene.gateway.stop();
    const other = await lab.addHost('lan', 'other', NAT.alias);
    const mac = /link\/ether (\S+)/.exec(await other.ip('link', 'show', 'eth0'))?.[1] ?? 'none';
    const refused = startNatGateway(lab, gatewayConfig('alias'));
    expect(await refused.exited).toBe(1);
    expect(refused.log).toContain('NAT_ALIAS_TAKEN');
    expect(refused.log).toContain(mac);
    expect((await probe(lab.gateway, 'tcp', NAT.lan, 7777)).seenAs).toContain(NAT.gateway);
  });
});
