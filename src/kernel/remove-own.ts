/** Removing a file of our own, as far as that is still allowed. */
import { unlinkSync } from 'node:fs';

/**
 * False when the directory does not let us, because the process has given up the rights it made the file with (`user`). The
 * file is harmless then: the next start with that name takes it over.
 */
export function removeOwn(path: string): boolean {
  try {
    unlinkSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') return false;
    if (code !== 'ENOENT') throw error;
  }
  return true;
}
