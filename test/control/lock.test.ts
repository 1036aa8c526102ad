import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { acquireLock, lockHolder } from '../../src/control/lock.ts';
import {
  checkName,
  checkPrivate,
  createRuntimeDir,
  runtimeDir,
  runtimePath,
} from '../../src/control/runtime-dir.ts';
import { tempDir } from '../support/temp-dir.ts';

const PROGRAM = `
  import { acquireLock } from ${JSON.stringify(new URL('../../dist/control/lock.js', import.meta.url).href)};
  acquireLock('site-a', process.argv[1]);
  process.stdout.write('locked');
  setInterval(() => {}, 1000);
`;

/** A process that holds the lock of site-a. */
async function holder(dir: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return { child, ended };
}

describe('lock of a tunnel name', () => {
  test('is given once, names its holder, and is gone with it after kill -9', async () => {
    const dir = tempDir();
    const { child, ended } = await holder(dir);
    expect(lockHolder('site-a', dir)).toBe(child.pid);
    expect(() => acquireLock('site-a', dir)).toThrow(
      expect.objectContaining({
        code: 'NAME_BUSY',
        exitCode: 5,
        what: expect.stringContaining(`process ${child.pid} `) as string,
      }) as Error,
    );
    child.kill('SIGKILL');
    await ended;
    expect(existsSync(join(dir, 'site-a.lock'))).toBe(true);
    expect(lockHolder('site-a', dir)).toBeUndefined();
    acquireLock('site-a', dir).release();
  });

  test('holds the pid and leaves no file when released', () => {
    const dir = tempDir();
    const lock = acquireLock('site-a', dir);
    expect(readFileSync(lock.path, 'utf8')).toBe(`${process.pid}\n`);
    lock.release();
    expect(existsSync(lock.path)).toBe(false);
    expect(lockHolder('site-a', dir)).toBeUndefined();
  });

  test('of one name does not hinder another', () => {
    const dir = tempDir();
    const locks = [acquireLock('a', dir), acquireLock('b', dir)];
    for (const lock of locks) lock.release();
  });

  test('overwrites a stale pid that is longer than its own', () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'site-a.lock'), '99999999999\n');
    const lock = acquireLock('site-a', dir);
    expect(readFileSync(lock.path, 'utf8')).toBe(`${process.pid}\n`);
    lock.release();
  });
});

describe('runtime directory', () => {
  test('is TSVPN_RUNTIME_DIR or /run/tsvpn', () => {
    expect(runtimeDir({})).toBe('/run/tsvpn');
    expect(runtimeDir({ TSVPN_RUNTIME_DIR: '/tmp/x/' })).toBe('/tmp/x');
  });

  test('is created with mode 0750', () => {
    const dir = join(tempDir(), 'run');
    createRuntimeDir(dir);
    expect(statSync(dir).mode & 0o777).toBe(0o750);
  });

  test('that is a file is an operator error', () => {
    const file = join(tempDir(), 'file');
    writeFileSync(file, '');
    for (const use of [createRuntimeDir, (dir: string) => runtimeDir({ TSVPN_RUNTIME_DIR: dir })])
      expect(() => use(file)).toThrow(expect.objectContaining({ code: 'RUNTIME_DIR' }) as Error);
  });

  test.each([0o777, 0o770, 0o1777, 0o702])('with mode %o, writable for others, is refused', (mode) => {
    const dir = tempDir();
    chmodSync(dir, mode);
    expect(() => checkPrivate(dir)).toThrow(
      expect.objectContaining({ code: 'RUNTIME_DIR', why: 'other users can create files in it' }) as Error,
    );
  });

  test('that is private, or missing, is fine', () => {
    const dir = tempDir();
    for (const path of [dir, join(dir, 'missing'), '/run']) expect(() => checkPrivate(path)).not.toThrow();
  });

  test.each(['site-a', 'A', '10.0.0.1', 'peer@home', 'a_b', 'x'.repeat(64)])('%s is a name', (name) => {
    expect(() => checkName(name)).not.toThrow();
  });

  test.each([
    ['empty', ''],
    ['a path', '../etc/passwd'],
    ['hidden', '.hidden'],
    ['an option', '-x'],
    ['with a space', 'a b'],
    ['with a line feed', 'a\n'],
    ['too long', 'x'.repeat(65)],
  ])('a name that is %s is a usage error', (_row, name) => {
    expect(() => checkName(name)).toThrow(
      expect.objectContaining({ code: 'NAME_INVALID', exitCode: 2 }) as Error,
    );
  });

  test('a socket path that Linux would refuse is a usage error', () => {
    expect(() => runtimePath(`/${'d'.repeat(100)}`, 'site-a', 'sock')).toThrow(
      expect.objectContaining({ code: 'NAME_TOO_LONG', exitCode: 2 }) as Error,
    );
  });
});
