/**
 * Takes journalled changes back, newest first. Idempotent, and careful: a device must still have the name and the
 * index it had, an address must be on that device, a route or rule must carry tsvpn's protocol number, a setting must
 * have the value we gave it. Whatever is not there any more (the device vanished with its process, an operator deleted
 * the route) is fine.
 */
import { Netlink, NetlinkError } from '../ffi/netlink.ts';
import { renderUndo } from './change.ts';
import type { JournalEntry } from './journal.ts';
import { takeBack, type Kernel } from './kinds.ts';
import { OwnRoutes } from './routes.ts';
import { linkByIndex } from './rtnetlink.ts';

export interface UndoReport {
  /** Commands equal to what was undone, in order. */
  readonly undone: readonly string[];
  /** The same for changes that were not there (any more). */
  readonly gone: readonly string[];
  readonly failed: readonly { readonly command: string; readonly reason: string }[];
}

/** Undoes `entries` in the current network namespace. Never throws for a single entry: see `failed`. */
export function undoEntries(entries: readonly JournalEntry[]): UndoReport {
  const undone: string[] = [];
  const gone: string[] = [];
  const failed: { command: string; reason: string }[] = [];
  const netlink = new Netlink();
  const kernel: Kernel = { netlink, routes: new OwnRoutes(netlink) };
  try {
    for (const entry of entries.toReversed()) {
      const command = renderUndo(entry.change, entry.before);
      try {
        (undoEntry(kernel, entry) ? undone : gone).push(command);
      } catch (error) {
        if (meansGone(error)) gone.push(command);
        else failed.push({ command, reason: (error as Error).message });
      }
    }
  } finally {
    netlink.close();
  }
  return { undone, gone, failed };
}

/**
 * EADDRNOTAVAIL is the kernel's word for an address, ESRCH for a route, ENODEV for a device that is not there. Anything that is
 * not a refusal of the system is a mistake of the program.
 */
function meansGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  if (!(error instanceof NetlinkError) && code === undefined) throw error;
  return ['ENODEV', 'ESRCH', 'ENOENT', 'EADDRNOTAVAIL'].includes(code ?? '');
}

/** False when there was nothing to undo. */
function undoEntry(kernel: Kernel, entry: JournalEntry): boolean {
  const { change, interfaceIndex } = entry;
  if (!('device' in change) || change.device === undefined) return takeBack(kernel, entry, undefined);
  const link = interfaceIndex === undefined ? undefined : linkByIndex(kernel.netlink, interfaceIndex);
  return link?.name === change.device && takeBack(kernel, entry, link);
}
