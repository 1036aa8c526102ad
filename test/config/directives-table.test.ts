/**
 * Drives every supported directive by its row in test/support/directive-rows.ts. A directive without a row fails the
 * first test: write its row there.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { directiveNames, findDirective } from '../../src/config/directives.ts';
import type { DirectiveSpec } from '../../src/config/directives/spec.ts';
import { isOpenVpn } from '../../src/config/dialects.ts';
import type { GatewayConfig } from '../../src/config/model.ts';
import { BASE, errorsOf, gatewayOf } from '../support/config.ts';
import { NOTHING, type Row } from '../support/directive-row.ts';
import { ROWS } from '../support/directive-rows.ts';

const supported = directiveNames().filter(
  (name) =>
    isOpenVpn(name) &&
    findDirective(name)!.answer.status === 'supported' &&
    findDirective(name)!.name === name,
);
const rowOf = (name: string): Row => {
  const row = ROWS[name];
  return typeof row === 'function' ? row(name) : row;
};
const asLines = (lines: string | readonly string[]) => (typeof lines === 'string' ? [lines] : lines);

/** BASE without the lines that `lines` replace. */
function textOf(lines: readonly string[]): string {
  const names = new Set(lines.map((line) => line.replace(/^<(\w+)>[^]*/, '$1').split(' ')[0]));
  return [...BASE.filter((line) => !names.has(line.split(' ')[0])), ...lines].join('\n');
}

/** What the config means, wherever its lines stand. */
function withoutPlaces(config: GatewayConfig): GatewayConfig {
  return { ...config, lines: {}, peers: config.peers.map((peer) => ({ ...peer, lines: {} })) };
}

function valueAt(lines: readonly string[], path: string): unknown {
  const gateway = gatewayOf(lines);
  let value: unknown = { ...gateway.peers[0], gateway };
  for (const step of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[step];
  return value;
}

it('every supported directive has a row, and no row is of none', () => {
  expect(supported.filter((name) => !(name in ROWS))).toEqual([]);
  expect(Object.keys(ROWS).filter((name) => !supported.includes(name))).toEqual([]);
});

/** Directives that static-key configs have and why some do not work. */
const WANTED = `
secret key-direction cipher auth data-ciphers-fallback replay-window mute-replay-warnings no-replay
replay-persist allow-deprecated-insecure-static-crypto remote proto port lport rport local nobind bind float
resolv-retry keepalive ping ping-restart ping-exit ping-timer-rem explicit-exit-notify connect-retry
connect-retry-max connect-timeout server-poll-timeout connection remote-random remote-random-hostname
proto-force persist-remote-ip persist-local-ip multihome mark bind-dev sndbuf rcvbuf passtos tcp-nodelay
socket-flags shaper inactive session-timeout allow-recursive-routing mtu-disc tun-mtu mssfix fragment
tun-mtu-extra comp-lzo compress allow-compression disable-occ dev dev-type dev-node ifconfig ifconfig-ipv6
topology ifconfig-noexec ifconfig-nowarn route route-ipv6 route-gateway route-ipv6-gateway route-metric
route-delay route-noexec redirect-gateway redirect-private lladdr txqueuelen dhcp-option dns config cd
setenv setenv-safe ignore-unknown-option verb mute log log-append syslog daemon writepid status
status-version suppress-timestamps machine-readable-output errors-to-stderr user group chroot persist-key
persist-tun nice up down route-up route-pre-down ipchange up-delay up-restart down-pre script-security
remap-usr1 management management-client management-hold management-log-cache management-query-remote
management-query-proxy management-query-passwords management-signal management-forget-disconnect
management-up-down mode
`;
const EXCUSED: Readonly<Record<string, string>> = {
  chroot: 'refused: Node, /proc and /sys would be out of reach',
};

/** Texts in which tunnels, engines and scripts are driven: not the tests of the parser, and not the table of its rows. */
function drivingTexts(): string[] {
  const root = join(import.meta.dirname, '..');
  const parser = /^(?:config|vectors)\/|^support\/directive-row|directive-acceptance/;
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(?:ts|mjs|json|conf)$/.test(path) && !parser.test(path))
    .map((path) => readFileSync(join(root, path), 'utf8'));
}

it('every supported directive stands in a config that is driven, not only read', () => {
  const texts = drivingTexts();
  const isDriven = (name: string) => {
    const line = new RegExp(`(?:^|['"\`]|\\\\n|</?)(?:--)?${name}(?=[ '"\\\\>]|$)`, 'm');
    return texts.some((text) => line.test(text));
  };
  const idle = supported.filter((name) => ![name, ...findDirective(name)!.aliases].some(isDriven));
  expect(idle).toEqual([]);
});

it('every directive that a static-key config may need works', () => {
  const missing = WANTED.trim()
    .split(/\s+/)
    .filter((name) => findDirective(name)?.answer.status !== 'supported');
  expect(missing.toSorted()).toEqual(Object.keys(EXCUSED));
});

