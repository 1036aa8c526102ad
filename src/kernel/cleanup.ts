/** Undoes what tunnels that were killed left behind: `tsvpn cleanup`, and the start of every `tsvpn up`. */
import { readdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cleanupForbidden } from './errors.ts';
import { lockJournal, readJournal, type Journal } from './journal.ts';
import { bootId, findNetworkNamespace, networkNamespaceId } from './netns.ts';
import { undoEntries, type UndoReport } from './undo.ts';

const SUFFIX = '.journal';

export interface JournalCleanup {
  /** Name of the tunnel. */
  readonly name: string;
  /**
   * - `undone`: the leftovers are removed, the journal too;
   * - `running`: the tunnel is up, nothing was touched;
   * - `stale`: what it describes went with a reboot or with its network namespace; the journal is removed;
   * - `other-namespace`: must be cleaned up from inside the network namespace at `namespacePath`; kept;
   * - `damaged`: unreadable; what could be read is undone and the file kept as NAME.journal.damaged;
   * - `failed`: see `undo.failed`; the journal is kept.
   */
  readonly outcome: 'undone' | 'running' | 'stale' | 'other-namespace' | 'damaged' | 'failed';
  readonly undo?: UndoReport;
  readonly namespacePath?: string;
}

export interface CleanupReport {
  readonly journals: readonly JournalCleanup[];
}

/** Cleans up after the tunnel `name`, or after every tunnel. No leftovers: an empty report. */
export function cleanup(runtimeDir: string, name?: string): CleanupReport {
  const names = leftoverNames(runtimeDir).filter((found) => name === undefined || found === name);
  return { journals: names.map((found) => cleanupOne(runtimeDir, found)) };
}

/** Tunnels other than `name` that were killed in this network namespace and have left something behind. */
export function deadNeighbours(runtimeDir: string, name: string): string[] {
  return leftoverNames(runtimeDir).filter(
    (found) => found !== name && isDead(join(runtimeDir, found + SUFFIX)),
  );
}

function isDead(path: string): boolean {
  const journal = lockLeftover(path);
  if (journal === undefined) return false;
  const { header, entries } = readJournal(path);
  journal.close();
  return header?.boot === bootId() && header.namespace === networkNamespaceId() && entries.length > 0;
}

function leftoverNames(runtimeDir: string): string[] {
  try {
    return readdirSync(runtimeDir)
      .filter((file) => file.endsWith(SUFFIX))
      .map((file) => basename(file, SUFFIX));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw code === 'EACCES' ? cleanupForbidden(runtimeDir, error) : error;
  }
}

function cleanupOne(runtimeDir: string, name: string): JournalCleanup {
  const journal = lockLeftover(join(runtimeDir, name + SUFFIX));
  if (journal === undefined) return { name, outcome: 'running' };
  const { header, entries, damagedLines } = readJournal(journal.path);
  if (header === undefined) {
    if (damagedLines > 0) setAside(journal);
    else journal.remove();
    return { name, outcome: damagedLines > 0 ? 'damaged' : 'undone' };
  }
  if (header.boot !== bootId()) return discard(name, journal);
  if (header.namespace !== networkNamespaceId()) {
    const namespacePath = findNetworkNamespace(header.namespace);
    if (namespacePath === undefined) return discard(name, journal);
    journal.close();
    return { name, outcome: 'other-namespace', namespacePath };
  }
  const undo = undoEntries(entries);
  if (undo.failed.length > 0) journal.close();
  else if (damagedLines > 0) setAside(journal);
  else journal.remove();
  return { name, outcome: undo.failed.length > 0 ? 'failed' : damagedLines > 0 ? 'damaged' : 'undone', undo };
}

function lockLeftover(path: string): Journal | undefined {
  try {
    return lockJournal(path, 'a');
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EACCES' ? cleanupForbidden(path, error) : error;
  }
}

function discard(name: string, journal: Journal): JournalCleanup {
  journal.remove();
  return { name, outcome: 'stale' };
}

function setAside(journal: Journal): void {
  renameSync(journal.path, `${journal.path}.damaged`);
  journal.close();
}
