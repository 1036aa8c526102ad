/** stdout and stderr of this process, written synchronously: nothing is lost when the process ends right after. */
import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { painter } from '../control/colour.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import type { Io } from './command.ts';

const STDOUT = 1;
const STDERR = 2;
const RETRY_MS = 5;
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Writes all of `text`, waiting for a slow reader. Throws what writing fails with. */
function write(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, RETRY_MS);
    }
  }
}

/**
 * False when the reader has gone away (`tsvpn status | head -1`), which is fine; a result lost on a full disk is not.
 */
function writeResult(text: string): boolean {
  try {
    write(STDOUT, text);
    return true;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EPIPE' || code === 'EIO') return false;
    throw new OperatorError({
      code: 'OUTPUT',
      what: 'cannot write the result to stdout',
      why: message,
      fix: 'make room where stdout goes, and run the command again',
      exitCode: ExitCode.Failure,
      cause,
    });
  }
}

function writeMessage(text: string): void {
  try {
    write(STDERR, text);
  } catch {
    // Nobody listens, and there is no other place to say so.
  }
}

export function processIo(): Io {
  const [outIsTty, errIsTty] = [isatty(STDOUT), isatty(STDERR)];
  let readerGone = false;
  return {
    out(text) {
      if (!writeResult(text)) readerGone = true;
    },
    get readerGone() {
      return readerGone;
    },
    err: writeMessage,
    paintOut: painter(outIsTty, process.env),
    paintErr: painter(errIsTty, process.env),
    outIsTty,
    env: process.env,
  };
}
