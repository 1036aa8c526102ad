/** What the socket does that only the network sees, next to stock OpenVPN: `multihome` and `passtos`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { COMPLETED, startGateway, TSVPN, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import type { Namespace } from '../support/netns.ts';
import { OUTER, useLink } from '../support/topology.ts';
import { expectPing, expectTransfer } from '../support/traffic.ts';
import { nextNumber, startTunnel, stopTunnel, type Tunnel, type TunnelOptions } from '../support/tunnel.ts';

/** Further addresses of gateway A. */
const SECOND = { ipv4: '192.0.2.11', ipv6: '2001:db8::11' } as const;
/** An address of A on a second link; gateway B has a route there, and A has none back. */
const ELSEWHERE = '198.51.100.1';

const link = useLink(async (made) => {
  const { a, b } = made;
  await made.connect(a, 'second', b, 'second');
  await a.ip('address', 'add', `${SECOND.ipv4}/24`, 'dev', 'outer');
  // Deprecated, so that it is no source unless asked for.
  const deprecated = ['nodad', 'preferred_lft', '0'];
  await a.ip('address', 'add', `${SECOND.ipv6}/64`, 'dev', 'outer', ...deprecated);
  await a.ip('address', 'add', `${ELSEWHERE}/32`, 'dev', 'second');
  await b.ip('route', 'add', `${ELSEWHERE}/32`, 'dev', 'second', 'src', '192.0.2.2');
});

async function start(options: TunnelOptions, called?: string): Promise<Tunnel> {
  const number = nextNumber(link);
  const remotes = called === undefined ? {} : { remotes: [`${called} ${2000 + number}`] };
  return startTunnel(link, { ...options, ...remotes, number });
}

const pairs = [
  { title: 'tsvpn listens, stock calls', listener: TSVPN, caller: 'openvpn' },
  { title: 'stock listens, tsvpn calls', listener: 'openvpn', caller: TSVPN },
  { title: 'two of ours', listener: TSVPN, caller: TSVPN },
] as const;

/** The datagrams of a tunnel that `device` sees meanwhile, as tcpdump prints them. */
async function capture(
  at: Namespace,
  device: string,
  filter: string,
  meanwhile: () => Promise<void>,
): Promise<string> {
  const tcpdump = at.spawn(['tcpdump', '-n', '-v', '-l', '--immediate-mode', '-i', device, filter]);
  await tcpdump.waitFor(/listening on/);
  await meanwhile();
  await tcpdump.waitFor(/UDP|udp/);
  await tcpdump.stop();
  return tcpdump.log;
}

describe('multihome', () => {
  describe.each(pairs)('$title', ({ listener, caller }) => {
    it.concurrent.each([
      { outer: 'ipv4', called: SECOND.ipv4, shown: `[AF_INET]${SECOND.ipv4}%outer` },
      { outer: 'ipv6', called: SECOND.ipv6, shown: `${SECOND.ipv6}%outer` },
    ] as const)('answers from the address that was called: $outer', async ({ outer, called, shown }) => {
      // Without `float` the caller takes nothing from another address.
      const tunnel = await start({ listener, caller, outer, listenerLines: ['multihome'] }, called);
      expect(tunnel.listener.daemon.log).toContain(`(via ${shown})`);
      await expectPing(tunnel.caller.namespace, tunnel.listener.address, 1400);
      await expectTransfer(
        tunnel.caller.namespace,
        tunnel.listener.namespace,
        tunnel.listener.address,
        3_000_000,
      );
      await stopTunnel(tunnel);
    });

    it.concurrent('answers by the interface that the peer came in by, whatever the routes say', async () => {
      const tunnel = await start({ listener, caller, listenerLines: ['multihome'] }, ELSEWHERE);
      expect(tunnel.listener.daemon.log).toContain(`(via [AF_INET]${ELSEWHERE}%second)`);
      const filter = `udp src port ${tunnel.port} and src ${ELSEWHERE}`;
      const seen = await capture(link.b, 'second', filter, () =>
        expectPing(tunnel.caller.namespace, tunnel.listener.address),
      );
      expect(seen).toContain(`${ELSEWHERE}.${tunnel.port} >`);
      await stopTunnel(tunnel);
    });
  });

  it.concurrent('works on a socket that two peers share, each calling another address', async () => {
    const [hubPort, ...ports] = [nextNumber(link), nextNumber(link), nextNumber(link)].map(
      (number) => 2000 + number,
    );
    const keys = ports.map((port) => writeKey(link, `${port}.key`, staticKeyText()));
    const called = ['192.0.2.1', SECOND.ipv4];
    const common = ['cipher AES-256-CBC', 'auth SHA256', 'dev tun', 'ping 1', 'verb 3'];
    const blocks = ports.map((port, i) =>
      [
        '<peer>',
        `name p${i}`,
        `secret ${keys[i]}`,
        `remote ${OUTER.b.ipv4} ${port}`,
        `peer-address 10.5.0.${2 + i}`,
        '</peer>',
      ].join('\n'),
    );
    const config = [
      ...common,
      `lport ${hubPort}`,
      'multihome',
      'topology subnet',
      'ifconfig 10.5.0.1 255.255.255.0',
    ];
    const hub = startGateway(link, link.a, {
      implementation: 'tsvpn',
      name: 'multihome-hub',
      config: [...config, ...blocks].join('\n'),
    });
    const callers = ports.map((port, i) =>
      startGateway(link, link.b, {
        implementation: 'openvpn',
        name: `multihome-p${i}`,
        config: [
          ...common,
          `remote ${called[i]} ${hubPort}`,
          `lport ${port}`,
          `secret ${keys[i]}`,
          `ifconfig 10.5.0.${2 + i} 10.5.0.1`,
        ].join('\n'),
      }),
    );
    // Without `float` each takes nothing from another address than it called.
    await Promise.all(callers.map((caller) => caller.waitFor(COMPLETED)));
    for (const [i, address] of called.entries()) {
      await hub.waitFor(new RegExp(`:${ports[i]} \\(via \\[AF_INET\\]${address}%outer\\)`));
    }
    await Promise.all([hub, ...callers].map((daemon) => daemon.stop()));
  });

  it.concurrent('answers from an IPv4 address on an IPv6 socket', async () => {
    const tunnel = await start(
      {
        listener: TSVPN,
        caller: 'openvpn',
        listenerLines: ['proto udp6', 'multihome'],
        callerLines: ['proto udp4'],
      },
      SECOND.ipv4,
    );
    expect(tunnel.listener.daemon.log).toContain(`(via [AF_INET]${SECOND.ipv4}%outer)`);
    await expectPing(tunnel.caller.namespace, tunnel.listener.address);
    await stopTunnel(tunnel);
  });
});

