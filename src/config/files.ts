/** Reading what an operator names, whatever it turns out to be: bounded, and hanging on a pipe only where one is welcome. */
import { accessSync, closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { isatty } from 'node:tty';

/** A config with 100 000 routes, IPv6 ones among them, takes some 4 MB; anything near this is something else. */
const MAX_FILE_BYTES = 16 << 20;

export interface FileContent {
  readonly bytes: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
}

/** What is wrong with a file, in words that follow its name: "does not exist". */
export interface FileProblem {
  readonly problem: string;
}

const ERRNO_TEXT: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist: a part of its path is not a directory',
  EACCES: 'is not readable: permission denied',
  EPERM: 'is not readable: permission denied',
  ELOOP: 'is a symbolic link that leads in circles',
  ENAMETOOLONG: 'does not exist: the name is too long',
  ENXIO: 'is not a regular file but a socket',
};

function errnoText(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return ERRNO_TEXT[code] ?? `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}

function kindProblem(stats: Stats): string | undefined {
  if (stats.isDirectory()) return 'is a directory';
  if (stats.isFIFO()) return 'is not a regular file but a pipe';
  if (!stats.isFile()) return 'is not a regular file';
  if (stats.size > MAX_FILE_BYTES) return `is too large (${stats.size} bytes, at most ${MAX_FILE_BYTES})`;
  return undefined;
}

function readAll(descriptor: number): Uint8Array | undefined {
  // The kernel gives memory for what is read, not for the whole.
  const bytes = new Uint8Array(MAX_FILE_BYTES + 1);
  let length = 0;
  for (;;) {
    const count = readSync(descriptor, bytes, length, bytes.length - length, null);
    if (count === 0) break;
    length += count;
    if (length === bytes.length) return undefined;
  }
  const content = bytes.slice(0, length);
  bytes.fill(0, 0, length);
  return content;
}

function readChecked(
  path: string,
  flags: number,
  problemOf: (stats: Stats, descriptor: number) => string | undefined,
): FileContent | FileProblem {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_RDONLY | flags);
    const stats = fstatSync(descriptor);
    const problem = problemOf(stats, descriptor);
    if (problem !== undefined) return { problem };
    const bytes = readAll(descriptor);
    return bytes === undefined ? { problem: 'is too large' } : { bytes, mode: stats.mode & 0o777 };
  } catch (error) {
    return { problem: errnoText(error) };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Reads a regular file of at most 16 MiB. Never blocks on a pipe or a device, and never throws. */
export function readRegularFile(path: string): FileContent | FileProblem {
  return readChecked(path, constants.O_NONBLOCK, kindProblem);
}

/** What makes bytes something else than the text of a config, or undefined. */
function textProblem(bytes: Uint8Array): string | undefined {
  const [first, second] = bytes;
  const utf16 = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  if (utf16) return 'is text in UTF-16; save it as UTF-8';
  return bytes.includes(0) ? 'is not a text file: it contains NUL bytes' : undefined;
}

function asText(content: FileContent | FileProblem): FileContent | FileProblem {
  if ('problem' in content) return content;
  const problem = textProblem(content.bytes);
  return problem === undefined ? content : { problem };
}

/** As readRegularFile, for a file that has to be text. */
export function readTextFile(path: string): FileContent | FileProblem {
  return asText(readRegularFile(path));
}

/** The same of a pipe or a terminal, too, to its end, however long that takes. */
export function readTextPipe(path: string): FileContent | FileProblem {
  const mayPass = (stats: Stats, descriptor: number) => stats.isFIFO() || isatty(descriptor);
  return asText(
    readChecked(path, 0, (stats, descriptor) =>
      mayPass(stats, descriptor) ? undefined : kindProblem(stats),
    ),
  );
}

/** Why `path` cannot be run, or undefined when it can. */
export function programProblem(path: string): string | undefined {
  try {
    if (statSync(path).isDirectory()) return 'is a directory';
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
    return denied ? 'is not executable' : errnoText(error);
  }
}

/** Why `path` is not a directory one can work in, or undefined when it is one. */
export function directoryProblem(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? undefined : 'is not a directory';
  } catch (error) {
    return errnoText(error);
  }
}
