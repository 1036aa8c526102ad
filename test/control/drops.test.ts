import { describe, expect, test } from 'vitest';
import { dropCounts, DROPS, explainDrop, renderDropTable } from '../../src/control/drops.ts';
import { DropReason, VERDICT_COUNT } from '../../src/packet/verdict.ts';

describe('drop reasons', () => {
  test.each(Object.entries(DropReason))('%s has a name and a one-line explanation', (_key, reason) => {
    const drop = DROPS.find((candidate) => candidate.reason === reason);
    expect(drop?.name).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(drop?.explanation).toMatch(/^.{5,120}$/);
  });

  test('every verdict but PASS has exactly one name and its own explanation', () => {
    expect(DROPS.map(({ reason }) => reason)).toEqual(
      Array.from({ length: VERDICT_COUNT - 1 }, (_, i) => i + 1),
    );
    expect(new Set(DROPS.map(({ name }) => name)).size).toBe(DROPS.length);
    expect(new Set(DROPS.map(({ explanation }) => explanation)).size).toBe(DROPS.length);
  });

  test('only reasons that occurred are counted, by their kebab-case names', () => {
    const counts = dropCounts((reason) => (reason === DropReason.TimeBacktrack ? 3 : 0));
    expect(counts).toEqual({ 'time-backtrack': 3 });
    expect(explainDrop('time-backtrack')).toContain('clock');
    expect(explainDrop('no-such-reason')).toBeUndefined();
  });

  test('docs/drop-reasons.md is up to date', async () => {
    await expect(renderDropTable()).toMatchFileSnapshot('../../docs/drop-reasons.md');
  });
});
