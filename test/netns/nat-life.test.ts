/**
 * A gateway with NAT starts, is killed, started again, meddled with and ended, and the host keeps working. What the kernel
 * is asked for step by step is the matter of kernel-nat.test.ts; here it is the whole program, with a stock client.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  COMPLETED,
  startGateway,
  tsvpn,
  writeConfig,
  writeKey,
  inLab,
  TSVPN_BIN,
} from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { createNatLab, NAT, type NatLab } from '../support/nat-lab.ts';
import type { Namespace } from '../support/netns.ts';
import { PATIENCE_MS, type Daemon } from '../support/process.ts';
import { expectPing, expectPingWithin } from '../support/traffic.ts';
import { ask, meet, serve } from '../support/whoami.ts';

const COMMON = `
dev tun
secret static.key
cipher AES-256-CBC
auth SHA256
keepalive 1 4
verb 3`;
const MASQUERADE = 'nat snat 10.8.0.0/24 out eth1 masquerade';
const gatewayConfig = (...nat: string[]) =>
  [
    COMMON,
    `ifconfig ${NAT.tunnelGateway} ${NAT.tunnelClient}`,
    ...nat.map((line) => `setenv opt ${line}`),
  ].join('\n');
const CLIENT = `${COMMON}
remote ${NAT.gatewayWan}
ifconfig ${NAT.tunnelClient} ${NAT.tunnelGateway}
route 172.16.0.0 255.255.255.0`;

/** The checks' limit for the host to be followed and put right, with the interval of looking in it. */
const REPAIR_MS = 5000;
const PORT = 7777;

let lab: NatLab;
/** The gateway's namespace before anything ran in it. */
let baseline: string;

beforeAll(async () => {
  lab = await createNatLab();
  writeKey(lab, 'static.key', staticKeyText());
  baseline = await picture();
  await serve(lab.lan, 'tcp', '0.0.0.0', PORT);
  await serve(lab.lan, 'udp', '0.0.0.0', PORT);
  await serve(lab.gateway, 'tcp', '0.0.0.0', 22);
  startGateway(lab, lab.client, { implementation: 'openvpn', name: 'client', config: CLIENT });
});
afterAll(() => lab.destroy());

/** Of the test at hand. */
let gateway: Daemon;
afterEach(() => gateway.stop());

/** Everything NAT may touch: rules, routes, neighbours and every setting of every interface. */
function picture(): Promise<string> {
  const script = `
    ip -br address; ip -d rule; ip -6 -d rule; ip route show table all; ip -6 route show table all
    ip neigh show proxy; ip -6 neigh show proxy
    cd /proc/sys/net; grep -rs . ipv4/ip_forward ipv4/conf ipv6/conf | sort`;
  return lab.gateway.mustRun(['sh', '-c', script]);
}

async function start(...nat: string[]): Promise<Daemon> {
  const config = gatewayConfig(MASQUERADE, ...nat);
  gateway = startGateway(lab, lab.gateway, { implementation: 'tsvpn', name: 'gw', config });
  await gateway.waitFor(COMPLETED);
  return gateway;
}

const hostOf = (answer: string) => answer.replace(/:\d+$/, '');

/** Checks 1 to 3 in short: what the client does appears as the gateway's LAN address, in the range. */
async function expectTranslated(as: string = NAT.gateway): Promise<void> {
  await expectPing(lab.client, NAT.lan);
  for (const transport of ['tcp', 'udp'] as const) {
    const [host, port] = (await ask(lab.client, transport, NAT.lan, PORT)).split(':');
    expect(host, transport).toBe(as);
    expect(Number(port), transport).toBeGreaterThanOrEqual(61000);
  }
}

/** Check 12: the host's own traffic is as if there were no NAT. */
async function expectHostWorks(): Promise<void> {
  expect(hostOf(await ask(lab.lan, 'tcp', NAT.gateway, 22))).toBe(NAT.lan);
  expect(hostOf(await ask(lab.gateway, 'tcp', NAT.lan, PORT))).toBe(NAT.gateway);
  expect(await pingTtl(lab.lan, NAT.gateway)).toBe(64);
  expect(await pingTtl(lab.gateway, NAT.lan)).toBe(64);
}

