/** What tsvpn says about a stock peer whose config does not fit, and the config it writes for one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, TSVPN_BIN, inLab, writeConfig, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { createLink, type Link } from '../support/topology.ts';
import { expectPingWithin } from '../support/traffic.ts';
import { prepareTunnel, stopTunnel } from '../support/tunnel.ts';

/** OCC is asked for 10 s after the start, drops are summed up every 10 s. */

let link: Link;
let tunnels = 0;
const nextNumber = () => ++tunnels;

beforeAll(async () => {
  link = await createLink();
});
afterAll(() => link.destroy());

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
    const number = nextNumber();
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
  const rows: readonly [title: string, lines: readonly string[]][] = [
    ['a listener', ['key-direction 0', 'auth SHA256', 'explicit-exit-notify 1']],
    ['a listener with fragments', ['fragment 1300', 'comp-lzo', 'tun-mtu 1480']],
    ['a subnet', ['topology subnet']],
    ['a TCP server', ['proto tcp-server']],
    ['a tap device', ['dev-type tap']],
    ['a cipher of the past', ['cipher BF-CBC', 'providers legacy default']],
  ];
  it.concurrent.each(rows)('works in stock: %s', async (_, lines) => {
    const number = nextNumber();
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
    writeKey(link, `other${number}.key`, staticKeyText());
    const file = writeConfig(link, `o${number}`, config);
    const { code, stdout, stderr } = await link.a.run(
      [TSVPN_BIN, 'check', '--peer', '2.6', file],
      inLab(link),
    );
    expect(code, stderr).toBe(0);
    // The device has a name of its own, as others run beside it.
    const type = /^dev (tun|tap)$/m.exec(stdout)?.[1];
    const other = stdout.replace(/^dev .*$/m, `dev o${number}\ndev-type ${type}`);
    const ours = startGateway(link, link.a, { implementation: 'tsvpn', name: `o${number}`, config });
    const stock = startGateway(link, link.b, {
      implementation: 'openvpn',
      name: `o${number}-stock`,
      config: other,
    });
    await expectPingWithin(link.b, `10.5.${number}.1`);
    await Promise.all([ours.stop(), stock.stop()]);
    expect(ours.log).not.toContain('used inconsistently');
  });
});
