/**
 * Running programs with a time limit, and watching long-running ones line by line.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RunOptions {
  /** Milliseconds until the program is killed and the call fails. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

export interface RunResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** For what an idle machine does in a moment; a busy one is slower, and only what hangs takes longer than this. */
export const PATIENCE_MS = 60_000;

/** Until a process that does not obey is killed. */
const STOP_TIMEOUT_MS = 30_000;

/** Runs a program to its end, whatever its exit code; rejects when it outlives its time limit. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const timeoutMs = options.timeoutMs ?? PATIENCE_MS;
  const child = start(argv, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${argv.join(' ')}: no end within ${timeoutMs} ms\n${stdout}${stderr}`));
    }, timeoutMs);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ code, stdout, stderr });
    });
  });
}

/** Like `run`, and a non-zero exit code is an error that shows what the program wrote. */
export async function mustRun(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(argv, options);
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** A program that keeps running; stdout and stderr are one log. */
export class Daemon {
  readonly pid: number;
  /** Resolves with the exit code, or null when a signal ended the process. */
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #title: string;
  #log = '';
  #ended = false;

  constructor(argv: readonly string[], options: RunOptions = {}) {
    this.#title = argv.join(' ');
    this.#child = start(argv, options);
    this.#child.stdin?.end();
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    }
    this.exited = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#log += `${error.message}\n`;
        resolve(null);
      });
      this.#child.once('close', resolve);
    });
    void this.exited.then(() => (this.#ended = true));
    this.pid = this.#child.pid ?? 0;
  }

  get log(): string {
    return this.#log;
  }

  /** How often the pattern stands in the log so far. */
  count(pattern: RegExp): number {
    return [...this.#log.matchAll(new RegExp(pattern, 'g'))].length;
  }

  /** Waits until the pattern stands in the log `times` times; rejects when the process ends first. */
  async waitFor(pattern: RegExp, timeoutMs = PATIENCE_MS, times = 1): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (this.count(pattern) < times) {
      if (this.#ended) throw new Error(`${this.#title}: ended before ${pattern}\n${this.#log}`);
      if (Date.now() > deadline)
        throw new Error(`${this.#title}: no ${pattern} in ${timeoutMs} ms\n${this.#log}`);
      await sleep(20);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends the process and returns its exit code; kills it when the signal is not obeyed in time. */
  async stop(name: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.signal(name);
    const limit = setTimeout(() => this.signal('SIGKILL'), STOP_TIMEOUT_MS);
    const code = await this.exited;
    clearTimeout(limit);
    return code;
  }
}

function start(argv: readonly string[], options: RunOptions): ChildProcess {
  const [program, ...words] = argv;
  if (program === undefined) throw new Error('nothing to run');
  return spawn(program, words, {
    stdio: 'pipe',
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
  });
}