async function pingTtl(from: Namespace, to: string): Promise<number> {
  return Number(/ttl=(\d+)/.exec(await from.mustRun(['ping', '-n', '-c', '1', '-W', '2', to]))?.[1]);
}

describe('the life of a gateway with NAT', () => {
  it('after kill -9 the host works, a new start restores NAT, and cleanup leaves no trace', async () => {
    const daemon = await start();
    await expectTranslated();
    await expectHostWorks();
    await daemon.stop('SIGKILL');

    await expectHostWorks();
    expect(await ask(lab.gateway, 'tcp', NAT.lan, PORT, 62000)).toBe(`${NAT.gateway}:62000`);
    expect(await lab.gateway.ip('route', 'show', 'table', '51820'), 'the rules lead nowhere').toBe('');

    const again = await start();
    await expectTranslated();
    await again.stop('SIGKILL');
    expect((await tsvpn(lab, lab.gateway, 'cleanup')).code).toBe(0);
    expect(await picture()).toBe(baseline);
  });

  it('after SIGTERM rules, routes and settings are as they were', async () => {
    const daemon = await start();
    await expectTranslated();
    expect(await daemon.stop()).toBe(0);
    expect(await picture()).toBe(baseline);
  });

  it('what somebody takes away is back within 5 seconds, with one line in the log', async () => {
    const daemon = await start();
    const rules = await lab.gateway.ip('rule');
    expect(daemon.count(/NAT_REPAIRED/), 'nothing to repair yet').toBe(0);

    await lab.gateway.ip('rule', 'del', ...captureRule('tcp'));
    await daemon.waitFor(/NAT_REPAIRED/);
    expect((await lab.gateway.ip('rule')).split('\n').toSorted()).toEqual(rules.split('\n').toSorted());
    await expectTranslated();
    expect(daemon.count(/NAT_REPAIRED/), daemon.log).toBe(1);

    // Rules of one priority are asked in the order they were added in: now the local rule comes before one of ours.
    await lab.gateway.mustRun([
      'sh',
      '-c',
      `ip rule del ${captureRule('udp').join(' ')}; ip rule add ${captureRule('udp').join(' ')} protocol 213`,
    ]);
    await daemon.waitFor(/NAT_REPAIRED/, PATIENCE_MS, 2);
    await expectTranslated();
    expect(daemon.count(/NAT_REPAIRED/), daemon.log).toBe(2);
    await daemon.stop();
    expect(await picture()).toBe(baseline);
  });

  it('a program that keeps taking it away is named a quarrel after three repairs', async () => {
    const daemon = await start();
    const begin = Date.now();
    for (let repairs = 1; repairs <= 3; repairs++) {
      await lab.gateway.ip('rule', 'del', ...captureRule('tcp'));
      await daemon.waitFor(/NAT_REPAIRED/, PATIENCE_MS, repairs);
    }
    expect(
      Date.now() - begin,
      'the kernel tells of changes; looking every 5 s would take longer',
    ).toBeLessThan(2 * REPAIR_MS);
    expect(daemon.log).toMatch(/NAT_CONTESTED.*another program keeps changing/);
    await expectTranslated();
  });

  it('a reload with other ports takes over from the ports of before', async () => {
    await start();
    await expectTranslated();
    writeConfig(lab, 'gw', gatewayConfig(MASQUERADE, 'nat-ports 64000 64999'));
    const { code, stderr } = await tsvpn(lab, lab.gateway, 'reload', 'gw');
    expect(code, stderr).toBe(0);
    expect(await lab.gateway.ip('rule')).not.toContain('61000');
    expect(await ask(lab.client, 'tcp', NAT.lan, PORT)).toMatch(/:64\d{3}$/);
    expect(await ask(lab.client, 'udp', NAT.lan, PORT)).toMatch(/:64\d{3}$/);
  });

  it('a table full of established sessions refuses the next at once, and loses none', async () => {
    await start('nat-max-sessions 16');
    const server =
      "require('net').createServer((s) => s.pipe(s)).listen(7778, () => console.log('listening'))";
    const holder = `const sockets = [];
      const more = () => sockets.length === 16 ? console.log('holding') : open();
      const open = () => sockets.push(require('net').connect(7778, '${NAT.lan}', more));
      open();
      process.once('SIGUSR2', () => {
        let echoed = 0;
        for (const socket of sockets) socket.once('data', () => ++echoed === 16 && console.log('all alive')).write('?');
      });`;
    const echo = lab.lan.spawn([process.execPath, '-e', server]);
    await echo.waitFor(/listening/);
    const connections = lab.client.spawn([process.execPath, '-e', holder]);
    await connections.waitFor(/holding/);
    expect(await ask(lab.client, 'tcp', NAT.lan, PORT), 'ICMP 3/13').toBe('EHOSTUNREACH');
    expect(await ask(lab.client, 'udp', NAT.lan, PORT), 'ICMP 3/13').toBe('EHOSTUNREACH');
    connections.signal('SIGUSR2');
    await connections.waitFor(/all alive/);
    await Promise.all([connections.stop(), echo.stop()]);
  });

  it('the same four-tuple again, and a simultaneous open', async () => {
    await start();
    const first = await ask(lab.client, 'tcp', NAT.lan, PORT, 40_000);
    expect(hostOf(first)).toBe(NAT.gateway);
    expect(await ask(lab.client, 'tcp', NAT.lan, PORT, 40_000), 'while the server waits in TIME_WAIT').toBe(
      first,
    );

    // The SYN of the client opens the session and gets no further; then the LAN host's reaches the client.
    await lab.lan.mustRun([
      'nft',
      `add table ip late; add chain ip late input { type filter hook input priority 0; };
      add rule ip late input tcp dport 50000 tcp flags & (syn | ack) == syn drop`,
    ]);
    const client = meet(lab.client, NAT.lan, 50_000, 62_000);
    await expect.poll(async () => (await tsvpn(lab, lab.gateway, 'nat')).stdout).toContain(':50000');
    const both = await Promise.all([client, meet(lab.lan, NAT.gateway, 62_000, 50_000)]);
    expect(both).toEqual([`${NAT.gateway}:62000`, `${NAT.lan}:50000`]);
    await lab.lan.mustRun(['nft', 'delete table ip late']);
  });

  it('when the LAN address changes, new connections appear as the new one within 5 seconds', async () => {
    const daemon = await start();
    await expectTranslated();
    await moveTo('172.16.0.20', NAT.gateway);
    await expectPingWithin(lab.client, NAT.lan);
    await expectTranslated('172.16.0.20');
    await moveTo(NAT.gateway, '172.16.0.20');
    await expectPingWithin(lab.client, NAT.lan);
    await expectTranslated();
    await daemon.stop();
    expect(await lab.gateway.ip('rule')).not.toContain('51820');
  });
});

