/** Check 42: the config of a hub changes while packets flow. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ReloadReport } from '../../src/control/messages.ts';
import {
  hubConfig,
  hubSays,
  hubStatus,
  peerBlock,
  startStar,
  type RunningStar,
  type Spoke,
} from '../support/star.ts';
import { expectNoLoss, expectPing, expectPingWithin, expectTransfer, pings } from '../support/traffic.ts';

let star: RunningStar;

describe('a reload that adds and removes a peer', () => {
  beforeEach(async () => {
    star = await startStar(3, { peers: 2 });
  });
  afterEach(() => star.destroy());

  async function reload(peers: readonly Spoke[]): Promise<ReloadReport> {
    const config = hubConfig({ blocks: peers.map((spoke) => peerBlock(star, spoke)) });
    writeFileSync(join(star.folder, 'hub.conf'), config);
    return JSON.parse(await hubSays(star, 'reload', '--json')) as ReloadReport;
  }

  async function expectUndisturbed(action: () => Promise<void>): Promise<void> {
    const peers = async () =>
      (await hubStatus(star)).peers.slice(0, 2).map(({ stateSince, restarts }) => ({ stateSince, restarts }));
    const before = await peers();
    await action();
    expect(await peers()).toEqual(before);
  }

  async function addAndRemove(): Promise<void> {
    const [a, b, c] = star.spokes;
    const added = await reload([a, b, c]);
    expect(added).toMatchObject({ untouched: 2, problems: [] });
    expect(added.changes).toContain('added peer s3');
    await expectPingWithin(a.namespace, c.inside, 8000);
    const removed = await reload([a, b]);
    expect(removed.changes).toContain('removed peer s3');
    expect(await pings(a.namespace, c.inside)).toBe(false);
  }

  it('loses no packet of the others', async () => {
    const [a, b] = star.spokes;
    await expectUndisturbed(() => expectNoLoss(a.namespace, b.namespace, b.inside, addAndRemove));
  });

  it('does not interrupt a TCP transfer of another', async () => {
    const [a, b] = star.spokes;
    await expectUndisturbed(async () => {
      let through = false;
      const transfer = expectTransfer(a.namespace, b.namespace, b.inside, 60_000_000).then(
        () => (through = true),
      );
      await sleep(500);
      await reload(star.spokes);
      expect(through, 'the reload was during the transfer').toBe(false);
      await transfer;
    });
  });

  it('that is wrong changes nothing', async () => {
    const [a, b] = star.spokes;
    await expectUndisturbed(async () => {
      const config = hubConfig({ lines: ['no-such-directive'], blocks: [peerBlock(star, a)] });
      writeFileSync(join(star.folder, 'hub.conf'), config);
      await expect(hubSays(star, 'reload')).rejects.toThrow(/exit code 2[^]*no-such-directive[^]*hub\.conf:/);
      await expectPing(a.namespace, b.inside);
    });
  });
});
