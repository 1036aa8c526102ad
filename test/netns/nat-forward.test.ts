/** Connections into the tunnel: ports of the gateway's public address, hairpins, and the LAN behind the tunnel address. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { example } from '../support/examples.ts';
import { COMPLETED, startGateway, tsvpn, writeConfig, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { createNatLab, NAT, type NatLab } from '../support/nat-lab.ts';
import type { Namespace } from '../support/netns.ts';
import { type Daemon, PATIENCE_MS } from '../support/process.ts';
import { expectPingWithin } from '../support/traffic.ts';
import { ask, serve } from '../support/whoami.ts';

const TRANSPORTS = ['tcp', 'udp'] as const;
const hostOf = (answer: string) => answer.replace(/:\d+$/, '');

/** Answers of the address go into the tunnel, wherever their caller is: what a server behind a forwarded port needs. */
async function answerThroughTunnel(at: Namespace, address: string, device: string): Promise<void> {
  await at.ip('rule', 'add', 'from', address, 'lookup', '100');
  await at.ip('route', 'replace', 'default', 'dev', device, 'table', '100');
}

describe('a port of the public address is a host at home', () => {
  const HOME = '192.168.7.5';
  const PUBLIC = NAT.gatewayWan;
  let lab: NatLab;
  let gateway: Daemon;

  beforeAll(async () => {
    lab = await createNatLab();
    writeKey(lab, 'static.key', staticKeyText());
    await lab.lan.ip('route', 'add', '203.0.113.0/24', 'via', NAT.gateway);
    const home = await lab.namespace('home');
    await lab.connect(lab.client, 'eth1', home, 'eth0');
    await lab.client.ip('address', 'add', '192.168.7.1/24', 'dev', 'eth1');
    await home.ip('address', 'add', `${HOME}/24`, 'dev', 'eth0');
    await home.ip('route', 'add', 'default', 'via', '192.168.7.1');
    await lab.client.sysctl('net/ipv4/ip_forward', 1);
    await serve(home, 'tcp', HOME, 80);
    await serve(lab.gateway, 'tcp', '0.0.0.0', 22);
    await start(example('nat-port-forward', 'gateway.conf'));
    const config = example('nat-port-forward', 'home.conf');
    startGateway(lab, lab.client, { implementation: 'openvpn', name: 'home', config });
    await expectPingWithin(lab.client, NAT.tunnelGateway);
  });
  afterAll(() => lab.destroy());

  async function start(config: string): Promise<void> {
    gateway = startGateway(lab, lab.gateway, { implementation: 'tsvpn', name: 'gateway', config });
  }

  it("is reached from outside, from the LAN (hairpin) and by the gateway, other ports stay the gateway's", async () => {
    for (const from of [lab.wan, lab.lan, lab.gateway]) {
      expect(hostOf(await ask(from, 'tcp', PUBLIC, 8080)), from.name).toBe(NAT.tunnelGateway);
    }
    expect(hostOf(await ask(lab.wan, 'tcp', PUBLIC, 22))).toBe(NAT.wan);
    expect(hostOf(await ask(lab.lan, 'tcp', PUBLIC, 22))).toBe(NAT.lan);
    expect(await ask(lab.wan, 'tcp', PUBLIC, 8081)).toBe('ECONNREFUSED');
  });

  it('without `snat` the host at home sees who really calls', async () => {
    await answerThroughTunnel(lab.client, HOME, 'tun0');
    writeConfig(lab, 'gateway', example('nat-port-forward', 'gateway.conf').replaceAll(/ snat$/gm, ''));
    expect((await tsvpn(lab, lab.gateway, 'reload', 'gateway')).code).toBe(0);
    expect(hostOf(await ask(lab.wan, 'tcp', PUBLIC, 8080))).toBe(NAT.wan);
    expect(hostOf(await ask(lab.lan, 'tcp', PUBLIC, 8080))).toBe(NAT.lan);
    // The address the kernel chooses for a route into the tunnel.
    expect(hostOf(await ask(lab.gateway, 'tcp', PUBLIC, 8080))).toBe(NAT.tunnelGateway);
    expect(hostOf(await ask(lab.wan, 'tcp', PUBLIC, 22))).toBe(NAT.wan);
    expect(await gateway.stop()).toBe(0);
  });
});

