import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OPENVPN_VERSIONS, versionsOf } from '../../src/config/dialects.ts';
import { parseGateway } from '../../src/config/load.ts';
import { OTHER_ENDS, otherEnd } from '../../src/config/other-end.ts';
import type { OtherEnd } from '../../src/config/other-end.ts';
import { protocolsOf } from '../../src/config/protocols.ts';
import { occOptions } from '../../src/gateway/settings.ts';
import { buildOccOptions, compareOccOptions, expectedPeerOptions } from '../../src/protocol/occ-options.ts';
import { BASE, configOf, errorsOf } from '../support/config.ts';
import { ROWS } from '../support/directive-rows.ts';
import { staticKeyText } from '../support/keys.ts';
import { EVERY, IMPOSSIBLE, SOME_KNOW } from '../support/other-ends.ts';
import { PATIENCE_MS } from '../support/process.ts';
import { tempDir } from '../support/temp-dir.ts';
import { noStock } from '../support/stock.ts';

const possible = EVERY.flatMap(([title, lines]) =>
  OTHER_ENDS.filter((end) => !IMPOSSIBLE[title]?.includes(end)).map((end) => ({ title, lines, end })),
);

/** As tsvpn reads it, which asks for `providers` where OpenVPN 2.5 has no such line. */
function parse(lines: readonly string[]) {
  const text = [...lines, ...(lines.includes('cipher BF-CBC') ? ['providers legacy default'] : [])].join(
    '\n',
  );
  return parseGateway([{ text, file: 'other.conf' }]).config.peers[0];
}

