/** How a process ends, restarts and tells of itself: signals, timers, status file; next to stock where stock has an answer. */
import { readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { COMPLETED, inLab, tsvpn, TSVPN_BIN, writeConfig } from '../support/gateway.ts';
import { ProcessSite } from '../support/process-site.ts';
import { PATIENCE_MS } from '../support/process.ts';

describe('the process', () => {
  const site = new ProcessSite();

  describe('signals', () => {
    it('SIGUSR1 never opens the debugger, whenever it comes', async () => {
      const file = writeConfig(site.link, 'site', site.config());
      let survived = 0;
      for (const delayMs of [10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 400]) {
        const up = site.link.a.spawn([TSVPN_BIN, 'up', file, '--log-format=human'], inLab(site.link));
        await sleep(delayMs);
        // Before Node has begun there is nobody to catch it, and it ends the process, as it would any.
        up.signal('SIGUSR1');
        await up.waitFor(/link remote/, 5000).then(
          () => survived++,
          () => undefined,
        );
        expect(await site.link.a.mustRun(['ss', '-Hltn'])).not.toContain(':9229');
        await up.stop('SIGKILL');
      }
      expect(survived).toBeGreaterThan(0);
    });

    it('SIGUSR1 does not open it in the background either', async () => {
      const lines = ['daemon', `log ${site.inFolder('site.log')}`, `writepid ${site.inFolder('site.pid')}`];
      const file = writeConfig(site.link, 'site', site.config(...lines));
      expect((await tsvpn(site.link, site.link.a, 'up', file)).code).toBe(0);
      process.kill(site.pid(), 'SIGUSR1');
      await expect.poll(() => site.read('site.log')).toMatch(/SIGUSR1\[hard,\] received/);
      expect(await site.link.a.mustRun(['ss', '-Hltn'])).not.toContain(':9229');
      expect(site.read('site.log')).not.toMatch(/debugger/i);
      await tsvpn(site.link, site.link.a, 'down', file);
    });

    it.each(['openvpn', 'tsvpn'] as const)('remap-usr1 SIGTERM ends %s', async (implementation) => {
      const peer = site.startPeer();
      const gateway = site.start(implementation, 'remap-usr1 SIGTERM');
      await gateway.waitFor(COMPLETED);
      gateway.signal('SIGUSR1');
      expect(await gateway.exited).toBe(0);
      expect(gateway.log).toMatch(/SIGTERM\[soft,\] received, process exiting/);
      await peer.stop();
      const silent = site.start(implementation, 'remap-usr1 SIGTERM', 'ping-restart 2');
      expect(await silent.exited).toBe(0);
      expect(silent.log).toMatch(/SIGTERM\[soft,ping-restart\] received, process exiting/);
      expect(silent.log).not.toMatch(/Restart pause/);
    });

    it('remap-usr1 SIGHUP reads the config again', async () => {
      site.startPeer();
      const gateway = site.start('tsvpn', 'remap-usr1 SIGHUP');
      await gateway.waitFor(COMPLETED);
      writeConfig(site.link, 'site', site.config('remap-usr1 SIGHUP', 'route 10.99.0.0 255.255.0.0'));
      gateway.signal('SIGUSR1');
      await gateway.waitFor(/config reloaded: added route 10\.99\.0\.0\/16/);
      await gateway.waitFor(COMPLETED, PATIENCE_MS, 2);
      expect(await gateway.stop()).toBe(0);
    });

    it('SIGUSR2 logs the statistics of OpenVPN', async () => {
      site.startPeer();
      const blocks: string[] = [];
      for (const implementation of ['openvpn', 'tsvpn'] as const) {
        const file = site.inFolder(`${implementation}.log`);
        const gateway = site.start(implementation, 'suppress-timestamps', `log ${file}`);
        const text = () => readFileSync(file, 'utf8');
        await expect.poll(text).toMatch(COMPLETED);
        gateway.signal('SIGUSR2');
        await expect.poll(text).toMatch(/^END$/m);
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
        const gateway = site.start(implementation, line);
        expect(await gateway.exited, implementation).toBe(0);
        expect(gateway.log).toMatch(message);
      }
      expect(await site.link.a.snapshot()).toBe(site.before);
    });

    it('explicit-exit-notify tells a stock peer so many times', async () => {
      const peer = site.startPeer();
      const gateway = site.start('tsvpn', 'explicit-exit-notify 2');
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
      site.startPeer(...peerLines);
      const texts: string[] = [];
      for (const implementation of ['openvpn', 'tsvpn'] as const) {
        const gateway = site.start(implementation, line, `status ${site.inFolder('site.status')} 1`);
        await gateway.waitFor(COMPLETED);
        await expect.poll(() => site.read('site.status')).toMatch(/END\n$/);
        await gateway.stop();
        expect(statSync(site.inFolder('site.status')).mode & 0o777).toBe(0o600);
        texts.push(site.read('site.status').replaceAll(/\d+/g, 'N'));
      }
      expect(texts[1]).toBe(texts[0]);
    });
  });

  it('`replay-persist` goes from OpenVPN to tsvpn and back', async () => {
    site.startPeer('key-direction 0');
    const lines = ['key-direction 1', `replay-persist ${site.inFolder('replay')}`];
    const tops: number[] = [];
    for (const implementation of ['openvpn', 'tsvpn', 'tsvpn', 'openvpn'] as const) {
      const gateway = site.start(implementation, ...lines);
      await gateway.waitFor(COMPLETED);
      await sleep(1100);
      await gateway.stop();
      const bytes = readFileSync(site.inFolder('replay'));
      tops.push(bytes.readUInt32LE(8));
      expect(Number(bytes.readBigInt64LE(0))).toBeGreaterThan(1_600_000_000);
    }
    expect(tops).toEqual(tops.toSorted((a, b) => a - b));
    expect(new Set(tops).size).toBe(tops.length);
  });
});
