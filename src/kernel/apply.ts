/** Makes planned changes, one at a time: into the journal, onto the disk, into the kernel. */
import { Netlink, NetlinkError } from '../ffi/netlink.ts';
import { renderIp, type KernelChange } from './change.ts';
import { changeFailed, deviceGone, journalFailed, journalLeftOver } from './errors.ts';
import { createJournal, readJournal, type Journal, type JournalEntry } from './journal.ts';
import {
  addAddress,
  addressExists,
  addRoute,
  linkByName,
  ownRouteExists,
  setLink,
  type Link,
} from './rtnetlink.ts';
import { toAddress, toRoute, undoEntries, type UndoReport } from './undo.ts';

/** Where the commands that equal the changes, notes and warnings go; a pino logger fits. */
export interface KernelLog {
  info(text: string): void;
  warn(text: string): void;
}

/** The kernel set-up of one tunnel: apply when the device is open, undo before it is closed. */
export class KernelSetup {
  private readonly journalPath: string;
  private readonly log: KernelLog;
  private journal: Journal | undefined;

  constructor({ journalPath, log }: { readonly journalPath: string; readonly log: KernelLog }) {
    this.journalPath = journalPath;
    this.log = log;
  }

  /**
   * Makes the changes in order, in the calling thread's network namespace. Throws OperatorError at the first
   * that fails; what was done before it stays until undo().
   */
  apply(changes: readonly KernelChange[]): void {
    this.journal ??= this.openJournal();
    const netlink = new Netlink();
    try {
      for (const change of changes) this.applyOne(netlink, this.journal, change);
    } finally {
      netlink.close();
    }
  }

  /** Takes everything back and removes the journal; keeps it for cleanup() if something could not be undone. */
  undo(): UndoReport {
    if (this.journal === undefined) return { undone: [], gone: [], failed: [] };
    const report = undoEntries(readJournal(this.journalPath).entries);
    for (const { command, reason } of report.failed) this.log.warn(`could not undo: ${command}: ${reason}`);
    if (report.failed.length === 0) this.journal.remove();
    else this.journal.close();
    this.journal = undefined;
    return report;
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

  private applyOne(netlink: Netlink, journal: Journal, change: KernelChange): void {
    const link = change.device === undefined ? undefined : linkByName(netlink, change.device);
    if (change.device !== undefined && link === undefined) throw deviceGone(change, change.device);
    if (isThere(netlink, change, link)) {
      this.log.info(`already there, left alone: ${renderIp(change)}`);
      return;
    }
    this.record(journal, { change, interfaceIndex: link?.index, before: valueBefore(change, link) });
    this.log.info(renderIp(change));
    try {
      make(netlink, change, link);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (error.code !== 'EEXIST') throw changeFailed(change, error);
      this.log.info(`already there, left alone: ${renderIp(change)}`);
    }
  }

  private record(journal: Journal, entry: JournalEntry): void {
    try {
      journal.append(entry);
    } catch (error) {
      throw journalFailed(this.journalPath, error);
    }
  }
}

/** What is there before us is not ours: it must not get into the journal, or undo would remove it. */
function isThere(netlink: Netlink, change: KernelChange, link: Link | undefined): boolean {
  switch (change.kind) {
    case 'up':
      return link?.up === true;
    case 'address':
      return link !== undefined && addressExists(netlink, link.index, toAddress(change));
    case 'route':
      return ownRouteExists(netlink, toRoute(change, link?.index));
    case 'mtu':
    case 'txqueuelen':
      return false;
  }
}

function valueBefore(change: KernelChange, link: Link | undefined): number | undefined {
  if (change.kind === 'mtu') return link?.mtu;
  if (change.kind === 'txqueuelen') return link?.txQueueLength;
  return undefined;
}

function make(netlink: Netlink, change: KernelChange, link: Link | undefined): void {
  const index = link?.index ?? 0;
  switch (change.kind) {
    case 'mtu':
      return setLink(netlink, index, { mtu: change.mtu });
    case 'txqueuelen':
      return setLink(netlink, index, { txQueueLength: change.packets });
    case 'up':
      return setLink(netlink, index, { up: true });
    case 'address':
      return addAddress(netlink, index, toAddress(change));
    case 'route':
      return addRoute(netlink, toRoute(change, link?.index));
  }
}
