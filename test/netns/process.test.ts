/** What a config asks of the process: background, logs, priority, rights, signals; next to stock where stock has an answer. */
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  COMPLETED,
  inLab,
  startGateway,
  tsvpn,
  TSVPN_BIN,
  writeConfig,
  writeKey,
  type Implementation,
} from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import type { Daemon } from '../support/process.ts';
import { createLink, OUTER, type Link } from '../support/topology.ts';
import { expectPing } from '../support/traffic.ts';

describe('the process', () => {
  let link: Link;
  let before: string;
  beforeEach(async () => {
    link = await createLink();
    before = await link.a.snapshot();
  });
  afterEach(() => link.destroy());

  const inFolder = (name: string) => join(link.folder, name);
  const read = (name: string) => readFileSync(inFolder(name), 'utf8');
  function config(...lines: string[]): string {
    const key = writeKey(link, 'static.key', staticKeyText(KEY));
    const common = [`secret ${key}`, 'cipher AES-256-CBC', 'auth SHA256', 'ping 1', 'verb 3'];
    return ['dev tun0', 'ifconfig 10.4.0.1 10.4.0.2', `remote ${OUTER.b.ipv4}`, ...common, ...lines].join(
      '\n',
    );
  }
  const startPeer = (...lines: string[]): Daemon =>
    startGateway(link, link.b, {
      implementation: 'openvpn',
      name: 'peer',
      config: config(...lines)
        .replace('10.4.0.1 10.4.0.2', '10.4.0.2 10.4.0.1')
        .replace(/^remote .*\n/m, ''),
    });
  const start = (implementation: Implementation, ...lines: string[]): Daemon =>
    startGateway(link, link.a, { implementation, name: 'site', config: config(...lines) });
  const pidFile = () => Number(read('site.pid'));

  describe('`daemon`', () => {
    it('returns when the tunnel runs, in a session of its own, and ends by SIGTERM', async () => {
      startPeer();
      const lines = ['daemon ovpn-site', `log ${inFolder('site.log')}`, `writepid ${inFolder('site.pid')}`];
      const file = writeConfig(link, 'site', config(...lines));
      const up = await tsvpn(link, link.a, 'up', file);
      expect(up).toMatchObject({ code: 0, stdout: '' });
      expect(up.stderr).toContain(`its log is ${inFolder('site.log')}`);
      const [, sid] =
        /^\d+ \(.*\) \S+ \d+ \d+ (\d+)/.exec(readFileSync(`/proc/${pidFile()}/stat`, 'utf8')) ?? [];
      expect(Number(sid)).toBe(pidFile());
      await expect.poll(() => read('site.log'), { timeout: 10_000 }).toMatch(COMPLETED);
      process.kill(pidFile(), 'SIGTERM');
      await expect.poll(() => existsSync(inFolder('site.pid')), { timeout: 10_000 }).toBe(false);
      await expect.poll(() => link.a.snapshot(), { timeout: 10_000 }).toBe(before);
    });

    it('tells what stops the start, and its exit code', async () => {
      const file = writeConfig(
        link,
        'site',
        config('daemon', `log ${inFolder('site.log')}`, 'mark 7', 'bind-dev nothing'),
      );
      const up = await tsvpn(link, link.a, 'up', file);
      expect(up.code).toBe(1);
      expect(up.stderr).toMatch(/^error: /);
      expect(await link.a.snapshot()).toBe(before);
    });

    it('stays in the foreground for systemd, and tells it how it goes', async () => {
      startPeer();
      const file = writeConfig(link, 'site', config('daemon'));
      const listener = link.a.spawn(['python3', '-c', NOTIFY_LISTENER, inFolder('notify')], inLab(link));
      await listener.waitFor(/listening/);
      const { env, ...options } = inLab(link);
      const up = link.a.spawn([TSVPN_BIN, 'up', file], {
        ...options,
        env: { ...env, NOTIFY_SOCKET: inFolder('notify') },
      });
      await listener.waitFor(/READY=1\nMAINPID=\d+\n/);
      await listener.waitFor(/STATUS=Initialization Sequence Completed/);
      expect(listener.log).toContain(`MAINPID=${up.pid}\n`);
      expect(await up.stop()).toBe(0);
      await listener.waitFor(/STOPPING=1/);
      await listener.stop();
    });
  });

  describe('`log`', () => {
    it.each([
      ['log', ''],
      ['log-append', 'old line\n'],
    ])('%s: lines as OpenVPN writes them, and what scripts print', async (directive, kept) => {
      startPeer();
      writeFileSync(inFolder('site.log'), 'old line\n');
      const gateway = start(
        'tsvpn',
        `${directive} ${inFolder('site.log')}`,
        'script-security 2',
        'up "/bin/echo from the script"',
      );
      await expect.poll(() => read('site.log'), { timeout: 10_000 }).toMatch(COMPLETED);
      await gateway.stop();
      expect(gateway.log).toBe('');
      const text = read('site.log');
      expect(text.startsWith('old line\n')).toBe(kept !== '');
      expect(text).toMatch(/^from the script tun0 1500 0 /m);
      expect(text).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d Initialization Sequence Completed$/m);
    });

    it('is 0600, and an error of the start reaches the terminal all the same', async () => {
      const gateway = start('tsvpn', `log ${inFolder('site.log')}`, 'script-security 2', 'up /bin/false');
      expect(await gateway.exited).toBe(1);
      expect(gateway.log).toMatch(/^error: the script of `up` failed/);
      expect(statSync(inFolder('site.log')).mode & 0o777).toBe(0o600);
    });

    it('machine-readable-output begins with seconds, microseconds and flags', async () => {
      startPeer();
      for (const implementation of ['openvpn', 'tsvpn'] as const) {
        const gateway = start(implementation, 'machine-readable-output');
        await gateway.waitFor(COMPLETED);
        await gateway.stop();
        expect(gateway.log).toMatch(/^\d{10}\.\d{6} 1 Initialization Sequence Completed$/m);
      }
    });
  });

  it('`nice` holds for all threads', async () => {
    const gateway = start('tsvpn', 'nice 7');
    await gateway.waitFor(/link remote/);
    const stats = tasksOf(gateway.pid).map((task) => readFileSync(`${task}/stat`, 'utf8'));
    expect(stats.length).toBeGreaterThan(2);
    for (const stat of stats) expect(stat.replace(/^.*\) /, '').split(' ')[16]).toBe('7');
    await gateway.stop();
  });

  describe('`user`', () => {
    it('gives up root in every thread, keeps the network, and takes everything back', async () => {
      startPeer();
      chmodSync(link.folder, 0o755);
      const lines = [
        'user nobody',
        'group nogroup',
        'script-security 2',
        `down ${script('whoami', 'id -u; id -g; id -G; grep CapEff /proc/self/status')}`,
        'route 10.99.0.0 255.255.0.0',
        'redirect-gateway def1',
        `writepid ${inFolder('site.pid')}`,
        `status ${inFolder('site.status')} 1`,
      ];
      await link.a.ip('route', 'add', 'default', 'via', '192.0.2.254');
      const withDefault = await link.a.snapshot();
      const gateway = start('tsvpn', ...lines);
      await gateway.waitFor(/Capabilities retained: CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW/);
      await gateway.waitFor(COMPLETED);
      const [main, ...others] = tasksOf(gateway.pid).map((task) => readFileSync(`${task}/status`, 'utf8'));
      for (const status of [main, ...others]) {
        expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
        expect(status).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
      }
      expect(main).toMatch(/^CapEff:\t0000000000003400$/m);
      expect(main).toMatch(/^CapPrm:\t0000000000003400$/m);
      for (const status of others) expect(status).toMatch(/^CapEff:\t0000000000000000$/m);
      await expectPing(link.a, '10.4.0.2');
      expect((await tsvpn(link, link.a, 'route', 'add', '10.77.0.0/16', 'blackhole')).code).toBe(0);
      expect(await link.a.ip('route')).toContain('10.77.0.0/16 dev tun0');
      gateway.signal('SIGUSR1');
      await gateway.waitFor(COMPLETED, 20_000, 2);
      expect(await gateway.stop(), gateway.log).toBe(0);
      expect(gateway.log).toMatch(/\n65534\n65534\n65534\nCapEff:\t0000000000000000\n/);
      expect(await link.a.snapshot()).toBe(withDefault);
      const next = start('tsvpn', ...lines);
      await next.waitFor(COMPLETED);
      expect(await next.stop()).toBe(0);
      expect(await link.a.snapshot()).toBe(withDefault);
    });

    it.each([
      ['user nobodyatall', /there is no user 'nobodyatall'/],
      ['group nobodyatall', /there is no group 'nobodyatall'/],
    ])('%s is refused before anything is done', async (line, message) => {
      const gateway = start('tsvpn', line);
      expect(await gateway.exited).toBe(2);
      expect(gateway.log).toMatch(message);
      expect(gateway.log).not.toContain('opened');
    });
  });

  function script(name: string, body: string): string {
    writeFileSync(inFolder(name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${body}\n`, { mode: 0o755 });
    return inFolder(name);
  }

  describe('signals', () => {
    it('SIGUSR1 never opens the debugger, whenever it comes', async () => {
      const file = writeConfig(link, 'site', config());
      let survived = 0;
      for (const delayMs of [10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400]) {
        const up = link.a.spawn([TSVPN_BIN, 'up', file, '--log-format=human'], inLab(link));
        await sleep(delayMs);
        // Before Node has begun there is nobody to catch it, and it ends the process, as it would any.
        up.signal('SIGUSR1');
        await up.waitFor(/link remote/, 5000).then(
          () => survived++,
          () => undefined,
        );
        expect(await link.a.mustRun(['ss', '-Hltn'])).not.toContain(':9229');
        await up.stop('SIGKILL');
      }
      expect(survived).toBeGreaterThan(0);
    });

    it('SIGUSR1 does not open it in the background either', async () => {
      const lines = ['daemon', `log ${inFolder('site.log')}`, `writepid ${inFolder('site.pid')}`];
      const file = writeConfig(link, 'site', config(...lines));
      expect((await tsvpn(link, link.a, 'up', file)).code).toBe(0);
      process.kill(pidFile(), 'SIGUSR1');
      await expect.poll(() => read('site.log'), { timeout: 10_000 }).toMatch(/SIGUSR1\[hard,\] received/);
      expect(await link.a.mustRun(['ss', '-Hltn'])).not.toContain(':9229');
      expect(read('site.log')).not.toMatch(/debugger/i);
      await tsvpn(link, link.a, 'down', file);
    });

    it.each(['openvpn', 'tsvpn'] as const)('remap-usr1 SIGTERM ends %s', async (implementation) => {
      startPeer();
      const gateway = start(implementation, 'remap-usr1 SIGTERM');
      await gateway.waitFor(COMPLETED);
      gateway.signal('SIGUSR1');
      expect(await gateway.exited).toBe(0);
    });

    it('remap-usr1 SIGHUP reads the config again', async () => {
      startPeer();
      const gateway = start('tsvpn', 'remap-usr1 SIGHUP');
      await gateway.waitFor(COMPLETED);
      writeConfig(link, 'site', config('remap-usr1 SIGHUP', 'route 10.99.0.0 255.255.0.0'));
      gateway.signal('SIGUSR1');
      await gateway.waitFor(/config reloaded: added route 10\.99\.0\.0\/16/);
      await gateway.waitFor(COMPLETED, 20_000, 2);
      expect(await gateway.stop()).toBe(0);
    });

    it('SIGUSR2 logs the statistics of OpenVPN', async () => {
      startPeer();
      const blocks: string[] = [];
      for (const implementation of ['openvpn', 'tsvpn'] as const) {
        const file = inFolder(`${implementation}.log`);
        const gateway = start(implementation, 'suppress-timestamps', `log ${file}`);
        const text = () => readFileSync(file, 'utf8');
        await expect.poll(text, { timeout: 10_000 }).toMatch(COMPLETED);
        gateway.signal('SIGUSR2');
        await expect.poll(text, { timeout: 10_000 }).toMatch(/^END$/m);
        const [block = ''] = /^OpenVPN STATISTICS$[^]*?^END$/m.exec(text()) ?? [];
        blocks.push(block.replaceAll(/,.*$/gm, ','));
        await gateway.stop();
      }
      expect(blocks[0]).toContain('Auth read bytes,');
      expect(blocks[1]).toBe(blocks[0]);
    });
  });

  describe('the ends that a config sets', () => {
    it.each([
      ['inactive 2', /SIGTERM\[soft,inactive\] received/],
      ['inactive 2 100000', /SIGTERM\[soft,inactive\] received/],
      ['session-timeout 2', /SIGTERM\[soft,session-timeout\] received/],
      ['ping-exit 2', /SIGTERM\[soft,ping-exit\] received/],
    ])('%s is the exit code 0, as with OpenVPN', async (line, message) => {
      for (const implementation of ['openvpn', 'tsvpn'] as const) {
        const gateway = start(implementation, line);
        expect(await gateway.exited, implementation).toBe(0);
        expect(gateway.log).toMatch(message);
      }
      expect(await link.a.snapshot()).toBe(before);
    });

    it('explicit-exit-notify tells a stock peer so many times', async () => {
      const peer = startPeer();
      const gateway = start('tsvpn', 'explicit-exit-notify 2');
      await gateway.waitFor(COMPLETED);
      expect(await gateway.stop()).toBe(0);
      await peer.waitFor(/SIGUSR1\[soft,remote-exit\] received/);
      await peer.stop();
    });
  });

  describe('`status`', () => {
    it.each([
      ['', []],
      ['status-version 1', []],
      ['status-version 2', []],
      ['status-version 3', []],
      ['comp-lzo no', ['comp-lzo no']],
    ])('is the file of OpenVPN: %s', async (line, peerLines) => {
      startPeer(...peerLines);
      const texts: string[] = [];
      for (const implementation of ['openvpn', 'tsvpn'] as const) {
        const gateway = start(implementation, line, `status ${inFolder('site.status')} 1`);
        await gateway.waitFor(COMPLETED);
        await expect.poll(() => read('site.status'), { timeout: 10_000 }).toMatch(/END\n$/);
        await gateway.stop();
        expect(statSync(inFolder('site.status')).mode & 0o777).toBe(0o600);
        texts.push(read('site.status').replaceAll(/\d+/g, 'N'));
      }
      expect(texts[1]).toBe(texts[0]);
    });
  });

  it('`replay-persist` goes from OpenVPN to tsvpn and back', async () => {
    startPeer('key-direction 0');
    const lines = ['key-direction 1', `replay-persist ${inFolder('replay')}`];
    const tops: number[] = [];
    for (const implementation of ['openvpn', 'tsvpn', 'tsvpn', 'openvpn'] as const) {
      const gateway = start(implementation, ...lines);
      await gateway.waitFor(COMPLETED);
      await sleep(1100);
      await gateway.stop();
      const bytes = readFileSync(inFolder('replay'));
      tops.push(bytes.readUInt32LE(8));
      expect(Number(bytes.readBigInt64LE(0))).toBeGreaterThan(1_600_000_000);
    }
    expect(tops).toEqual(tops.toSorted((a, b) => a - b));
    expect(new Set(tops).size).toBe(tops.length);
  });
});

function tasksOf(pid: number): string[] {
  const ids = readdirSync(`/proc/${pid}/task`).map(Number);
  return ids.toSorted((a, b) => a - b).map((id) => `/proc/${pid}/task/${id}`);
}

const NOTIFY_LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('listening', flush=True)
while True: print(s.recv(4096).decode(), flush=True)
`;

/** Both ends read the same key. */
const KEY = Uint8Array.from({ length: 256 }, (_, i) => (i * 37 + 11) & 0xff);
