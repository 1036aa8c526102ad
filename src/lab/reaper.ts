/**
 * A process beside the lab that removes everything when the lab is gone, however it went (kill -9 included). The lab
 * tells it on standard input, one line each, what there is:
 *
 *     process PID    ended PID    name NAMESPACE    folder PATH    keep-folder
 *
 * The end of its input is the signal to clean up. Being in a session of its own, it outlives a Ctrl-C.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { unmountName } from './namespaces.ts';

export interface Reaper {
  tell(line: string): void;
  /** Cleans up now; resolves when all is gone. */
  finish(): Promise<void>;
}

export function startReaper(): Reaper {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    tell: (line) => void child.stdin.write(`${line}\n`),
    finish: async () => {
      child.stdin.end();
      await closed;
    },
  };
}

async function reap(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
  const processes = new Set<number>();
  const names: string[] = [];
  let folder: string | undefined;
  let home: string | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const [word, value] = line.split(/ (.*)/s);
    if (word === 'process') processes.add(Number(value));
    else if (word === 'ended') processes.delete(Number(value));
    else if (word === 'name') names.push(value);
    else if (word === 'folder') folder = home = value;
    else if (word === 'keep-folder') folder = undefined;
  }
  for (const pid of processes) killIfThere(pid);
  for (const pid of home === undefined ? [] : processesIn(home)) killIfThere(pid);
  for (const name of names) unmountName(name);
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}

/**
 * Processes that work in the lab's folder: one may have been started in the instant before the lab was killed, and
 * not been told of. A shell somebody has opened there has a terminal (tty_nr in proc_pid_stat(5)) and is spared.
 */
function processesIn(folder: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
        const terminal = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[4];
        return readlinkSync(`/proc/${entry}/cwd`) === folder && terminal === '0';
      } catch {
        return false;
      }
    })
    .map(Number);
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await reap();