describe('the config of the other end', () => {
  it.each(possible)('is one this end agrees with, by its options: $title, $end', ({ lines, end }) => {
    const here = configOf(lines);
    const there = parse(otherEnd(here, end).lines);
    // Neither knows of the other's IPv6, which OpenVPN 2.2 has not.
    const told = buildOccOptions(occOptions(there));
    const differences = compareOccOptions(expectedPeerOptions(occOptions(here)), told);
    // Up to 2.5 the MTU told is that of the device.
    const excused = here.mtu.occMtu !== undefined && there.mtu.occMtu === undefined ? ['link-mtu'] : [];
    expect(differences.map(({ option }) => option)).toEqual(excused);
    expect(there.replay).toMatchObject({ ...here.replay, persist: undefined });
    expect(there.timers).toEqual(here.timers);
  });

  it.each(possible)('is addressed to this end, and this end to it: $title, $end', ({ lines, end }) => {
    const here = configOf(lines);
    const there = parse(otherEnd(here, end).lines).transport;
    const ours = here.transport;
    expect(there.remotes.length).toBe(ours.remotes.length === 0 ? 1 : 0);
    const [theirs, our] = [protocolsOf(there)[0], protocolsOf(ours)[0]];
    expect([our, theirs].toSorted().join(' ')).toMatch(/^(?:udp udp|tcp-client tcp-server)$/);
    if (theirs !== 'tcp-client') expect(there.localPort).toBe(ours.remotes[0]?.port ?? ours.remotePort);
    if (there.remotes.length > 0) expect(there.remotes[0].port).toBe(ours.localPort);
  });

  it.each(possible.filter(({ end }) => end !== 'tsvpn'))(
    'uses only directives that version has: $title, $end',
    ({ lines, end }) => {
      const names = otherEnd(configOf(lines), end).lines.map((line) => line.split(' ')[0]);
      for (const name of names) {
        expect(name === 'setenv' ? OPENVPN_VERSIONS : versionsOf(name), name).toContain(end);
      }
    },
  );

  it('seen from there is this end again', () => {
    for (const [, lines] of EVERY) {
      const once = otherEnd(configOf(lines), 'tsvpn').lines;
      const twice = otherEnd(parse(otherEnd(parse(once), 'tsvpn').lines), 'tsvpn').lines;
      const channel = (all: readonly string[]) =>
        all.filter((line) => !/^(remote|proto|port|lport|rport|ifconfig) /.test(line));
      expect(channel(twice)).toEqual(channel(once));
    }
  });

  it.each(Object.entries(IMPOSSIBLE).flatMap(([title, ends]) => ends.map((end) => [title, end] as const)))(
    'is refused when that version cannot have it: %s, %s',
    (title, end) => {
      const lines = SOME_KNOW[title];
      expect(() => otherEnd(configOf(lines), end)).toThrow(`OpenVPN ${end}`);
    },
  );

  const notes: readonly [end: OtherEnd, lines: readonly string[], note: RegExp][] = [
    ['2.7', [], /allow-deprecated-insecure-static-crypto/],
    ['2.6', [], /deprecated; it works/],
    ['2.5', ['auth SHA256'], /MSS 1338 by default/],
    ['2.5', [], /MSS 1350 by default/],
    ['2.4', ['cipher BF-CBC', 'providers legacy default'], /MSS 1366 by default/],
    ['2.5', ['cipher BF-CBC', 'providers legacy default'], /openssl.cnf/],
    ['2.3', ['cipher BF-CBC', 'providers legacy default'], /`keysize` other than 128/],
    ['2.4', ['auth SHA3-256'], /OpenSSL 1\.1\.1/],
    ['2.4', ['comp-lzo'], /`comp-lzo no` is all it takes/],
    ['2.4', [], /compresses what it sends/],
    ['2.3', [], /`proto udp` is IPv4 only/],
    ['2.3', ['proto tcp-server'], /strict order/],
    ['2.5', ['dev tap', 'ifconfig 10.254.0.1 255.255.255.0'], /tells `tun-mtu 1532` for a tap/],
    ['2.4', ['dev tap', 'ifconfig 10.254.0.1 255.255.255.0'], /`route` line there/],
    ['2.2', ['ifconfig-ipv6 fd00::1/64 fd00::2'], /no `ifconfig-ipv6`/],
    ['2.5', ['fragment 1200 mtu'], /counts no outer headers/],
    ['2.6', ['link-mtu 1400'], /"tun-mtu 1348" here, too/],
    ['tsvpn', [], /in place of this-end\.example\.net/],
    ['tsvpn', [], /copy static\.key there/],
    ['tsvpn', ['proto tcp-client', 'remote 192.0.2.7'], /it is the server/],
    ['2.3', ['proto tcp-client', 'remote 192.0.2.7'], /`proto tcp-client` is IPv4 only/],
  ];
  it.each(notes)('says to %s, %j: %s', (end, lines, note) => {
    expect(otherEnd(configOf(lines), end).notes.join('\n')).toMatch(note);
  });

  it.each<[OtherEnd, RegExp]>([
    ['2.4', /`script-security 2` and an `up` script there/],
    ['tsvpn', /`bridge BRIDGE` there/],
  ])('says to %s how a tap device without address joins a bridge: %s', (end, note) => {
    const text = 'dev tap\nbridge br0\nsecret static.key\ncipher AES-256-CBC\n';
    const [peer] = parseGateway([{ text, file: 'peer.conf' }]).config.peers;
    const notes = otherEnd(peer, end).notes.join('\n');
    expect(notes).toMatch(note);
    expect(notes).not.toContain('`route`');
  });

  it.each([
    [
      ['proto tcp-server', 'lport 5001'],
      ['proto tcp-client', 'port 5001', 'remote this-end.example.net'],
    ],
    [
      ['proto tcp-server', 'remote 192.0.2.7 5000'],
      ['proto tcp-client', 'port 1194', 'remote this-end.example.net'],
    ],
    [
      ['proto tcp4-client', 'remote 192.0.2.7 5000'],
      ['proto tcp4-server', 'port 5000'],
    ],
    [['remote fd01::7 5000 tcp6-client'], ['proto tcp6-server', 'port 5000']],
  ])('is the other role of TCP: %j', (own, theirs) => {
    const { lines } = otherEnd(configOf(own), 'tsvpn');
    expect(lines.filter((line) => /^(proto|port|lport|rport|remote) /.test(line))).toEqual(theirs);
    const told = buildOccOptions(occOptions(parse(lines)));
    expect(told).toBe(expectedPeerOptions(occOptions(configOf(own))));
  });

  it('converts sizes for a version that counts no outer headers', () => {
    const lines = (own: readonly string[]) =>
      otherEnd(configOf(own), '2.5').lines.filter((line) => /^(mssfix|fragment) /.test(line));
    expect(lines(['fragment 1248 mtu', 'mssfix 1248 mtu'])).toEqual(['fragment 1200', 'mssfix 1200']);
    expect(lines(['proto udp4', 'fragment 1228 mtu'])).toEqual(['fragment 1200']);
    // 1300 - 40 is the MSS on either end.
    expect(lines(['mssfix 1300 fixed', 'auth SHA256'])).toEqual(['mssfix 1372']);
  });

  it('never goes below what a version takes', () => {
    expect(otherEnd(configOf(['mssfix 20 mtu']), '2.3').lines).toContain('mssfix 0');
    const tiny = configOf(['fragment 110 mtu', 'auth none', 'cipher none']);
    expect(() => otherEnd(tiny, '2.3')).toThrow('62 bytes');
    expect(otherEnd(tiny, '2.6').lines).toContain('fragment 110 mtu');
  });

  it('is a config for whatever this end has', () => {
    const lines = Object.entries(ROWS).flatMap(([name, row]) =>
      (typeof row === 'function' ? row(name) : row).takes.map((take) => [take[0]].flat()),
    );
    const some = fc.array(fc.constantFrom(...lines), { minLength: 1, maxLength: 4 });
    let written = 0;
    fc.assert(
      fc.property(some, fc.constantFrom(...OTHER_ENDS), (chosen, end) => {
        const own = chosen.flat();
        if (errorsOf([...BASE, ...own].join('\n')).length > 0) return;
        try {
          parse(otherEnd(configOf(own), end).lines);
          written += 1;
        } catch (error) {
          expect((error as { code: string }).code, String(error)).toBe('CHECK_OTHER_END');
        }
      }),
      { numRuns: 1500 },
    );
    expect(written).toBeGreaterThan(300);
  });

  it('never holds the key', () => {
    const text = ['dev tun', 'cipher AES-256-CBC', '<secret>', staticKeyText(), '</secret>'].join('\n');
    const { config } = parseGateway([{ text, file: 'x.conf' }]);
    const other = otherEnd(config.peers[0], '2.6');
    expect(other.lines).toContain('secret static.key');
    for (const line of staticKeyText().split('\n').slice(4, 20)) {
      expect(JSON.stringify(other)).not.toContain(line);
    }
    expect(other.notes.join()).toContain('<secret>');
  });

  it('quotes the name of a key file that needs it', () => {
    const { config } = parseGateway([
      { text: 'dev tun\ncipher AES-256-CBC\nsecret "keys/my \\"key\\".txt" 1', file: 'x.conf' },
    ]);
    const { lines } = otherEnd(config.peers[0], '2.6');
    expect(lines).toContain('secret "my \\"key\\".txt" 0');
    expect(errorsOf(lines.join('\n'))).toEqual([]);
  });
});

