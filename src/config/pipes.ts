/**
 * Configs that can be read but once: standard input and pipes, as in `tsvpn up <(decrypt x)`. What was read is kept for reloads
 * and for the background process.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { readTextFile, readTextPipe, type FileContent, type FileProblem } from './files.ts';
import type { ConfigWarning } from './model.ts';

/** By absolute path. */
export type KeptTexts = Map<string, FileContent>;

export type ReadConfig = (path: string) => FileContent | FileProblem;

/** As in stock the name `stdin` is standard input. */
export function configPath(directory: string, name: string): string {
  return name === 'stdin' ? '/dev/stdin' : resolve(directory, name);
}

/** Waits for whoever writes to the pipe. */
export function readAndKeep(path: string, kept: KeptTexts): FileContent | FileProblem {
  if (kept.has(path) || !isPassing(path)) return readKept(path, kept);
  const content = readTextPipe(path);
  if (!('problem' in content)) kept.set(path, content);
  return content;
}

/** Never waits: a pipe that was not read before is a problem. */
export function readKept(path: string, kept: KeptTexts): FileContent | FileProblem {
  return kept.get(path) ?? readTextFile(path);
}

/** What stdin or a descriptor leads to belongs to this process: in another, and later, it is something else. */
function isPassing(path: string): boolean {
  if (/^\/dev\/(stdin|fd\/\d+)$|^\/proc\/self\/fd\/\d+$/.test(path)) return true;
  return statSync(path, { throwIfNoEntry: false })?.isFIFO() ?? false;
}

/** For reloads. */
export function keptWarnings(kept: KeptTexts): ConfigWarning[] {
  return [...kept.keys()].map((file) => ({
    severity: 'warning',
    code: 'CONFIG_KEPT',
    what: 'a config from a pipe stays as it was read at the start',
    fix: 'to change it, end the tunnel and start it again (`tsvpn down`, `tsvpn up`)',
    where: { file, line: 1, column: 1 },
  }));
}
