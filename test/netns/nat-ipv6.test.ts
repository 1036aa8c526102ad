/** Check 43: IPv6 is routed, and translated one to one where the config says so (NPTv6). */
import { afterEach, describe, expect, it } from 'vitest';
import { COMPLETED, startGateway, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { capture, createNatLab, NAT, packetsOf, type NatLab } from '../support/nat-lab.ts';
import type { Lab, Namespace } from '../support/netns.ts';
import { createSites, FIELD, type FieldCase } from '../support/topology.ts';
import { expectPing, expectPingWithin, expectTransfer, traceroute } from '../support/traffic.ts';
import { ask, serve } from '../support/whoami.ts';

const COMMON = `
dev tun
secret static.key
cipher AES-256-CBC
auth SHA256
keepalive 1 10
verb 3`;

let lab: Lab | undefined;
afterEach(() => lab?.destroy());

/** A ping that must not be fragmented and is too big for a link of MTU 1300 on the way is told so. */
async function expectTooBig(from: Namespace, to: string): Promise<void> {
  const words = ['ping', '-n', '-M', 'do', '-s', '1352', '-c', '3', '-i', '0.3', '-W', '2', to];
  expect((await from.run(words)).stdout).toMatch(/mtu(=| = |: )1300/);
  expect(await from.ip('-6', 'route', 'get', to)).toContain('mtu 1300');
}

describe('peer and LAN, next to NAT for IPv4', () => {
  const LAN = 'fd16::3';
  const CLIENT = 'fd08::2';
  const SERVER = 'fd50::5';

  async function giveAddresses({ gateway, lan, server }: NatLab): Promise<void> {
    await gateway.ip('address', 'add', 'fd16::2/64', 'dev', 'eth1');
    await lan.ip('address', 'add', `${LAN}/64`, 'dev', 'br0');
    await lan.ip('address', 'add', 'fd50::1/64', 'dev', 'hidden');
    await server.ip('address', 'add', `${SERVER}/64`, 'dev', 'eth0');
    for (const at of [gateway, lan]) await at.sysctl('net/ipv6/conf/all/forwarding', 1);
    await gateway.ip('-6', 'route', 'add', 'fd50::/64', 'via', LAN);
    await lan.ip('-6', 'route', 'add', 'fd08::/64', 'via', 'fd16::2');
    await server.ip('-6', 'route', 'add', 'default', 'via', 'fd50::1');
  }

  it('is routed: ping, TCP, UDP, traceroute, closed ports, packet too big; no rule takes ICMPv6 from the host', async () => {
    const net = await createNatLab();
    lab = net;
    writeKey(net, 'static.key', staticKeyText());
    await giveAddresses(net);
    const rules = await net.gateway.ip('-6', 'rule');
    const gateway = startGateway(net, net.gateway, {
      implementation: 'tsvpn',
      name: 'gateway',
      config: `${COMMON}
ifconfig ${NAT.tunnelGateway} ${NAT.tunnelClient}
ifconfig-ipv6 fd08::1/64 ${CLIENT}
setenv opt nat snat 10.8.0.0/24 out eth1 masquerade
setenv opt nat dnat in eth0 tcp dport 8080 to ${NAT.tunnelClient}:80`,
    });
    startGateway(net, net.client, {
      implementation: 'openvpn',
      name: 'client',
      config: `${COMMON}
remote ${NAT.gatewayWan}
ifconfig ${NAT.tunnelClient} ${NAT.tunnelGateway}
ifconfig-ipv6 ${CLIENT}/64 fd08::1
route 172.16.0.0 255.255.255.0
route-ipv6 fd16::/64
route-ipv6 fd50::/64`,
    });
    await gateway.waitFor(COMPLETED);
    await expectPingWithin(net.client, 'fd08::1');

    await Promise.all([expectPing(net.client, LAN), expectPing(net.lan, CLIENT)]);
    for (const transport of ['tcp', 'udp'] as const) {
      await serve(net.lan, transport, LAN, 7777);
      await serve(net.client, transport, CLIENT, 7777);
      expect(await ask(net.client, transport, LAN, 7777, 40_000)).toBe(`${CLIENT}:40000`);
      expect(await ask(net.lan, transport, CLIENT, 7777, 40_000)).toBe(`${LAN}:40000`);
      expect(await ask(net.client, transport, LAN, 9)).toBe('ECONNREFUSED');
      expect(await ask(net.lan, transport, CLIENT, 9)).toBe('ECONNREFUSED');
    }
    await expectTransfer(net.client, net.lan, LAN, 1_000_000);
    expect(await traceroute(net.client, SERVER)).toEqual(['fd08::1', LAN, SERVER]);
    expect(await traceroute(net.server, CLIENT)).toEqual(['fd50::1', 'fd16::2', CLIENT]);
    await expectTooBig(net.client, SERVER);
    await expectPing(net.client, NAT.lan);

    expect(await net.gateway.ip('-6', 'rule')).toBe(rules);
    expect(await net.gateway.ip('rule')).not.toContain('icmp');
  });
});

describe('two networks that are both fd10::/48 (NPTv6)', () => {
  const HOST = 'fd10:0:0:5::2';
  /** RFC 6296 3.4: the prefix grows by 1 or 2, so the word behind it shrinks by as much, and checksums stay. */
  const A = 'fd11:0:0:4::2';
  const B = 'fd12:0:0:3::2';

  async function giveAddresses({ hostA, gatewayA, hostB, gatewayB }: FieldCase): Promise<void> {
    for (const [host, gateway] of [
      [hostA, gatewayA],
      [hostB, gatewayB],
    ]) {
      await gateway.sysctl('net/ipv6/conf/all/forwarding', 1);
      await gateway.ip('address', 'add', 'fd10:0:0:5::1/64', 'dev', 'lan');
      await host.ip('address', 'add', `${HOST}/64`, 'dev', 'lan');
      await host.ip('-6', 'route', 'add', 'default', 'via', 'fd10:0:0:5::1');
    }
  }

  const config = (remote: string, local: number, netmap: string, route: string) => `${COMMON}
remote ${remote}
ifconfig 10.254.0.${local} 10.254.0.${3 - local}
ifconfig-ipv6 fdff::${local}/64 fdff::${3 - local}
route-ipv6 ${route}
${netmap}`;

  it('reach each other, stock OpenVPN at one side, which verifies checksums that nobody has corrected', async () => {
    const twin = { host: '10.0.1.2', gateway: '10.0.1.1' };
    const net = await createSites(twin, twin);
    lab = net;
    writeKey(net, 'static.key', staticKeyText());
    await giveAddresses(net);
    const netmap = 'setenv opt nat netmap peer a local fd10::/48 as fd11::/48 remote fd10::/48 as fd12::/48';
    startGateway(net, net.gatewayA, {
      implementation: 'tsvpn',
      name: 'a',
      config: config(FIELD.gatewayB, 1, netmap, 'fd12::/48'),
    });
    startGateway(net, net.gatewayB, {
      implementation: 'openvpn',
      name: 'b',
      config: config(FIELD.gatewayA, 2, '', 'fd11::/48'),
    });
    await expectPingWithin(net.gatewayB, 'fdff::1');

    const { hostA, hostB, gatewayB } = net;
    await Promise.all([expectPing(hostA, B), expectPing(hostB, A)]);
    for (const transport of ['tcp', 'udp'] as const) {
      await Promise.all([serve(hostA, transport, HOST, 7777), serve(hostB, transport, HOST, 7777)]);
      expect(await ask(hostA, transport, B, 7777, 40_000)).toBe(`${A}:40000`);
      expect(await ask(hostB, transport, A, 7777, 40_000)).toBe(`${B}:40000`);
    }
    await expectTransfer(hostA, hostB, HOST, 1_000_000, B);
    expect(await traceroute(hostA, B)).toEqual(['fd10:0:0:5::1', 'fdff::2', B]);

    const dump = await capture(hostA, 'lan', 'icmp6 and ip6[40] == 1');
    expect(await ask(hostA, 'udp', B, 9)).toBe('ECONNREFUSED');
    await dump.waitFor(new RegExp(`${B} > ${HOST}: .*unreachable port, ${B} udp port 9`), 3000);
    expect(packetsOf(dump).join()).not.toContain('fd11:');
    await gatewayB.ip('link', 'set', 'lan', 'mtu', '1300');
    await expectTooBig(hostA, B);
  });
});
