/** What tsvpn says about a stock peer whose config does not fit, and the config it writes for one. */
import { describe, expect, it } from 'vitest';
import { startGateway, TSVPN_BIN, inLab, writeConfig, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { RELEASES, stockOf } from '../support/releases.ts';
import { useLink } from '../support/topology.ts';
import { expectPingWithin } from '../support/traffic.ts';
import { nextNumber, prepareTunnel, stopTunnel } from '../support/tunnel.ts';

const link = useLink();

describe('a stock peer', () => {
  const rows: readonly [title: string, stock: readonly string[], ours: readonly string[], said: string][] = [
    [
      'with another tun-mtu',
      ['tun-mtu 1400'],
      [],
      'the peer uses tun-mtu 1400, this end 1500: write "tun-mtu 1400" here or "tun-mtu 1500" there',
    ],
    [
      'with another address',
      ['ifconfig 10.99.0.1 10.99.0.9'],
      [],
      'the peer has "ifconfig 10.99.0.1 10.99.0.9", this end "ifconfig 10.4.',
    ],
    [
      'with fragments',
      ['fragment 1200'],
      [],
      'peer-fragments: fragment header: the peer has a `fragment` line',
    ],
    [
      'without fragments',
      [],
      ['fragment 1200'],
      'fragment-header: no fragment header: the peer has no `fragment`',
    ],
    ['with compression framing', ['comp-lzo no'], [], 'peer-framing: compression marker: the peer has'],
    ['without compression framing', [], ['comp-lzo no'], 'unframed: no compression marker: this end has'],
    [
      'with other compression framing',
      ['compress stub'],
      ['comp-lzo no'],
      'framing: unknown compression marker',
    ],
  ];
  it.concurrent.each(rows)('%s is explained', async (_, stock, ours, said) => {
    const number = nextNumber(link);
    const tunnel = prepareTunnel(link, {
      number,
      listener: 'openvpn',
      caller: 'tsvpn',
      // It calls, too: what it cannot read teaches it no address.
      listenerLines: [...stock, `remote 192.0.2.2 ${2000 + number}`],
      callerLines: ours,
    });
    const { daemon } = tunnel.caller;
    const pattern = said.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('"', '\\\\?"');
    await daemon.waitFor(new RegExp(pattern));
    await stopTunnel(tunnel);
    const last = /WARNING: '(?:tun-mtu|ifconfig)' is used inconsistently/g;
    expect(daemon.log.match(last)?.length ?? 1).toBe(1);
  });
});

describe('the config of the other end', () => {
  const configs: readonly [title: string, lines: readonly string[]][] = [
    ['a listener', ['key-direction 0', 'auth SHA256', 'explicit-exit-notify 1']],
    ['a listener with fragments', ['fragment 1300', 'comp-lzo', 'tun-mtu 1480']],
    ['a subnet', ['topology subnet', 'mssfix 1300 fixed', 'compress stub-v2']],
    ['a TCP server', ['proto tcp-server', 'ifconfig-ipv6 fd00:5::1/64 fd00:5::2', 'cipher none']],
    ['a tap device', ['dev-type tap', 'compress', 'fragment 1300 mtu']],
    ['a cipher of the past', ['cipher BF-CBC', 'providers legacy default']],
  ];
  const rows = configs.flatMap(([title, lines]) =>
    (['2.6', ...RELEASES] as const).map((version) => ({ title, lines, version })),
  );
  it.concurrent.for(rows)('works in OpenVPN $version: $title', async ({ lines, version }, context) => {
    const number = nextNumber(link);
    const network = lines.some((line) => /subnet|tap/.test(line));
    const config = [
      `dev t${number}`,
      ...(lines.includes('dev-type tap') ? [] : ['dev-type tun']),
      'local 192.0.2.1',
      `port ${2000 + number}`,
      `secret other${number}.key`,
      `ifconfig 10.5.${number}.1 ${network ? '255.255.255.0' : `10.5.${number}.2`}`,
      ...(lines.some((line) => line.startsWith('cipher')) ? [] : ['cipher AES-256-CBC']),
      'keepalive 5 30',
      ...lines,
    ].join('\n');
    // 2.6 is the one that is installed.
    const stock = version === '2.6' ? undefined : stockOf(version, context);
    writeKey(link, `other${number}.key`, staticKeyText());
    const file = writeConfig(link, `o${number}`, config);
    const check = [TSVPN_BIN, 'check', '--peer', version, file];
    const { code, stdout, stderr } = await link.a.run(check, inLab(link));
    context.expect(code, stderr).toBe(0);
    // The device has a name of its own, as others run beside it.
    const type = /^dev (tun|tap)$/m.exec(stdout)?.[1];
    const other = stdout.replace(/^dev .*$/m, `dev o${number}\ndev-type ${type}`);
    const name = `o${number}`;
    const ours = startGateway(link, link.a, { implementation: 'tsvpn', name, config });
    const theirs = startGateway(link, link.b, {
      implementation: 'openvpn',
      stock,
      name: `${name}-stock`,
      config: other,
    });
    await expectPingWithin(link.b, `10.5.${number}.1`);
    await Promise.all([ours.stop(), theirs.stop()]);
    context.expect(theirs.log).not.toMatch(/Unrecognized option|option ignored|was removed/);
    context.expect(ours.log).not.toContain('used inconsistently');
  });
});
