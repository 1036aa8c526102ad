/**
 * One process per tunnel name: flock(2) on NAME.lock, which also holds the owner's pid. The kernel drops the lock
 * with the process, also on kill -9, so a file that nobody has locked is stale whatever it says.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { ExitCode, OperatorError } from '../errors.ts';
import { LOCK_EX, LOCK_NB, LOCK_SH } from '../ffi/constants.ts';
import { errno, errnoName, flock, OsError } from '../ffi/libc.ts';
import { removeOwn } from '../kernel/remove-own.ts';
import { pauseSync } from './pause.ts';
import { createRuntimeDir, runtimePath } from './runtime-dir.ts';

/** lockHolder() holds a shared lock for an instant; acquiring waits out that instant. */
const ATTEMPTS = 10;
const ATTEMPT_PAUSE_MS = 5;

export interface Lock {
  readonly path: string;
  /** Removes the file and gives the name back. */
  release(): void;
}

/** Takes the name for this process. Throws OperatorError (exit code 5) naming the pid that has it. */
export function acquireLock(name: string, dir: string): Lock {
  const path = runtimePath(dir, name, 'lock');
  createRuntimeDir(dir);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const fd = openLock(path);
    if (tryLock(fd, LOCK_EX)) {
      if (isSameFile(fd, path)) return hold(fd, path);
    } else if (attempt < ATTEMPTS) {
      pauseSync(ATTEMPT_PAUSE_MS);
    }
    closeSync(fd);
  }
  throw busy(name, readPid(path));
}

/** Pid of the process that has the name, 0 when it cannot be read, or undefined when nobody has it. */
export function lockHolder(name: string, dir: string): number | undefined {
  const path = runtimePath(dir, name, 'lock');
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return tryLock(fd, LOCK_SH) ? undefined : readPid(path);
  } finally {
    closeSync(fd);
  }
}

function openLock(path: string): number {
  try {
    return openSync(path, 'a+', 0o640);
  } catch (cause) {
    throw lockFailed(path, cause);
  }
}

function lockFailed(path: string, cause: unknown): OperatorError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const denied = code === 'EACCES' || code === 'EPERM';
  return new OperatorError({
    code: 'LOCK_FILE',
    what: `cannot write the lock file ${path}`,
    why: message,
    fix: denied
      ? 'run tsvpn as root (sudo)'
      : 'make room and leave to write there, or set TSVPN_RUNTIME_DIR to another directory',
    exitCode: denied ? ExitCode.Privilege : ExitCode.Failure,
    cause,
  });
}

function tryLock(fd: number, kind: number): boolean {
  if (flock(fd, kind | LOCK_NB) === 0) return true;
  const code = errno();
  if (errnoName(code) === 'EAGAIN') return false;
  throw new OsError('flock', code);
}

/** False when the file was removed by its last owner between our open and our lock. */
function isSameFile(fd: number, path: string): boolean {
  const current = statSync(path, { throwIfNoEntry: false });
  return current !== undefined && current.ino === fstatSync(fd).ino;
}

function hold(fd: number, path: string): Lock {
  const lock = {
    path,
    release() {
      removeOwn(path);
      closeSync(fd);
    },
  };
  try {
    ftruncateSync(fd, 0);
    writeSync(fd, `${process.pid}\n`);
    return lock;
  } catch (cause) {
    lock.release();
    throw lockFailed(path, cause);
  }
}

function readPid(path: string): number {
  try {
    return Number.parseInt(readFileSync(path, 'utf8'), 10) || 0;
  } catch {
    return 0;
  }
}

function busy(name: string, pid: number): OperatorError {
  const owner = pid > 0 ? `process ${pid}` : 'another process';
  return new OperatorError({
    code: 'NAME_BUSY',
    what: `tunnel '${name}' is already running: ${owner} has the name`,
    fix: `look at it with \`tsvpn status ${name}\`, end it with \`tsvpn down ${name}\`, or choose another --name`,
    exitCode: ExitCode.Busy,
  });
}
