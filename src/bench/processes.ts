/** Processes inside the testbed: daemons that run until they are stopped, and jobs that end within a time limit. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inNamespace } from '../lab/namespaces.ts';
import type { EndName, Testbed } from './testbed.ts';

const STOP_TIMEOUT_MS = 3000;
const LOG_TAIL_LINES = 12;

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
}

/** Started in a session of its own: a Ctrl-C is the bench's business. */
function spawnInside(
  testbed: Testbed,
  end: EndName,
  words: readonly string[],
  stdio: ('ignore' | 'pipe' | number)[],
  options: StartOptions = {},
): ChildProcess {
  const [program, ...args] = words;
  const child = inNamespace(testbed[end], () =>
    spawn(program, args, {
      cwd: testbed.folder,
      detached: true,
      stdio,
      env: { ...process.env, NO_COLOR: '1', ...options.env },
    }),
  );
  if (child.pid !== undefined) testbed.reaper.tell(`process ${child.pid}`);
  child.once('exit', () => testbed.reaper.tell(`ended ${child.pid}`));
  return child;
}

export interface Daemon {
  readonly pid: number;
  readonly alive: () => boolean;
  /** The last lines it wrote. */
  readonly logTail: () => string;
  /** Asks it to end; one that does not in time is killed. */
  stop(): Promise<void>;
}

/** `name` is the name of its log file. Rejects when the program cannot be started. */
export async function startDaemon(
  testbed: Testbed,
  end: EndName,
  name: string,
  words: readonly string[],
  options?: StartOptions,
): Promise<Daemon> {
  const logFile = join(testbed.folder, `${name}.log`);
  const log = openSync(logFile, 'w');
  const child = spawnInside(testbed, end, words, ['ignore', log, log], options);
  closeSync(log);
  await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const alive = () => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid!,
    alive,
    logTail: () => readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n'),
    stop: async () => {
      if (!alive()) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

export interface Job {
  /** The next line of its output; rejects when it ends without one, and when the time is over. */
  nextLine(): Promise<string>;
  write(line: string): void;
  /** All output from now on. Rejects when the exit code is not 0. */
  finished(): Promise<string>;
  /** Resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts a program that must end within `timeoutMs`, and is killed otherwise. */
export function startJob(
  testbed: Testbed,
  end: EndName,
  words: readonly string[],
  timeoutMs: number,
  options?: StartOptions,
): Job {
  const child = spawnInside(testbed, end, words, ['pipe', 'pipe', 'pipe'], options);
  const limit = AbortSignal.any([testbed.signal, AbortSignal.timeout(timeoutMs)]);
  const kill = () => void child.kill('SIGKILL');
  limit.addEventListener('abort', kill, { once: true });
  let output = '';
  let complaint = '';
  let wake = () => {};
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    wake();
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  // A job that is gone is noticed by its end, not by a broken pipe.
  child.stdin!.on('error', () => {});
  let ended = false;
  const closed = new Promise<void>((resolve) => {
    const end = () => {
      ended = true;
      limit.removeEventListener('abort', kill);
      wake();
      resolve();
    };
    child.once('close', end);
    child.once('error', (error) => {
      complaint += error.message;
      end();
    });
  });
  const failure = (how: string): Error => {
    testbed.signal.throwIfAborted();
    const why = limit.aborted ? `took longer than ${timeoutMs / 1000} s` : how;
    return new Error(`${words.join(' ')} ${why}: ${(complaint.trim() || output.trim()).slice(-500)}`);
  };
  return {
    nextLine: async () => {
      while (!output.includes('\n')) {
        if (ended) throw failure('ended without an answer');
        await new Promise<void>((resolve) => (wake = resolve));
      }
      const at = output.indexOf('\n');
      const line = output.slice(0, at);
      output = output.slice(at + 1);
      return line;
    },
    write: (line) => void child.stdin!.write(`${line}\n`),
    finished: async () => {
      child.stdin!.end();
      await closed;
      if (child.exitCode !== 0) throw failure(`failed (${child.exitCode ?? child.signalCode})`);
      return output;
    },
    kill: () => {
      kill();
      return closed;
    },
  };
}

/** Runs a program to its end and returns what it wrote. */
export function runJob(
  testbed: Testbed,
  end: EndName,
  words: readonly string[],
  timeoutMs: number,
): Promise<string> {
  return startJob(testbed, end, words, timeoutMs).finished();
}
