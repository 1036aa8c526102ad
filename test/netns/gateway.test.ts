/** A gateway with several peers under control of its operator: status, routes, trace, reload, backups, ends of peers. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RouteList } from '../../src/control/routes.ts';
import type { TraceReport } from '../../src/control/trace.ts';
import type { TunnelStatus } from '../../src/control/status.ts';
import {
  COMPLETED,
  inLab,
  startGateway,
  tsvpn,
  TSVPN_BIN,
  writeKey,
  type Implementation,
} from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { createLab, type Lab, type Namespace } from '../support/netns.ts';
import { PATIENCE_MS, type Daemon } from '../support/process.ts';
import { expectPing, expectSteadyPing } from '../support/traffic.ts';

/** Site n: 192.0.n.2 outside, 10.8.0.(10 + n) in the tunnel, 10.n.0.1 behind it. */
interface Site {
  readonly number: number;
  readonly namespace: Namespace;
  readonly key: string;
}

const SHARED = [
  'dev tun0',
  'topology subnet',
  'ifconfig 10.8.0.1 255.255.255.0',
  'cipher AES-256-CBC',
  'auth SHA256',
];
const OPTIONS = ['keepalive 1 4', 'verb 3', 'peer-to-peer'];

let lab: Lab;
let hub: Namespace;
let sites: Site[];

async function createSite(number: number): Promise<Site> {
  const namespace = await lab.namespace(`site-${number}`);
  await lab.connect(hub, `s${number}`, namespace, 'outer');
  await hub.ip('address', 'add', `192.0.${number}.1/24`, 'dev', `s${number}`);
  await namespace.ip('address', 'add', `192.0.${number}.2/24`, 'dev', 'outer');
  await namespace.ip('address', 'add', `10.${number}.0.1/32`, 'dev', 'lo');
  return { number, namespace, key: writeKey(lab, `${number}.key`, staticKeyText()) };
}

function startSite({ number, namespace, key }: Site, implementation: Implementation): Daemon {
  const config = `dev tun\nifconfig 10.8.0.${10 + number} 10.8.0.1\nroute 10.0.0.0 255.0.0.0\nsecret ${key}
cipher AES-256-CBC\nauth SHA256\nremote 192.0.${number}.1 1194\nport 1194\nkeepalive 1 4\nverb 3`;
  return startGateway(lab, namespace, { implementation, name: `site-${number}`, config });
}

function block({ number, key }: Site, ...lines: string[]): string {
  return [
    '<peer>',
    `name site-${number}`,
    `secret ${key}`,
    `remote 192.0.${number}.2 1194`,
    `peer-address 10.8.0.${10 + number}`,
    `peer-route 10.${number}.0.0/16`,
    ...lines,
    '</peer>',
  ].join('\n');
}

function writeHub(...blocks: string[]): string {
  const file = `${lab.folder}/hub.conf`;
  writeFileSync(file, [...SHARED, ...OPTIONS, ...blocks, ''].join('\n'));
  return file;
}

/** Site 2 runs tsvpn, too: commands must say which tunnel they mean. */
const tell = (...words: string[]) => tsvpn(lab, hub, ...words, '--tunnel', 'hub');
const ask = async <Result>(...words: string[]) =>
  JSON.parse((await tell(...words, '--json')).stdout) as Result;
const status = async () =>
  JSON.parse((await tsvpn(lab, hub, 'status', 'hub', '--json')).stdout) as TunnelStatus;
const ping = async (from: Namespace, to: string, ...words: string[]) =>
  (await from.run(['ping', '-c', '1', '-W', '5', ...words, to])).stdout;

