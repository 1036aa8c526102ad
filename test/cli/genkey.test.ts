/** `tsvpn genkey` as a user runs it, against stock's key files. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseStaticKey } from '../../src/crypto/static-key.ts';
import { runTsvpn } from '../support/cli.ts';
import { tempDir } from '../support/temp-dir.ts';

const OPENVPN = ['/usr/sbin/openvpn', '/usr/local/sbin/openvpn'].find((path) => existsSync(path));
if (OPENVPN === undefined)
  console.warn('skipped: OpenVPN is not installed, so its key files cannot be compared');

describe('genkey', () => {
  test.each([
    ['genkey FILE', ['genkey']],
    ['genkey secret FILE', ['genkey', 'secret']],
    ['--genkey secret FILE', ['--genkey', 'secret']],
    ['--genkey --secret FILE', ['--genkey', '--secret']],
  ])("%s writes a key that is its owner's alone", (_row, words) => {
    const file = join(tempDir(), 'static.key');
    const { code, out, err } = runTsvpn([...words, file]);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(parseStaticKey(readFileSync(file), { file, firstLine: 1 })).toHaveLength(256);
    expect(err).toMatch(/fingerprint [0-9a-f]{8}\)/);
    expect(err).not.toMatch(/[0-9a-f]{9}/);
  });

  test('refuses to overwrite a file and leaves it alone', () => {
    const file = join(tempDir(), 'static.key');
    writeFileSync(file, 'precious');
    const { code, err } = runTsvpn(['genkey', file]);
    expect(code).toBe(1);
    expect(err).toContain('exists already');
    expect(readFileSync(file, 'utf8')).toBe('precious');
  });

  test.each([
    ['a directory that does not exist', ['/nonexistent/k'], 1],
    ['another type of key', ['tls-auth', 'k'], 2],
  ])('%s is an error with a fix', (_row, args, exitCode) => {
    const { code, err } = runTsvpn(['genkey', ...args], { cwd: tempDir() });
    expect(code).toBe(exitCode);
    expect(err).toContain('fix:');
  });

  test('two keys differ', () => {
    expect(runTsvpn(['genkey']).out).not.toBe(runTsvpn(['genkey']).out);
  });

  test.runIf(OPENVPN !== undefined)('has the format of stock OpenVPN, in a file and on stdout', () => {
    const dir = tempDir();
    const stock = (args: string[]) => spawnSync(OPENVPN ?? '', args, { encoding: 'utf8', cwd: dir });
    stock(['--genkey', 'secret', 'stock.key']);
    runTsvpn(['genkey', 'ours.key'], { cwd: dir });
    const shape = (text: string) => text.replace(/^[0-9a-f]{32}$/gm, 'HEX');
    const read = (file: string) => readFileSync(join(dir, file), 'utf8');
    expect(shape(read('ours.key'))).toBe(shape(read('stock.key')));
    expect(statSync(join(dir, 'ours.key')).mode).toBe(statSync(join(dir, 'stock.key')).mode);
    expect(shape(runTsvpn(['genkey']).out)).toBe(shape(stock(['--genkey', 'secret']).stdout));
  });
});
