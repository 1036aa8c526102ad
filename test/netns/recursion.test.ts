/** Routes that lead the datagrams of one tunnel into another, and back: said, dropped, and over when they go. */
import { afterEach, expect, it } from 'vitest';
import { HUB, hubDrops, startStar, type RunningStar } from '../support/star.ts';
import { expectPing } from '../support/traffic.ts';

let star: RunningStar;
afterEach(() => star.destroy());

it('two tunnels in each other', async () => {
  star = await startStar(2);
  const [a, b] = star.spokes;
  const { hub, hubDaemon } = star;
  const into = (address: string, by: string) => [`${address}/32`, 'via', by, 'dev', 'tun0'];
  const recursive = async () => (await hubDrops(star))['recursive'] ?? 0;

  // A tunnel in a tunnel is no circle.
  await hub.ip('route', 'add', ...into(a.outer, b.address));
  await expect.poll(() => hub.ip('route', 'get', a.outer)).toContain('dev tun0');
  expect(hubDaemon.log).not.toContain('recursive routing');

  await hub.ip('route', 'add', ...into(b.outer, a.address));
  await hubDaemon.waitFor(
    /recursive routing: .*those to s1 at 192\.0\.2\.2 go into the tunnel of s2 by the route to 192\.0\.2\.2\/32 \(from boot\); those to s2 /,
  );
  await hub.run(['ping', '-c', '3', '-i', '0.2', '-W', '1', a.address]);
  await expect.poll(recursive).toBeGreaterThan(0);

  await hub.ip('route', 'del', ...into(a.outer, b.address));
  await hub.ip('route', 'del', ...into(b.outer, a.address));
  await expect
    .poll(() => hub.run(['ping', '-c', '1', '-W', '1', a.address]).then(({ code }) => code), {
      timeout: 20_000,
    })
    .toBe(0);
  await expectPing(a.namespace, HUB.address);
  await expectPing(a.namespace, b.inside);
});

it('a tunnel in itself, by a route that was learnt', async () => {
  star = await startStar(2);
  const [a] = star.spokes;
  await star.hub.ip('route', 'add', `${a.outer}/32`, 'via', a.address, 'dev', 'tun0');
  await star.hubDaemon.waitFor(
    /recursive routing: .*those to s1 at 192\.0\.2\.2 go into its own tunnel by the route to 192\.0\.2\.2\/32/,
  );
});
