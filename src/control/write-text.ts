/** Writes to descriptors, synchronously: nothing is lost when the process ends right after. */
import { writeSync } from 'node:fs';
import { pauseSync } from './pause.ts';

const RETRY_MS = 2;

/** Writes all of `text`; a slow reader is waited for at most `patienceMs`. Throws what writing fails with. */
export function writeText(fd: number, text: string, patienceMs = Infinity): void {
  const bytes = Buffer.from(text);
  let waitedMs = 0;
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      const again = (error as NodeJS.ErrnoException).code === 'EAGAIN';
      if (!again || waitedMs >= patienceMs) throw error;
      pauseSync(RETRY_MS);
      waitedMs += RETRY_MS;
    }
  }
}
