import { expect, test } from 'vitest';
import { address, NatLab, snat } from '../support/nat.ts';

const SESSIONS = 1_000_000;

test('a session of a table of a million takes at most 160 bytes, whatever it is', () => {
  const before = process.memoryUsage().arrayBuffers;
  const lab = new NatLab([snat({ from: '10.0.0.0/8' }, address('172.16.0.9'))], {
    settings: { maxSessions: SESSIONS },
  });
  const taken = process.memoryUsage().arrayBuffers - before;
  expect(lab.nat.stats()!.maxSessions).toBe(SESSIONS);
  expect(taken / SESSIONS).toBeLessThanOrEqual(160);
});