describe('a LAN host opens a connection to the client', () => {
  const PORT = 7777;
  const CONFIG = example('nat-lan-to-client', 'gateway.conf');
  let lab: NatLab;
  let second: Namespace;

  beforeAll(async () => {
    lab = await createNatLab();
    writeKey(lab, 'static.key', staticKeyText());
    second = await lab.addHost('lan', 'second', '172.16.0.4');
    for (const host of [lab.lan, second]) await host.ip('route', 'add', '10.8.0.0/24', 'via', NAT.gateway);
    startGateway(lab, lab.gateway, { implementation: 'tsvpn', name: 'gateway', config: CONFIG });
    const client = startGateway(lab, lab.client, {
      implementation: 'openvpn',
      name: 'client',
      config: example('nat-lan-to-client', 'client.conf'),
    });
    await client.waitFor(/UDPv4 link remote/);
    await expectPingWithin(lab.client, NAT.tunnelGateway);
    for (const transport of TRANSPORTS) await serve(lab.client, transport, NAT.tunnelClient, PORT);
  });
  afterAll(() => lab.destroy());

  it.each(TRANSPORTS)('with SNAT the client sees the tunnel address, %s', async (transport) => {
    expect(hostOf(await ask(lab.lan, transport, NAT.tunnelClient, PORT))).toBe(NAT.tunnelGateway);
    expect(hostOf(await ask(lab.gateway, transport, NAT.tunnelClient, PORT))).toBe(NAT.tunnelGateway);
  });

  it.each(TRANSPORTS)('two hosts with one source port do at the same time, %s', async (transport) => {
    const hosts = [lab.lan, second, lab.gateway];
    const seen = await Promise.all(hosts.map((host) => ask(host, transport, NAT.tunnelClient, PORT, 40_000)));
    expect(seen.map(hostOf)).toEqual(hosts.map(() => NAT.tunnelGateway));
    expect(new Set(seen).size, 'ports of their own').toBe(hosts.length);
  });

  it("ping, and a closed port, are the client's", async () => {
    await expectPingWithin(lab.lan, NAT.tunnelClient, 1000);
    expect(await ask(lab.lan, 'udp', NAT.tunnelClient, 9)).toBe('ECONNREFUSED');
    expect(await ask(lab.lan, 'tcp', NAT.tunnelClient, 9)).toBe('ECONNREFUSED');
  });

  it('without SNAT the client sees the host, and answers by its route', async () => {
    writeConfig(lab, 'gateway', CONFIG.replace(/^setenv opt nat .*$/m, ''));
    expect((await tsvpn(lab, lab.gateway, 'reload', 'gateway')).code).toBe(0);
    await lab.gateway.sysctl('net/ipv4/ip_forward', 1);
    await lab.client.ip('route', 'add', '172.16.0.0/24', 'dev', 'tun0');
    for (const transport of TRANSPORTS) {
      expect(hostOf(await ask(lab.lan, transport, NAT.tunnelClient, PORT)), transport).toBe(NAT.lan);
    }
  });
});

describe('a hub with two peers', () => {
  const PUBLIC = NAT.gatewayWan;
  const A = '10.8.0.2';
  const B = '10.8.0.3';
  const HUB = `
dev tun
topology subnet
ifconfig ${NAT.tunnelGateway} 255.255.255.0
cipher AES-256-CBC
auth SHA256
keepalive 1 4
nat dnat in eth0 tcp dport 8080 to ${B}:80
nat dnat in eth0 udp dport 8080 to ${B}:80
nat dnat in eth1 tcp dport 8081 dst ${PUBLIC} to ${NAT.lan}:7777
nat snat 172.16.0.0/24 out eth1 masquerade
<peer>
name a
secret a.key
lport 1194
peer-address ${A}
</peer>
<peer>
name b
secret b.key
lport 1195
peer-address ${B}
</peer>`;
  const spoke = (address: string, port: number, key: string) => `
dev tun
nobind
remote ${PUBLIC} ${port}
secret ${key}
ifconfig ${address} ${NAT.tunnelGateway}
cipher AES-256-CBC
auth SHA256
keepalive 1 4
allow-recursive-routing
verb 3`;
  let lab: NatLab;
  let b: Namespace;

  beforeAll(async () => {
    lab = await createNatLab();
    for (const key of ['a.key', 'b.key']) writeKey(lab, key, staticKeyText());
    b = await lab.addHost('wan', 'b', '203.0.113.11');
    await lab.lan.ip('route', 'add', '203.0.113.0/24', 'via', NAT.gateway);
    const hub = startGateway(lab, lab.gateway, { implementation: 'tsvpn', name: 'hub', config: HUB });
    startGateway(lab, lab.client, {
      implementation: 'openvpn',
      name: 'a',
      config: spoke(A, 1194, 'a.key'),
    });
    startGateway(lab, b, { implementation: 'tsvpn', name: 'b', config: spoke(B, 1195, 'b.key') });
    await hub.waitFor(COMPLETED, PATIENCE_MS, 2);
    for (const transport of TRANSPORTS) await serve(b, transport, B, 80);
    await answerThroughTunnel(b, B, 'tun0');
    // Packets to that port go into the tunnel, the tunnel's own do not.
    await answerThroughTunnel(lab.client, A, 'tun0');
    for (const transport of TRANSPORTS)
      await lab.client.ip('rule', 'add', 'ipproto', transport, 'dport', '8080', 'lookup', '100');
  });
  afterAll(() => lab.destroy());

  it.each(TRANSPORTS)(
    '%s to the public address reaches the peer, which sees the real caller',
    async (transport) => {
      expect(hostOf(await ask(lab.wan, transport, PUBLIC, 8080))).toBe(NAT.wan);
      expect(hostOf(await ask(lab.gateway, transport, PUBLIC, 8080)), 'the gateway to itself').toBe(
        NAT.tunnelGateway,
      );
    },
  );

  it.each(TRANSPORTS)(
    '%s of a peer to the public address reaches the other, which sees that address',
    async (transport) => {
      expect(hostOf(await ask(lab.client, transport, PUBLIC, 8080))).toBe(PUBLIC);
    },
  );

  it('from the LAN to a port of the public address that is a host of the LAN', async () => {
    await serve(lab.lan, 'tcp', NAT.lan, 7777);
    expect(hostOf(await ask(lab.lan, 'tcp', PUBLIC, 8081))).toBe(NAT.gateway);
  });
});
