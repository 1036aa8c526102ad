/**
 * Check 35: a SYN flood through the tunnel, 50 000 a second for 10 seconds, by one of two peers. The other does not notice;
 * nor does it notice one of UDP.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NatRules } from '../../src/control/nat.ts';
import type { TunnelStatus } from '../../src/control/status.ts';
import { COMPLETED, startGateway, tsvpn, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { capture, createNatLab, NAT, type NatLab } from '../support/nat-lab.ts';
import type { Namespace } from '../support/netns.ts';
import { type Daemon, PATIENCE_MS } from '../support/process.ts';
import { expectTransfer } from '../support/traffic.ts';
import { ask, serve } from '../support/whoami.ts';

const FLOOD = join(import.meta.dirname, '../support/flood.mjs');
const PER_SECOND = 50_000;
const ATTACKER = '10.8.0.2';
const VICTIM = '10.8.0.3';
const PORT = 7777;
/** Nobody answers there, not even with an ICMP error. */
const SILENT_PORT = 7778;
const MAX_SESSIONS = 20_000;

const HUB = `
dev tun
topology subnet
ifconfig ${NAT.tunnelGateway} 255.255.255.0
cipher AES-128-CBC
auth SHA1
keepalive 1 20
nat snat 10.0.0.0/8 out eth1 masquerade
nat-max-sessions ${MAX_SESSIONS}
<peer>
name attacker
secret attacker.key
lport 1194
peer-address ${ATTACKER}
peer-route 10.9.0.0/16
</peer>
<peer>
name victim
secret victim.key
lport 1195
peer-address ${VICTIM}
</peer>`;

const spoke = (address: string, port: number, key: string) => `
dev tun
nobind
remote ${NAT.gatewayWan} ${port}
secret ${key}
ifconfig ${address} ${NAT.tunnelGateway}
route 172.16.0.0 255.255.255.0
cipher AES-128-CBC
auth SHA1
keepalive 1 20
verb 3`;

let lab: NatLab;
let hub: Daemon;
let victim: Namespace;

beforeAll(async () => {
  lab = await createNatLab();
  for (const key of ['attacker.key', 'victim.key']) writeKey(lab, key, staticKeyText());
  victim = await lab.addHost('wan', 'victim', '203.0.113.11');
  hub = startGateway(lab, lab.gateway, { implementation: 'tsvpn', name: 'hub', config: HUB });
  const peers: readonly [Namespace, string, string, number][] = [
    [lab.client, 'attacker', ATTACKER, 1194],
    [victim, 'victim', VICTIM, 1195],
  ];
  for (const [at, name, address, port] of peers) {
    const config = spoke(address, port, `${name}.key`);
    startGateway(lab, at, { implementation: 'tsvpn', name, config });
  }
  await hub.waitFor(COMPLETED, PATIENCE_MS, 2);
  await serve(lab.lan, 'tcp', NAT.lan, PORT);
  // The server's own trouble with the flood is not the matter: SYNs without options get no answer there.
  await lab.lan.mustRun([
    'nft',
    `add table ip quiet; add chain ip quiet input { type filter hook input priority 0; };
    add rule ip quiet input ip length 40 tcp flags syn drop; add rule ip quiet input udp dport ${SILENT_PORT} drop`,
  ]);
});
afterAll(() => lab.destroy());

const hostOf = (answer: string) => answer.replace(/:\d+$/, '');

/** Resident memory of the gateway, bytes. */
function residentBytes(): number {
  const status = readFileSync(`/proc/${hub.pid}/status`, 'utf8');
  return 1024 * Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]);
}

async function json<T>(...words: string[]): Promise<T> {
  return JSON.parse((await tsvpn(lab, lab.gateway, ...words, '--json')).stdout) as T;
}

async function expectWithinLimits(): Promise<void> {
  const { stats } = await json<NatRules>('nat', 'rules', '--tunnel', 'hub');
  expect(stats?.sessions).toBeLessThanOrEqual(MAX_SESSIONS);
  expect(stats?.halfOpen).toBeLessThanOrEqual(MAX_SESSIONS / 2);
}

/** Datagrams of the attacker's that arrived. */
async function arrived(): Promise<number> {
  return (await json<TunnelStatus>('status', 'hub')).peers[0].traffic.udpRead.packets;
}

describe('a SYN flood of one peer', () => {
  it.each([
    ['from its own address: it is refused, ten times a second in words', ATTACKER, 1, 10],
    [
      'from every address of the network behind it: its own half-open sessions give way',
      '10.9.0.0',
      65_536,
      5,
    ],
  ])('%s', async (_title, from, hosts, seconds) => {
    const before = { bytes: residentBytes(), datagrams: await arrived() };
    const refusals = await capture(lab.client, 'tun0', 'icmp[0] == 3 and icmp[1] == 13');
    const words = ['tcp', from, hosts, NAT.lan, PORT, PER_SECOND, seconds].map(String);
    const begin = Date.now();
    const flood = lab.client.spawn([process.execPath, FLOOD, ...words]);
    await flood.waitFor(/started/);

    const transfer = expectTransfer(victim, lab.lan, NAT.lan, 5_000_000);
    const answers: string[] = [];
    let bytes = before.bytes;
    while (!/sent/.test(flood.log)) {
      answers.push(hostOf(await ask(victim, 'tcp', NAT.lan, PORT)));
      bytes = Math.max(bytes, residentBytes());
      await expectWithinLimits();
    }
    await transfer;
    expect(answers, 'new connections of the other peer').toEqual(answers.map(() => NAT.gateway));
    expect(answers.length).toBeGreaterThan(1);
    expect(bytes - before.bytes, 'memory').toBeLessThan(50e6);
    expect((await arrived()) - before.datagrams, 'it was a flood').toBeGreaterThan(PER_SECOND);
    const lasted = (Date.now() - begin) / 1000;
    expect(refusals.count(/admin prohibited/), 'words').toBeLessThanOrEqual(10 * lasted + 10);
    await refusals.stop();
  });
});

describe('a flood of UDP from every address of the network behind a peer', () => {
  it('takes all ports, and the other peer has new flows all the same, also right after', async () => {
    await serve(lab.lan, 'udp', NAT.lan, PORT);
    const before = await arrived();
    const words = ['udp', '10.9.0.0', 65_536, NAT.lan, SILENT_PORT, 20_000, 5].map(String);
    const flood = lab.client.spawn([process.execPath, FLOOD, ...words]);
    await flood.waitFor(/started/);
    await sleep(1000);
    const answers: string[] = [];
    const seen = () => ask(victim, 'udp', NAT.lan, PORT);
    while (!/sent/.test(flood.log)) answers.push(hostOf(await seen()));
    const { stats } = await json<NatRules>('nat', 'rules', '--tunnel', 'hub');
    const udp = stats?.ports.find(({ protocol }) => protocol === 17);
    expect(udp?.used, 'it was a flood').toBe(udp?.total);
    expect((await arrived()) - before, 'it was a flood').toBeGreaterThan(2 * (udp?.total ?? Infinity));
    answers.push(hostOf(await seen()));
    expect(answers.length).toBeGreaterThan(2);
    expect(answers, 'new flows of the other peer').toEqual(answers.map(() => NAT.gateway));
  });
});
