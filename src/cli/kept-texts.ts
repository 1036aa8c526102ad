/** Configs from pipes, on their way to the background process of `up --daemon`: by its standard input. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { KeptTexts } from '../config/pipes.ts';
import { DAEMON_MARK, type DaemonMark } from './daemon-messages.ts';

const WITH_TEXTS: DaemonMark = 'with-texts';
const STDIN = 0;

type Entry = readonly [path: string, text: string, mode: number];

export function sendTexts({ stdin }: ChildProcess, kept: KeptTexts): void {
  const entries = [...kept].map(([path, { bytes, mode }]): Entry => [
    path,
    Buffer.from(bytes).toString(),
    mode,
  ]);
  // A process that ends early tells why by its exit code.
  stdin?.on('error', () => undefined);
  stdin?.end(JSON.stringify(entries));
}

/** Empty in all other processes. */
export function receiveTexts(env: NodeJS.ProcessEnv): KeptTexts {
  if (env[DAEMON_MARK] !== WITH_TEXTS) return new Map();
  const entries = JSON.parse(readFileSync(STDIN, 'utf8')) as Entry[];
  return new Map(entries.map(([path, text, mode]) => [path, { bytes: Buffer.from(text), mode }]));
}
