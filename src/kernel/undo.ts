/**
 * Takes journalled changes back, newest first. Idempotent, and careful: a device must still have the name and the
 * index it had, an address must be on that device, a route or rule must carry tsvpn's protocol number, a setting must
 * have the value we gave it. Whatever is not there any more (the device vanished with its process, an operator deleted
 * the route) is fine.
 */
import { NetlinkError, withNetlink, type Netlink } from '../ffi/netlink.ts';
import { renderUndo, type RouteChange } from './change.ts';
import type { JournalEntry } from './journal.ts';
import { takeBack } from './kinds.ts';
import { flushRoutes, takeBackRoutes } from './route-changes.ts';
import { linkByIndex, type Link } from './rtnetlink.ts';

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
  withNetlink((netlink) => {
    for (const run of runsOf(entries.toReversed())) {
      const routes = run.filter(isRoute);
      const outcomes =
        routes.length > 0 ? undoRoutes(netlink, routes) : run.map((entry) => undoOne(netlink, entry));
      run.forEach(({ change, before, saved }, i) => {
        const command = renderUndo(change, before, saved);
        const outcome = outcomes[i];
        if (outcome === 'undone') undone.push(command);
        else if (outcome === 'gone') gone.push(command);
        else failed.push({ command, reason: outcome.message });
      });
    }
  });
  return { undone, gone, failed };
}

type Outcome = 'undone' | 'gone' | Error;
type RouteEntry = JournalEntry & { readonly change: RouteChange };

function undoOne(netlink: Netlink, entry: JournalEntry): Outcome {
  const { change } = entry;
  try {
    const link = linkOf(netlink, entry);
    if (link === 'gone' || change.kind === 'route') return 'gone';
    const wasThere =
      change.kind === 'device-routes'
        ? link !== undefined && flushRoutes(netlink, change.family, link.index)
        : takeBack(netlink, change, link, entry);
    return wasThere ? 'undone' : 'gone';
  } catch (error) {
    return meansGone(error) ? 'gone' : (error as Error);
  }
}

function undoRoutes(netlink: Netlink, entries: readonly RouteEntry[]): Outcome[] {
  const outcomes = new Array<Outcome>(entries.length).fill('gone');
  const links = new Map<string, ReturnType<typeof linkOf>>();
  const steps = entries.flatMap((entry, i) => {
    const key = `${entry.change.device} ${entry.interfaceIndex}`;
    if (!links.has(key)) links.set(key, linkOf(netlink, entry));
    const link = links.get(key);
    return link === 'gone' ? [] : [{ change: entry.change, link, i }];
  });
  const refusals = takeBackRoutes(netlink, steps);
  for (const [at, { i }] of steps.entries()) {
    if (!refusals.has(at)) outcomes[i] = 'undone';
    else outcomes[i] = refusals.get(at) ?? 'gone';
  }
  return outcomes;
}

/** The device the entry was made on; undefined for a change that has none. */
function linkOf(netlink: Netlink, { change, interfaceIndex }: JournalEntry): Link | undefined | 'gone' {
  if (!('device' in change) || change.device === undefined) return undefined;
  const link = interfaceIndex === undefined ? undefined : linkByIndex(netlink, interfaceIndex);
  return link?.name === change.device ? link : 'gone';
}

function isRoute(entry: JournalEntry): entry is RouteEntry {
  return entry.change.kind === 'route';
}

/** Routes that follow each other go together, everything else goes alone. */
function runsOf(entries: readonly JournalEntry[]): JournalEntry[][] {
  const runs: JournalEntry[][] = [];
  for (const entry of entries) {
    const run = runs.at(-1);
    if (run !== undefined && isRoute(entry) && isRoute(run[0])) run.push(entry);
    else runs.push([entry]);
  }
  return runs;
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
