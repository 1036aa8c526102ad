/** `nice`, before there is a data plane. */
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { Logger } from '../control/log.ts';

/** A priority is a thread's own, and those that begin later inherit it. What the system does not allow is logged. */
export function setNice(nice: number | undefined, log: Logger): void {
  if (nice === undefined) return;
  try {
    for (const thread of readdirSync('/proc/self/task')) setPriority(Number(thread), nice);
    log.info(`nice ${nice} succeeded`);
  } catch (error) {
    log.warn(`WARNING: nice ${nice} failed: ${(error as Error).message}`);
  }
}
