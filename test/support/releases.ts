/** Stock OpenVPN of other releases than the one installed (scripts/stock.mjs). */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Daemon, run } from './process.ts';

const STOCK = resolve(import.meta.dirname, '../../scripts/stock.mjs');

export const RELEASES = ['2.5', '2.7'] as const;
export type Release = (typeof RELEASES)[number];

/** 2.7 needs it; to older ones it is an unknown option that may be. */
export const ALLOWED = 'setenv opt allow-deprecated-insecure-static-crypto';

export interface Stock {
  /** For example `2.7.8`. */
  readonly version: string;
  /** What stands in place of the word `openvpn`. */
  readonly argv: readonly string[];
}

/** What could be had; the others are told by their `obstacle`. `npm test` has asked before. */
const found = JSON.parse(
  process.env.TSVPN_TEST_RELEASES ?? execFileSync(process.execPath, [STOCK], { encoding: 'utf8' }),
) as Readonly<Record<Release, Stock | { readonly obstacle: string }>>;

/** Skips the test, with the reason, when the release cannot be had here. */
export function stockOf(release: Release, context: { skip(note: string): never }): Stock {
  const stock = found[release];
  return 'obstacle' in stock ? context.skip(stock.obstacle) : stock;
}

export interface OptionStrings {
  readonly own: string;
  readonly expected: string;
}

const STARTED =
  /Local Options String \(VER=V4\): '(.*)'\n.*Expected Remote Options String \(VER=V4\): '(.*)'\n/;

/** What stock logs when it starts with a config, in a network without links; then it is ended. Rejects when it does not start. */
export async function optionStrings(
  stock: Stock,
  cwd: string,
  lines: readonly string[],
): Promise<OptionStrings> {
  writeFileSync(join(cwd, 'stock.conf'), `${lines.join('\n')}\n`);
  const words = ['--config', 'stock.conf', '--verb', '7', '--mute', '0'];
  const daemon = new Daemon(['unshare', '--net', ...stock.argv, ...words], { cwd });
  await daemon.waitFor(STARTED);
  await daemon.stop('SIGKILL');
  const [, own, expected] = STARTED.exec(daemon.log)!;
  return { own, expected };
}

/** As OpenVPN says it of a line in a config, at whatever number of arguments. */
const UNKNOWN =
  /Unrecognized option or missing or extra parameter\(s\) in [^:]+:1:|was removed in OpenVPN|REMOVED OPTION/;

/** Whether a release has a directive: some number of arguments is not the wrong one. */
export async function knows(stock: Stock, cwd: string, name: string): Promise<boolean> {
  for (const words of ['1', '', '1 1', '1 1 1', '1 1 1 1']) {
    // The second line ends every run.
    writeFileSync(join(cwd, 'stock.conf'), `${name} ${words}\nno-such-directive\n`);
    const { stdout } = await run([...stock.argv, '--config', 'stock.conf'], { cwd });
    if (!UNKNOWN.test(stdout)) return true;
  }
  return false;
}
