/** stdout and stderr of this process. A reader that goes away (`tsvpn status | head -1`) is not an error. */
import { painter } from '../control/colour.ts';
import type { Io } from './command.ts';

/** Writes fail quietly from here on when nobody reads; anything but a broken pipe is still thrown. */
function surviveBrokenPipe(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  });
}

export function processIo(): Io {
  surviveBrokenPipe(process.stdout);
  surviveBrokenPipe(process.stderr);
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    paintOut: painter(process.stdout.isTTY === true, process.env),
    paintErr: painter(process.stderr.isTTY === true, process.env),
    outIsTty: process.stdout.isTTY === true,
    env: process.env,
  };
}
