/** `proto tcp-server` and `tcp-client`, next to stock and with itself; port, device and addresses by support/tunnel.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  COMPLETED,
  inLab,
  startGateway,
  tsvpn,
  TSVPN,
  writeKey,
  type Implementation,
} from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import type { Namespace } from '../support/netns.ts';
import { type Daemon, PATIENCE_MS } from '../support/process.ts';
import { OUTER, useLink } from '../support/topology.ts';
import { hubDrops, hubStatus, startSpoke, startStar, type Spoke } from '../support/star.ts';
import { expectPing, expectPingWithin, expectTransfer } from '../support/traffic.ts';
import {
  completed,
  nextNumber,
  prepareTunnel,
  restart,
  startTunnel,
  stopTunnel,
  type End,
  type Tunnel,
  type TunnelOptions,
} from '../support/tunnel.ts';

const STRANGER = join(import.meta.dirname, '../support/tcp-stranger.mjs');
/** Around the MTU, and far above it. */
const PING_SIZES = [0, 1472, 1473, 2000, 8000];
const TRANSFER_BYTES = 2_000_000;

const link = useLink();

const roles = [
  { role: 'tsvpn serves, stock calls', listener: TSVPN, caller: 'openvpn' },
  { role: 'stock serves, tsvpn calls', listener: 'openvpn', caller: TSVPN },
] as const;

type Cell = Omit<TunnelOptions, 'number' | 'listener' | 'caller'> & { readonly title: string };

const cells: readonly Cell[] = [
  { title: 'AES-256-CBC SHA256' },
  {
    title: 'AES-128-CBC SHA1, a key direction, outer IPv6',
    cipher: 'AES-128-CBC',
    auth: 'SHA1',
    direction: '0-1',
    outer: 'ipv6',
  },
  { title: 'cipher none, framing', cipher: 'none', lines: ['comp-lzo no'] },
  { title: 'a tap device', device: 'tap' },
  { title: 'ids without a gap, as OpenVPN 2.3 wants them', lines: ['replay-window 0 0'] },
  {
    title: 'a bound client, small buffers',
    callerLines: ['bind', 'lport 3001', 'sndbuf 20000', 'rcvbuf 20000'],
  },
];

function start(options: TunnelOptions): Promise<Tunnel> {
  return startTunnel(link, { protocol: 'tcp', ...options });
}

async function expectTraffic(options: TunnelOptions): Promise<void> {
  const tunnel = await start(options);
  for (const size of PING_SIZES) await expectPing(tunnel.caller.namespace, tunnel.listener.address, size);
  await expectPing(tunnel.listener.namespace, tunnel.caller.address, 2000);
  const { caller: from, listener: to } = tunnel;
  await expectTransfer(from.namespace, to.namespace, to.address, TRANSFER_BYTES);
  await expectNoRestart(tunnel);
  await stopTunnel(tunnel);
}

describe.each(roles)('$role', ({ listener, caller }) => {
  for (const cell of cells) {
    it.concurrent(`carries pings of every size and a TCP transfer: ${cell.title}`, () =>
      expectTraffic({ ...cell, listener, caller }),
    );
  }

  for (const end of ['listener', 'caller'] as const) {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      it.concurrent(`recovers when the ${end} ends by ${signal} and starts again`, async () => {
        const tunnel = await start({ listener, caller });
        await tunnel[end].daemon.stop(signal);
        restart(link, tunnel[end]);
        await expectPingWithin(tunnel.caller.namespace, tunnel.listener.address);
        await stopTunnel(tunnel);
      });
    }
  }

  it.concurrent('recovers when the connection is reset', async () => {
    const tunnel = await start({ listener, caller });
    await link.b.mustRun(['ss', '--kill', '-t', 'dst', OUTER.a.ipv4, 'dport', '=', `:${tunnel.port}`]);
    for (const { daemon } of [tunnel.listener, tunnel.caller]) {
      await daemon.waitFor(/Connection reset, restarting/);
      await daemon.waitFor(COMPLETED, PATIENCE_MS, 2);
    }
    await expectPing(tunnel.caller.namespace, tunnel.listener.address);
    await stopTunnel(tunnel);
  });

  it.concurrent('ends the connection at a packet made with another key, and tries again', async () => {
    const tunnel = prepareTunnel(link, {
      protocol: 'tcp',
      listener,
      caller,
      callerLines: ['auth SHA512'],
    });
    const ours = listener === TSVPN ? tunnel.listener : tunnel.caller;
    await ours.daemon.waitFor(/SIGUSR1\[soft,(decryption-error|connection-reset)\] received/, PATIENCE_MS, 2);
    expect(ours.daemon.log).not.toMatch(COMPLETED);
    await stopTunnel(tunnel);
  });
});

