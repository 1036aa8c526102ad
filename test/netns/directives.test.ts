/** Lines whose effect only the kernel, the wire or a stream shows, next to stock. Most others have a file of their own. */
import { describe, it, vi } from 'vitest';
import { directiveNames, findDirective } from '../../src/config/directives.ts';
import { isOpenVpn } from '../../src/config/dialects.ts';
import {
  COMPLETED,
  inLab,
  startGateway,
  tsvpn,
  TSVPN_BIN,
  writeConfig,
  writeKey,
  type Implementation,
} from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import type { Namespace } from '../support/netns.ts';
import { PATIENCE_MS, type Daemon } from '../support/process.ts';
import { idAndPayload, PING, seal } from '../support/seal.ts';
import { OUTER, useLink } from '../support/topology.ts';
import { expectPing } from '../support/traffic.ts';

const BOTH: readonly Implementation[] = ['openvpn', 'tsvpn'];
const KEY = Uint8Array.from({ length: 256 }, (_, i) => (i * 37 + 11) & 0xff);
const SENDER = new URL('../support/send-datagrams.mjs', import.meta.url).pathname;

const link = useLink((made) => void writeKey(made, 'static.key', staticKeyText(KEY)));

type Side = 'a' | 'b';
let tunnels = 0;

/** A tunnel with a port, a device and addresses of its own. */
function tunnel() {
  const number = ++tunnels;
  const device = `d${number}`;
  const port = 3000 + number;
  const address = (side: Side) => `10.6.${number}.${side === 'a' ? 1 : 2}`;
  const config = (side: Side, lines: readonly string[]) => {
    const common = ['dev-type tun', 'secret static.key', 'auth SHA256', 'ping 1', 'verb 3'];
    const ifconfig = `ifconfig ${address(side)} ${address(side === 'a' ? 'b' : 'a')}`;
    const own = lines.some((line) => line.startsWith('ifconfig ')) ? [] : [ifconfig];
    return [`dev ${device}`, `port ${port}`, ...common, ...own, ...lines].join('\n');
  };
  const name = (side: Side) => `${device}-${side}`;
  const start = (side: Side, implementation: Implementation, ...lines: readonly string[]): Daemon => {
    const namespace = link[side];
    return startGateway(link, namespace, { implementation, name: name(side), config: config(side, lines) });
  };
  return { device, port, address, config, name, start };
}

const AES = 'cipher AES-256-CBC';
const TO_A = `remote ${OUTER.a.ipv4}`;

const completed = (...ends: readonly Daemon[]) => Promise.all(ends.map((end) => end.waitFor(COMPLETED)));
const stop = (...ends: readonly Daemon[]) => Promise.all(ends.map((end) => end.stop()));

/** Somebody sends to that port of the namespace. */
async function expectDatagram(namespace: Namespace, port: number): Promise<void> {
  const program = `require('dgram').createSocket('udp4').bind(${port}).once('message', () => process.exit())`;
  await namespace.mustRun([process.execPath, '-e', program]);
}

async function routesOf(namespace: Namespace, device: string): Promise<string[]> {
  const text =
    (await namespace.ip('route', 'show', 'dev', device)) +
    (await namespace.ip('-6', 'route', 'show', 'dev', device));
  // Our routes carry a number of our own.
  const routes = text.split('\n').map((line) => line.replace(/ proto \w+/, '').trimEnd());
  return routes.filter((line) => / via /.test(line)).toSorted();
}

it.concurrent(
  'route-metric and route-ipv6-gateway make the routes that they make with stock',
  async ({ expect }) => {
    const own = tunnel();
    const lines = (host: number) => [
      AES,
      'dev-type tap',
      'topology subnet',
      `ifconfig 10.66.0.${host} 255.255.255.0`,
      `ifconfig-ipv6 fd66::${host}/64 fd66::99`,
      'route-metric 7',
      'route-gateway 10.66.0.99',
      'route 10.77.0.0 255.255.0.0',
      'route 10.78.0.0 255.255.0.0 default 3',
      'route 10.79.0.0 255.255.0.0 10.66.0.98',
      'route-ipv6-gateway fd66::98',
      'route-ipv6 fd77::/64',
      'route-ipv6 fd78::/64 fd66::97 5',
    ];
    const a = own.start('a', 'openvpn', ...lines(1));
    const b = own.start('b', 'tsvpn', ...lines(2), TO_A);
    await completed(a, b);
    const [stock, ours] = await Promise.all([routesOf(link.a, own.device), routesOf(link.b, own.device)]);
    expect(ours).toEqual(stock);
    expect(ours).toContainEqual(expect.stringMatching(/^10\.77\.0\.0\/16 via 10\.66\.0\.99 metric 7/));
    expect(ours).toContainEqual(expect.stringMatching(/^fd77::\/64 via fd66::98 metric 7/));
    await stop(a, b);
  },
);

