/** Drops are summed up every few seconds, never logged one by one. */
import { DROPS, type DropDescription } from '../control/drops.ts';
import type { Logger } from '../control/log.ts';
import { fixForDrop } from '../control/silence.ts';
import { plural } from '../control/units.ts';
import type { DropReason } from '../packet/verdict.ts';
import type { Room } from './room.ts';

const SUMMARY_INTERVAL_MS = 10_000;

/** Not worth a line of their own: they accompany every start and restart, and every multicast packet of the kernel. */
const QUIET: ReadonlySet<string> = new Set(['no-peer', 'peer-restarting', 'empty', 'not-forwarded']);
/** `mute-replay-warnings` */
const REPLAYS: ReadonlySet<string> = new Set(['replay', 'replay-expired', 'time-backtrack']);

interface Dropped extends DropDescription {
  readonly count: number;
}

/** What one set of counters has gained since the last look. */
export class DropWatch {
  private readonly count: (reason: DropReason) => number;
  private readonly seen = new Map<string, number>();

  constructor(count: (reason: DropReason) => number) {
    this.count = count;
  }

  fresh(muteReplays: boolean): Dropped[] {
    return DROPS.map((drop) => {
      const total = this.count(drop.reason);
      const count = total - (this.seen.get(drop.name) ?? 0);
      this.seen.set(drop.name, total);
      return { ...drop, count };
    }).filter(({ name, count }) => count > 0 && !QUIET.has(name) && !(muteReplays && REPLAYS.has(name)));
  }
}

/** One line, most frequent reason first, and what to do about it when configs differ; nothing when nothing was dropped. */
function logDrops(log: Logger, dropped: readonly Dropped[]): void {
  if (dropped.length === 0) return;
  const shown = dropped.toSorted((a, b) => b.count - a.count);
  const total = shown.reduce((sum, { count }) => sum + count, 0);
  const reasons = shown.map(({ name, count }) => `${name} ${count}`).join(', ');
  const [{ name, explanation }] = shown;
  const fix = fixForDrop(name)?.replaceAll(/\s+/g, ' ');
  const advice = fix === undefined ? '' : `; ${fix}`;
  log.warn(
    { reason: name },
    `dropped ${plural(total, 'packet')}: ${reasons} (${name}: ${explanation})${advice}`,
  );
}

/** Of a gateway: what was dropped at the device, and by whose peer. */
export class DropSummary {
  private readonly room: Pick<Room, 'log' | 'peers'>;
  private readonly own: DropWatch;
  private readonly timer: NodeJS.Timeout;

  constructor(room: Pick<Room, 'log' | 'peers' | 'plane'>) {
    this.room = room;
    this.own = new DropWatch((reason) => room.plane.counters.drops(reason));
    this.timer = setInterval(() => this.log(), SUMMARY_INTERVAL_MS).unref();
  }

  /** Logs the last. */
  close(): void {
    clearInterval(this.timer);
    this.log();
  }

  private log(): void {
    const { peers, log } = this.room;
    const own = this.own.fresh(false);
    const each = peers.list.map((session) => ({
      session,
      dropped: session.drops.fresh(session.config.replay.muteWarnings),
    }));
    if (each.length === 1) return logDrops(log, [...own, ...each[0].dropped]);
    logDrops(log, own);
    for (const { session, dropped } of each) logDrops(log.child({ peer: session.name }), dropped);
  }
}
