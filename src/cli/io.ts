/** stdout and stderr of this process. */
import { isatty } from 'node:tty';
import { painter } from '../control/colour.ts';
import { writeText } from '../control/write-text.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import type { Io } from './command.ts';

const STDOUT = 1;
const STDERR = 2;

/**
 * False when the reader has gone away (`tsvpn status | head -1`), which is fine; a result lost on a full disk is not.
 */
function writeResult(text: string): boolean {
  try {
    writeText(STDOUT, text);
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
    writeText(STDERR, text);
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
