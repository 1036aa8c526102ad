/** Commands about running tunnels, as a user runs them; the tunnel is played by this process. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { acquireLock } from '../../src/control/lock.ts';
import { startControlServer } from '../../src/control/server.ts';
import { runTsvpn, TSVPN } from '../support/cli.ts';
import { SAMPLE_HANDLERS } from '../support/handlers.ts';
import { SAMPLE_STATUS } from '../support/status.ts';
import { tempDir } from '../support/temp-dir.ts';

describe('status and down', () => {
  /** A tunnel that runs in this process, as far as its control socket can tell. */
  async function fakeTunnel() {
    const dir = tempDir();
    const lock = acquireLock('site-a', dir);
    const server = await startControlServer(dir, 'site-a', {
      ...SAMPLE_HANDLERS,
      stop: () => {
        setImmediate(() => {
          server.close();
          lock.release();
        });
        return { pid: process.pid };
      },
    });
    onTestFinished(() => server.close());
    return { TSVPN_RUNTIME_DIR: dir };
  }

  /** As runTsvpn, without blocking the tunnel in this process. */
  function run(
    args: readonly string[],
    env: NodeJS.ProcessEnv,
  ): Promise<{ code: number | null; out: string; err: string }> {
    const child = spawn(TSVPN, args, { env: { ...process.env, ...env } });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
  }

  test('status --json prints one object per line and nothing else', async () => {
    const env = await fakeTunnel();
    for (const args of [
      ['status', '--json'],
      ['status', 'site-a', '--json'],
      ['status', '/etc/site-a.conf', '--json'],
    ]) {
      const { code, out, err } = await run(args, env);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(JSON.parse(out)).toEqual(SAMPLE_STATUS);
    }
  });

  test('status shows every tunnel to people', async () => {
    const { code, out } = await run(['status'], await fakeTunnel());
    expect(code).toBe(0);
    expect(out).toContain('tunnel: site-a (connected for');
    expect(out).not.toContain('\u001b');
  });

  test('status --watch ends when nobody reads it any more', async () => {
    const env = { ...process.env, ...(await fakeTunnel()) };
    const child = spawn(TSVPN, ['status', '--watch'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.once('data', () => child.stdout.destroy());
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  });

  test('down ends a tunnel by its name or its file, and waits until it is gone', async () => {
    for (const operand of ['site-a', './site-a.conf']) {
      const { code, out, err } = await run(['down', operand], await fakeTunnel());
      expect({ code, out, err }).toEqual({ code: 0, out: '', err: "tunnel 'site-a' is down\n" });
    }
  });

  test('without any tunnel status says so and succeeds, with an empty result', () => {
    const env = { TSVPN_RUNTIME_DIR: tempDir() };
    expect(runTsvpn(['status', '--json'], { env })).toMatchObject({ code: 0, out: '' });
    expect(runTsvpn(['status'], { env }).err).toContain('no tunnel is running');
  });

  test.each([['status'], ['down']])('%s of a tunnel that does not run fails, in JSON if asked', (word) => {
    const env = { TSVPN_RUNTIME_DIR: tempDir() };
    expect(runTsvpn([word, 'ghost'], { env })).toMatchObject({ code: 1, out: '' });
    if (word === 'down') return;
    const { err } = runTsvpn([word, 'ghost', '--json'], { env });
    expect(JSON.parse(err)).toMatchObject({
      schema: 'tsvpn.error/1',
      errors: [{ code: 'NOT_RUNNING', exitCode: 1 }],
    });
  });

  test('cleanup removes the socket of a dead process and leaves a running tunnel alone', async () => {
    const env = await fakeTunnel();
    const stale = join(env.TSVPN_RUNTIME_DIR, 'dead.sock');
    writeFileSync(stale, '');
    expect(await run(['cleanup'], env)).toMatchObject({ code: 0, out: `removed ${stale}\n` });
    expect(await run(['cleanup'], env)).toMatchObject({ code: 0, out: '', err: 'nothing to clean up\n' });
    expect((await run(['status', 'site-a'], env)).code).toBe(0);
  });
});
