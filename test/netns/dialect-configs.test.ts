/** What stock OpenVPN 2.5 and 2.7 say of directives and configs, and what tsvpn says of them. */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { isOpenVpn, versionsOf } from '../../src/config/dialects.ts';
import { SECTIONS } from '../../src/config/directives.ts';
import { writePair } from '../../src/config/mirror.ts';
import { otherEnd } from '../../src/config/other-end.ts';
import { occOptions } from '../../src/gateway/settings.ts';
import { compareOccOptions, expectedPeerOptions } from '../../src/protocol/occ-options.ts';
import { configOf } from '../support/config.ts';
import { staticKeyText } from '../support/keys.ts';
import { createLab, type Lab } from '../support/netns.ts';
import { EVERY, IMPOSSIBLE } from '../support/other-ends.ts';
import { ALLOWED, knows, optionStrings, RELEASES, stockOf, type Release } from '../support/releases.ts';

const BEHAVIOUR = new URL('../behaviour/', import.meta.url).pathname;
const CONFIGS = join(BEHAVIOUR, 'configs');

interface OccCase {
  readonly config: readonly string[];
  readonly local: string;
  readonly expected: string;
}
const occ = JSON.parse(readFileSync(join(BEHAVIOUR, 'occ-strings.json'), 'utf8')) as { cases: OccCase[] };

/** Known only where OpenVPN was built with iproute2, SELinux, another crypto library, or for Windows. */
const OF_SOME_BUILDS = new Set([
  'iproute',
  'setcon',
  'use-prediction-resistance',
  'show-adapters',
  'show-valid-subnets',
]);

/** Lines that a release does not take, or that need another OpenSSL. */
const REFUSED: Readonly<Record<Release, RegExp>> = {
  2.5: /^(?:fragment \d+ mtu|mssfix .* fixed|tun-mtu \d+ \d+|max-packet-size|tun-mtu-max|compress migrate|auth SHA-512\/224|providers|iproute|allow-deprecated|key-derivation)/,
  2.7: /^(?:no-replay|iproute)/,
};

let lab: Lab;
beforeAll(() => {
  lab = createLab();
  writeFileSync(join(lab.folder, 'static.key'), staticKeyText(), { mode: 0o600 });
});
afterAll(() => lab.destroy());

/** A folder with a key. */
function site(): string {
  const folder = mkdtempSync(join(lab.folder, 'site-'));
  copyFileSync(join(lab.folder, 'static.key'), join(folder, 'static.key'));
  return folder;
}

/** Without what runs scripts or hides the log; what lies in folders of the system is in the current one. */
function linesOf(file: string): string[] {
  return readFileSync(join(CONFIGS, file), 'utf8')
    .replaceAll(/\/(?:etc\/openvpn|var\/log|var\/run)\//g, '')
    .split('\n')
    .filter((line) => !/^(?:up|down|script-security|daemon|log-append|syslog) ?/.test(line));
}

describe.each(RELEASES)('OpenVPN %s', (release) => {
  it.concurrent('knows the directives that tsvpn says it knows', async (context) => {
    const stock = stockOf(release, context);
    const names = SECTIONS.filter(({ title }) => title !== 'Windows only')
      .flatMap(({ directives }) => directives.flatMap(({ name, aliases }) => [name, ...aliases]))
      .filter((name) => isOpenVpn(name) && !OF_SOME_BUILDS.has(name));
    const folder = site();
    const known: string[] = [];
    for (const name of names) if (await knows(stock, folder, name)) known.push(name);
    context.expect(known).toEqual(names.filter((name) => versionsOf(name).includes(release)));
  });

  it.concurrent('tells the options that tsvpn tells, or means the same', async (context) => {
    const stock = stockOf(release, context);
    const folder = site();
    for (const { config, local, expected } of occ.cases) {
      const lines = release === '2.5' ? config.filter((line) => !line.startsWith('providers')) : config;
      const told = await optionStrings(stock, folder, [...lines, ALLOWED]).catch(() => undefined);
      const title = config.join(', ');
      context.expect(told === undefined, title).toBe(lines.some((line) => REFUSED[release].test(line)));
      // 2.5 tells of another MTU with these, and means it.
      if (told === undefined || (release === '2.5' && /(?:link-mtu|udp-mtu|tun-mtu-extra) /.test(title)))
        continue;
      if (release === '2.7') context.expect(told, title).toEqual({ own: local, expected });
      context.expect(compareOccOptions(expected, told.expected), title).toEqual([]);
      context.expect(compareOccOptions(local, told.own), title).toEqual([]);
    }
  });

  it.concurrent('takes the config that tsvpn writes for the other end, and agrees', async (context) => {
    const stock = stockOf(release, context);
    const folder = site();
    for (const [title, lines] of EVERY) {
      if (IMPOSSIBLE[title]?.includes(release)) continue;
      const here = configOf(lines);
      const there = otherEnd(here, release).lines.map((line) =>
        line.replace(/^remote this-end\.example\.net$/, 'remote 127.0.0.1'),
      );
      const told = await optionStrings(stock, folder, there);
      const differences = compareOccOptions(expectedPeerOptions(occOptions(here)), told.own);
      // Up to 2.5 the MTU told is that of the device.
      const excused = release === '2.5' && here.mtu.occMtu !== undefined ? ['link-mtu'] : [];
      context
        .expect(
          differences.map(({ option }) => option),
          title,
        )
        .toEqual(excused);
    }
  });

  it.concurrent('takes the configs that tsvpn init writes for it', async (context) => {
    const stock = stockOf(release, context);
    const flavour = ({ 2.5: 'openvpn-2.4', 2.7: 'openvpn-2.7' } as const)[release];
    const end = (name: string, number: number) => ({
      name,
      flavour,
      address: `192.0.2.${number}`,
      tunnelAddress: `10.254.0.${number}`,
      networks: [`10.${number}.0.0/16`, `fd00:${number}::/48`],
    });
    const port = 1194;
    for (const protocol of ['udp', 'tcp'] as const) {
      const pair = writePair({ a: end('a', 1), b: end('b', 2), port, protocol, keyText: staticKeyText() });
      const [a, b] = [
        await optionStrings(stock, site(), [pair.a]),
        await optionStrings(stock, site(), [pair.b]),
      ];
      context.expect(b).toEqual({ own: a.expected, expected: a.own });
    }
  });

  it.concurrent('takes and refuses the configs that operators find as tsvpn says', async (context) => {
    const stock = stockOf(release, context);
    const folder = site();
    writeFileSync(join(folder, 'key.conf'), `<secret>\n${staticKeyText()}</secret>\n`);
    const files = readdirSync(CONFIGS, { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => name.endsWith('.conf'))) {
      const lines = linesOf(file);
      const taken = (more: readonly string[]) =>
        optionStrings(stock, folder, [...lines, ...more]).then(
          () => true,
          () => false,
        );
      const refused = lines.some((line) => REFUSED[release].test(line));
      context.expect(await taken([ALLOWED]), file).toBe(!refused);
      if (release === '2.7' && !/allow-deprecated/.test(lines.join()))
        context.expect(await taken([]), `${file}, not allowed`).toBe(false);
    }
  });
});
