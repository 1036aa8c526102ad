/** Scripts next to stock: the same config, run by both, calls the same scripts with the same words and variables. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMPLETED, startGateway, tsvpn, writeKey, type Implementation } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { type Daemon, PATIENCE_MS } from '../support/process.ts';
import { OUTER, useLink } from '../support/topology.ts';

/** One call of a script: its name, its words, its variables, and the routes it found. */
interface Call {
  readonly name: string;
  readonly words: readonly string[];
  readonly variables: readonly string[];
  readonly routes: readonly string[];
  readonly deviceIsThere: boolean;
}

/** Set by the shell that runs the script. */
const OF_THE_SHELL = /^(?:PWD|OLDPWD|SHLVL|_)=/;
/** Different for each process. */
const OF_THE_PROCESS = /^(daemon_pid|daemon_start_time)=\d+$/;

const HOOKS = ['up', 'down', 'route-up', 'route-pre-down', 'ipchange'];
const ADDRESSES = ['ifconfig 10.4.0.1 10.4.0.2', 'ifconfig-ipv6 fd00:4::1/64 fd00:4::2'];

interface Case {
  readonly title: string;
  readonly lines: readonly string[];
  readonly peerLines?: readonly string[];
  /** Signals sent one after the other, each when the tunnel has completed; then SIGTERM. */
  readonly signals?: readonly NodeJS.Signals[];
  /** Compare names and words only: stock forgets variables over restarts with persist-tun. */
  readonly wordsOnly?: boolean;
}

const cases: readonly Case[] = [
  {
    title: 'a pair of addresses, routes of both families, variables',
    lines: [
      ...ADDRESSES,
      `local ${OUTER.a.ipv4}`,
      'route 10.99.0.0 255.255.0.0',
      'route 10.98.0.0 255.255.0.0 default 7',
      'route 10.97.0.0 255.255.0.0 net_gateway',
      'route 10.96.0.0 255.255.0.0 vpn_gateway',
      'route-ipv6 fd01::/48',
      'setenv FOO "bar baz"',
      'setenv a.b-c d',
      'setenv-safe SAFE x',
      'dhcp-option DNS 10.4.0.2',
      'dhcp-option DOMAIN example.org',
      'dns search-domains a.example b.example',
      'dns server 1 address 10.4.0.53 [fd00:4::53]:5353',
      'dns server 1 resolve-domains x.example',
    ],
  },
  {
    title: 'topology subnet with a gateway',
    lines: [
      'topology subnet',
      'ifconfig 10.4.0.1 255.255.255.0',
      'route-gateway 10.4.0.2',
      'route 10.99.0.0 255.255.0.0',
    ],
    peerLines: ['topology subnet', 'ifconfig 10.4.0.2 255.255.255.0'],
  },
  { title: 'no routes', lines: ADDRESSES },
  { title: 'down-pre', lines: [...ADDRESSES, 'route 10.99.0.0 255.255.0.0', 'down-pre'] },
  { title: 'up-delay', lines: [...ADDRESSES, 'route 10.99.0.0 255.255.0.0', 'up-delay'] },
  {
    title: 'up-delay with route-delay',
    lines: [...ADDRESSES, 'route 10.99.0.0 255.255.0.0', 'up-delay', 'route-delay 1'],
  },
  { title: 'route-delay', lines: [...ADDRESSES, 'route 10.99.0.0 255.255.0.0', 'route-delay 1'] },
  { title: 'redirect-gateway', lines: [...ADDRESSES, 'redirect-gateway autolocal def1 ipv6'] },
  { title: 'route-noexec', lines: [...ADDRESSES, 'route 10.99.0.0 255.255.0.0', 'route-noexec'] },
  {
    title: 'restarts with up-restart',
    lines: [...ADDRESSES, 'route 10.99.0.0 255.255.0.0', 'persist-tun', 'up-restart'],
    signals: ['SIGUSR1', 'SIGUSR1'],
    wordsOnly: true,
  },
  {
    title: 'restarts without it',
    lines: [...ADDRESSES, 'route 10.99.0.0 255.255.0.0', 'persist-tun'],
    signals: ['SIGUSR1'],
    wordsOnly: true,
  },
];

