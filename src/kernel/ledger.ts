/** What is ours in the kernel: on disk in the journal, and in memory with the line where it stands. */
import { renderIp, renderUndo, type DeviceRoutes, type KernelChange } from './change.ts';
import { journalFailed, journalLeftOver } from './errors.ts';
import { createJournal, type Journal, type JournalEntry, type JournalLine } from './journal.ts';

interface Written {
  readonly entry: JournalEntry;
  /** Of the journal. */
  readonly line: number;
}

export class Ledger {
  private readonly path: string;
  private readonly journal: Journal;
  /** In the order they were written, by identity(). */
  private readonly written = new Map<string, Written>();

  /** Creates the journal. Throws OperatorError when it cannot, or when there is one. */
  constructor(path: string) {
    this.path = path;
    try {
      this.journal = createJournal(path);
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === 'EEXIST'
        ? journalLeftOver(path)
        : journalFailed(path, error);
    }
  }

  has({ change, interfaceIndex }: Pick<JournalEntry, 'change' | 'interfaceIndex'>): boolean {
    return this.written.has(identity(change, interfaceIndex));
  }

  /** All entries, in the order they were written. */
  entries(): JournalEntry[] {
    return [...this.written.values()].map(({ entry }) => entry);
  }

  /** Writes down what is going to be made; when this returns, it is on disk. Throws OperatorError. */
  write(entries: readonly JournalEntry[]): void {
    if (entries.length === 0) return;
    const first = this.append(entries);
    entries.forEach((entry, i) => {
      this.written.set(identity(entry.change, entry.interfaceIndex), { entry, line: first + i });
    });
  }

  /** Strikes out what is no longer ours. Throws OperatorError. */
  strike(entries: readonly JournalEntry[]): void {
    if (entries.length === 0) return;
    const keys = entries.map(({ change, interfaceIndex }) => identity(change, interfaceIndex));
    this.append(keys.flatMap((key) => ({ takenBack: this.written.get(key)?.line ?? 0 })));
    for (const key of keys) this.written.delete(key);
  }

  /** Removes the journal, or leaves it for a later cleanup. */
  close({ keepJournal }: { readonly keepJournal: boolean }): void {
    if (keepJournal) this.journal.close();
    else this.journal.remove();
  }

  private append(lines: readonly JournalLine[]): number {
    try {
      return this.journal.append(lines);
    } catch (error) {
      throw journalFailed(this.path, error);
    }
  }
}

/** A device that was removed and made anew has another index. */
function identity(change: KernelChange | DeviceRoutes, interfaceIndex: number | undefined): string {
  return `${change.kind === 'device-routes' ? renderUndo(change, undefined) : renderIp(change)} @${interfaceIndex}`;
}
