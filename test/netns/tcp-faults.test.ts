/** What may happen to a TCP connection, next to stock: it goes on, or is taken up again. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { COMPLETED, TSVPN } from '../support/gateway.ts';
import type { Namespace } from '../support/netns.ts';
import { OUTER, useLink } from '../support/topology.ts';
import { expectPing, expectPingWithin } from '../support/traffic.ts';
import {
  completed,
  prepareTunnel,
  restart,
  startTunnel,
  stopTunnel,
  type End,
  type Tunnel,
  type TunnelOptions,
} from '../support/tunnel.ts';

const STRANGER = join(import.meta.dirname, '../support/tcp-stranger.mjs');
const RECOVERY_MS = 40_000;
/** The length of a packet, and the first half of that. */
const HALF_A_PACKET = `0060${'ab'.repeat(48)}`;

const link = useLink();

const roles = [
  { role: 'tsvpn serves, stock calls', listener: TSVPN, caller: 'openvpn' },
  { role: 'stock serves, tsvpn calls', listener: 'openvpn', caller: TSVPN },
] as const;

type Options = Omit<TunnelOptions, 'number' | 'protocol'>;

function start(options: Options): Promise<Tunnel> {
  return startTunnel(link, { protocol: 'tcp', ...options });
}

/** Nothing of the tunnel crosses between the two machines, and nobody is told. */
async function cut({ port }: Tunnel): Promise<void> {
  const hook = (name: string) =>
    `chain ${name} {\ntype filter hook ${name} priority 0\ntcp dport ${port} drop\ntcp sport ${port} drop\n}`;
  await link.a.mustRun(['nft', '-f', '-'], {
    input: `table ip cut${port} {\n${hook('input')}\n${hook('output')}\n}\n`,
  });
}

function mend({ port }: Tunnel): Promise<unknown> {
  return link.a.mustRun(['nft', 'delete', 'table', 'ip', `cut${port}`]);
}

describe.each(roles)('$role', ({ listener, caller }) => {
  it.concurrent('a short cut of the path is bridged by TCP', async () => {
    const tunnel = await start({ listener, caller, lines: ['ping-restart 20'] });
    await cut(tunnel);
    await sleep(3000);
    await mend(tunnel);
    await expectPingWithin(tunnel.caller.namespace, tunnel.listener.address, RECOVERY_MS);
    expectOneSession(tunnel);
    await stopTunnel(tunnel);
  });

  it.concurrent('a long one makes both try again, until the path is back', async () => {
    const lines = ['ping-restart 3', 'connect-timeout 3'];
    const tunnel = await start({ listener, caller, lines });
    await cut(tunnel);
    for (const { daemon } of [tunnel.listener, tunnel.caller])
      await daemon.waitFor(/Inactivity timeout \(--ping-restart\), restarting/, 20_000);
    await mend(tunnel);
    await expectPingWithin(tunnel.caller.namespace, tunnel.listener.address, RECOVERY_MS);
    await stopTunnel(tunnel);
  });

  for (const side of ['listener', 'caller'] as const) {
    it.concurrent(`a ${side} whose machine vanishes and comes back is found again`, async () => {
      const tunnel = await start({ listener, caller, lines: ['ping-restart 4'] });
      await cut(tunnel);
      await tunnel[side].daemon.stop('SIGKILL');
      await sleep(500);
      // What the old connection still has to say, the kernel of a machine that vanished would not.
      await forget(tunnel[side], tunnel);
      await mend(tunnel);
      restart(link, tunnel[side]);
      await expectPingWithin(tunnel.caller.namespace, tunnel.listener.address, RECOVERY_MS);
      await stopTunnel(tunnel);
    });

    it.concurrent(`a ${side} that stands still for a while goes on where it was`, async () => {
      const tunnel = await start({ listener, caller });
      const { daemon, namespace, address } = tunnel[side];
      const other = side === 'listener' ? tunnel.caller : tunnel.listener;
      process.kill(daemon.pid, 'SIGSTOP');
      const flood = ['ping', '-q', '-n', '-i', '0.002', '-s', '1400', '-w', '5', address];
      await other.namespace.run(flood, { timeoutMs: 30_000 });
      process.kill(daemon.pid, 'SIGCONT');
      await expectPingWithin(other.namespace, address, RECOVERY_MS);
      await expectPing(namespace, other.address);
      expectOneSession(tunnel);
      await stopTunnel(tunnel);
    });
  }
});

describe('a client that is sent', () => {
  it.concurrent.each([
    ['half a packet and the end', 'serve', HALF_A_PACKET],
    ['a reset at once', 'refuse', ''],
    ['the length 65535', 'serve', 'ffff'],
  ])('%s calls again, and finds the peer when it is there', async (_, mode, hex) => {
    const { tunnel, stranger } = await withStranger('listener', mode, hex);
    await tunnel.caller.daemon.waitFor(/Connection reset, restarting|Connection reset by peer/);
    await stranger.stop('SIGKILL');
    restart(link, tunnel.listener);
    await completed(tunnel);
    await stopTunnel(tunnel);
  });
});

describe('a server that is sent', () => {
  it.concurrent.each([
    ['half a packet and a reset', 'reset', HALF_A_PACKET],
    ['one byte of a length and the end', 'connect', '00'],
    ['a reset at once', 'reset', ''],
    ['the length 65535', 'connect', 'ffff'],
  ])('%s listens again, and takes the peer', async (_, mode, hex) => {
    const { tunnel } = await withStranger('caller', mode, hex);
    restart(link, tunnel.caller);
    await completed(tunnel);
    await expectPing(tunnel.caller.namespace, tunnel.listener.address);
    await stopTunnel(tunnel);
  });
});

/** A caller that was too early has restarted; no session has. */
function expectOneSession({ listener, caller }: Tunnel): void {
  for (const { daemon } of [listener, caller]) expect(daemon.count(COMPLETED)).toBe(1);
}

/** A tunnel of tsvpn in which a stranger has the place of one end; the end can be started when the stranger has gone. */
async function withStranger(absent: 'listener' | 'caller', mode: string, hex: string) {
  const options = { protocol: 'tcp', listener: TSVPN, caller: TSVPN } as const;
  const tunnel = prepareTunnel(link, options);
  await Promise.all([tunnel.caller.daemon.stop(), tunnel.listener.daemon.stop()]);
  const address = [OUTER.a.ipv4, String(tunnel.port), hex];
  const argv = [process.execPath, STRANGER, mode, ...address];
  if (absent === 'listener') {
    const stranger = link.a.spawn(argv);
    await stranger.waitFor(/listening/);
    restart(link, tunnel.caller);
    return { tunnel, stranger };
  }
  restart(link, tunnel.listener);
  await tunnel.listener.daemon.waitFor(/Listening for incoming TCP connection/);
  const stranger = link.b.spawn(argv);
  await stranger.waitFor(mode === 'connect' ? /connected/ : /closed/);
  await tunnel.listener.daemon.waitFor(/TCP connection established/);
  await stranger.stop('SIGKILL');
  return { tunnel, stranger };
}

/** The machine of an end has forgotten its connections. */
async function forget({ namespace }: End, { port }: Tunnel): Promise<void> {
  await killSockets(namespace, ['sport', '=', `:${port}`]);
  await killSockets(namespace, ['dport', '=', `:${port}`]);
}

async function killSockets(namespace: Namespace, filter: readonly string[]): Promise<void> {
  await namespace.run(['ss', '--kill', '-t', ...filter]);
}
