/**
 * Configs as an operator finds them in manuals, wikis and on routers (test/behaviour/configs), unchanged, in each role against
 * stock OpenVPN with the other file of the pair.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { TSVPN_BIN, type Implementation } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import type { Namespace } from '../support/netns.ts';
import { PATIENCE_MS, type Daemon } from '../support/process.ts';
import { createLink, type Link } from '../support/topology.ts';
import { expectPingWithin } from '../support/traffic.ts';

const CONFIGS = new URL('../behaviour/configs/', import.meta.url).pathname;

type Side = 'a' | 'b';

/** Files that stock 2.6.14 does not take. */
const NOT_FOR_STOCK: Readonly<Record<string, string>> = {
  'vyos/a': '`iproute`, which only some builds have',
  'openvpn-2.7/a': 'a line of 2.7 without `setenv opt`',
};

interface End {
  readonly implementation: Implementation;
  readonly namespace: Namespace;
  readonly folder: string;
  readonly daemon: Daemon;
}

function addressOf(setup: string, side: Side): { readonly ipv4: string; readonly ipv6: string | undefined } {
  const text = readFileSync(join(CONFIGS, setup, `${side}.conf`), 'utf8');
  return {
    ipv4: /^(?:--)?ifconfig (\S+)/m.exec(text)![1],
    ipv6: /^ifconfig-ipv6 ([^/]+)/m.exec(text)?.[1],
  };
}

/** The file in a folder of its own, which is also /etc/openvpn; what it writes elsewhere stays in there, too. */
function startEnd(link: Link, setup: string, side: Side, implementation: Implementation, key: string): End {
  const folder = join(link.folder, side);
  cpSync(join(CONFIGS, setup), folder, { recursive: true });
  for (const directory of ['log', 'run']) mkdirSync(join(folder, directory));
  writeFileSync(join(folder, 'static.key'), key, { mode: 0o600 });
  writeFileSync(join(folder, 'key.conf'), `<secret>\n${key}</secret>\n`, { mode: 0o600 });
  const program = implementation === 'tsvpn' ? `'${TSVPN_BIN}' up ${side}.conf` : `openvpn ${side}.conf`;
  const script = [
    'mount --bind . /etc/openvpn',
    'mount --bind log /var/log',
    'mount --bind run /run',
    `exec ${program}`,
  ].join(' && ');
  const namespace = link[side];
  const env = { TSVPN_RUNTIME_DIR: join(folder, 'run'), NO_COLOR: '1' };
  return {
    implementation,
    namespace,
    folder,
    daemon: namespace.spawn(['sh', '-c', script], { cwd: folder, env }),
  };
}

/** What an end has said, in its log file if it has one. */
function logOf({ daemon, folder }: End): string {
  const files = ['openvpn.log', 'openvpn']
    .map((name) => join(folder, 'log', name))
    .filter((file) => existsSync(file));
  return [daemon.log, ...files.map((file) => readFileSync(file, 'utf8'))].join('\n');
}

const setups = readdirSync(CONFIGS, { withFileTypes: true }).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);
const runs = setups.flatMap((setup) =>
  (['a', 'b'] as const)
    .map((ours) => ({ setup, ours, stock: ours === 'a' ? ('b' as const) : ('a' as const) }))
    .filter(({ stock }) => !(`${setup}/${stock}` in NOT_FOR_STOCK)),
);

/** What the setup is about, besides packets that pass. */
const EFFECTS: Readonly<Record<string, (a: End, b: End) => Promise<void>>> = {
  async debian(a, b) {
    expect(readFileSync(join(a.folder, 'log/up'), 'utf8')).toBe('tun0 10.1.0.1 10.1.0.2 up init\n');
    expect(await a.namespace.ip('route', 'show', '10.0.1.0/24')).toContain('dev tun0');
    expect(await b.namespace.ip('route', 'show', '10.0.0.0/24')).toContain('dev tun0');
    expect(logOf(a)).toContain('Initialization Sequence Completed');
  },
  async pfsense(a) {
    expect(readFileSync(join(a.folder, 'log/up'), 'utf8')).toBe('ovpns1 10.0.8.1 10.0.8.2 10.0.8.2\n');
    expect(readFileSync(join(a.folder, 'run/openvpn_server1.pid'), 'utf8')).toMatch(/^\d+\n$/);
    expect(existsSync(join(a.folder, 'run/server1.sock'))).toBe(true);
    expect(await a.namespace.ip('route', 'show', '10.7.2.0/24')).toContain('dev ovpns1');
  },
  async 'dd-wrt'(a) {
    const pid = readFileSync(join(a.folder, 'run/openvpn.pid'), 'utf8').trim();
    expect(await a.namespace.mustRun(['ip', 'netns', 'identify', pid])).toContain(a.namespace.name);
    expect(logOf(a)).toContain('Peer Connection Initiated');
  },
  async redirect(_, b) {
    expect(await b.namespace.ip('route', 'get', '203.0.113.1')).toContain('dev tun0');
    expect(await b.namespace.ip('route', 'get', '192.0.2.1')).not.toContain('dev tun0');
  },
  async tap(a) {
    expect(readFileSync(join(a.folder, 'log/up'), 'utf8')).toBe('br0 tap0 tap 255.255.255.0\n');
  },
};

async function prepare(link: Link, setup: string): Promise<void> {
  if (setup === 'redirect') await link.b.ip('route', 'add', 'default', 'via', '192.0.2.1');
}

describe('configs that operators find', () => {
  it.concurrent.each(runs)('$setup: $ours in tsvpn, $stock in stock', async ({ setup, ours }) => {
    const link = await createLink();
    try {
      await prepare(link, setup);
      const key = staticKeyText();
      const start = (side: Side) => startEnd(link, setup, side, side === ours ? 'tsvpn' : 'openvpn', key);
      const [a, b] = [start('a'), start('b')];
      const [addressA, addressB] = [addressOf(setup, 'a'), addressOf(setup, 'b')];
      try {
        await expectPingWithin(b.namespace, addressA.ipv4);
        await expectPingWithin(a.namespace, addressB.ipv4);
        if (addressA.ipv6 !== undefined) await expectPingWithin(b.namespace, addressA.ipv6);
      } catch (error) {
        throw new Error(`a: ${logOf(a)}\nb: ${logOf(b)}`, { cause: error });
      }
      // Pings are answered before routes, logs and scripts are complete.
      await vi.waitFor(() => EFFECTS[setup]?.(a, b), { timeout: PATIENCE_MS, interval: 200 });
    } finally {
      await link.destroy();
    }
  });
});
