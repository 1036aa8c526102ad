/** Makes planned changes: into the journal, onto the disk, into the kernel. */
import { ExitCode, formatPosition, OperatorError } from '../errors.ts';
import { withNetlink, type Netlink, type NetlinkError } from '../ffi/netlink.ts';
import { changeKey, renderIp, type KernelChange, type RouteChange } from './change.ts';
import { changeFailed, deviceGone } from './errors.ts';
import type { JournalEntry } from './journal.ts';
import { holds, journalEntry, make, type SingleChange } from './kinds.ts';
import { Ledger } from './ledger.ts';
import type { KernelDifference } from './plan.ts';
import { makeRoutes } from './route-changes.ts';
import { linkByName, type Link } from './rtnetlink.ts';
import { undoEntries, type UndoReport } from './undo.ts';

/** Where the commands that equal the changes, notes and warnings go; a pino logger fits. */
export interface KernelLog {
  info(text: string): void;
  warn(text: string): void;
}

export interface KernelSetupOptions {
  readonly journalPath: string;
  /** The gateway's own device. */
  readonly device: string;
  readonly log: KernelLog;
}

const NOTHING_UNDONE: UndoReport = { undone: [], gone: [], failed: [] };

/**
 * The kernel set-up of one gateway: apply when the device is open, change and repair while it runs, undo before it is
 * closed.
 *
 * Of routes on the gateway's own device there may be a hundred thousand. They are not written down one by one: whatever has
 * our protocol number there is ours, and the journal says so in one line for each family.
 */
export class KernelSetup {
  private readonly options: KernelSetupOptions;
  private ledger: Ledger | undefined;
  /** Changes that somebody else had made before us; said once. */
  private readonly foreign = new Set<string>();
  /** Routes that the kernel did not take; said once. */
  private readonly refused = new Set<string>();

  constructor(options: KernelSetupOptions) {
    this.options = options;
  }

  /**
   * Makes what the kernel does not have of `changes`, in order, in the calling thread's network namespace, and returns the
   * commands that equal what was made. Applying the same again repairs what somebody else has taken away. Throws
   * OperatorError at the first that fails; what was done stays until undo().
   */
  apply(changes: readonly KernelChange[]): readonly string[] {
    const ledger = (this.ledger ??= new Ledger(this.options.journalPath));
    return withNetlink((netlink) =>
      this.runsOf(changes).flatMap((run) => {
        const [first] = run;
        if (first.kind !== 'route') return this.makeOne(netlink, ledger, first);
        const routes = run.filter((change) => change.kind === 'route');
        return this.isOwnRoute(first)
          ? this.makeOwnRoutes(netlink, ledger, routes)
          : this.makeOtherRoutes(netlink, ledger, routes);
      }),
    );
  }

  /** Additions first, see planDifference(). A removal that fails is reported and tried again by undo(). */
  change({ toAdd, toRemove }: KernelDifference): UndoReport {
    this.apply(toAdd);
    return this.remove(toRemove);
  }

  /** Takes back those of `changes` that are ours. */
  remove(changes: readonly KernelChange[]): UndoReport {
    const { ledger } = this;
    if (ledger === undefined || changes.length === 0) return NOTHING_UNDONE;
    const known = ledger.entries();
    const ownRoutes = changes.filter((change) => this.isOwnRoute(change));
    const keys = new Set(changes.filter((change) => !this.isOwnRoute(change)).map(changeKey));
    const written = known.filter(
      ({ change }) => change.kind !== 'device-routes' && keys.has(changeKey(change)),
    );
    const { interfaceIndex } = known.find(({ change }) => change.kind === 'device-routes') ?? {};
    const entries = ownRoutes.map((change) => ({ change, interfaceIndex, before: undefined }));
    const report = undoEntries([...written, ...entries.toReversed()]);
    for (const command of report.undone) this.options.log.info(command);
    this.warn(report);
    if (report.failed.length === 0) ledger.strike(written);
    return report;
  }

  /** Takes everything back and removes the journal; keeps it for cleanup() if something could not be undone. */
  undo(): UndoReport {
    if (this.ledger === undefined) return NOTHING_UNDONE;
    const report = undoEntries(this.ledger.entries());
    this.warn(report);
    this.ledger.close({ keepJournal: report.failed.length > 0 });
    this.ledger = undefined;
    return report;
  }

  private warn({ failed }: UndoReport): void {
    for (const { command, reason } of failed) this.options.log.warn(`could not undo: ${command}: ${reason}`);
  }

  private isOwnRoute(change: KernelChange): boolean {
    return change.kind === 'route' && change.device === this.options.device;
  }

