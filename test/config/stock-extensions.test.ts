/** Check 44: stock OpenVPN 2.6 loads a file with tsvpn's own lines, with no more than warnings. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadGateway } from '../../src/config/load.ts';
import { staticKeyText } from '../support/keys.ts';
import { PATIENCE_MS } from '../support/process.ts';
import { tempDir } from '../support/temp-dir.ts';
import { noStock } from '../support/stock.ts';

const RULES = [
  'nat snat 10.8.0.0/24 out eth1 masquerade',
  'nat snat 10.9.0.0/24 out eth1 to 172.16.0.9',
  'nat snat 172.16.0.0/24 into tunnel peer siteB',
  'nat dnat from peers tcp dport 80 src 192.168.0.0/16 to 10.0.1.26:80',
  'nat dnat in eth0 tcp dport 8080 to 10.8.0.2:80 snat',
  'nat netmap peer siteB local 10.0.0.0/16 as 10.101.0.0/16 remote 10.0.0.0/16 as 10.102.0.0/16',
  'nat none 10.10.0.0/24 dst 172.16.5.0/24',
  'nat-ports 61000 65534',
  'nat-mapping tcp edm',
  'nat-filter udp adf',
  'nat-timeout udp 300',
  'nat-max-sessions 65536',
  'nat-per-host 2048',
  'nat-unmatched reinject',
  'nat-table 51820',
  'nat-rule-protocol 213',
  'name siteA',
  'allowed-source 10.8.0.0/24 10.9.0.0/24',
  'peer-address 10.8.0.7',
  'peer-route 10.20.0.0/16 metric 10 no-kernel',
  'peer-to-peer',
  'route-fallthrough',
  'blackhole 10.99.0.0/16',
  'unreachable 10.98.0.0/16',
  'prohibit fd09::/48 metric 5',
];

const BLOCK = [
  '<peer>',
  'name siteB',
  'secret b.key 1',
  'lport 1195',
  'ifconfig 10.8.0.1 10.8.0.3',
  'peer-route 10.102.0.0 255.255.0.0 metric 10',
  'peer-route 10.103.0.0/16',
  'client-nat dnat 10.103.0.0 255.255.0.0 10.0.0.0',
  '</peer>',
];

const STOCK = [
  'dev tun',
  'secret a.key 0',
  'cipher AES-256-CBC',
  'ifconfig 10.8.0.1 10.8.0.2',
  'client-nat snat 10.3.0.0 255.255.0.0 10.103.0.0',
];

const names = [...new Set(RULES.map((line) => line.split(' ')[0]))];

const FILES: readonly [how: string, lines: readonly string[]][] = [
  [
    'after ignore-unknown-option',
    [
      ...STOCK,
      `ignore-unknown-option peer ${names.slice(0, 10).join(' ')}`,
      `ignore-unknown-option ${names.slice(10).join(' ')}`,
      ...RULES,
      ...BLOCK,
    ],
  ],
  [
    'behind setenv opt',
    [...STOCK, 'ignore-unknown-option peer', ...RULES.map((line) => `setenv opt ${line}`), ...BLOCK],
  ],
];

function siteWith(lines: readonly string[]): string {
  const dir = tempDir();
  const key = (first: number) => staticKeyText(Uint8Array.from({ length: 256 }, (_, i) => first ^ i));
  writeFileSync(join(dir, 'a.key'), key(1), { mode: 0o600 });
  writeFileSync(join(dir, 'b.key'), key(2), { mode: 0o600 });
  writeFileSync(join(dir, 'gateway.conf'), `${lines.join('\n')}\n`);
  return dir;
}

const obstacle = noStock();

describe.each(FILES)("tsvpn's own lines %s", (_how, lines) => {
  it('are read by tsvpn', () => {
    const { config } = loadGateway(['gateway.conf'], { cwd: siteWith(lines) });
    expect(config.peers.map(({ name }) => name)).toEqual(['siteA', 'siteB']);
    expect(config.nat.lines).toHaveLength(6);
    expect(config.peers[1].netmap).toHaveLength(3);
    expect([config.clientToClient, config.routeFallthrough, config.refusals.length]).toEqual([true, true, 3]);
    expect(config.warnings).toEqual([]);
  });

  it.skipIf(obstacle !== undefined)(
    `are passed over by stock OpenVPN${obstacle === undefined ? '' : `: left out, ${obstacle}`}`,
    () => {
      const overrides = ['--dev', 'null', '--ifconfig-noexec', '--route-noexec', '--inactive', '1'];
      const argv = ['--net', 'openvpn', '--config', 'gateway.conf', ...overrides];
      const { stdout } = spawnSync('unshare', argv, {
        cwd: siteWith(lines),
        encoding: 'utf8',
        timeout: PATIENCE_MS,
      });
      expect(stdout).toContain('Inactivity timeout (--inactive), exiting');
      expect(stdout).not.toContain('Options error');
    },
  );
});
