/** The commands of `openvpn` that are no tunnel. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runMain } from '../support/cli.ts';

const OPENVPN = ['/usr/sbin/openvpn', '/usr/local/sbin/openvpn'].find((path) => existsSync(path));
if (OPENVPN === undefined) console.warn('skipped: OpenVPN is not installed, so its lists cannot be compared');

describe('the commands of openvpn', () => {
  test.each([
    ['--show-ciphers', /^AES-256-CBC {2}\(256 bit key, 128 bit block\)$/m],
    ['--show-digests', /^SHA256 256 bit digest size$/m],
  ])('%s lists what static-key mode can use', async (option, line) => {
    const { code, out } = await runMain([option]);
    expect(code).toBe(0);
    expect(out).toMatch(line);
  });

  test.runIf(OPENVPN !== undefined).each([
    ['--show-ciphers', / {2}\(/],
    ['--show-digests', / \d+ bit digest size$/],
  ])('%s says of each what stock says', async (option, row) => {
    const stock = spawnSync(OPENVPN as string, [option], { encoding: 'utf8' }).stdout.split('\n');
    const theirs = stock.filter((line) => row.test(line)).map((line) => line.toUpperCase());
    const ours = (await runMain([option])).out.split('\n').filter((line) => row.test(line));
    // OpenVPN lists what the loaded providers have.
    const loaded = ours.filter((line) => !line.includes('legacy'));
    expect(loaded.length).toBeGreaterThan(10);
    expect(loaded.filter((line) => !theirs.includes(line.toUpperCase()))).toEqual([]);
  });

  test.each([
    ['--mktun --dev tun7', 'ip tuntap add dev tun7 mode tun'],
    ['--mktun --dev tap --user nobody', 'ip tuntap add dev tap0 mode tap user nobody'],
    ['--dev-type tap --dev office --rmtun', 'ip tuntap del dev office mode tap'],
  ])('%s is refused by one error with the command of iproute2', async (line, command) => {
    const { code, err } = await runMain(line.split(' '));
    expect(code).toBe(2);
    expect(err.match(/^error:/gm)).toHaveLength(1);
    expect(err).toContain(`fix: ${command}\n`);
  });
});
