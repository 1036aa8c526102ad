/** Running the command line: in this process with captured output, or as the program a user runs. */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import type { Io } from '../../src/cli/command.ts';
import { main } from '../../src/cli/main.ts';
import { plain } from '../../src/control/colour.ts';
import type { ExitCode } from '../../src/errors.ts';
import { PATIENCE_MS } from './process.ts';

export const TSVPN = resolve(import.meta.dirname, '../../bin/tsvpn');

export interface Output {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** An Io that collects. */
function captureIo(env: NodeJS.ProcessEnv = {}) {
  const texts = { out: '', err: '' };
  const io: Io = {
    out: (text) => void (texts.out += text),
    err: (text) => void (texts.err += text),
    paintOut: plain,
    paintErr: plain,
    outIsTty: false,
    readerGone: false,
    env,
  };
  return { io, texts };
}

/** Runs a command in this process. */
export async function runMain(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Output> {
  const { io, texts } = captureIo(env);
  const code = await main(args, io);
  return { code, ...texts };
}

export interface SpawnOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly program?: string;
}

/** Runs bin/tsvpn, which needs dist/. */
export function runTsvpn(args: readonly string[], options: SpawnOptions = {}) {
  const { status, stdout, stderr } = spawnSync(options.program ?? TSVPN, args, {
    encoding: 'utf8',
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    timeout: PATIENCE_MS,
  });
  return { code: status, out: stdout, err: stderr };
}