it('carries pings of every size and a TCP transfer between two of ours', () =>
  expectTraffic({ listener: TSVPN, caller: TSVPN }));

describe('next to stock', () => {
  it.concurrent.each(roles)('agrees with it about all options: $role', async ({ listener, caller }) => {
    // At this level 2.6 tells of differences in the option strings; byte for byte.
    const tunnel = await start({ listener, caller, lines: ['verb 7', 'mute 0'] });
    const [ours, stock] =
      listener === TSVPN ? [tunnel.listener, tunnel.caller] : [tunnel.caller, tunnel.listener];
    await stock.daemon.waitFor(/REMOTE OPTIONS|remote options|occ|OCC/i);
    await sleep(12_000);
    expect(stock.daemon.log).toMatch(/proto TCPv4_(SERVER|CLIENT)/);
    expect(stock.daemon.log).not.toMatch(/used inconsistently/);
    expect(ours.daemon.log).not.toMatch(/used inconsistently/);
    await stopTunnel(tunnel);
  });

  it.concurrent('clamps the MSS to the same value', async () => {
    const tunnel = await start({ listener: TSVPN, caller: 'openvpn' });
    const { stdout } = await tsvpn(link, link.a, 'status', tunnel.listener.name, '--json');
    const [peer] = (JSON.parse(stdout) as { peers: { protocol: string; mtu: { mss: number } }[] }).peers;
    expect(peer).toMatchObject({ protocol: 'tcp-server', mtu: { mss: 1343 } });
    await stopTunnel(tunnel);
  });
});

describe('a server', () => {
  it.concurrent('takes one connection, and refuses the next until it restarts', async () => {
    const tunnel = await start({ listener: TSVPN, caller: TSVPN });
    expect(await stranger(link.b, OUTER.a.ipv4, tunnel.port)).toBe('ECONNREFUSED\nclosed\n');
    await stopTunnel(tunnel);
  });

  it.concurrent.each([
    ['text', 'GET / HTTP/1.0\r\n\r\n', /Bad encapsulated packet length from peer \(18245\)/],
    ['a length of nothing', '\0\0', /Bad encapsulated packet length from peer \(0\)/],
    ['a packet of noise', `\0\x60${'x'.repeat(96)}`, /Fatal decryption error/],
  ])('throws out who sends %s, and listens again', async (_, text, says) => {
    const { end, port } = startServer([]);
    await end.daemon.waitFor(/Listening for incoming TCP connection/);
    const answer = await stranger(link.b, OUTER.a.ipv4, port, text);
    expect(answer).toMatch(/^connected\n/);
    await end.daemon.waitFor(says);
    await end.daemon.waitFor(/Listening for incoming TCP connection/, PATIENCE_MS, 2);
    await end.daemon.stop();
  });

  it.concurrent('with `remote` refuses who calls from another address', async () => {
    const { end, port } = startServer(['remote 192.0.2.99']);
    await end.daemon.waitFor(/Listening for incoming TCP connection/);
    expect(await stranger(link.b, OUTER.a.ipv4, port, 'x')).toMatch(/^connected\n[^]*closed\n$/);
    await end.daemon.waitFor(/TCP NOTE: Rejected connection attempt from \[AF_INET\]192\.0\.2\.2:/);
    expect(end.daemon.log).not.toMatch(/TCP connection established/);
    await end.daemon.stop();
  });

  it.concurrent.each(['openvpn', TSVPN] as const)(
    'that a silent stranger has called first takes the peer all the same: %s',
    async (caller) => {
      const { tunnel, strangers } = await besieged(TSVPN, caller, 3);
      await completed(tunnel);
      await expectPing(tunnel.caller.namespace, tunnel.listener.address);
      const { log } = tunnel.listener.daemon;
      expect(log).toMatch(/Closed the connection from \[AF_INET\]192\.0\.2\.2:\d+: another one is the peer/);
      expect(log).not.toMatch(/restarting/);
      await Promise.all(strangers.map(({ exited }) => exited));
      expect(await stranger(link.b, OUTER.a.ipv4, tunnel.port)).toBe('ECONNREFUSED\nclosed\n');
      await stopTunnel(tunnel);
    },
  );

  it.concurrent.each([
    ['stock', 'openvpn', []],
    ['tsvpn with `auth none`', TSVPN, ['auth none']],
  ] as const)('%s takes the first who calls', async (_, listener, lines) => {
    const { tunnel, strangers } = await besieged(listener, 'openvpn', 1, lines);
    await tunnel.caller.daemon.waitFor(/TCP: connect to .* failed: Connection refused/);
    expect(tunnel.caller.daemon.log).not.toMatch(COMPLETED);
    await Promise.all(strangers.map((each) => each.stop('SIGKILL')));
    await completed(tunnel);
    await stopTunnel(tunnel);
  });

  it.concurrent('that finds the port taken says by whom, with exit code 5', async () => {
    const tunnel = startServer([]);
    await tunnel.end.daemon.waitFor(/Listening for incoming TCP connection/);
    const second = startServer([`lport ${tunnel.port}`]);
    expect(await second.end.daemon.exited).toBe(5);
    expect(second.end.daemon.log).toMatch(/process \d+ \(.*\) has that TCP port/);
    await tunnel.end.daemon.stop();
  });
});