function captureRule(transport: 'tcp' | 'udp'): string[] {
  return `pref 0 iif eth1 to ${NAT.gateway} ipproto ${transport} dport 61000-65534 lookup 51820`.split(' ');
}

/** As a DHCP client does: one command after the other, the interface without an address in between. */
async function moveTo(address: string, from: string): Promise<void> {
  await lab.gateway.ip('address', 'del', `${from}/24`, 'dev', 'eth1');
  await lab.gateway.ip('address', 'add', `${address}/24`, 'dev', 'eth1');
  await lab.gateway.ip('route', 'replace', '192.168.50.0/24', 'via', NAT.lan);
}

describe('a gateway that would break connections of the host does not start', () => {
  const refuse = async (...nat: string[]) => {
    const file = writeConfig(lab, 'refused', gatewayConfig(...nat));
    return lab.gateway.run([TSVPN_BIN, 'up', file], inLab(lab));
  };

  it('names the ports that the kernel gives out as well', async () => {
    const before = await picture();
    const { code, stderr } = await refuse(MASQUERADE, 'nat-ports 40000 50000');
    expect(code, stderr).not.toBe(0);
    expect(stderr).toContain('40000-50000');
    expect(stderr).toContain('ip_local_reserved_ports');
    expect(await picture()).toBe(before);
  });

  it('names the process that listens on a port of the range', async () => {
    const server = await serve(lab.gateway, 'tcp', '0.0.0.0', 62000);
    const { code, stderr } = await refuse(MASQUERADE);
    expect(code, stderr).not.toBe(0);
    expect(stderr).toContain(`TCP port 62000 is in use by process ${server.pid}`);
    await server.stop();
  });
});
