/** Whatever ends tsvpn, the kernel is as before: at once, or at the latest with the next start or `tsvpn cleanup`. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { COMPLETED, tsvpn } from '../support/gateway.ts';
import { createLink, type Link } from '../support/topology.ts';
import { expectPingWithin } from '../support/traffic.ts';
import { completed, prepareTunnel, restart, type Tunnel } from '../support/tunnel.ts';

/** Through a gateway on the outer link: the kernel keeps it when the TUN device goes. */
const OUTSIDE_ROUTE = '203.0.113.0/24';
const INSIDE_ROUTE = '10.99.0.0/16';

const callerLines = [
  'route 10.99.0.0 255.255.0.0',
  'route 203.0.113.0 255.255.255.0 192.0.2.77',
  'route-ipv6 fd00:99::/64',
];

describe('a tsvpn that ends', () => {
  let link: Link;
  let tunnel: Tunnel;
  let before: string;

  beforeEach(async () => {
    link = await createLink();
    before = await link.b.snapshot();
    tunnel = prepareTunnel(link, {
      number: 1,
      listener: 'openvpn',
      caller: 'tsvpn',
      inner6: true,
      callerLines,
    });
    await completed(tunnel);
    const during = await link.b.snapshot();
    for (const part of [
      tunnel.caller.device,
      tunnel.caller.address,
      INSIDE_ROUTE,
      OUTSIDE_ROUTE,
      'fd00:99::/64',
    ]) {
      expect(during).toContain(part);
    }
  });
  afterEach(() => link.destroy());

  const withoutOutsideRoute = (snapshot: string) =>
    snapshot
      .split('\n')
      .filter((line) => !line.startsWith(OUTSIDE_ROUTE))
      .join('\n');

  async function kill(): Promise<void> {
    await tunnel.caller.daemon.stop('SIGKILL');
    expect(withoutOutsideRoute(await link.b.snapshot())).toBe(before);
  }

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s has removed everything and exits with code 0',
    async (signal) => {
      expect(await tunnel.caller.daemon.stop(signal)).toBe(0);
      expect(await link.b.snapshot()).toBe(before);
    },
  );

  it('by `tsvpn down` has removed everything and exits with code 0', async () => {
    const { code } = await tsvpn(link, link.b, 'down', tunnel.caller.name);
    expect(code).toBe(0);
    expect(await tunnel.caller.daemon.exited).toBe(0);
    expect(await link.b.snapshot()).toBe(before);
  });

  it('because its device was deleted says so, exits with code 1, and leaves nothing behind', async () => {
    await link.b.ip('link', 'delete', tunnel.caller.device);
    expect(await tunnel.caller.daemon.exited).toBe(1);
    expect(tunnel.caller.daemon.log).toMatch(new RegExp(`the device ${tunnel.caller.device} is gone`));
    expect(await link.b.snapshot()).toBe(before);
  });

  it('by SIGKILL leaves no device, address or route of the tunnel, and the next start works and cleans up', async () => {
    await kill();
    restart(link, tunnel.caller);
    await tunnel.caller.daemon.waitFor(COMPLETED);
    await expectPingWithin(link.b, tunnel.listener.address);
    expect(await tunnel.caller.daemon.stop()).toBe(0);
    expect(await link.b.snapshot()).toBe(before);
  });

  it('by SIGKILL is named by the next one with another name, which leaves its changes alone', async () => {
    const { name } = tunnel.caller;
    await kill();
    restart(link, Object.assign(tunnel.caller, { name: 'another' }));
    await tunnel.caller.daemon.waitFor(COMPLETED);
    expect(tunnel.caller.daemon.log).toContain(`tsvpn cleanup ${name}`);
    expect(await tunnel.caller.daemon.stop()).toBe(0);
    expect((await tsvpn(link, link.b, 'cleanup', name)).code).toBe(0);
    expect(await link.b.snapshot()).toBe(before);
  });

  it('by SIGKILL leaves nothing after `tsvpn cleanup`', async () => {
    await kill();
    const { code, stderr } = await tsvpn(link, link.b, 'cleanup');
    expect(code, stderr).toBe(0);
    expect(await link.b.snapshot()).toBe(before);
  });
});