describe('a client', () => {
  it.concurrent('calls again and again, and waits longer after the fourth time', async () => {
    const { end } = startClient(['connect-retry 1 3']);
    await end.daemon.waitFor(/TCP: connect to \[AF_INET\]192\.0\.2\.1:\d+ failed: Connection refused/);
    await end.daemon.waitFor(/Restart pause, 3 second/);
    const pauses = [...end.daemon.log.matchAll(/Restart pause, (\d+) second/g)].map(([, seconds]) =>
      Number(seconds),
    );
    expect(pauses.slice(0, 6)).toEqual([1, 1, 1, 1, 2, 3]);
    await end.daemon.stop();
  });

  it.concurrent('gives up a call after `connect-timeout` seconds', async () => {
    await link.b.ip(
      'neighbour',
      'replace',
      '192.0.2.77',
      'lladdr',
      '02:00:00:00:00:77',
      'dev',
      (await deviceOf(link.b))!,
    );
    const { end } = startClient(['connect-timeout 2'], '192.0.2.77');
    await end.daemon.waitFor(/TCP: connect to \[AF_INET\]192\.0\.2\.77:\d+ failed: Connection timed out/);
    await end.daemon.stop();
  });

  it.concurrent('goes on to a remote of another protocol', async () => {
    const number = nextNumber(link);
    const tunnel = await startTunnel(link, {
      number,
      listener: 'openvpn',
      caller: TSVPN,
      remotes: [`${OUTER.a.ipv4} 9 tcp-client`, `${OUTER.a.ipv4} ${2000 + number} udp`],
    });
    expect(tunnel.caller.daemon.log).toMatch(/TCP: connect to \[AF_INET\]192\.0\.2\.1:9 failed/);
    await expectPing(tunnel.caller.namespace, tunnel.listener.address);
    await stopTunnel(tunnel);
  });

  it.concurrent('keeps its memory when the other end stops reading', async () => {
    const { end, port, device, far } = startClient(['ping 0']);
    const deaf = link.a.spawn([process.execPath, STRANGER, 'deaf', OUTER.a.ipv4, String(port)]);
    await end.daemon.waitFor(/TCP connection established/);
    const before = residentBytes(end.daemon);
    const flood = ['ping', '-q', '-n', '-i', '0.0005', '-s', '1400', '-w', '6', '-I', device, far];
    await link.b.run(flood, { timeoutMs: 2 * PATIENCE_MS });
    expect(residentBytes(end.daemon) - before).toBeLessThan(30_000_000);
    const { stdout, code } = await tsvpn(link, link.b, 'status', end.name, '--json');
    expect(code, stdout).toBe(0);
    await deaf.stop('SIGKILL');
    await end.daemon.waitFor(/Connection reset, restarting/);
    await end.daemon.stop();
  });
});

describe('a hub', () => {
  it('serves TCP peers, each at its own port, next to UDP peers', async () => {
    const lines =
      (word: string) =>
      ({ number }: Spoke) => ({ lines: number <= 2 ? [`proto tcp-${word}`] : [] });
    const star = await startStar(3, { block: lines('server'), spoke: lines('client') });
    try {
      const [first, second, third] = star.spokes;
      for (const { address } of star.spokes) await expectPing(star.hub, address, 2000);
      await expectTransfer(first.namespace, third.namespace, third.inside, TRANSFER_BYTES);
      await expectTransfer(third.namespace, second.namespace, second.inside, TRANSFER_BYTES);
      const { peers } = await hubStatus(star);
      expect(peers.map(({ protocol }) => protocol)).toEqual(['tcp-server', 'tcp-server', 'udp']);
      expect(star.hubDaemon.log).not.toMatch(/restarting/);
      await star.daemons[0].stop('SIGKILL');
      await star.hubDaemon.waitFor(/Connection reset, restarting/);
      await expectPing(second.namespace, third.inside);
      startSpoke(star, first, 'openvpn', lines('client')(first));
      await expectPingWithin(first.namespace, third.inside);
    } finally {
      await star.destroy();
    }
  });
});

