/** Makes planned changes: into the journal, onto the disk, into the kernel. */
import { OperatorError } from '../errors.ts';
import { Netlink } from '../ffi/netlink.ts';
import { changeKey, renderIp, type KernelChange } from './change.ts';
import { changeFailed, deviceGone, journalFailed, journalLeftOver } from './errors.ts';
import { createJournal, type Journal, type JournalEntry, type JournalLine } from './journal.ts';
import { holds, journalEntry, make, type Kernel } from './kinds.ts';
import type { KernelDifference } from './plan.ts';
import { OwnRoutes } from './routes.ts';
import { linkByName, type Link } from './rtnetlink.ts';
import { undoEntries, type UndoReport } from './undo.ts';

/** Where the commands that equal the changes, notes and warnings go; a pino logger fits. */
export interface KernelLog {
  info(text: string): void;
  warn(text: string): void;
}

/** What is to be done for one change, found out before anything is. */
interface Step {
  readonly change: KernelChange;
  readonly link: Link | undefined;
}

interface Made {
  readonly entry: JournalEntry;
  /** Of the journal. */
  readonly line: number;
}

const NOTHING_UNDONE: UndoReport = { undone: [], gone: [], failed: [] };

/**
 * The kernel set-up of one gateway: apply when the device is open, change and repair while it runs, undo before it is
 * closed.
 */
export class KernelSetup {
  private readonly journalPath: string;
  private readonly log: KernelLog;
  private journal: Journal | undefined;
  /** What is ours in the kernel, in the order it was made, by identity(). */
  private readonly made = new Map<string, Made>();
  /** Changes that somebody else had made before us; said once. */
  private readonly foreign = new Set<string>();

  constructor({ journalPath, log }: { readonly journalPath: string; readonly log: KernelLog }) {
    this.journalPath = journalPath;
    this.log = log;
  }

  /**
   * Makes what the kernel does not have of `changes`, in order, in the calling thread's network namespace, and returns the
   * commands that equal what was made. Applying the same again repairs what somebody else has taken away. Throws
   * OperatorError at the first that fails; what was done before it stays until undo().
   */
  apply(changes: readonly KernelChange[]): readonly string[] {
    const journal = (this.journal ??= this.openJournal());
    const netlink = new Netlink();
    const kernel = { netlink, routes: new OwnRoutes(netlink) };
    try {
      return batches(changes).flatMap((batch) => this.applyBatch(kernel, journal, batch));
    } finally {
      netlink.close();
    }
  }

  /** Additions first, see planDifference(). A removal that fails is reported and tried again by undo(). */
  change({ toAdd, toRemove }: KernelDifference): UndoReport {
    this.apply(toAdd);
    return this.remove(toRemove);
  }

  /** Takes back those of `changes` that are ours. */
  remove(changes: readonly KernelChange[]): UndoReport {
    const keys = new Set(changes.map(changeKey));
    const ours = [...this.made].filter(([, { entry }]) => keys.has(changeKey(entry.change)));
    if (this.journal === undefined || ours.length === 0) return NOTHING_UNDONE;
    const report = undoEntries(ours.map(([, { entry }]) => entry));
    for (const command of report.undone) this.log.info(command);
    this.warn(report);
    if (report.failed.length > 0) return report;
    this.record(
      this.journal,
      ours.map(([, { line }]) => ({ takenBack: line })),
    );
    for (const [key] of ours) this.made.delete(key);
    return report;
  }

  /** Takes everything back and removes the journal; keeps it for cleanup() if something could not be undone. */
  undo(): UndoReport {
    if (this.journal === undefined) return NOTHING_UNDONE;
    const report = undoEntries([...this.made.values()].map(({ entry }) => entry));
    this.warn(report);
    if (report.failed.length === 0) this.journal.remove();
    else this.journal.close();
    this.journal = undefined;
    this.made.clear();
    return report;
  }

  private warn({ failed }: UndoReport): void {
    for (const { command, reason } of failed) this.log.warn(`could not undo: ${command}: ${reason}`);
  }

  private openJournal(): Journal {
    try {
      return createJournal(this.journalPath);
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === 'EEXIST'
        ? journalLeftOver(this.journalPath)
        : journalFailed(this.journalPath, error);
    }
  }

  private applyBatch(kernel: Kernel, journal: Journal, batch: readonly KernelChange[]): string[] {
    const devices = new Map<string, Link | undefined>();
    const steps = batch
      .map((change) => ({ change, link: findDevice(kernel, change, devices) }))
      .filter((step) => this.isToDo(kernel, step));
    const entries = steps
      .filter(({ change, link }) => !this.made.has(identity(change, link?.index)))
      .map(({ change, link }) => journalEntry(kernel, change, link));
    if (entries.length > 0) {
      const first = this.record(journal, entries);
      entries.forEach((entry, i) => {
        this.made.set(identity(entry.change, entry.interfaceIndex), { entry, line: first + i });
      });
    }
    return steps.flatMap((step) => this.makeOne(kernel, step));
  }

  /**
   * What is there before us is not ours: it must not get into the journal, or undo would remove it. A rule is: its protocol
   * and table are ours, and an earlier run may have left it.
   */
  private isToDo(kernel: Kernel, { change, link }: Step): boolean {
    if (!holds(kernel, change, link)) return true;
    const ours = this.made.has(identity(change, link?.index));
    if (!ours && change.kind === 'rule') return true;
    if (!ours && change.kind !== 'local-rule-last') this.note(renderIp(change));
    return false;
  }

  private makeOne(kernel: Kernel, { change, link }: Step): string[] {
    const command = renderIp(change);
    this.log.info(command);
    try {
      make(kernel, change, link);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined || error instanceof OperatorError) throw error;
      if (code !== 'EEXIST') throw changeFailed(change, error as NodeJS.ErrnoException);
      this.note(command);
      return [];
    }
    return [command];
  }

  private note(command: string): void {
    if (this.foreign.has(command)) return;
    this.foreign.add(command);
    this.log.info(`already there, left alone: ${command}`);
  }

  private record(journal: Journal, lines: readonly JournalLine[]): number {
    try {
      return journal.append(lines);
    } catch (error) {
      throw journalFailed(this.journalPath, error);
    }
  }
}

/** A device that was removed and made anew has another index. */
function identity(change: KernelChange, interfaceIndex: number | undefined): string {
  return `${renderIp(change)} @${interfaceIndex}`;
}

/** Routes go into the journal together: there may be thousands, and each write waits for the disk. */
function batches(changes: readonly KernelChange[]): KernelChange[][] {
  const groups: KernelChange[][] = [];
  for (const change of changes) {
    const group = groups.at(-1);
    if (group !== undefined && change.kind === 'route' && group[0].kind === 'route') group.push(change);
    else groups.push([change]);
  }
  return groups;
}

function findDevice(
  { netlink }: Kernel,
  change: KernelChange,
  known: Map<string, Link | undefined>,
): Link | undefined {
  if (!('device' in change) || change.device === undefined) return undefined;
  const { device } = change;
  if (!known.has(device)) known.set(device, linkByName(netlink, device));
  const link = known.get(device);
  if (link === undefined) throw deviceGone(change, device);
  return link;
}
