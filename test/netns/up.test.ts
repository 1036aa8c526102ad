/** `tsvpn up` as an operator uses it: in the background, waiting for the peer, watched and steered by signals. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TunnelStatus } from '../../src/control/status.ts';
import {
  COMPLETED,
  startGateway,
  TSVPN_BIN,
  tsvpn,
  writeConfig,
  writeKey,
  inLab,
} from '../support/gateway.ts';
import { schemaViolations, type Schema } from '../support/json-schema.ts';
import { staticKeyText } from '../support/keys.ts';
import { type Daemon, PATIENCE_MS } from '../support/process.ts';
import { createLink, OUTER, type Link } from '../support/topology.ts';

const schema = JSON.parse(readFileSync('docs/status.schema.json', 'utf8')) as Schema;

describe('tsvpn up', () => {
  let link: Link;
  let file: string;
  let before: string;

  beforeEach(async () => {
    link = await createLink();
    before = await link.a.snapshot();
    file = writeConfig(
      link,
      'site-a',
      config('10.4.1.1 10.4.1.2', `remote ${OUTER.b.ipv4} 1194`, 'status st.log 1', 'writepid st.pid'),
    );
  });
  afterEach(() => link.destroy());

  function config(ifconfig: string, ...more: string[]): string {
    const key = writeKey(link, 'static.key', staticKeyText(KEY));
    return [
      'dev tun',
      'port 1194',
      `ifconfig ${ifconfig}`,
      `secret ${key}`,
      'cipher AES-256-CBC',
      'auth SHA256',
      'ping 1',
      'verb 3',
      ...more,
    ].join('\n');
  }
  const startPeer = (): Daemon =>
    startGateway(link, link.b, {
      implementation: 'openvpn',
      name: 'site-b',
      config: config('10.4.1.2 10.4.1.1', `remote ${OUTER.a.ipv4} 1194`),
    });
  const inFolder = (name: string) => join(link.folder, name);
  const status = async () =>
    JSON.parse((await tsvpn(link, link.a, 'status', 'site-a', '--json')).stdout) as TunnelStatus;

  it('--daemon --wait returns when the peer answers, and `down` takes everything back', async () => {
    startPeer();
    const up = await tsvpn(link, link.a, 'up', file, '--daemon', '--wait=20');
    expect({ code: up.code, stdout: up.stdout }).toEqual({ code: 0, stdout: '' });
    expect(up.stderr).toContain(`its log is ${inFolder('run/site-a.log')}`);
    const running = await status();
    expect(schemaViolations(running, schema)).toEqual([]);
    expect(running).toMatchObject({
      name: 'site-a',
      state: 'connected',
      addresses: ['10.4.1.1 peer 10.4.1.2'],
    });
    expect(readFileSync(inFolder('st.pid'), 'utf8')).toBe(`${running.pid}\n`);
    expect(readFileSync(inFolder('st.log'), 'utf8')).toMatch(/^OpenVPN STATISTICS\n[^]*END\n$/);
    expect(statSync(inFolder('run/site-a.sock')).mode & 0o777).toBe(0o660);

    expect((await tsvpn(link, link.a, 'down', file)).code).toBe(0);
    expect(await link.a.snapshot()).toBe(before);
    const log = readFileSync(inFolder('run/site-a.log'), 'utf8').trimEnd().split('\n');
    const messages = log.map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages).toContain('Initialization Sequence Completed');
    expect(messages.some((text) => text.startsWith('Peer Connection Initiated with [AF_INET]'))).toBe(true);
    expect(
      ['st.pid', 'run/site-a.sock', 'run/site-a.lock', 'run/site-a.journal'].filter((name) =>
        existsSync(inFolder(name)),
      ),
    ).toEqual([]);
  });

  it('--daemon --wait gives up on a silent peer with exit code 6 and keeps the tunnel', async () => {
    const up = await tsvpn(link, link.a, 'up', file, '--daemon', '--wait=1');
    expect(up.code).toBe(6);
    expect(up.stderr).toContain('stays up');
    expect((await status()).state).toBe('waiting');
    startPeer();
    await expect.poll(async () => (await status()).state).toBe('connected');
    await tsvpn(link, link.a, 'down', 'site-a');
  });

  it('--wait in the foreground gives up on a silent peer with exit code 6 and takes everything back', async () => {
    const up = await tsvpn(link, link.a, 'up', file, '--wait=1');
    expect(up.code).toBe(6);
    expect(up.stderr).toContain('is down again');
    expect(await link.a.snapshot()).toBe(before);
  });

  it('--daemon reports what stops the start, with its exit code, and leaves nothing behind', async () => {
    const taken = link.a.spawn(
      ['openvpn', '--dev', 'null', '--ifconfig-noexec', '--secret', 'static.key', '--cipher', 'AES-256-CBC'],
      inLab(link),
    );
    await taken.waitFor(/link local \(bound\)/);
    const up = await tsvpn(link, link.a, 'up', file, '--daemon');
    await taken.stop();
    expect(up.code).toBe(5);
    expect(up.stderr).toMatch(/^error: .*1194/);
    expect(await link.a.snapshot()).toBe(before);
    expect(existsSync(inFolder('run/site-a.lock'))).toBe(false);
  });

  it('obeys the signals of OpenVPN', async () => {
    startPeer();
    const up = link.a.spawn([TSVPN_BIN, 'up', file, '--log-format=human'], inLab(link));
    await up.waitFor(COMPLETED);
    up.signal('SIGUSR2');
    await up.waitFor(/OpenVPN STATISTICS\n.*Updated,[^]*Auth read bytes,\d+\n.*END/);
    up.signal('SIGUSR1');
    await up.waitFor(COMPLETED, PATIENCE_MS, 2);
    up.signal('SIGHUP');
    await up.waitFor(/config reloaded: no changes; 1 peer untouched/);
    expect((await status()).peers[0].restarts).toBe(1);
    expect(up.log).not.toMatch(/debugger/i);
    expect(await up.stop('SIGTERM')).toBe(0);
    expect(await link.a.snapshot()).toBe(before);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('undoes a start that %s interrupts', async (signal) => {
    const up = link.a.spawn([TSVPN_BIN, 'up', file, '--log-format=human'], inLab(link));
    await up.waitFor(/TUN\/TAP device \S+ opened/);
    expect(await up.stop(signal)).toBe(0);
    expect(await link.a.snapshot()).toBe(before);
  });

  it('ends at once at the second SIGINT, and the next start works', async () => {
    const up = link.a.spawn([TSVPN_BIN, 'up', file, '--log-format=human'], inLab(link));
    await up.waitFor(/UDPv4 link remote/);
    up.signal('SIGINT');
    up.signal('SIGINT');
    await up.exited;
    startPeer();
    expect((await tsvpn(link, link.a, 'up', file, '--daemon', '--wait=20')).code).toBe(0);
    await tsvpn(link, link.a, 'down', 'site-a');
    expect(await link.a.snapshot()).toBe(before);
  });

  it('goes on when nobody reads its log any more', async () => {
    startPeer();
    const command = `${TSVPN_BIN} up ${file} 2>&1 | head -n 1`;
    const up = link.a.spawn(['bash', '-c', command], inLab(link));
    await expect
      .poll(async () => (await tsvpn(link, link.a, 'status', 'site-a', '--json')).stdout)
      .toContain('"connected"');
    expect((await tsvpn(link, link.a, 'down', 'site-a')).code).toBe(0);
    await up.exited;
  });
});

/** Both ends read the same key. */
const KEY = Uint8Array.from({ length: 256 }, (_, i) => (i * 37 + 11) & 0xff);
