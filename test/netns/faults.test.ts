/**
 * What an operator can get wrong, and what a machine can lack: one clear error that says what to do, the documented
 * exit code, and nothing left behind.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inLab, startGateway, tsvpn, TSVPN_BIN, writeConfig, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import type { Namespace } from '../support/netns.ts';
import { createLink, OUTER, type Link } from '../support/topology.ts';
import { giveToUnprivileged, WITHOUT_CAPABILITIES } from '../support/unprivileged.ts';

const EXIT = { failure: 1, usage: 2, key: 3, privilege: 4, busy: 5, peerSilent: 6 };
/** Neither root nor the owner of the repository. */
const STRANGER = 54_321;

interface Fault {
  readonly title: string;
  /** Changes the good config. */
  readonly config?: (good: string) => string;
  /** The text of the key file. */
  readonly keyText?: (good: string) => string;
  /** Makes the machine unsuitable, before the start. */
  readonly prepare?: (link: Link) => Promise<void> | void;
  /** What stands in front of `tsvpn`. */
  readonly prefix?: () => string[];
  readonly exitCode: number;
  /** What the message must name: the thing, and what to do about it. */
  readonly says: readonly RegExp[];
}

/** Runs what follows with an empty /dev/net. */
function withoutTunNode(): string[] {
  return ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', 'sh'];
}

const faults: readonly Fault[] = [
  {
    title: 'an unknown directive',
    config: (good) => `${good}\nroute-gatewy 10.0.0.1`,
    exitCode: EXIT.usage,
    says: [/tunnel\.conf:\d+:1/, /route-gatewy/, /route-gateway/],
  },
  {
    title: 'no cipher line, which means BF-CBC',
    config: (good) => good.replace(/^cipher.*\n/m, ''),
    exitCode: EXIT.usage,
    says: [/BF-CBC/, /cipher AES-256-CBC/, /both ends/i],
  },
  {
    title: 'a config for TLS mode',
    config: (good) => good.replace(/^secret.*\n/m, 'ca ca.crt\ncert a.crt\nkey a.key\n'),
    exitCode: EXIT.usage,
    says: [/TLS/, /static/i],
  },
  {
    title: 'a truncated key file',
    keyText: (good) => good.split('\n').toSpliced(12, 4).join('\n'),
    exitCode: EXIT.key,
    says: [/static\.key/, /256/, /genkey/],
  },
  {
    title: 'a key file that is not there',
    config: (good) => good.replace('static.key', 'absent.key'),
    exitCode: EXIT.key,
    says: [/absent\.key/, /genkey|copy|path/],
  },
  {
    title: 'a key file this user may not read',
    prepare: (link) => chownSync(join(link.folder, 'static.key'), STRANGER, STRANGER),
    prefix: () => [...WITHOUT_CAPABILITIES],
    exitCode: EXIT.key,
    says: [/static\.key/, /permission|not allowed|may not|EACCES/i, /sudo|root|chmod|chown/],
  },
  {
    title: 'no /dev/net/tun',
    prefix: withoutTunNode,
    exitCode: EXIT.privilege,
    says: [/\/dev\/net\/tun/, /modprobe tun/, /--device/],
  },
  {
    title: 'no privilege',
    prepare: (link) => {
      for (const name of ['static.key', 'run']) giveToUnprivileged(join(link.folder, name));
    },
    prefix: () => [...WITHOUT_CAPABILITIES],
    exitCode: EXIT.privilege,
    says: [/CAP_NET_ADMIN/, /root|sudo/],
  },
  {
    title: 'a runtime directory that others can write in',
    prepare: (link) => chmodSync(join(link.folder, 'run'), 0o777),
    exitCode: EXIT.failure,
    says: [/other users/, /TSVPN_RUNTIME_DIR/],
  },
  {
    title: 'a device name in use by another kind of interface',
    prepare: async (link) =>
      void (await link.b.ip('link', 'add', 't1', 'type', 'veth', 'peer', 'name', 't1peer')),
    exitCode: EXIT.busy,
    says: [/\bt1\b/, /dev/],
  },
  {
    title: 'a device name in use by another tunnel',
    prepare: async (link) => {
      const holder = goodConfig().replace('port 1194', 'port 1195').replaceAll('10.4.1.', '10.4.2.');
      await startGateway(link, link.b, { implementation: 'openvpn', name: 'holder', config: holder }).waitFor(
        /TUN\/TAP device t1 opened/,
      );
    },
    exitCode: EXIT.busy,
    says: [/\bt1\b/, /in use/, /dev/],
  },
  {
    title: 'a port in use',
    prepare: (link) => occupyPort(link.b),
    exitCode: EXIT.busy,
    says: [/1194/, /in use|EADDRINUSE/, /port/],
  },
  {
    title: 'a tunnel name in use',
    prepare: async (link) => {
      const config = goodConfig().replace('port 1194', 'port 1195').replace('dev t1', 'dev t2');
      startGateway(link, link.b, {
        implementation: 'tsvpn',
        name: 'tunnel',
        config: config.replaceAll('10.4.1.', '10.4.2.'),
      });
      const isUp = async () => (await tsvpn(link, link.b, 'status', 'tunnel')).code === 0;
      await expect.poll(isUp).toBe(true);
    },
    exitCode: EXIT.busy,
    says: [/tunnel/, /already running/, /down/],
  },
];

