/**
 * Running programs without any privilege. They run as the owner of the repository: root without capabilities could
 * not even read a clone in somebody else's home.
 */
import { chownSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

const { uid, gid } = statSync(resolve(import.meta.dirname, '../..'));

/** The words in front of a command. */
export const WITHOUT_CAPABILITIES: readonly string[] = [
  'setpriv',
  `--reuid=${uid}`,
  `--regid=${gid}`,
  '--clear-groups',
  '--bounding-set=-all',
  '--inh-caps=-all',
  '--',
];

/** Lets the unprivileged program read and write `path`. */
export function giveToUnprivileged(path: string): void {
  chownSync(path, uid, gid);
}
