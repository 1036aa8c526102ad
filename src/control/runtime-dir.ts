/**
 * The folder of running tunnels: NAME.lock (held while the tunnel lives), NAME.sock (control socket), NAME.log (of
 * `up --daemon`). It is TSVPN_RUNTIME_DIR or /run/tsvpn, and only root and its group look inside.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ExitCode, OperatorError } from '../errors.ts';

const DEFAULT_RUNTIME_DIR = '/run/tsvpn';
const RUNTIME_DIR_MODE = 0o750;
/** sun_path of unix(7) is 108 bytes with its NUL; longer names fail with an error nobody understands. */
const SOCKET_PATH_MAX = 107;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

export function runtimeDir(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env.TSVPN_RUNTIME_DIR || DEFAULT_RUNTIME_DIR);
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

/** Creates the folder (0750) when it is missing. */
export function createRuntimeDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: RUNTIME_DIR_MODE });
    if (!statSync(dir).isDirectory()) throw new Error('not a directory');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new OperatorError({
      code: 'RUNTIME_DIR',
      what: `cannot create the runtime directory ${dir}`,
      why: (cause as Error).message,
      fix: denied ? 'run tsvpn as root (sudo)' : 'set TSVPN_RUNTIME_DIR to a directory that can be created',
      exitCode: denied ? ExitCode.Privilege : ExitCode.Failure,
      cause,
    });
  }
}
