/** Settings of the whole process, which several files may give. */
import { formatPosition } from '../../errors.ts';
import type { Draft, Settings } from '../draft.ts';
import { refuse, warn } from '../findings.ts';
import type { Findings } from '../findings.ts';

type Key = keyof Settings;

function differs(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) !== JSON.stringify(b);
}

/**
 * The setting of the first file that has it. A file that says something else is told so: `warn` when the first can
 * stand for all, `refuse` when it cannot.
 */
export function agreed<K extends Key>(
  drafts: readonly Draft[],
  key: K,
  directive: string,
  findings: Findings,
  severity: 'warn' | 'refuse' = 'warn',
): Settings[K] | undefined {
  const given = drafts.flatMap(({ settings }) => settings[key] ?? []);
  const first = given.at(0);
  if (first === undefined) return undefined;
  for (const other of given) {
    if (!differs(first.value, other.value)) continue;
    const why = `${formatPosition(first.where)} says otherwise, and one process has one \`${directive}\``;
    if (severity === 'refuse') {
      const fix = 'make the two lines the same, or run a process for each file';
      refuse(findings, other.where, 'CONFIG_CONTRADICTION', `two different \`${directive}\` lines`, {
        why,
        fix,
      });
    } else {
      const fix = 'remove one of the lines';
      warn(findings, other.where, 'CONFIG_CONTRADICTION', `this \`${directive}\` has no effect`, {
        why,
        fix,
      });
    }
  }
  return first.value;
}
