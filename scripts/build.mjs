/** Compiles dist/ as the folder's owner, so that `sudo npm test` leaves no files of root in a user's clone. */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(fileURLToPath(import.meta.url), '../..');

/** The owner to give to child processes of root; nothing for everybody else. */
export function owner() {
  const { uid, gid } = statSync(root);
  return process.getuid?.() === 0 && uid !== 0 ? { uid, gid } : {};
}

export function build() {
  const tsc = resolve(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
    ...owner(),
  });
}
