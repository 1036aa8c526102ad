/** Backup routes: peers that die and come back while packets flow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RouteGet, RouteList } from '../../src/control/routes.ts';
import { PATIENCE_MS } from '../support/process.ts';
import { hubSays, startSpoke, startStar, type RunningStar, type Spoke } from '../support/star.ts';
import { expectNoLoss, expectPing, pingAnswers } from '../support/traffic.ts';

/** `keepalive 1 4`: a peer is lost after so much silence, and the worker looks once a second. */
const KEEPALIVE_MS = 4000;
const LOOK_MS = 1000;

describe('a backup route', () => {
  let star: RunningStar;
  /** Behind the first two spokes, of which the second is the backup. */
  const NETWORK = '10.77.0.0/16';
  const TARGET = '10.77.0.1';

  beforeEach(async () => {
    const routes = [NETWORK, `${NETWORK} metric 10`];
    star = await startStar(4, {
      block: ({ number }) => (number > 2 ? {} : { routes: [routes[number - 1]] }),
    });
    for (const { namespace } of star.spokes.slice(0, 2))
      await namespace.ip('address', 'add', `${TARGET}/32`, 'dev', 'lo');
  });

  afterEach(() => star.destroy());

  const decision = async () => {
    const found = JSON.parse(await hubSays(star, 'route', 'get', TARGET, '--json')) as RouteGet;
    return {
      peer: found.decision?.peer,
      standings: found.candidates.map(({ peer, standing }) => `${peer} ${standing}`),
    };
  };
  const states = async () => {
    const { routes } = JSON.parse(await hubSays(star, 'route', 'list', '--json')) as RouteList;
    return routes.filter(({ prefix }) => prefix === NETWORK).map(({ peer, state }) => `${peer} ${state}`);
  };

  it('takes over within the keepalive time when the peer is killed, costs others nothing, and gives back', async () => {
    const [a, , c, d] = star.spokes;
    expect(await decision()).toEqual({ peer: 's1', standings: ['s1 decides', 's2 backup'] });
    expect(await states()).toEqual(['s1 active', 's2 standby']);

    await expectNoLoss(c.namespace, d.namespace, d.inside, async () => {
      const pinging = c.namespace.run(['ping', '-n', '-i', '0.1', '-c', '80', '-W', '1', TARGET]);
      await sleep(1000);
      star.daemons[0].signal('SIGKILL');
      const { stdout } = await pinging;
      const lostMs = 100 * (80 - pingAnswers(stdout).length);
      expect(lostMs).toBeLessThan(KEEPALIVE_MS + LOOK_MS);
      expect(pingAnswers(stdout).at(-1)).toBe(80);
    });
    expect(await decision()).toEqual({ peer: 's2', standings: ['s1 down', 's2 decides'] });
    expect(await states()).toEqual(['s1 down', 's2 active']);

    startSpoke(star, a);
    await star.hubDaemon.waitFor(/Peer Connection Initiated/, PATIENCE_MS, 5);
    expect(await decision()).toMatchObject({ peer: 's1' });
    const before = await echoRequests(a);
    await expectPing(c.namespace, TARGET);
    expect(await echoRequests(a)).toBeGreaterThan(before);
    expect(await states()).toEqual(['s1 active', 's2 standby']);
  });

  it('and the network is unreachable when both are dead', async () => {
    for (const daemon of star.daemons.slice(0, 2)) daemon.signal('SIGKILL');
    await expect
      .poll(decision, { timeout: KEEPALIVE_MS + 3 * LOOK_MS, interval: 500 })
      .toMatchObject({ peer: undefined });
    const { stdout } = await star.spokes[2].namespace.run(['ping', '-n', '-c', '1', '-W', '1', TARGET]);
    expect(stdout).toMatch(/From 10\.8\.0\.1 .*Destination Host Unreachable/);
    expect(await states()).toEqual(['s1 down', 's2 down']);
  });
});

/** Echo requests that came to a spoke so far. */
async function echoRequests({ namespace }: Spoke): Promise<number> {
  const [names, values] = (await namespace.mustRun(['grep', '^Icmp:', '/proc/net/snmp'])).split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('InEchos')]);
}
