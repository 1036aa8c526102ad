/** Logs that tests look into, or do not want. */
import { pino } from 'pino';
import { OWN_LEVELS, type Logger } from '../../src/control/log.ts';

/** The messages logged from `level` on; none are without `heard`. */
export function testLog(heard?: string[], level = 'info'): Logger {
  return pino(
    { level: heard === undefined ? 'silent' : level, base: {}, customLevels: OWN_LEVELS },
    { write: (line) => void heard?.push((JSON.parse(line) as { msg: string }).msg) },
  );
}
