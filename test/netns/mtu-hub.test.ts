/** A hub measures the path to each of its peers, which share a socket, and treats each by what was found. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MtuReport } from '../../src/control/mtu.ts';
import { capturedSynMss, expectTransfer } from '../support/traffic.ts';
import { hubSays, hubStatus, startStar, type RunningStar } from '../support/star.ts';

const NARROW = 1400;
const NARROW_INNER = 1303;

describe('a hub of three stock peers, one of them behind a narrow path', () => {
  let star: RunningStar;
  beforeAll(async () => {
    star = await startStar(3, {
      block: () => ({ shared: true }),
      spoke: () => ({ shared: true }),
      lines: ['client-to-client', 'bind-dev outer'],
    });
    const [, narrow] = star.spokes;
    await star.setPortMtu(narrow, NARROW);
    expect(JSON.parse((await hubSays(star, 'mtu', narrow.name, '--json')).trim())).toMatchObject({
      toPeer: { mtu: NARROW, upTo: NARROW },
    });
  });
  afterAll(() => star.destroy());

  it('measures all of them at a time, exactly', async () => {
    const reports = (await hubSays(star, 'mtu', '--json'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as MtuReport);
    expect(reports.map(({ peer, toPeer }) => [peer, toPeer?.mtu, toPeer?.upTo])).toEqual([
      ['s1', 1500, 1500],
      ['s2', NARROW, NARROW],
      ['s3', 1500, 1500],
    ]);
    const found = async () => (await hubStatus(star)).peers.map(({ mtu }) => mtu.path);
    expect(await found()).toEqual([1500, NARROW, 1500]);
    expect(reports.map(({ software }) => software)).toEqual(['openvpn', 'openvpn', 'openvpn']);
    for (const { tookMs } of reports) expect(tookMs).toBeLessThan(5000);
  });

  it('treats each by its own path', async () => {
    const { peers } = await hubStatus(star);
    expect(peers.map(({ mtu }) => mtu.inner)).toEqual([1500, NARROW_INNER, 1500]);
    const [wide, narrow] = star.spokes;
    const capture = { at: narrow.namespace, device: 'tun0' };
    expect(await capturedSynMss(wide.namespace, narrow.inside, capture)).toBe(NARROW_INNER - 40);
    await expectTransfer(wide.namespace, narrow.namespace, narrow.inside, 1_000_000);
    await expectTransfer(narrow.namespace, wide.namespace, wide.inside6, 1_000_000);
  });

  it('tells another peer what the narrow one takes', async () => {
    const [wide, narrow] = star.spokes;
    const ping = ['ping', '-n', '-c', '2', '-i', '0.3', '-W', '1', '-M', 'do', '-s', '1400', narrow.inside];
    const { stdout, stderr } = await wide.namespace.run(ping);
    expect(stdout + stderr).toMatch(new RegExp(`mtu ?= ?${NARROW_INNER}`));
  });

  it('leaves no word in the log of its peers', () => {
    // The narrow port is the second one's neighbour, so that its kernel knows what is lost there, and tells.
    for (const { log } of [star.daemons[0], star.daemons[2]]) {
      const [, later] = log.split('Initialization Sequence Completed');
      const lines = later.trim().split('\n');
      expect(lines.filter((line) => !/ (Data Channel|Timers): /.test(line))).toEqual([]);
    }
  });
});

describe('mtu-probe off', () => {
  it('changes nothing, and still measures when asked', async () => {
    const star = await startStar(1, { block: () => ({ lines: ['mtu-probe off'] }) });
    try {
      await star.setPortMtu(star.spokes[0], NARROW);
      expect(JSON.parse(await hubSays(star, 'mtu', '--json'))).toMatchObject({ toPeer: { mtu: NARROW } });
      expect((await hubStatus(star)).peers[0].mtu).toMatchObject({ inner: 1500, path: null });
    } finally {
      await star.destroy();
    }
  });
});
