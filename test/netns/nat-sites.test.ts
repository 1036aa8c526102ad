/** Two sites joined by the configs of examples/, with NAT at one of them. */
import { afterEach, describe, expect, it } from 'vitest';
import { example } from '../support/examples.ts';
import { startGateway, TSVPN, writeKey, type Implementation } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { capture, packetsOf } from '../support/nat-lab.ts';
import type { Namespace } from '../support/netns.ts';
import type { Daemon } from '../support/process.ts';
import { createSites, FIELD, type FieldCase } from '../support/topology.ts';
import { expectPing, expectPingWithin, expectTransfer, traceroute } from '../support/traffic.ts';
import { ask, serve } from '../support/whoami.ts';

let net: FieldCase | undefined;
afterEach(() => net?.destroy());

/** Starts both gateways and waits until packets pass between them. */
async function join(
  sites: FieldCase,
  a: { readonly name: string; readonly config: string },
  b: { readonly name: string; readonly config: string; readonly implementation: Implementation },
): Promise<{ readonly a: Daemon; readonly b: Daemon }> {
  net = sites;
  writeKey(sites, 'static.key', staticKeyText());
  const daemons = {
    a: startGateway(sites, sites.gatewayA, { ...a, implementation: 'tsvpn' }),
    b: startGateway(sites, sites.gatewayB, b),
  };
  await expectPingWithin(sites.gatewayB, FIELD.tunnelA);
  return daemons;
}

const hostOf = (answer: string) => answer.replace(/:\d+$/, '');

describe('port 80 of the gateway is the web server', () => {
  const WEB = '10.0.1.26';
  const OFFICE = '192.168.7.5';
  const GATEWAY = '10.0.1.1';

  it.each([
    ["with the web server's route back", '', OFFICE],
    ['without one, and `snat`', ' snat', GATEWAY],
  ])('%s', async (_title, snat, seen) => {
    const sites = await createSites(
      { host: WEB, gateway: GATEWAY },
      { host: OFFICE, gateway: '192.168.1.1' },
    );
    // tsvpn switches on what forwarding it needs.
    await sites.gatewayA.sysctl('net/ipv4/ip_forward', 0);
    if (snat !== '') await sites.hostA.ip('route', 'del', 'default');
    const config = example('nat-web-server', 'gateway.conf').replace(
      /^(setenv opt nat dnat .*)$/m,
      `$1${snat}`,
    );
    await join(
      sites,
      { name: 'gateway', config },
      { name: 'office', config: example('nat-web-server', 'office.conf'), implementation: 'openvpn' },
    );
    const web = await serve(sites.hostA, 'tcp', WEB, 80);
    const ssh = await serve(sites.gatewayA, 'tcp', '0.0.0.0', 22);

    expect(hostOf(await ask(sites.hostB, 'tcp', GATEWAY, 80))).toBe(seen);
    expect(hostOf(await ask(sites.hostB, 'tcp', FIELD.tunnelA, 80))).toBe(seen);
    expect(web.count(/from /)).toBe(2);
    expect(hostOf(await ask(sites.hostB, 'tcp', GATEWAY, 22)), "the gateway's own services").toBe(OFFICE);
    expect(ssh.count(/from /)).toBe(1);
    expect(await ask(sites.hostB, 'tcp', GATEWAY, 81), 'a closed port').toBe('ECONNREFUSED');
    expect(await ask(sites.gatewayB, 'tcp', GATEWAY, 80), 'not of 192.168.0.0/16').toBe('ECONNREFUSED');
    await expectPing(sites.hostB, GATEWAY);
  });
});

describe('two networks that are both 10.0.0.0/16', () => {
  const HOST = '10.0.1.2';
  const GATEWAY = '10.0.1.1';
  /** What each calls the other's host. */
  const A = '10.101.1.2';
  const B = '10.102.1.2';

  it.each([
    ['tsvpn on both sides', TSVPN],
    ['stock OpenVPN as B, A translates for both', 'openvpn'],
  ] as const)('%s', async (_title, implementation) => {
    const twin = { host: HOST, gateway: GATEWAY };
    const sites = await createSites(twin, twin);
    await join(
      sites,
      { name: 'gateway-a', config: example('nat-twin-networks', 'gateway-a.conf') },
      { name: 'gateway-b', config: example('nat-twin-networks', 'gateway-b.conf'), implementation },
    );
    await expectBothWays(sites);
    await expectTransfer(sites.hostA, sites.hostB, HOST, 2_000_000, B);
    await expectRefusals(sites);
    await expectPathMtu(sites);
  });

  async function expectBothWays({ hostA, hostB }: FieldCase): Promise<void> {
    await Promise.all([expectPing(hostA, B), expectPing(hostB, A)]);
    await Promise.all([expectPing(hostA, B, 1472), expectPing(hostB, A, 1472)]);
    await Promise.all([serve(hostA, 'tcp', HOST, 80), serve(hostB, 'tcp', HOST, 80)]);
    expect(hostOf(await ask(hostA, 'tcp', B, 80))).toBe(A);
    expect(hostOf(await ask(hostB, 'tcp', A, 80))).toBe(B);
    expect(await traceroute(hostA, B)).toEqual([GATEWAY, FIELD.tunnelB, B]);
    expect(await traceroute(hostB, A)).toEqual([GATEWAY, FIELD.tunnelA, A]);
  }

  /** A link of B's gateway is narrower than the tunnel: A's host is told, about the packet it sent. */
  async function expectPathMtu({ hostA, gatewayB }: FieldCase): Promise<void> {
    await gatewayB.ip('link', 'set', 'lan', 'mtu', '1300');
    const words = ['ping', '-n', '-M', 'do', '-s', '1372', '-c', '2', '-i', '0.2', '-W', '2', B];
    expect((await hostA.run(words)).stdout).toContain('mtu = 1300');
    expect(await hostA.ip('route', 'get', B)).toContain('mtu 1300');
  }

  /** An ICMP error shows the receiver what it sent, under the names it knows. */
  async function expectRefusals({ hostA, hostB }: FieldCase): Promise<void> {
    const sides: readonly [from: Namespace, to: string, foreign: RegExp][] = [
      [hostA, B, /10\.101\./],
      [hostB, A, /10\.102\./],
    ];
    for (const [from, to, foreign] of sides) {
      const dump = await capture(from, 'lan', 'icmp[icmptype] == icmp-unreach');
      expect(await ask(from, 'udp', to, 9)).toBe('ECONNREFUSED');
      expect(await ask(from, 'tcp', to, 9)).toBe('ECONNREFUSED');
      await dump.waitFor(new RegExp(`${to} > ${HOST}: ICMP ${to} udp port 9 unreachable`), 3000);
      await dump.waitFor(new RegExp(`${HOST}\\.\\d+ > ${to}\\.9: `), 3000);
      expect(packetsOf(dump).join('\n')).not.toMatch(foreign);
      expect(dump.log).not.toMatch(/wrong icmp cksum|bad cksum|bad udp cksum/);
      await dump.stop();
    }
  }
});
