/** What happens when one end goes away and comes back: nobody has to help the other end. */
import { describe, expect, it } from 'vitest';
import { COMPLETED, TSVPN } from '../support/gateway.ts';
import { PATIENCE_MS } from '../support/process.ts';
import { OUTER, useLink } from '../support/topology.ts';
import { expectPing, expectPingWithin } from '../support/traffic.ts';
import { nextNumber, restart, startTunnel, stopTunnel, type Tunnel } from '../support/tunnel.ts';

const link = useLink();

const roles = [
  { role: 'tsvpn listens, stock calls', listener: TSVPN, caller: 'openvpn' },
  { role: 'stock listens, tsvpn calls', listener: 'openvpn', caller: TSVPN },
] as const;

describe.each(roles)('$role', ({ listener, caller }) => {
  for (const end of ['listener', 'caller'] as const) {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      it.concurrent(`recovers when the ${end} ends by ${signal} and starts again`, async () => {
        const tunnel = await startTunnel(link, { listener, caller });
        await expectPingsBothWays(tunnel);
        await tunnel[end].daemon.stop(signal);
        restart(link, tunnel[end]);
        await expectPingWithin(tunnel.caller.namespace, tunnel.listener.address);
        await expectPingsBothWays(tunnel);
        await stopTunnel(tunnel);
      });
    }
  }

  it.concurrent(
    'restarts after ping-restart seconds of silence, and again until the peer is back',
    async () => {
      const tunnel = await startTunnel(link, {
        listener,
        caller,
        [listener === TSVPN ? 'listenerLines' : 'callerLines']: ['ping-restart 2'],
      });
      const [ours, stock] =
        listener === TSVPN ? [tunnel.listener, tunnel.caller] : [tunnel.caller, tunnel.listener];
      await stock.daemon.stop('SIGKILL');
      await ours.daemon.waitFor(/Inactivity timeout \(--ping-restart\), restarting/);
      restart(link, stock);
      await expectPingWithin(tunnel.caller.namespace, tunnel.listener.address);
      await stopTunnel(tunnel);
    },
  );

  it.concurrent('tells the peer of its end with explicit-exit-notify, and exits with code 0', async () => {
    const lines = ['explicit-exit-notify 1'];
    const tunnel = await startTunnel(link, { listener, caller, lines });
    const { daemon } = tunnel.caller;
    expect(await daemon.stop('SIGTERM')).toBe(0);
    expect(daemon.log).toMatch(/sending exit notification to peer/);
    await tunnel.listener.daemon.waitFor(/OCC exit message received by peer/);
    restart(link, tunnel.caller);
    await expectPingWithin(tunnel.caller.namespace, tunnel.listener.address);
    await stopTunnel(tunnel);
  });
});

describe('remote lists', () => {
  it.concurrent(
    'advances to the next remote when the first one is silent for ping-restart seconds',
    async () => {
      const number = nextNumber(link);
      const port = 2000 + number;
      const tunnel = await startTunnel(link, {
        number,
        listener: 'openvpn',
        caller: TSVPN,
        remotes: [`192.0.2.99 ${port}`, `${OUTER.a.ipv4} ${port}`],
        callerLines: ['ping-restart 2'],
      });
      await expectPingsBothWays(tunnel);
      await stopTunnel(tunnel);
    },
  );
});

it('reaches a link-local remote, named with its interface', async () => {
  const addresses = await link.a.ip('-6', '-o', 'address', 'show', 'dev', 'outer', 'scope', 'link');
  const linkLocal = /fe80:[0-9a-f:]+/.exec(addresses)?.[0] ?? 'none';
  const number = nextNumber(link);
  const tunnel = await startTunnel(link, {
    number,
    listener: 'openvpn',
    caller: TSVPN,
    outer: 'ipv6',
    remotes: [`${linkLocal}%outer ${2000 + number}`],
  });
  await expectPingsBothWays(tunnel);
  await stopTunnel(tunnel);
});

describe('a connected tunnel', () => {
  it.concurrent('ends after ping-exit seconds of silence with code 0', async () => {
    const tunnel = await startTunnel(link, {
      listener: 'openvpn',
      caller: TSVPN,
      callerLines: ['ping-exit 4'],
    });
    await tunnel.listener.daemon.stop('SIGKILL');
    expect(await tunnel.caller.daemon.exited).toBe(0);
  });

  it.concurrent('keeps device and addresses over SIGUSR1 with persist-tun, and reconnects', async () => {
    const tunnel = await startTunnel(link, {
      listener: 'openvpn',
      caller: TSVPN,
      callerLines: ['persist-tun', 'persist-key'],
    });
    const { daemon, namespace, device } = tunnel.caller;
    const index = (text: string) => /^\d+/.exec(text)?.[0];
    const before = index(await namespace.ip('-o', 'link', 'show', device));
    daemon.signal('SIGUSR1');
    await daemon.waitFor(COMPLETED, PATIENCE_MS, 2);
    expect(index(await namespace.ip('-o', 'link', 'show', device))).toBe(before);
    await expectPingsBothWays(tunnel);
    await stopTunnel(tunnel);
  });
});

async function expectPingsBothWays({ listener, caller }: Tunnel): Promise<void> {
  await Promise.all([
    expectPing(listener.namespace, caller.address),
    expectPing(caller.namespace, listener.address),
  ]);
}