  /**
   * What is there before us is not ours: it must not get into the journal, or undo would remove it. A rule is: its protocol
   * and table are ours, and an earlier run may have left it.
   */
  private makeOne(netlink: Netlink, ledger: Ledger, change: SingleChange): string[] {
    const link = findDevice(netlink, change);
    const command = renderIp(change);
    const isOurs = ledger.has({ change, interfaceIndex: link?.index });
    if (holds(netlink, change, link) && (isOurs || change.kind !== 'rule')) {
      if (!isOurs && change.kind !== 'local-rule-last') this.note(command);
      return [];
    }
    if (!isOurs) ledger.write([journalEntry(netlink, change, link)]);
    try {
      make(netlink, change, link);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined || error instanceof OperatorError) throw error;
      if (code !== 'EEXIST') throw changeFailed(change, error as NodeJS.ErrnoException);
      this.note(command);
      return [];
    }
    this.options.log.info(command);
    return [command];
  }

  private makeOwnRoutes(netlink: Netlink, ledger: Ledger, routes: readonly RouteChange[]): string[] {
    const link = findDevice(netlink, routes[0]);
    const steps = routes.map((change) => ({ change, link }));
    for (const family of new Set(routes.map((route) => route.family))) {
      const change = { kind: 'device-routes', family, device: this.options.device } as const;
      const entry = { change, interfaceIndex: link?.index, before: undefined };
      if (!ledger.has(entry)) ledger.write([entry]);
    }
    return this.conclude(routes, makeRoutes(netlink, steps));
  }

  /** Which of them are there already is seen by adding them; those of somebody else are struck from the journal again. */
  private makeOtherRoutes(netlink: Netlink, ledger: Ledger, routes: readonly RouteChange[]): string[] {
    const steps = routes.map((change) => ({ change, link: findDevice(netlink, change) }));
    const entries = steps.map(({ change, link }): JournalEntry => {
      // Undo does not ask where the line was, and there may be many.
      const { where: _where, ...unplaced } = change;
      return { change: unplaced, interfaceIndex: link?.index, before: undefined };
    });
    const isFresh = entries.map((entry) => !ledger.has(entry));
    ledger.write(entries.filter((_, i) => isFresh[i]));
    const refusals = makeRoutes(netlink, steps);
    const others = [...refusals].filter(([i]) => isFresh[i]);
    ledger.strike(others.map(([i]) => entries[i]));
    for (const [i, { code }] of others) if (code === 'EEXIST') this.note(renderIp(routes[i]));
    return this.conclude(routes, refusals);
  }

  /**
   * Returns the commands that equal what was made. As in stock, a route of the config that the kernel does not take is told, and the
   * tunnel goes on without it. Throws OperatorError for the first other refusal, and without privilege.
   */
  private conclude(routes: readonly RouteChange[], refusals: ReadonlyMap<number, NetlinkError>): string[] {
    const commands = routes.filter((_, i) => !refusals.has(i)).map(renderIp);
    for (const command of commands) this.options.log.info(command);
    for (const [i, error] of refusals) {
      if (error.code === 'EEXIST') continue;
      const failure = changeFailed(routes[i], error);
      if (routes[i].where === undefined || failure.exitCode === ExitCode.Privilege) throw failure;
      this.leftOut(failure);
    }
    return commands;
  }

  private leftOut({ where, what, why, fix }: OperatorError): void {
    if (this.refused.has(what)) return;
    this.refused.add(what);
    const place = where === undefined ? '' : `${formatPosition(where)}: `;
    this.options.log.warn(`${place}ERROR: Linux route add command failed: ${what}: ${why}; ${fix}`);
  }

  private note(command: string): void {
    if (this.foreign.has(command)) return;
    this.foreign.add(command);
    this.options.log.info(`already there, left alone: ${command}`);
  }

  /** Routes that follow each other go together, own ones apart from others; everything else goes alone. */
  private runsOf(changes: readonly KernelChange[]): KernelChange[][] {
    const runs: KernelChange[][] = [];
    for (const change of changes) {
      const run = runs.at(-1);
      const isNext =
        run?.[0].kind === 'route' &&
        change.kind === 'route' &&
        this.isOwnRoute(run[0]) === this.isOwnRoute(change);
      if (isNext) run.push(change);
      else runs.push([change]);
    }
    return runs;
  }
}

function findDevice(netlink: Netlink, change: KernelChange): Link | undefined {
  if (!('device' in change) || change.device === undefined) return undefined;
  const link = linkByName(netlink, change.device);
  if (link === undefined) throw deviceGone(change, change.device);
  return link;
}
