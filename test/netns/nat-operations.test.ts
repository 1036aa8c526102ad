/** Source NAT under control of its operator: sessions and rules are shown, ended, and follow a changed config. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NatList, NatRules } from '../../src/control/nat.ts';
import type { TraceReport } from '../../src/control/trace.ts';
import { COMPLETED, inLab, startGateway, tsvpn, TSVPN_BIN, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { createLab, type Lab, type Namespace } from '../support/netns.ts';
import type { Daemon } from '../support/process.ts';

/**
 *   client ── tunnel ── gateway ── LAN host
 *   10.8.0.2  10.8.0.1  172.16.0.2  172.16.0.3, which has no route to 10.8.0.0/24
 */
let lab: Lab;
let client: Namespace;
let gateway: Namespace;
let host: Namespace;
let daemons: Daemon[];
let key: string;
let before: string;

function writeGateway(...lines: string[]): string {
  const file = `${lab.folder}/gw.conf`;
  const common = [
    'dev tun0',
    'cipher AES-256-CBC',
    'auth SHA256',
    `secret ${key}`,
    'keepalive 1 10',
    'verb 3',
  ];
  writeFileSync(file, [...common, 'ifconfig 10.8.0.1 10.8.0.2', 'remote 192.0.2.2', ...lines, ''].join('\n'));
  return file;
}

const tell = (...words: string[]) => tsvpn(lab, gateway, ...words);
const ask = async <Result>(...words: string[]) =>
  JSON.parse((await tell(...words, '--json')).stdout) as Result;
const ping = async () => (await client.run(['ping', '-c', '2', '-i', '0.2', '-W', '2', '172.16.0.3'])).stdout;

const MASQUERADE = 'nat snat 10.8.0.0/24 out lan masquerade';

describe('the NAT of a gateway', () => {
  beforeAll(async () => {
    lab = createLab();
    [client, gateway, host] = [
      await lab.namespace('client'),
      await lab.namespace('gw'),
      await lab.namespace('host'),
    ];
    await lab.connect(client, 'outer', gateway, 'wan');
    await lab.connect(gateway, 'lan', host, 'lan');
    await client.ip('address', 'add', '192.0.2.2/24', 'dev', 'outer');
    await gateway.ip('address', 'add', '192.0.2.1/24', 'dev', 'wan');
    await gateway.ip('address', 'add', '172.16.0.2/24', 'dev', 'lan');
    await host.ip('address', 'add', '172.16.0.3/24', 'dev', 'lan');
    before = await gateway.snapshot();
    key = writeKey(lab, 'static.key', staticKeyText());
    const config = `dev tun\nifconfig 10.8.0.2 10.8.0.1\nroute 172.16.0.0 255.255.0.0\nsecret ${key}
cipher AES-256-CBC\nauth SHA256\nremote 192.0.2.1\nkeepalive 1 10\nverb 3`;
    const file = writeGateway(MASQUERADE);
    daemons = [
      gateway.spawn([TSVPN_BIN, 'up', file, '--log-format=human'], inLab(lab)),
      startGateway(lab, client, { implementation: 'openvpn', name: 'client', config }),
    ];
    await daemons[0].waitFor(COMPLETED);
    await daemons[1].waitFor(COMPLETED);
  });
  afterAll(async () => {
    await Promise.all(daemons.map((daemon) => daemon.stop()));
    await lab.destroy();
  });

  it('shows sessions as the other side sees them', async () => {
    expect(await ping()).toContain(' 0% packet loss');
    const { sessions } = await ask<NatList>('nat', 'list');
    expect(sessions).toHaveLength(1);
    expect(sessions[0]).toMatchObject({
      protocol: 1,
      original: { source: '10.8.0.2', destination: '172.16.0.3' },
      reply: { source: '172.16.0.3', destination: '172.16.0.2' },
      from: 'gw',
      to: 'tun',
      snatRule: 0,
    });
    expect((await tell('nat')).stdout).toMatch(/^icmp +\S.* 10\.8\.0\.2:\d+ .* 172\.16\.0\.2:\d+/m);
  });

  it('lists and ends the sessions that are selected', async () => {
    const select = async (...words: string[]) =>
      (await ask<NatList>('nat', 'list', ...words)).sessions.length;
    expect(await select('--address', '10.8.0.0/24', '--proto', 'icmp')).toBe(1);
    expect(await select('--address', '10.8.0.9')).toBe(0);
    expect(await select('--proto', 'tcp')).toBe(0);
    expect((await tell('nat', 'flush', '--proto', 'tcp')).stdout).toBe('ended 0 sessions\n');
    expect((await tell('nat', 'list', '--address', 'fd00::1')).stderr).toContain('without sessions');
    expect((await tell('nat', 'list', '--state', 'open')).stderr).toContain('established');
  });

  it('shows rules with the line they come from', async () => {
    const { rules } = await ask<NatRules>('nat', 'rules');
    expect(rules).toMatchObject([{ id: 0, text: MASQUERADE, sessions: 1 }]);
    expect((await tell('nat', 'rules')).stdout).toMatch(/gw\.conf:9 +nat snat/);
  });

  it('ends sessions when told to', async () => {
    expect((await tell('nat', 'flush')).stdout).toBe('ended 1 session\n');
    expect(await tell('nat', 'list')).toMatchObject({ code: 0, stdout: '', stderr: 'no sessions\n' });
  });

  it('is a stage of a trace, with the line that decides', async () => {
    const { steps } = await ask<TraceReport>('trace', '10.8.0.2', '172.16.0.3', '--from', 'gw');
    expect(steps.find(({ rule }) => rule !== undefined)?.rule).toMatchObject({ text: MASQUERADE, line: 9 });
    expect(steps.at(-1)).toMatchObject({
      stage: 'out',
      outcome: expect.stringContaining('kernel') as string,
    });
  });

  it('follows a reload: without the rule the host cannot answer, and with it again it can', async () => {
    writeGateway();
    expect((await tell('reload')).stdout).toContain('changed the nat settings\n1 peer untouched\n');
    expect(await ping()).toContain(' 100% packet loss');
    writeGateway(MASQUERADE);
    expect((await tell('reload')).code).toBe(0);
    expect(await ping()).toContain(' 0% packet loss');
  });

  it('takes over another size of the table, and keeps the sessions', async () => {
    const first = async () => (await ask<NatList>('nat', 'list')).sessions[0];
    await ping();
    const { original, reply } = await first();
    for (const size of [100_000, 16]) {
      writeGateway(MASQUERADE, `nat-max-sessions ${size}`);
      expect((await tell('reload')).code).toBe(0);
      expect((await ask<NatRules>('nat', 'rules')).stats).toMatchObject({ maxSessions: size });
      expect(await first()).toMatchObject({ original, reply });
    }
    expect(await ping()).toContain(' 0% packet loss');
  });

  it('refuses ports the host needs, and keeps what it has', async () => {
    writeGateway(MASQUERADE, 'nat-ports 40000 50000');
    const refused = await tell('reload');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('40000');
    expect(await ping()).toContain(' 0% packet loss');
  });

  it('leaves nothing behind', async () => {
    await daemons[0].stop();
    expect(await gateway.snapshot()).toBe(before);
  });
});
