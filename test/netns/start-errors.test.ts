/** What only this host can find wrong with a config, when the tunnel starts: each error names the line it stems from. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inLab, tsvpn, writeConfig, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { createLink, OUTER, type Link } from '../support/topology.ts';

interface Row {
  readonly code: string;
  readonly exitCode: number;
  /** The line at fault; FOLDER stands for a folder there is, KEY for the key. */
  readonly line: string;
  /** Lines in place of those of their names, and others. */
  readonly more?: readonly string[];
}

const TAP = ['dev tap', 'ifconfig 10.4.1.1 255.255.255.0'];
const LISTENS = 'no remote';
const TCP = ['proto tcp-client', 'connect-retry 1', 'connect-timeout 1'];

// prettier-ignore
const ROWS: readonly Row[] = [
  { code: 'LOG_FILE', exitCode: 1, line: 'log FOLDER' },
  { code: 'LOG_FILE', exitCode: 1, line: 'log-append FOLDER', more: ['log FOLDER/x'] },
  { code: 'STATUS_FILE', exitCode: 1, line: 'status FOLDER 10' },
  { code: 'PID_FILE', exitCode: 1, line: 'writepid FOLDER' },
  { code: 'REPLAY_FILE', exitCode: 1, line: 'replay-persist FOLDER' },
  { code: 'CONFIG_FILE', exitCode: 2, line: 'replay-persist FOLDER/none/x' },
  { code: 'PRIVILEGE_NAME', exitCode: 2, line: 'user nobody-at-all' },
  { code: 'PRIVILEGE_NAME', exitCode: 2, line: 'group nobody-at-all' },
  { code: 'PRIVILEGE_NAME', exitCode: 2, line: 'management-client-user nobody-at-all', more: ['management FOLDER/m unix'] },
  { code: 'MANAGEMENT_LISTEN', exitCode: 1, line: 'management 203.0.113.9 7505' },
  { code: 'MANAGEMENT_CONNECT', exitCode: 1, line: 'management FOLDER/none unix', more: ['management-client'] },
  { code: 'TUN_NO_DEVICE_NODE', exitCode: 4, line: 'dev-node FOLDER/none' },
  { code: 'TUN_ATTACH_FAILED', exitCode: 5, line: 'dev lo', more: ['dev-type tun'] },
  { code: 'KERNEL_NO_BRIDGE', exitCode: 1, line: 'bridge br-none', more: TAP },
  { code: 'KERNEL_PRIVILEGE', exitCode: 4, line: 'ifconfig-ipv6 fd00:4::1/64 fd00:4::2' },
  { code: 'ZONE_UNKNOWN', exitCode: 1, line: 'local fe80::1%none0', more: ['proto udp6', LISTENS] },
  { code: 'ZONE_UNKNOWN', exitCode: 1, line: 'remote fe80::1%none0', more: ['proto udp6'] },
  { code: 'UDP_SOCKET', exitCode: 1, line: 'bind-dev none0' },
  { code: 'UDP_BIND_FAILED', exitCode: 1, line: 'local 203.0.113.9' },
  { code: 'LOCAL_UNRESOLVED', exitCode: 1, line: 'local name.invalid' },
  { code: 'RESOLVE_FAILED', exitCode: 1, line: 'remote name.invalid', more: ['resolv-retry 0'] },
  { code: 'UDP_PORT_IN_USE', exitCode: 5, line: 'lport 4000', more: ['rport 1194'] },
  { code: 'UDP_PORT_IN_USE', exitCode: 5, line: 'port 4000' },
  { code: 'TCP_PORT_IN_USE', exitCode: 5, line: 'port 4000', more: ['proto tcp-server', LISTENS] },
  { code: 'CONNECT_RETRY_MAX', exitCode: 1, line: 'connect-retry-max 1', more: TCP },
  { code: 'NAT_PORTS_EPHEMERAL', exitCode: 1, line: 'nat snat 10.9.0.0/16 out outer masquerade', more: ['nat-ports 40000 41000'] },
];

const BASE = [
  'dev tun',
  'ifconfig 10.4.1.1 10.4.1.2',
  `remote ${OUTER.b.ipv4}`,
  'cipher AES-256-CBC',
  'auth SHA256',
];

/** Has port 4000 of both protocols until it is ended. */
const SQUATTER = `
const udp = require('node:dgram').createSocket('udp4').bind(4000, () =>
  require('node:net').createServer().listen(4000, '0.0.0.0', () => console.log('ready')));`;

describe('an error at the start that stems from a line of the config names the line', () => {
  let link: Link;
  let folder: string;

  beforeAll(async () => {
    link = await createLink();
    folder = join(link.folder, 'folder');
    mkdirSync(folder);
    // Of devices to come.
    await link.a.sysctl('net/ipv6/conf/default/disable_ipv6', 1);
    await link.a.spawn([process.execPath, '-e', SQUATTER], inLab(link)).waitFor(/ready/);
  });
  afterAll(() => link.destroy());

  it.each(ROWS)('$line: $code', async ({ code, exitCode, line, more = [] }) => {
    const key = writeKey(link, 'static.key', staticKeyText(new Uint8Array(256).map((_, i) => i * 7 + 1)));
    const given = [...more.filter((each) => each !== LISTENS), line];
    const replaced = new Set([...more, line].map((each) => each.replace('no ', '').split(' ')[0]));
    const lines = [
      ...BASE.filter((each) => !replaced.has(each.split(' ')[0])),
      `secret ${key}`,
      'verb 3',
      ...given,
    ];
    const text = lines.map((each) => each.replace('FOLDER', folder));
    const file = writeConfig(link, 'site', text.join('\n'));
    const up = await tsvpn(link, link.a, 'up', file);
    expect(up.stderr).toContain(code);
    expect(up.code).toBe(exitCode);
    // By the error, or by the log when the tunnel ran already.
    const [, place] = /(?:^ {2}at |"msg":")(\S+:\d+):\d+/m.exec(up.stderr) ?? [];
    expect(place).toBe(`${file}:${text.length}`);
  });

  it('of the block, when the line is in a <connection> block', async () => {
    const key = writeKey(link, 'static.key', staticKeyText(new Uint8Array(256).map((_, i) => i * 7 + 1)));
    const block = ['<connection>', `remote ${OUTER.b.ipv4} 5000`, 'lport 4000', '</connection>'];
    const common = [
      'dev tun',
      'ifconfig 10.4.1.1 10.4.1.2',
      'cipher AES-256-CBC',
      'auth SHA256',
      `secret ${key}`,
    ];
    const file = writeConfig(link, 'site', ['lport 4001', ...common, ...block].join('\n'));
    const up = await tsvpn(link, link.a, 'up', file);
    expect(up.stderr).toContain(`at ${file}:9:1`);
  });

  it('in a log that is not the terminal, too', async () => {
    const key = writeKey(link, 'static.key', staticKeyText(new Uint8Array(256).map((_, i) => i * 7 + 1)));
    const log = join(link.folder, 'site.log');
    const file = writeConfig(
      link,
      'site',
      [...BASE, `secret ${key}`, `log ${log}`, 'local 203.0.113.9'].join('\n'),
    );
    await tsvpn(link, link.a, 'up', file);
    expect(readFileSync(log, 'utf8')).toMatch(
      /site\.conf:8:1: cannot bind the UDP socket to .*: no interface of this host has that address; /,
    );
  });
});