describe('what is written is what is done', () => {
  const takes = supported
    .filter((name) => name in ROWS)
    .flatMap((name) =>
      rowOf(name).takes.map(([lines, path, value]) => ({
        title: asLines(lines).join(', '),
        lines: asLines(lines),
        path,
        value,
      })),
    );
  it.each(takes)('$title: $path', ({ lines, path, value }) => {
    expect(valueAt(lines, path)).toEqual(value);
    expect(valueAt([], path)).not.toEqual(value);
  });

  const ignored = directiveNames().filter(
    (name) => isOpenVpn(name) && findDirective(name)!.answer.status === 'ignored',
  );
  it.each(ignored)('%s has no effect', (name) => {
    const config = gatewayOf([name]);
    expect(withoutPlaces({ ...config, warnings: [] })).toEqual(withoutPlaces(gatewayOf([])));
    expect(config.warnings.length).toBeLessThanOrEqual(1);
  });

  const nothing = supported.filter((name) => name in ROWS && rowOf(name) === NOTHING);
  it.each(nothing)('%s changes nothing', (name) => {
    const words = findDirective(name)!.args.map((arg) => (arg.label === 'udp|tcp' ? 'udp' : '1'));
    const config = gatewayOf([[name, ...words].join(' ')]);
    expect(config.warnings).toEqual([]);
    expect(withoutPlaces(config)).toEqual(withoutPlaces(gatewayOf([])));
  });
});

describe('what cannot be meant is refused at its place', () => {
  const refuses = supported
    .filter((name) => name in ROWS)
    .flatMap((name) =>
      (rowOf(name).refuses ?? []).map(([lines, column]) => ({
        title: asLines(lines).join(', '),
        lines: asLines(lines),
        column,
      })),
    );
  it.each(refuses)('$title', ({ lines, column }) => {
    const text = textOf(lines);
    const errors = errorsOf(text);
    expect(errors.length, text).toBeGreaterThan(0);
    const ours = new Set(lines.map((line) => line.split('\n')[0]));
    const [{ where, fix, why }] = errors;
    const line = text.split('\n')[where!.line - 1];
    expect(where).toMatchObject({ file: 'peer.conf', column });
    expect([...ours, ...lines.flatMap((each) => each.split('\n')), ...BASE]).toContain(line);
    expect(fix ?? why).toBeTruthy();
  });
});

/** Words that an argument cannot be: by its label and its range. */
function wrongWords({ args, forms }: DirectiveSpec): { words: string[]; index: number }[] {
  if (forms.length > 0) return [];
  return args.flatMap((arg, index) => {
    const fitting = args.slice(0, index).map((each) => fittingWord(each.label, each.domain));
    if (fitting.includes(undefined)) return [];
    const range = /^(?:a number, )?(-?\d+) to (-?\d+)/.exec(arg.domain)?.slice(1).map(Number);
    const wrong = range === undefined ? [] : [`${range[0] - 1}`, `${range[1] + 1}`, 'abc', '4x', '1.5'];
    const choices = /^[a-z0-9-]+(?:\|[a-z0-9-]+)+$/i.test(arg.label) ? ['neither', ''] : [];
    const behind = args.slice(index + 1).filter((each) => !each.optional);
    const rest = behind.map((each) => fittingWord(each.label, each.domain) ?? 'word');
    return [...wrong, ...choices].map((word) => ({
      words: [...(fitting as string[]), word, ...rest],
      index,
    }));
  });
}

/** A word the argument takes, where its description tells. */
function fittingWord(label: string, domain: string): string | undefined {
  const least = /^(?:a number, )?(-?\d+) to/.exec(domain)?.[1];
  if (least !== undefined) return least;
  if (/^[A-Z]+$/.test(label)) return domain === '' ? 'word' : undefined;
  return /^[a-z0-9-]+(?:\||$)/.exec(label)?.[0].replace('|', '');
}

const quoted = (word: string) => (word === '' ? '""' : word);

describe('a wrong word is refused where it stands', () => {
  const rows = supported.flatMap((name) =>
    wrongWords(findDirective(name)!).map(({ words, index }) => {
      const line = [name, ...words.map(quoted)].join(' ');
      const column = [name, ...words.slice(0, index).map(quoted)].join(' ').length + 2;
      return { line, column };
    }),
  );
  it.each(rows)('$line', ({ line, column }) => {
    const error = errorsOf([...BASE, line].join('\n')).find(({ where }) => where?.line === BASE.length + 1);
    expect(error).toMatchObject({ code: 'CONFIG_ARGUMENT', where: { file: 'peer.conf', column } });
    expect(error!.fix).toContain('usage: ');
  });

  const counted = supported.filter((name) => {
    const { args, forms } = findDirective(name)!;
    return forms.length === 0 && !args.some((arg) => arg.rest);
  });
  it.each(counted)('%s with an argument too many', (name) => {
    const words = findDirective(name)!.args.map(() => '1');
    const line = [name, ...words].join(' ');
    const [error] = errorsOf([...BASE, `${line} more`].join('\n')).filter(
      ({ where }) => where?.line === BASE.length + 1,
    );
    expect(error).toMatchObject({ code: 'CONFIG_ARGUMENTS', where: { column: line.length + 2 } });
  });

  const needing = supported.filter((name) => findDirective(name)!.args.some((arg) => !arg.optional));
  it.each(needing)('%s without its argument', (name) => {
    const errors = errorsOf([...BASE, name].join('\n'));
    const error = errors.find(({ where }) => where?.line === BASE.length + 1);
    expect(error).toMatchObject({ code: 'CONFIG_ARGUMENTS', where: { column: 1 } });
  });
});