function goodConfig(): string {
  return [
    'dev t1',
    'dev-type tun',
    'port 1194',
    `remote ${OUTER.a.ipv4}`,
    'secret static.key',
    'cipher AES-256-CBC',
    'auth SHA256',
    'ifconfig 10.4.1.1 10.4.1.2',
    'route 10.99.0.0 255.255.0.0',
    'ping 1',
    'verb 3',
  ].join('\n');
}

/** Holds UDP port 1194 with a program of our own until the lab ends. */
async function occupyPort(namespace: Namespace): Promise<void> {
  const script = `require('dgram').createSocket('udp4').bind(1194, () => console.log('bound'))`;
  await namespace.spawn([process.execPath, '-e', script]).waitFor(/bound/);
}

describe('tsvpn up refuses clearly and leaves nothing behind', () => {
  let link: Link;
  beforeEach(async () => {
    link = await createLink();
    chmodSync(link.folder, 0o755);
  });
  afterEach(() => link.destroy());

  it.each(faults)('$title', async (fault) => {
    const goodKey = staticKeyText();
    writeKey(link, 'static.key', fault.keyText?.(goodKey) ?? goodKey);
    const inside = inLab(link);
    const runtime = join(link.folder, 'run');
    mkdirSync(runtime, { recursive: true });
    await fault.prepare?.(link);
    const file = writeConfig(link, 'tunnel', fault.config?.(goodConfig()) ?? goodConfig());
    const before = { kernel: await link.b.snapshot(), files: readdirSync(runtime).toSorted() };

    const result = await link.b.run([...(fault.prefix?.() ?? []), TSVPN_BIN, 'up', file], inside);

    expect(result.code, result.stderr).toBe(fault.exitCode);
    for (const pattern of fault.says) expect(result.stderr).toMatch(pattern);
    expect(result.stderr, 'no stack trace').not.toMatch(/^\s+at .*\.[jt]s:\d+/m);
    expect(result.stdout, 'stdout is for results').toBe('');
    expect(await link.b.snapshot()).toBe(before.kernel);
    expect(readdirSync(runtime).toSorted()).toEqual(before.files);
  });
});

describe('tsvpn up --wait gives up with exit code 6 when nothing the peer sends is valid', () => {
  const mismatches: readonly { title: string; peer: (config: string) => string; says: readonly RegExp[] }[] =
    [
      {
        title: 'another key',
        peer: (config) => config.replace('static.key', 'other.key'),
        says: [/key/, /auth/],
      },
      {
        title: 'the same direction on both ends',
        peer: (config) => config.replace('secret static.key', 'secret static.key 0'),
        says: [/direction/],
      },
      {
        title: 'another cipher',
        peer: (config) => config.replace('AES-256-CBC', 'AES-128-CBC'),
        says: [/cipher/],
      },
    ];

  it.concurrent.for(mismatches)('$title', async ({ title, peer, says }, { onTestFinished }) => {
    const link = await createLink();
    onTestFinished(() => link.destroy());
    const key = writeKey(link, 'static.key', staticKeyText());
    writeKey(link, 'other.key', staticKeyText());
    const direction = title.includes('direction') ? ' 0' : '';
    const ours = goodConfig().replace('secret static.key', `secret ${key}${direction}`);
    const theirs = peer(goodConfig())
      .replace(OUTER.a.ipv4, OUTER.b.ipv4)
      .replace('10.4.1.1 10.4.1.2', '10.4.1.2 10.4.1.1');
    startGateway(link, link.a, { implementation: 'openvpn', name: 'peer', config: theirs });
    const before = await link.b.snapshot();
    const file = writeConfig(link, 'tunnel', ours);

    const result = await link.b.run([TSVPN_BIN, 'up', file, '--wait=4'], inLab(link));

    expect(result.code, result.stderr).toBe(EXIT.peerSilent);
    for (const pattern of says) expect(result.stderr).toMatch(pattern);
    expect(await link.b.snapshot()).toBe(before);
  });
});
