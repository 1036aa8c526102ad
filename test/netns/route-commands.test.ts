/** `tsvpn route` and `tsvpn trace` on a running hub: what they say is what packets do, and the kernel's routes follow. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RouteGet, RouteList } from '../../src/control/routes.ts';
import type { TraceReport } from '../../src/control/trace.ts';
import { tsvpn } from '../support/gateway.ts';
import {
  HUB,
  hubDrops,
  hubSays,
  networkBehind,
  startStar,
  type RunningStar,
  type Spoke,
} from '../support/star.ts';
import { expectPing, pings } from '../support/traffic.ts';

let star: RunningStar;
let a: Spoke;
let b: Spoke;
beforeAll(async () => {
  star = await startStar(2, {
    lines: ['client-to-client', 'prohibit 10.66.0.0/16'],
    block: ({ number }) => ({ lines: number === 2 ? ['tun-mtu 1400'] : [] }),
  });
  [a, b] = star.spokes;
});
afterAll(() => star.destroy());

const tunnelRoutes = async () => {
  const text = await star.hub.ip('route', 'show', 'dev', 'tun0', 'proto', '86');
  return [...text.matchAll(/^\S+/gm)].map(([prefix]) => prefix);
};
const refusal = async (...words: string[]) => {
  const { code, stderr } = await tsvpn(star, star.hub, ...words);
  return { code, stderr };
};

describe('tsvpn route', () => {
  it('lists where each route comes from, and what it does', async () => {
    const text = await hubSays(star, 'route');
    expect(text).toMatch(/^10\.8\.0\.1\/32 own from kernel(?:, \d+ packets?, .*)?$/m);
    expect(text).toMatch(/^10\.11\.0\.0\/16 peer s1 from \S*hub\.conf:\d+ active(?:, \d+ packets?, .*)?$/m);
    expect(text).toMatch(/^10\.66\.0\.0\/16 prohibit from \S*hub\.conf:\d+$/m);
    expect(text).toMatch(/^fd00:102::\/32 peer s2 from \S*hub\.conf:\d+ active(?:, \d+ packets?, .*)?$/m);
    const list = JSON.parse(await hubSays(star, 'route', 'list', '--json')) as RouteList;
    expect(list).toMatchObject({ schema: 'tsvpn.routes/1', pointToPoint: null });
    expect(list.routes).toContainEqual(
      expect.objectContaining({
        prefix: networkBehind(a),
        kind: 'peer',
        peer: 's1',
        metric: 0,
        state: 'active',
      }),
    );
  });

  it('gets the entry that decides, and what is behind it', async () => {
    expect(await hubSays(star, 'route', 'get', a.inside)).toMatch(
      /^10\.11\.0\.1 → peer s1 \(\S*hub\.conf:\d+ peer-route 10\.11\.0\.0\/16\)\n {2}10\.11\.0\.0\/16 is the longest prefix\n/,
    );
    const nobody = JSON.parse(await hubSays(star, 'route', 'get', '10.99.0.1', '--json')) as RouteGet;
    expect(nobody).toMatchObject({ schema: 'tsvpn.route/1', decision: null, candidates: [] });
  });

  it('adds and deletes: packets and the kernel’s routes follow', async () => {
    await a.namespace.ip('address', 'add', '10.50.0.1/32', 'dev', 'lo');
    const before = await tunnelRoutes();
    expect(await pings(b.namespace, '10.50.0.1')).toBe(false);

    await hubSays(star, 'route', 'add', '10.50.0.0/16', 'peer', 's1');
    expect(await tunnelRoutes()).toEqual([...before, '10.50.0.0/16'].sort());
    await expectPing(b.namespace, '10.50.0.1');
    await expectPing(star.hub, '10.50.0.1');
    await hubSays(star, 'route', 'add', '10.50.0.0/16', 'peer', 's2', 'metric', '10');
    expect(await hubSays(star, 'route', 'get', '10.50.0.1')).toMatch(
      /peer s2 metric 10 from operator backup/,
    );

    // A more specific refusal inside of it.
    await hubSays(star, 'route', 'add', 'unreachable', '10.50.0.1/32');
    expect(await pings(b.namespace, '10.50.0.1')).toBe(false);
    await hubSays(star, 'route', 'del', '10.50.0.1/32');
    await expectPing(b.namespace, '10.50.0.1');

    expect(await hubSays(star, 'route', 'del', '10.50.0.0/16')).toMatch(
      /^deleted .*s1[^]*deleted .*s2 metric 10/,
    );
    expect(await tunnelRoutes()).toEqual(before);
    expect(await pings(b.namespace, '10.50.0.1')).toBe(false);
  });

  it('refuses what contradicts the table, with a reason and a remedy', async () => {
    const before = await tunnelRoutes();
    expect(await refusal('route', 'add', networkBehind(a), 'peer', 's2')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /10\.11\.0\.0\/16 goes to peer 's1' and to peer 's2'[^]*fix: .*higher metric/,
      ) as string,
    });
    expect(await refusal('route', 'add', '10.51.0.0/16', 'peer', 'nobody')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no peer 'nobody'[^]*s1, s2/) as string,
    });
    expect(await refusal('route', 'del', networkBehind(a))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/hub\.conf:\d+[^]*tsvpn reload/) as string,
    });
    expect(await tunnelRoutes()).toEqual(before);
  });

  it('keeps what was added over a reload', async () => {
    await hubSays(star, 'route', 'add', '10.53.0.0/16', 'peer', 's1');
    await hubSays(star, 'reload');
    expect(await tunnelRoutes()).toContain('10.53.0.0/16');
    await hubSays(star, 'route', 'del', '10.53.0.0/16');
  });
});

describe('tsvpn trace', () => {
  const trace = async (...words: string[]) =>
    JSON.parse(await hubSays(star, 'trace', ...words, '--json')) as TraceReport;
  /** Without what the kernel says by itself: multicast of IPv6 on the device. */
  const drops = async () => {
    const { 'not-forwarded': _multicast, ...others } = await hubDrops(star);
    return others;
  };
  const last = ({ steps }: TraceReport) => steps.at(-1);

  it('names stage by stage the line that decides', async () => {
    const text = await hubSays(
      star,
      'trace',
      a.inside,
      b.inside,
      '--from',
      's1',
      '--proto',
      'tcp',
      '--dport',
      '80',
    );
    const [packet, source, route, out] = text.split('\n');
    expect(packet).toBe('TCP 10.11.0.1 port 40000 > 10.12.0.1 port 80, 40 bytes, from peer s1');
    expect(source).toMatch(/^ {2}source {2}.*: peer s1 \(\S*hub\.conf:\d+ peer-route 10\.11\.0\.0\/16\)$/);
    expect(route).toMatch(/^ {2}route .*: peer s2 \(\S*hub\.conf:\d+ peer-route 10\.12\.0\.0\/16\)$/);
    expect(out).toMatch(/^ {2}out .*→ peer s2 \(/);
  });

  const rows: readonly [
    title: string,
    words: () => string[],
    ping: () => Promise<unknown>,
    reason: string | undefined,
  ][] = [
    [
      'from peer to peer',
      () => [a.inside, b.inside, '--from', 's1'],
      () => pings(a.namespace, b.inside),
      undefined,
    ],
    ['IPv6', () => [a.address6, b.inside6, '--from', 's1'], () => pings(a.namespace, b.inside6), undefined],
    ['from the device', () => [HUB.address, a.inside], () => pings(star.hub, a.inside), undefined],
    ['refused', () => [HUB.address, '10.66.0.1'], () => pings(star.hub, '10.66.0.1'), 'prohibit'],
    ['without a route', () => [HUB.address, '10.8.0.77'], () => pings(star.hub, '10.8.0.77'), 'no-route'],
    [
      'in a loop',
      () => [a.address, '10.11.0.77', '--from', 's1'],
      () => pings(a.namespace, '10.11.0.77'),
      'loop',
    ],
    [
      'too big',
      () => [HUB.address, b.inside, '--size', '1401', '--df'],
      () => star.hub.run(['ping', '-c1', '-W1', '-Mdo', '-s', '1373', b.inside]),
      'too-big',
    ],
  ];
  it.each(rows)('tells what happens to a packet %s', async (_title, words, ping, reason) => {
    const report = await trace(...words());
    const before = await drops();
    expect(report.schema).toBe('tsvpn.trace/1');
    expect(last(report)).toMatchObject({ stage: 'out' });
    expect(last(report)?.drop?.reason).toBe(reason);
    await ping();
    const after = await drops();
    if (reason === undefined) expect(after).toEqual(before);
    else expect(after).toEqual({ ...before, [reason]: (before[reason] ?? 0) + 1 });
  });

  it('tells of a spoofed source whose it is', async () => {
    const report = await trace(b.inside, a.inside, '--from', 's1');
    expect(report.steps[0]).toMatchObject({
      stage: 'source',
      route: { peer: 's2', prefix: networkBehind(b) },
    });
    expect(last(report)?.drop?.reason).toBe('spoofed');
  });

  it('is about packets that can be', async () => {
    expect(await refusal('trace', a.inside, b.inside6)).toMatchObject({ code: 2 });
    expect(await refusal('trace', a.inside, b.inside, '--from', 'x')).toMatchObject({ code: 2 });
  });
});
