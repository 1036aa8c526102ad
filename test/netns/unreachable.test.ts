/** What is said of a peer whose port is closed, or that cannot be reached, next to stock. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PeerStatus } from '../../src/control/status.ts';
import { tsvpn, TSVPN, type Implementation } from '../support/gateway.ts';
import { createLink, OUTER, type Link } from '../support/topology.ts';
import { completed, prepareTunnel, restart, stopTunnel, type Tunnel } from '../support/tunnel.ts';

let link: Link;
let tunnels = 0;

beforeAll(async () => {
  link = await createLink();
});
afterAll(() => link.destroy());

/** Its listener is not started yet. */
async function lonelyCaller(caller: Implementation, lines: readonly string[] = []): Promise<Tunnel> {
  const tunnel = prepareTunnel(link, {
    number: ++tunnels,
    listener: TSVPN,
    caller,
    callerLines: ['verb 1', ...lines],
  });
  await Promise.all([tunnel.listener.daemon.stop(), tunnel.caller.daemon.stop()]);
  restart(link, tunnel.caller);
  return tunnel;
}

async function peerOf({ caller }: Tunnel): Promise<PeerStatus> {
  const { stdout } = await tsvpn(link, link.b, 'status', caller.name, '--json');
  return (JSON.parse(stdout) as { peers: PeerStatus[] }).peers[0];
}

it.concurrent.each(['openvpn', TSVPN] as const)('a closed port: %s', async (caller) => {
  const tunnel = await lonelyCaller(caller);
  await tunnel.caller.daemon.waitFor(/read UDPv4 \[ECONNREFUSED\]: Connection refused/);
  await stopTunnel(tunnel);
});

it.concurrent(
  'a closed port is told of once, calmly, in `status` too, and no more when the peer is there',
  async () => {
    const tunnel = await lonelyCaller(TSVPN);
    const { daemon } = tunnel.caller;
    await daemon.waitFor(
      new RegExp(`nothing listens at ${OUTER.a.ipv4}:${tunnel.port}; is the other end started\\?`),
    );
    await sleep(5000);
    expect(daemon.count(/ECONNREFUSED/)).toBe(1);
    expect(daemon.log).toMatch(/"level":"info".*ECONNREFUSED/);
    const { unreachable } = await peerOf(tunnel);
    expect(unreachable?.error).toBe('ECONNREFUSED');
    expect(unreachable?.times).toBeGreaterThan(2);
    const { stdout } = await tsvpn(link, link.b, 'status', tunnel.caller.name);
    expect(stdout).toMatch(/nothing listens at 192\.0\.2\.1:\d+: its host answers that the port is closed/);
    restart(link, tunnel.listener);
    await completed(tunnel);
    expect((await peerOf(tunnel)).unreachable).toBeNull();
    await tunnel.listener.daemon.stop('SIGKILL');
    await daemon.waitFor(/ECONNREFUSED/, 20_000, 2);
    await stopTunnel(tunnel);
  },
);

it.concurrent('a firewall of the other end that refuses is told of as one', async () => {
  const tunnel = await lonelyCaller(TSVPN);
  await tunnel.caller.daemon.stop();
  const rule = `udp dport ${tunnel.port} reject with icmp type host-prohibited`;
  const chain = `chain input { type filter hook input priority 0; ${rule}; }`;
  await link.a.mustRun(['nft', '-f', '-'], { input: `table ip f${tunnel.port} {\n${chain}\n}\n` });
  restart(link, tunnel.caller);
  await tunnel.caller.daemon.waitFor(
    /read UDPv4 \[EHOSTUNREACH\]: .*192\.0\.2\.1:\d+ is not reached, that host refuses packets: see its firewall/,
  );
  await stopTunnel(tunnel);
});

it.concurrent('a route that leads nowhere is told of', async () => {
  const tunnel = await lonelyCaller(TSVPN, ['remote 192.0.2.88', 'ping-restart 2']);
  await link.b.ip('route', 'add', 'unreachable', '192.0.2.88');
  const { daemon } = tunnel.caller;
  await daemon.waitFor(
    /write UDPv4 \[\w+\]: .*: 192\.0\.2\.88:\d+ is not reached, this host cannot send there/,
    20_000,
  );
  await stopTunnel(tunnel);
});
