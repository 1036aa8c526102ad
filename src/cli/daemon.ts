/**
 * `up --daemon`. The parent starts itself again in a session of its own, with the log file for stdout and stderr,
 * and stays until that process says over the IPC channel whether the tunnel started. So errors of the start reach
 * the terminal and the exit code.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { KeptTexts } from '../config/pipes.ts';
import { request } from '../control/client.ts';
import { createRuntimeDir, runtimePath } from '../control/runtime-dir.ts';
import { ExitCode, OperatorError, OperatorErrors, operatorErrors } from '../errors.ts';
import type { Io } from './command.ts';
import { DAEMON_MARK, type DaemonMark, type DaemonReport } from './daemon-messages.ts';
import { sendTexts } from './kept-texts.ts';
import { peerSilent } from './peer-silent.ts';

export interface DaemonOptions {
  readonly name: string;
  readonly runtimeDir: string;
  /** Where its log goes, in words; undefined for a file of its own. */
  readonly log: string | undefined;
  /** Also wait so many seconds for the peer; undefined returns after the start. */
  readonly waitSec: number | undefined;
  /** For the background process, which cannot read them again. */
  readonly kept: KeptTexts;
}

/** End the start that is waited for. */
const END_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Returns when the tunnel runs (and the peer answered). Throws what the background process failed with. */
export async function startDaemon(options: DaemonOptions, io: Io): Promise<ExitCode> {
  const { name, runtimeDir, waitSec, kept } = options;
  createRuntimeDir(runtimeDir);
  const logFile = runtimePath(runtimeDir, name, 'log');
  const child = spawnDetached(logFile, kept);
  const inbox = reports(child);
  const interrupt = () => child.kill('SIGTERM');
  for (const signal of END_SIGNALS) process.once(signal, interrupt);
  const started = await inbox.next('started', undefined);
  for (const signal of END_SIGNALS) process.off(signal, interrupt);
  if (started?.kind !== 'started') throw endedEarly(name, options.log ?? logFile, child.exitCode);
  const { device, pid } = started;
  const state = device === null ? 'waits for a client of its management interface' : `is up on ${device}`;
  io.err(`tunnel '${name}' ${state} (pid ${pid}); its log is ${options.log ?? logFile}\n`);
  if (waitSec !== undefined) {
    const connected = await inbox.next('connected', waitSec * 1000);
    if (connected?.kind !== 'connected') {
      throw peerSilent(await request(runtimeDir, name, 'status'), waitSec, true);
    }
    const { endpoints } = connected;
    io.err(
      endpoints.length === 1
        ? `the peer answered from ${endpoints[0]}\n`
        : `all ${endpoints.length} peers answered\n`,
    );
  }
  child.disconnect();
  child.unref();
  return ExitCode.Ok;
}

/** With the same words, which the mark gives another meaning. */
function spawnDetached(logFile: string, kept: KeptTexts): ChildProcess {
  const mark: DaemonMark = kept.size > 0 ? 'with-texts' : 'plain';
  const log = openSync(logFile, 'a', 0o600);
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: [kept.size > 0 ? 'pipe' : 'ignore', log, log, 'ipc'],
    env: { ...process.env, [DAEMON_MARK]: mark },
  });
  closeSync(log);
  sendTexts(child, kept);
  return child;
}

interface Inbox {
  /** The report of that kind, or undefined after `timeoutMs` or when the process ended. Throws its failure. */
  next(kind: DaemonReport['kind'], timeoutMs: number | undefined): Promise<DaemonReport | undefined>;
}

function reports(child: ChildProcess): Inbox {
  const received: DaemonReport[] = [];
  let ended = false;
  let wake = () => {};
  child.on('message', (message) => {
    received.push(message as DaemonReport);
    wake();
  });
  child.on('exit', () => {
    ended = true;
    wake();
  });
  return {
    async next(kind, timeoutMs) {
      let expired = false;
      const timer =
        timeoutMs === undefined ? undefined : setTimeout(() => ((expired = true), wake()), timeoutMs);
      try {
        for (;;) {
          const failed = received.find((report) => report.kind === 'failed');
          if (failed !== undefined)
            throw new OperatorErrors(failed.errors.map((detail) => new OperatorError(detail)));
          const found = received.find((report) => report.kind === kind);
          if (found !== undefined || ended || expired) return found;
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

function endedEarly(name: string, logFile: string, code: number | null): OperatorError {
  return new OperatorError({
    code: 'DAEMON_ENDED',
    what: `tunnel '${name}' ended during its start`,
    why: `its process exited with ${code === null ? 'a signal' : `code ${code}`}`,
    fix: `read ${logFile}, or run \`tsvpn up\` without --daemon to see it happen`,
    exitCode: ExitCode.Failure,
  });
}

/** In the background process: true. The mark is taken away so that no program we start inherits it. */
export function isDaemonProcess(env: NodeJS.ProcessEnv): boolean {
  const marked = env[DAEMON_MARK] !== undefined && process.send !== undefined;
  delete env[DAEMON_MARK];
  return marked;
}

/** Sends one report to the parent, which may be gone already; resolves when it is sent or cannot be. */
export function reportToParent(report: DaemonReport): Promise<void> {
  return new Promise((resolve) => {
    if (!process.connected || process.send === undefined) return resolve();
    process.send(report, undefined, undefined, () => resolve());
  });
}

/** Sends a failed start to the parent before the process ends. */
export async function reportFailure(error: unknown): Promise<void> {
  const errors = (operatorErrors(error) ?? []).map(({ detail }) => detail);
  if (errors.length > 0) await reportToParent({ kind: 'failed', errors });
}