describe('a gateway with several peers', () => {
  let up: Daemon;
  let daemons: Daemon[];

  beforeAll(async () => {
    lab = createLab();
    hub = await lab.namespace('hub');
    sites = [await createSite(1), await createSite(2), await createSite(3)];
    daemons = [startSite(sites[0], 'openvpn'), startSite(sites[1], 'tsvpn'), startSite(sites[2], 'openvpn')];
    const file = writeHub(block(sites[0]), block(sites[1], 'peer-route 10.1.0.0/16 metric 10'));
    up = hub.spawn([TSVPN_BIN, 'up', file, '--log-format=human'], inLab(lab));
    await up.waitFor(COMPLETED, PATIENCE_MS, 2);
  });
  afterAll(async () => {
    await Promise.all([up, ...daemons].map((daemon) => daemon.stop()));
    await lab.destroy();
  });

  it('carries packets to each of them, from one socket', async () => {
    await expectPing(hub, '10.1.0.1');
    await expectPing(hub, '10.2.0.1');
    const sockets = await hub.mustRun(['ss', '-uanH', 'sport = :1194']);
    expect(sockets.trim().split('\n')).toHaveLength(1);
    expect((await status()).peers.map(({ socket }) => socket.shared)).toEqual([true, true]);
  });

  it('forwards between them, as one hop', async () => {
    expect(await ping(sites[0].namespace, '10.2.0.1', '-I', '10.1.0.1')).toMatch(/ttl=63 .* 0% packet loss/s);
  });

  it('names the peer in its log', () => {
    expect(up.log).toMatch(/site-1: Peer Connection Initiated with \[AF_INET\]192\.0\.1\.2:1194/);
    expect(up.log).toMatch(/site-2: Initialization Sequence Completed/);
  });

  it('shows peers in a table, and one in full', async () => {
    const table = (await tsvpn(lab, hub, 'status')).stdout;
    expect(table).toMatch(/^site-1 +connected for .* 192\.0\.1\.2:1194 .* 10\.1\.0\.0\/16$/m);
    expect(table).toContain('peers: 2 of 2 connected');
    const one = (await tsvpn(lab, hub, 'status', 'hub', 'site-2')).stdout;
    expect(one).toContain('peer: site-2 (connected for');
    expect(one).toContain('listening on: 0.0.0.0:1194 (shared with other peers)');
  });

  it('lists its routes, and says which one decides', async () => {
    const list = (await tell('route', 'list')).stdout;
    expect(list).toMatch(
      /^10\.1\.0\.0\/16 peer site-1 from \S*hub\.conf:\d+ active(?:, \d+ packets?, .*)?$/m,
    );
    expect(list).toMatch(/^10\.1\.0\.0\/16 peer site-2 metric 10 from \S*hub\.conf:\d+ standby$/m);
    expect(list).toMatch(/^10\.8\.0\.1\/32 own from kernel(?:, \d+ packets?, .*)?$/m);
    expect((await tell('route', 'get', '10.2.3.4')).stdout).toMatch(
      /^10\.2\.3\.4 → peer site-2 \(\S*hub\.conf:\d+ peer-route 10\.2\.0\.0\/16\)$/m,
    );
  });

  it('follows an imagined packet', async () => {
    const there = await ask<TraceReport>('trace', '10.8.0.1', '10.2.0.1');
    expect(there.steps.at(-1)).toMatchObject({
      stage: 'out',
      peer: 'site-2',
      route: { prefix: '10.2.0.0/16' },
    });
    const spoofed = await ask<TraceReport>('trace', '10.2.0.1', '10.8.0.1', '--from', 'site-1');
    expect(spoofed.steps.at(-1)).toMatchObject({ drop: { reason: 'spoofed' } });
    const between = await ask<TraceReport>(
      'trace',
      '10.1.0.1',
      '10.2.0.1',
      '--from',
      'site-1',
      '--proto',
      'tcp',
    );
    expect(between.steps.at(-1)).toMatchObject({ peer: 'site-2' });
  });

  it('takes routes of the operator, and the kernel with it', async () => {
    const added = await tell('route', 'add', '10.77.0.0/16', 'peer', 'site-1', 'metric', '5');
    expect(added.stdout).toBe('added 10.77.0.0/16 peer site-1 metric 5 from operator\n');
    expect(await hub.ip('route', 'show', '10.77.0.0/16')).toContain('dev tun0');
    await tell('route', 'add', 'unreachable', '10.78.0.0/16');
    expect(await ping(hub, '10.78.0.1')).toContain('Destination Host Unreachable');
    expect((await tell('route', 'add', '10.77.0.0/16', 'peer', 'site-2', 'metric', '5')).stderr).toContain(
      'at the same metric',
    );
    expect((await tell('route', 'add', '10.79.0.0/16', 'peer', 'site-9')).code).toBe(2);
    for (const prefix of ['10.77.0.0/16', '10.78.0.0/16']) await tell('route', 'del', prefix);
    expect(await hub.ip('route', 'show', '10.77.0.0/16')).toBe('');
    expect((await tell('route', 'del', '10.1.0.0/16')).stderr).toContain('tsvpn reload');
  });

  it('takes up a peer by a reload, and no packet of the others is lost', async () => {
    const steady = expectSteadyPing(hub, '10.2.0.1', 200);
    writeHub(block(sites[0]), block(sites[1], 'peer-route 10.1.0.0/16 metric 10'), block(sites[2]));
    const reloaded = await tsvpn(lab, hub, 'reload', 'hub');
    expect(reloaded.stdout).toContain('added peer site-3\n');
    expect(reloaded.stdout).toContain("added route 10.3.0.0/16 to peer 'site-3'\n");
    expect(reloaded.stdout).toContain('2 peers untouched\n');
    await expect.poll(async () => (await status()).state).toBe('connected');
    await expectPing(hub, '10.3.0.1');
    await steady;
    expect((await status()).peers.map(({ restarts }) => restarts)).toEqual([0, 0, 0]);
  });

  it('restarts a changed peer alone, and lets a removed one go', async () => {
    const steady = expectSteadyPing(hub, '10.2.0.1', 200);
    writeHub(block(sites[0], 'keepalive 2 4'), block(sites[1], 'peer-route 10.1.0.0/16 metric 10'));
    const { stdout } = await tsvpn(lab, hub, 'reload', 'hub');
    expect(stdout).toContain('restarted peer site-1 with its new settings\n');
    expect(stdout).toContain('removed peer site-3\n');
    expect(stdout).toContain('1 peer untouched\n');
    await expect.poll(async () => (await status()).state).toBe('connected');
    await expectPing(hub, '10.1.0.1');
    expect(await hub.ip('route', 'show', '10.3.0.0/16')).toBe('');
    await steady;
  });

  it('restarts one peer on command, and the others do not notice', async () => {
    const restarts = async () => (await status()).peers.map((peer) => peer.restarts);
    const before = await restarts();
    expect((await tell('restart', 'site-1')).stdout).toBe('site-1: restarting\n');
    await expect.poll(restarts).toEqual([before[0] + 1, before[1]]);
    await expect.poll(async () => (await status()).state).toBe('connected');
    expect((await tell('restart', 'site-9')).stderr).toContain('site-9');
  });

  it('refuses a config that is wrong, or that it cannot follow, and stays as it is', async () => {
    const before = await ask<RouteList>('route', 'list');
    writeHub(block(sites[0], 'peer-route 10.2.0.0/16'), block(sites[1]));
    const wrong = await tsvpn(lab, hub, 'reload', 'hub');
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('10.2.0.0/16');
    writeHub('mute 77', block(sites[0]), block(sites[1]));
    const fixed = await tsvpn(lab, hub, 'reload', 'hub');
    expect({ code: fixed.code, text: fixed.stderr }).toEqual({
      code: 1,
      text: expect.stringContaining('a running tunnel cannot change `mute`') as string,
    });
    expect(await ask<RouteList>('route', 'list')).toEqual(before);
  });

  it('moves the prefix of a lost peer to its backup, and back', async () => {
    await sites[1].namespace.ip('address', 'add', '10.1.0.1/32', 'dev', 'lo');
    await daemons[0].stop('SIGKILL');
    const states = async () =>
      (await ask<RouteList>('route', 'list')).routes
        .filter(({ prefix }) => prefix === '10.1.0.0/16')
        .map(({ peer, state }) => `${peer} ${state}`);
    await expect.poll(states).toEqual(['site-1 down', 'site-2 active']);
    await expectPing(hub, '10.1.0.1');
    expect(up.log).toMatch(/site-1: SIGUSR1\[soft,ping-restart\] received, peer restarting/);
    daemons[0] = startSite(sites[0], 'openvpn');
    await expect.poll(states).toEqual(['site-1 active', 'site-2 standby']);
  });

  it('learns what a routing daemon tells the kernel, and forgets it again', async () => {
    const learned = ['10.50.0.0/16', 'via', '10.8.0.12', 'dev', 'tun0', 'proto', 'bird'];
    const has = async () =>
      (await tell('route', 'list')).stdout.includes('10.50.0.0/16 peer site-2 from bird');
    await hub.ip('route', 'add', ...learned);
    await expect.poll(has).toBe(true);
    await hub.ip('route', 'del', ...learned);
    await expect.poll(has).toBe(false);
  });

  it('goes on without a peer that has ended, until a reload starts it again', async () => {
    const ending = [block(sites[0]), block(sites[1]), block(sites[2], 'ping 1', 'ping-exit 3')];
    writeHub(...ending);
    expect((await tsvpn(lab, hub, 'reload', 'hub')).stdout).toContain('added peer site-3\n');
    const stateOf = async (name: string) => (await status()).peers.find((peer) => peer.name === name)?.state;
    await expect.poll(() => stateOf('site-3')).toBe('connected');
    await daemons[2].stop('SIGKILL');
    await expect.poll(() => stateOf('site-3')).toBe('ended');
    expect(up.log).toMatch(/site-3: SIGTERM\[soft,ping-exit\] received, peer exiting/);
    await expectPing(hub, '10.2.0.1');
    daemons[2] = startSite(sites[2], 'openvpn');
    expect((await tsvpn(lab, hub, 'reload', 'hub')).stdout).toContain('2 peers untouched\n');
    await expect.poll(() => stateOf('site-3')).toBe('connected');
  });

  it('ends when it is told to, and leaves nothing behind', async () => {
    await daemons[1].waitFor(COMPLETED);
    expect((await tsvpn(lab, hub, 'down', 'hub')).code).toBe(0);
    expect(await up.exited).toBe(0);
    expect(await hub.ip('route')).not.toContain('tun0');
  });
});