/** The highest TOS or traffic class of the datagrams around large pings with `tos` from the listener to the caller. */
async function outerClass(tunnel: Tunnel, to: string, tos: number): Promise<number> {
  const { listener, port } = tunnel;
  const seen = await capture(link.b, 'outer', `udp dst port ${port} and greater 400`, async () => {
    const words = ['ping', '-n', '-c', '2', '-i', '0.3', '-W', '2', '-s', '500', '-Q', String(tos), to];
    await listener.namespace.mustRun(words);
  });
  return Math.max(
    0,
    ...Array.from(seen.matchAll(/(?:tos|class) (0x[0-9a-f]+)/g), ([, shown]) => Number(shown)),
  );
}

/** Expedited forwarding (RFC 3246), not ECN-capable; and the same with ECT(0). */
const EF = 0xb8;
const EF_ECT = 0xba;

describe('passtos', () => {
  it.concurrent.each([
    { outer: 'ipv4', inner: 'ipv4' },
    { outer: 'ipv4', inner: 'ipv6' },
    { outer: 'ipv6', inner: 'ipv4' },
    { outer: 'ipv6', inner: 'ipv6' },
  ] as const)('copies the DSCP of $inner packets to $outer, and not ECN', async ({ outer, inner }) => {
    const tunnel = await start({
      listener: TSVPN,
      caller: 'openvpn',
      outer,
      inner6: true,
      // No other large packets.
      listenerLines: ['passtos', 'mtu-probe off'],
    });
    const to = inner === 'ipv4' ? tunnel.caller.address : tunnel.caller.address6;
    expect(await outerClass(tunnel, to, EF)).toBe(EF);
    expect(await outerClass(tunnel, to, EF_ECT)).toBe(EF);
    expect(await outerClass(tunnel, to, 0)).toBe(0);
    await stopTunnel(tunnel);
  });

  it.concurrent('does what stock does for IPv4 in IPv4, but for ECN', async () => {
    const tunnel = await start({ listener: 'openvpn', caller: TSVPN, listenerLines: ['passtos'] });
    expect(await outerClass(tunnel, tunnel.caller.address, EF)).toBe(EF);
    expect(await outerClass(tunnel, tunnel.caller.address, EF_ECT)).toBe(EF_ECT);
    await stopTunnel(tunnel);
  });

  it.concurrent('is off without the line', async () => {
    const tunnel = await start({ listener: TSVPN, caller: 'openvpn' });
    expect(await outerClass(tunnel, tunnel.caller.address, EF)).toBe(0);
    await stopTunnel(tunnel);
  });

  it.concurrent('keeps transfers in both directions whole', async () => {
    const tunnel = await start({
      listener: TSVPN,
      caller: TSVPN,
      lines: ['passtos', 'multihome', 'mtu-probe off'],
    });
    await expectTransfer(
      tunnel.caller.namespace,
      tunnel.listener.namespace,
      tunnel.listener.address,
      3_000_000,
    );
    await stopTunnel(tunnel);
  });
});

/** Bytes a second that arrive at gateway B, Ethernet headers not counted, while the listener floods the tunnel. */
async function floodRate({ listener, caller }: Tunnel): Promise<number> {
  const seconds = 4;
  const words = ['ping', '-n', '-q', '-f', '-s', '1400', '-w', String(seconds + 2), caller.address];
  const flood = listener.namespace.spawn(words);
  const read = async () => {
    const folder = '/sys/class/net/outer/statistics';
    const text = await link.b.mustRun(['cat', `${folder}/rx_bytes`, `${folder}/rx_packets`]);
    const [bytes, packets] = text.trim().split('\n').map(Number);
    return { bytes: bytes - 14 * packets, ms: performance.now() };
  };
  await sleep(1000);
  const before = await read();
  await sleep(seconds * 1000);
  const after = await read();
  await flood.stop();
  return ((after.bytes - before.bytes) * 1000) / (after.ms - before.ms);
}

describe('shaper', () => {
  it.each(['openvpn', TSVPN] as const)('sends as many bytes a second as stock does: %s', async (listener) => {
    const rate = 100_000;
    const tunnel = await start({ listener, caller: 'openvpn', listenerLines: [`shaper ${rate}`] });
    expect(tunnel.listener.daemon.log).toContain(
      `Output Traffic Shaping initialized at ${rate} bytes per second`,
    );
    const measured = await floodRate(tunnel);
    // Stock sleeps between datagrams, and falls behind on a busy machine.
    expect(measured).toBeGreaterThan(rate * 0.75);
    expect(measured).toBeLessThan(rate * 1.1);
    await stopTunnel(tunnel);
  });
});
