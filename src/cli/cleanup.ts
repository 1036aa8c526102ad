/** `tsvpn cleanup`: takes back what killed tunnels left in the kernel, and their files in the runtime directory. */
import { rmSync } from 'node:fs';
import { tunnelName } from '../config/tunnel-name.ts';
import { socketNames } from '../control/client.ts';
import { checkPrivate, runtimeDir, runtimePath } from '../control/runtime-dir.ts';
import { ExitCode } from '../errors.ts';
import type { JournalCleanup } from '../kernel/cleanup.ts';
import type { Command, Invocation, Io } from './command.ts';

export const cleanup: Command = {
  name: 'cleanup',
  summary: 'remove what a killed tunnel left behind',
  usage: ['cleanup [NAME]'],
  operands: { min: 0, max: 1 },
  options: {},
  examples: [
    { line: 'sudo tsvpn cleanup', does: 'clean up after every tunnel that was killed' },
    { line: 'sudo tsvpn cleanup site-a', does: 'clean up after one' },
  ],
  notes:
    'Running tunnels are not touched. Seldom needed: the device and its routes vanish with the process, and the next\n' +
    '`tsvpn up` of the same name cleans up first. Useful as ExecStopPost= of a service.',
  run,
};

async function run(invocation: Invocation, io: Io): Promise<ExitCode> {
  const dir = runtimeDir(io.env);
  checkPrivate(dir);
  const name = invocation.operands[0] === undefined ? undefined : tunnelName(invocation.operands[0]);
  const { cleanup: undoJournals } = await import('../kernel/cleanup.ts');
  const { journals } = undoJournals(dir, name);
  for (const journal of journals) io.out(describe(journal));
  const sockets = await removeStaleSockets(dir, name);
  for (const path of sockets) io.out(`removed ${path}\n`);
  if (journals.length + sockets.length === 0) io.err('nothing to clean up\n');
  return journals.every(isClean) ? ExitCode.Ok : ExitCode.Failure;
}

function isClean({ outcome }: JournalCleanup): boolean {
  return outcome !== 'failed' && outcome !== 'other-namespace';
}

function describe({ name, outcome, undo, namespacePath }: JournalCleanup): string {
  const undone = (undo?.undone ?? []).map((command) => `  ${command}\n`).join('');
  const failures = (undo?.failed ?? [])
    .map(({ command, reason }) => `  not undone: ${command}: ${reason}\n`)
    .join('');
  switch (outcome) {
    case 'undone':
      return `${name}: cleaned up\n${undone}`;
    case 'running':
      return `${name}: running, left alone\n`;
    case 'stale':
      return `${name}: nothing left (gone with a reboot or its network namespace)\n`;
    case 'other-namespace':
      return `${name}: belongs to another network namespace; run: nsenter --net=${namespacePath} tsvpn cleanup ${name}\n`;
    case 'damaged':
      return `${name}: cleaned up what the damaged journal still said; kept it as ${name}.journal.damaged\n${undone}${failures}`;
    case 'failed':
      return `${name}: some changes could not be undone\n${undone}${failures}`;
  }
}

/** Sockets of processes that are gone; the next `up` of the name would replace them, too. */
async function removeStaleSockets(dir: string, name: string | undefined): Promise<string[]> {
  const { acquireLock, lockHolder } = await import('../control/lock.ts');
  const stale = socketNames(dir).filter(
    (found) => (name === undefined || found === name) && lockHolder(found, dir) === undefined,
  );
  return stale.map((found) => {
    const lock = acquireLock(found, dir);
    const path = runtimePath(dir, found, 'sock');
    rmSync(path, { force: true });
    lock.release();
    return path;
  });
}