describe('scripts', () => {
  let dump: string;
  const link = useLink(async ({ a, folder }) => {
    await a.ip('route', 'add', 'default', 'via', '192.0.2.254');
    await a.ip('-6', 'route', 'add', 'default', 'via', '2001:db8::fe', 'dev', 'outer');
    dump = join(folder, 'dump');
    writeFileSync(dump, DUMP, { mode: 0o755 });
  });

  function config(lines: readonly string[], more: readonly string[]): string {
    const key = writeKey(link, 'static.key', staticKeyText(KEY));
    const common = [`secret ${key}`, 'cipher AES-256-CBC', 'auth SHA256', 'keepalive 1 30', 'verb 3'];
    return ['dev tun0', ...common, ...lines, ...more].join('\n');
  }
  const startPeer = (lines: readonly string[] = ['ifconfig 10.4.0.2 10.4.0.1']): Daemon =>
    startGateway(link, link.b, { implementation: 'openvpn', name: 'peer', config: config(lines, []) });

  async function run(
    implementation: Implementation,
    each: Case,
  ): Promise<{ calls: Call[]; code: number | null }> {
    const output = join(link.folder, 'calls');
    rmSync(output, { force: true });
    const hooks = HOOKS.map((name) => `${name} "${dump} ${name} 'two words'"`);
    const text = config(each.lines, [`remote ${OUTER.b.ipv4}`, 'script-security 2', ...hooks]);
    const gateway = startGateway(link, link.a, { implementation, name: 'site', config: text });
    let completions = 1;
    for (const signal of each.signals ?? []) {
      await gateway.waitFor(COMPLETED, PATIENCE_MS, completions++);
      gateway.signal(signal);
    }
    await gateway.waitFor(COMPLETED, PATIENCE_MS, completions);
    const called = callsIn(output).map(({ name }) => name);
    expect(called.filter((name) => name === 'ipchange')).toHaveLength(completions);
    expect(called).toContain('route-up');
    const code = await gateway.stop('SIGTERM');
    return { calls: callsIn(output), code };
  }

  it.each(cases)('are called as by OpenVPN: $title', async (each) => {
    const before = await link.a.snapshot();
    const peer = startPeer(each.peerLines);
    const stock = await run('openvpn', each);
    expect(await link.a.snapshot()).toBe(before);
    const ours = await run('tsvpn', each);
    await peer.stop();
    expect(await link.a.snapshot()).toBe(before);
    expect(ours.code).toBe(0);
    expect(ours.calls.map(({ name, words }) => [name, ...words])).toEqual(
      stock.calls.map(({ name, words }) => [name, ...words]),
    );
    if (each.wordsOnly === true) return;
    expect(ours.calls).toEqual(stock.calls);
  });

  const failing = (name: string, body: string) => {
    const path = join(link.folder, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return path;
  };
  const start = (implementation: Implementation, more: readonly string[]) =>
    startGateway(link, link.a, {
      implementation,
      name: 'site',
      config: config(ADDRESSES, [`remote ${OUTER.b.ipv4}`, 'script-security 2', ...more]),
    });

  it('a failing `up` ends the start with exit code 1, and nothing is left', async () => {
    const before = await link.a.snapshot();
    for (const implementation of ['openvpn', 'tsvpn'] as const) {
      const gateway = start(implementation, [`up ${failing('fails', 'exit 3')}`]);
      expect(await gateway.exited).toBe(1);
      expect(gateway.log).toContain('external program exited with error status: 3');
      expect(await link.a.snapshot()).toBe(before);
    }
  });

  it.each(['down', 'route-pre-down'])(
    'a failing `%s` makes exit code 1, and nothing is left',
    async (name) => {
      const before = await link.a.snapshot();
      const peer = startPeer();
      for (const implementation of ['openvpn', 'tsvpn'] as const) {
        const gateway = start(implementation, [`${name} ${failing('fails', 'exit 3')}`]);
        await gateway.waitFor(COMPLETED);
        expect(await gateway.stop('SIGTERM')).toBe(1);
        expect(await link.a.snapshot()).toBe(before);
      }
      await peer.stop();
    },
  );

  it.each(['route-up', 'ipchange'])('a failing `%s` is only warned about', async (name) => {
    const peer = startPeer();
    for (const implementation of ['openvpn', 'tsvpn'] as const) {
      const gateway = start(implementation, [`${name} ${failing('fails', 'exit 3')}`]);
      await gateway.waitFor(COMPLETED);
      await gateway.waitFor(/Failed running command \(--(?:route-up|ipchange)\): external program exited/);
      expect(await gateway.stop('SIGTERM')).toBe(0);
    }
    await peer.stop();
  });

  it('`up` without script-security 2 is refused with its line', async () => {
    const gateway = startGateway(link, link.a, {
      implementation: 'tsvpn',
      name: 'site',
      config: config(ADDRESSES, ['up /bin/true']),
    });
    expect(await gateway.exited).toBe(2);
    expect(gateway.log).toMatch(/`up` may not be run\n.*site\.conf:9:1\n[^]*fix: script-security 2/);
  });

  it('a script that is not there, or not executable, is refused before anything is done', async () => {
    const gateway = start('tsvpn', ['up "./nothing x"', `down ${join(link.folder, 'static.key')}`]);
    expect(await gateway.exited).toBe(2);
    expect(gateway.log).toMatch(/up: the script \.\/nothing does not exist[^]*is not executable/);
  });

  it('a changed address of the peer calls ipchange again', async () => {
    const output = join(link.folder, 'calls');
    rmSync(output, { force: true });
    await link.b.ip('address', 'add', '192.0.2.3/24', 'dev', 'outer');
    const hook = `ipchange "${dump} ipchange 'two words'"`;
    const gateway = startGateway(link, link.a, {
      implementation: 'tsvpn',
      name: 'site',
      config: config(ADDRESSES, ['script-security 2', hook]),
    });
    for (const address of ['192.0.2.2', '192.0.2.3']) {
      const peer = startPeer(['ifconfig 10.4.0.2 10.4.0.1', `local ${address}`, `remote ${OUTER.a.ipv4}`]);
      await expect.poll(() => callsIn(output).at(-1)?.words).toEqual([`[AF_INET]${address} 1194`]);
      expect(callsIn(output).at(-1)?.variables).toContain(`trusted_ip=${address}`);
      await peer.stop();
    }
    await gateway.stop();
    await link.b.ip('address', 'del', '192.0.2.3/24', 'dev', 'outer');
  });

  it('a hanging `up` does not keep SIGTERM from ending the start, and its device goes', async () => {
    const before = await link.a.snapshot();
    const gateway = start('tsvpn', [`up ${failing('slow', '/bin/sleep 2')}`]);
    await gateway.waitFor(/slow tun0 1500/);
    gateway.signal('SIGTERM');
    expect(await gateway.exited).toBe(0);
    expect(await link.a.snapshot()).toBe(before);
    expect((await tsvpn(link, link.a, 'status')).stdout).not.toContain('site');
  });
});

function callsIn(output: string): Call[] {
  if (!existsSync(output)) return [];
  const blocks = readFileSync(output, 'utf8').split('=end\n').slice(0, -1);
  return blocks.map((block) => {
    const [words, variables, device, routes] = block
      .split('=part\n')
      .map((part) => part.split('\n').slice(0, -1));
    return {
      name: words[0],
      words: words.slice(2),
      variables: variables
        .filter((line) => !OF_THE_SHELL.test(line))
        .map((line) => line.replace(OF_THE_PROCESS, '$1=N')),
      // Our routes carry a number of our own.
      routes: routes.map((line) => line.replace(' proto 86', '').trimEnd()),
      deviceIsThere: device.length > 0,
    };
  });
}

/** Written to a file of its own first: a reader finds whole calls only. */
const DUMP = `#!/bin/sh
folder=\${0%/*}
{
  for word in "$@"; do echo "$word"; done
  echo =part
  /usr/bin/env | /usr/bin/sort
  echo =part
  if [ -n "$dev" ]; then /sbin/ip -o link show dev "$dev" 2>/dev/null; fi
  echo =part
  /sbin/ip route
  /sbin/ip -6 route | /bin/grep -v '^fe80'
  echo =end
} > "$folder/call.$$"
/bin/cat "$folder/call.$$" >> "$folder/calls"
`;

/** Both ends read the same key. */
const KEY = Uint8Array.from({ length: 256 }, (_, i) => (i * 37 + 11) & 0xff);