const obstacle = noStock();
const run = promisify(execFile);

/** What stock logs when it starts with a config; no device, and a timeout that ends it, from outside while it waits for TCP. */
async function stockLog(dir: string, name: string, lines: readonly string[]): Promise<string> {
  const file = `${name.replaceAll(/\W/g, '-')}.conf`;
  writeFileSync(join(dir, file), `${lines.join('\n')}\n`);
  const overrides = ['--dev', 'null', '--ifconfig-noexec', '--route-noexec', '--session-timeout', '1'];
  const argv = ['--net', 'timeout', '4', 'openvpn', '--config', file, ...overrides];
  const ended: unknown = await run('unshare', argv, { cwd: dir, timeout: PATIENCE_MS }).catch(
    (error: unknown) => error,
  );
  return (ended as { stdout: string }).stdout;
}

describe(`stock OpenVPN 2.6${obstacle === undefined ? '' : ` (left out: ${obstacle})`}`, () => {
  const cases = EVERY.filter(([title]) => !IMPOSSIBLE[title]?.includes('2.6'));
  it.skipIf(obstacle !== undefined).concurrent.each(cases)('starts with %s', async (title, lines) => {
    const dir = tempDir();
    writeFileSync(join(dir, 'static.key'), staticKeyText(), { mode: 0o600 });
    const own = otherEnd(configOf(lines), '2.6').lines.map((line) =>
      line.replace(/^remote (?:this-end\.example\.net|192\.0\.2\.1)$/, 'remote 127.0.0.1'),
    );
    const log = await stockLog(dir, title, own);
    expect(log).toMatch(/session-timeout|Listening for incoming TCP|Attempting to establish TCP/);
    expect(log).not.toMatch(/Options error|Unrecognized option|not supported/);
  });
});