it.concurrent('data-ciphers-fallback is the cipher, without a `cipher` line', async ({ expect }) => {
  const own = tunnel();
  const a = own.start('a', 'openvpn', 'cipher AES-192-CBC');
  const b = own.start('b', 'tsvpn', 'data-ciphers-fallback AES-192-CBC', TO_A);
  await completed(a, b);
  expect(b.log).toContain("Data Channel: cipher 'AES-192-CBC'");
  await expectPing(link.b, own.address('a'));
  await stop(a, b);
});

describe.each(BOTH)('%s', (implementation) => {
  it.concurrent('with proto-force tries no remote of another protocol', async ({ expect }) => {
    const own = tunnel();
    const a = own.start('a', 'openvpn', AES);
    const remotes = [`remote ${OUTER.a.ipv4} 9 tcp-client`, `remote ${OUTER.a.ipv4} ${own.port} udp`];
    const b = own.start('b', implementation, AES, ...remotes, 'proto-force udp');
    await completed(a, b);
    expect(b.log).not.toMatch(/TCP connection/);
    await stop(a, b);
  });

  it.concurrent.for([
    ['a restart forgets who has called', []],
    ['but calls it with persist-remote-ip', ['persist-remote-ip']],
  ] as const)('%s', async ([, lines], { expect }) => {
    const own = tunnel();
    const port = own.port + 1000;
    const a = own.start('a', implementation, AES, 'persist-tun', ...lines);
    const b = own.start('b', 'openvpn', AES, TO_A, `rport ${own.port}`, `lport ${port}`);
    await completed(a);
    await stop(b);
    a.signal('SIGUSR1');
    await a.waitFor(/link remote/, PATIENCE_MS, 2);
    const called = lines.length > 0 ? `[AF_INET]${OUTER.b.ipv4}:${port}` : '[AF_UNSPEC]';
    const remotes = [...a.log.matchAll(/link remote: (\[AF_\w+\][\d.:]*)/g)].map(([, remote]) => remote);
    expect(remotes).toEqual(['[AF_UNSPEC]', called]);
    if (lines.length > 0) await expectDatagram(link.b, port);
    await stop(a);
  });

  it.concurrent('tells an error on standard error with errors-to-stderr', async ({ expect }) => {
    const own = tunnel();
    const file = writeConfig(
      link,
      own.name('a'),
      own.config('a', [AES, 'local 192.0.2.99', 'errors-to-stderr']),
    );
    const argv = implementation === 'tsvpn' ? [TSVPN_BIN, 'up', file] : ['openvpn', '--config', file];
    const { code, stdout, stderr } = await link.a.run(argv, inLab(link));
    expect(code).toBe(1);
    expect(stderr).toContain('192.0.2.99');
    if (implementation === 'tsvpn') expect(stdout).toBe('');
  });
});

it.concurrent.for([
  ['a replayed datagram is told', [], 1],
  ['and not told with mute-replay-warnings', ['mute-replay-warnings'], 0],
] as const)('%s', async ([, lines, told], { expect }) => {
  const own = tunnel();
  const a = own.start('a', 'tsvpn', AES, ...lines);
  await a.waitFor(/link remote/);
  const ping = (id: number) =>
    seal(KEY, idAndPayload({ id, time: Math.floor(Date.now() / 1000), payload: PING })).toString('hex');
  const first = ping(1);
  const words = [process.execPath, SENDER, OUTER.a.ipv4, String(own.port)];
  await link.b.mustRun(words, { input: `${first}\n${first}\n${ping(2)}\n` });
  const status = async () => (await tsvpn(link, link.a, 'status', own.name('a'), '--json')).stdout;
  await vi.waitUntil(async () => (await status()).includes('"replay":1'), PATIENCE_MS);
  await a.stop();
  expect(a.count(/dropped .*replay 1/)).toBe(told);
});

/** Accepted, and without effect of their own. */
const IDLE = `
persist-key
persist-local-ip
tcp-nodelay
socket-flags TCP_NODELAY
errors-to-stderr
allow-deprecated-insecure-static-crypto
ignore-unknown-option from-the-future
from-the-future 1
`;

it.concurrent('lines without effect leave the tunnel as it is without them', async ({ expect }) => {
  const own = tunnel();
  const ignored = directiveNames().filter(
    (name) => isOpenVpn(name) && findDirective(name)!.answer.status === 'ignored',
  );
  const a = own.start('a', 'openvpn', AES);
  const plain = own.start('b', 'tsvpn', AES, TO_A);
  await completed(a, plain);
  const before = await link.b.ip('-4', 'address', 'show', 'dev', own.device);
  await stop(plain);
  const b = own.start('b', 'tsvpn', AES, TO_A, ...ignored, ...IDLE.trim().split('\n'));
  await completed(b);
  await expectPing(link.b, own.address('a'));
  const withoutNumber = (text: string) => text.replaceAll(/^\d+:/gm, '');
  expect(withoutNumber(await link.b.ip('-4', 'address', 'show', 'dev', own.device))).toBe(
    withoutNumber(before),
  );
  expect(b.log).not.toMatch(/"level":"error"/);
  await stop(a, b);
});