describe('a hub with `shaper`', () => {
  it('drops what is over the rate of a TCP peer without a gap that OpenVPN 2.3 would not take', async () => {
    const star = await startStar(2, {
      block: ({ number }) => (number === 1 ? { lines: ['proto tcp-server', 'shaper 30000'] } : {}),
      spoke: ({ number }) => (number === 1 ? { lines: ['proto tcp-client', 'replay-window 0 0'] } : {}),
    });
    try {
      const [shaped, other] = star.spokes;
      await star.hub.run(['ping', '-q', '-n', '-i', '0.002', '-s', '900', '-w', '4', shaped.address]);
      expect((await hubDrops(star, shaped.name)).shaped).toBeGreaterThan(50);
      await expectPingWithin(star.hub, shaped.address, 5000);
      await expectPing(star.hub, other.address);
      for (const { log } of [star.hubDaemon, ...star.daemons])
        expect(log).not.toMatch(/restarting|bad packet ID|decryption-error/i);
    } finally {
      await star.destroy();
    }
  });
});

/** No restart on either end so far; a client may have called too early. */
async function expectNoRestart({ listener, caller }: Tunnel): Promise<void> {
  for (const { daemon } of [listener, caller]) expect(daemon.log).not.toMatch(/SIGUSR1\[soft/);
}

/** A listener that `count` strangers have called, who say nothing, before the caller starts. */
async function besieged(
  listener: Implementation,
  caller: Implementation,
  count: number,
  lines: readonly string[] = [],
) {
  const tunnel = prepareTunnel(link, { number: nextNumber(link), protocol: 'tcp', listener, caller, lines });
  await Promise.all([tunnel.caller.daemon.stop(), tunnel.listener.daemon.stop()]);
  restart(link, tunnel.listener);
  await tunnel.listener.daemon.waitFor(/Listening for incoming TCP connection/);
  const strangers = [];
  for (let i = 0; i < count; i++) {
    const each = link.b.spawn([process.execPath, STRANGER, 'connect', OUTER.a.ipv4, String(tunnel.port)]);
    await each.waitFor(/connected/);
    strangers.push(each);
  }
  restart(link, tunnel.caller);
  return { tunnel, strangers };
}

function lone(namespace: Namespace, lines: readonly string[]) {
  const number = nextNumber(link);
  const name = `t${number}`;
  const port = 2000 + number;
  const key = writeKey(link, `${name}.key`, staticKeyText());
  const [near, far] = [`10.4.${number}.1`, `10.4.${number}.2`];
  const config = [
    `dev ${name}`,
    'dev-type tun',
    `port ${port}`,
    `secret ${key}`,
    'cipher AES-256-CBC',
    'auth SHA256',
    `ifconfig ${near} ${far}`,
    'ping 1',
    'verb 3',
    ...lines,
  ].join('\n');
  const daemon = startGateway(link, namespace, { implementation: 'tsvpn', name, config });
  const end: Pick<End, 'name' | 'daemon'> = { name, daemon };
  return { end, port, device: name, far };
}

function startServer(lines: readonly string[]) {
  return lone(link.a, ['proto tcp-server', ...lines]);
}

function startClient(lines: readonly string[], remote: string = OUTER.a.ipv4) {
  return lone(link.b, ['proto tcp-client', `remote ${remote}`, ...lines]);
}

/** What becomes of a stranger's connection: a line for each event. */
async function stranger(from: Namespace, host: string, port: number, text = ''): Promise<string> {
  const { stdout } = await from.run(
    [process.execPath, STRANGER, 'connect', host, String(port), Buffer.from(text).toString('hex')],
    inLab(link),
  );
  return stdout;
}

async function deviceOf(namespace: Namespace): Promise<string | undefined> {
  const route = await namespace.ip('-o', 'route', 'get', OUTER.a.ipv4);
  return /dev (\S+)/.exec(route)?.[1];
}

function residentBytes({ pid }: Daemon): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}
