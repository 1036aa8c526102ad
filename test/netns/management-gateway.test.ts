/** What stock has not: several peers behind one management interface, and a daemon that waits for a client. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { startGateway, tsvpn, writeConfig, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { ManagementClient } from '../support/management-client.ts';
import type { Daemon } from '../support/process.ts';
import { OUTER, useLink } from '../support/topology.ts';

let running: Daemon[] = [];
const socket = () => join(link.folder, 'm.sock');

const link = useLink((made) => {
  for (const [name, first] of [
    ['one.key', 1],
    ['two.key', 2],
  ] as const) {
    writeKey(made, name, staticKeyText(Uint8Array.from({ length: 256 }, (_, i) => (i * first + 7) & 0xff)));
  }
});

afterEach(async () => {
  for (const daemon of running) await daemon.stop();
  running = [];
});

const crypto = (key: string, direction: 0 | 1) => [
  `secret ${key} ${direction}`,
  'cipher AES-256-CBC',
  'auth SHA256',
];

function hub(...lines: string[]): string {
  const peer = (name: string, port: number, far: string) => [
    '<peer>',
    `name ${name}`,
    ...crypto(`${name}.key`, 0),
    `ifconfig 10.4.0.1 ${far}`,
    `remote ${OUTER.b.ipv4} ${port}`,
    `lport ${port}`,
    'keepalive 1 30',
    '</peer>',
  ];
  const management = [`management ${socket()} unix`, ...lines];
  return [
    'dev tun0',
    'verb 3',
    ...management,
    ...peer('one', 1194, '10.4.0.2'),
    ...peer('two', 1294, '10.4.0.3'),
  ].join('\n');
}

function startSpoke(key: string, port: number, address: string): void {
  const own = [`ifconfig ${address} 10.4.0.1`, `remote ${OUTER.a.ipv4} ${port}`, `lport ${port}`, 'ping 1'];
  const config = [`dev tun${port}`, ...crypto(key, 1), 'verb 3', ...own].join('\n');
  running.push(startGateway(link, link.b, { implementation: 'openvpn', name: `spoke-${port}`, config }));
}

function startHub(...lines: string[]): Daemon {
  const daemon = startGateway(link, link.a, { implementation: 'tsvpn', name: 'hub', config: hub(...lines) });
  running.push(daemon);
  return daemon;
}

it('the states are those of the first peer, and a signal is for all', async () => {
  startSpoke('two.key', 1294, '10.4.0.3');
  const gateway = startHub('management-hold');
  const client = await ManagementClient.connect(socket());
  await client.until(/^>HOLD:/m);
  client.write('state on\nhold off\nhold release\n');
  await gateway.waitFor(/"two".*Initialization Sequence Completed/);
  expect((await client.ask('state all')).filter((line) => line.includes('CONNECTED'))).toEqual([]);
  startSpoke('one.key', 1194, '10.4.0.2');
  await client.until(/^>STATE:\d+,CONNECTED,SUCCESS,10\.4\.0\.1,192\.0\.2\.2,1194,,\r/m);
  expect(await client.ask('remote-entry-get all')).toEqual([
    '0,192.0.2.2,1194,udp,enabled',
    '1,192.0.2.2,1294,udp,enabled',
    'END',
  ]);
  await client.ask('signal SIGUSR1');
  await client.until(/^>STATE:\d+,RECONNECTING,SIGUSR1,/m);
  await gateway.waitFor(/"one".*SIGUSR1/);
  await gateway.waitFor(/"two".*SIGUSR1/);
});

it('each peer asks for its remote, one after the other', async () => {
  const gateway = startHub('management-query-remote');
  const client = await ManagementClient.connect(socket());
  await client.until(/^>REMOTE:192\.0\.2\.2,1194,udp\r/m);
  client.write('remote ACCEPT\n');
  await client.until(/^>REMOTE:192\.0\.2\.2,1294,udp\r/m);
  client.write('remote ACCEPT\n');
  await gateway.waitFor(/"two".*UDPv4 link remote/);
});

it('a daemon that is held returns to the shell, and starts when it is released', async () => {
  const log = join(link.folder, 'hub.log');
  const file = writeConfig(link, 'held', hub('management-hold', 'daemon', `log ${log}`));
  const { code, stderr } = await tsvpn(link, link.a, 'up', file, '--name', 'held');
  expect([code, stderr]).toEqual([
    0,
    expect.stringContaining('waits for a client of its management interface'),
  ]);
  const client = await ManagementClient.connect(socket());
  await client.until(/^>HOLD:/m);
  client.write('state on\nhold release\n');
  await client.until(/^>STATE:\d+,ASSIGN_IP,/m);
  expect((await tsvpn(link, link.a, 'down', 'held')).code).toBe(0);
  await client.until(/^>STATE:\d+,EXITING,SIGTERM,/m);
  expect(readFileSync(log, 'utf8')).toContain('tun0 closed');
});

it('a start that fails after the release is told', async () => {
  startHub('management-hold', 'local 203.0.113.9');
  const client = await ManagementClient.connect(socket());
  await client.until(/^>HOLD:/m);
  client.write('hold release\n');
  await client.until(/^>FATAL:cannot bind the UDP socket/m);
  await client.closed();
});
