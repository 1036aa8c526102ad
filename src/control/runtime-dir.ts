/**
 * The directory of running tunnels: NAME.lock (held while the tunnel lives), NAME.journal (kernel/journal.ts),
 * NAME.sock (control socket), NAME.log (of `up --daemon`). It is TSVPN_RUNTIME_DIR or /run/tsvpn, and only root and its group look inside.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ExitCode, OperatorError } from '../errors.ts';

const DEFAULT_RUNTIME_DIR = '/run/tsvpn';
const RUNTIME_DIR_MODE = 0o750;
/** sun_path of unix(7) is 108 bytes with its NUL; longer names fail with an error nobody understands. */
const SOCKET_PATH_MAX = 107;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

/** The runtime directory, which need not exist yet. Throws OperatorError for something that is no directory. */
export function runtimeDir(env: NodeJS.ProcessEnv = process.env): string {
  const dir = resolve(env.TSVPN_RUNTIME_DIR || DEFAULT_RUNTIME_DIR);
  const stats = statSync(dir, { throwIfNoEntry: false });
  if (stats !== undefined && !stats.isDirectory()) throw unusable(dir, 'it is not a directory');
  return dir;
}

/**
 * Refuses a directory that other users can write in: they could plant links there for root to write through, or a
 * journal of changes for root to undo. Throws OperatorError; a missing directory is fine.
 */
export function checkPrivate(dir: string): void {
  const stats = statSync(dir, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if ((stats.mode & 0o022) !== 0) throw unusable(dir, 'other users can create files in it');
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.())
    throw unusable(dir, `it belongs to the user with id ${stats.uid}`);
}

function unusable(dir: string, why: string): OperatorError {
  return new OperatorError({
    code: 'RUNTIME_DIR',
    what: `${dir} cannot be the runtime directory`,
    why,
    fix: 'set TSVPN_RUNTIME_DIR to a directory that only you and root can write in, or leave it unset',
    exitCode: ExitCode.Failure,
  });
}

export type RuntimeFile = 'lock' | 'sock' | 'log';

/** Path of one of a tunnel's files. Throws OperatorError for a name that cannot be one. */
export function runtimePath(dir: string, name: string, file: RuntimeFile): string {
  checkName(name);
  const path = join(dir, `${name}.${file}`);
  if (Buffer.byteLength(path) > SOCKET_PATH_MAX) {
    throw new OperatorError({
      code: 'NAME_TOO_LONG',
      what: `the path ${path} is too long for a control socket`,
      why: `Linux allows ${SOCKET_PATH_MAX} bytes`,
      fix: 'choose a shorter name with --name, or a shorter TSVPN_RUNTIME_DIR',
      exitCode: ExitCode.Usage,
    });
  }
  return path;
}

export function isName(text: string): boolean {
  return NAME.test(text);
}

/** A tunnel's name becomes a file name: letters, digits and `._@-`, at most 64. */
export function checkName(name: string): void {
  if (isName(name)) return;
  throw new OperatorError({
    code: 'NAME_INVALID',
    what: `'${name}' cannot be the name of a tunnel`,
    why: 'a name has 1 to 64 letters, digits, dots, dashes, underscores or @, and starts with a letter or digit',
    fix: 'choose a name with --name, for example --name site-a',
    exitCode: ExitCode.Usage,
  });
}

/** Creates the directory (0750) when it is missing. Throws OperatorError when it cannot, or when others can write in it. */
export function createRuntimeDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: RUNTIME_DIR_MODE });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new OperatorError({
      code: 'RUNTIME_DIR',
      what: `cannot create the runtime directory ${dir}`,
      why: (cause as Error).message,
      fix: `${denied ? 'run tsvpn as root (sudo), or ' : ''}set TSVPN_RUNTIME_DIR to a directory that can be created`,
      exitCode: denied ? ExitCode.Privilege : ExitCode.Failure,
      cause,
    });
  }
  checkPrivate(dir);
}
