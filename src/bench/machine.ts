/** What the figures were measured on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../control/version.ts';
import { findProgram } from '../lab/programs.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly arch: string;
  readonly kernel: string;
  readonly distribution: string;
  /** Program -> version; programs that are not installed are left out. */
  readonly versions: Readonly<Record<string, string>>;
  /** Of tsvpn's checkout, `+` behind it when files are changed; undefined outside a checkout. */
  readonly commit: string | undefined;
}

const VERSION_COMMANDS: readonly (readonly [program: string, words: readonly string[], pattern: RegExp])[] = [
  ['openvpn', ['--version'], /^OpenVPN (\S+)/],
  ['iperf3', ['--version'], /^iperf (\S+)/],
  ['wireguard-go', ['--version'], /^wireguard-go (\S+)/],
  ['fastd', ['--version'], /^fastd (\S+)/],
];

export function describeMachine(): Machine {
  const versions: Record<string, string> = {
    tsvpn: VERSION,
    node: process.versions.node,
    openssl: process.versions.openssl,
  };
  for (const [program, words, pattern] of VERSION_COMMANDS) {
    const version = pattern.exec(output(findProgram(program), words))?.[1];
    if (version !== undefined) versions[program] = version;
  }
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    arch: arch(),
    kernel: release(),
    distribution: distribution(),
    versions,
    commit: commit(),
  };
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}

function commit(): string | undefined {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const git = (...words: string[]) => output('git', ['-C', root, ...words]).trim();
  // An installed package may lie inside somebody else's checkout.
  if (git('ls-files', '--error-unmatch', 'package.json') === '') return undefined;
  const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
  return `${git('rev-parse', '--short=12', 'HEAD')}${changed ? '+' : ''}`;
}

/** What the program writes, or nothing when it is not there or fails. */
function output(program: string | undefined, words: readonly string[]): string {
  if (program === undefined) return '';
  try {
    return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}
