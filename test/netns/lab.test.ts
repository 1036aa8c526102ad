import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Implementation, LabReport } from '../../src/lab/report.ts';
import { TSVPN } from '../support/gateway.ts';
import { Daemon, run } from '../support/process.ts';
import { giveToUnprivileged, WITHOUT_CAPABILITIES } from '../support/unprivileged.ts';

const CHILD = resolve(import.meta.dirname, '../support/run-lab.mjs');

/** The lab makes its folder in here, named after the namespaces. */
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tsvpn-lab-test-'))));
afterEach(() => rmSync(folder, { recursive: true }));

interface Order {
  readonly a: Implementation;
  readonly b: Implementation;
  readonly keep?: boolean;
  readonly transferBytes: number;
  readonly tsvpn?: readonly string[];
}

const argv = (order: Order) => [process.execPath, CHILD, JSON.stringify(order)];
const environment = () => ({ env: { TMPDIR: folder } });

/** What labs of this test have left: folders, names of namespaces, processes working in the folder. */
function leftovers(prefix: string): string[] {
  const names = readdirSync('/run/netns').filter((name) => name.startsWith(`${prefix}-`));
  const processes = readdirSync('/proc').filter((entry) => workingDirectory(entry).startsWith(folder));
  return [...readdirSync(folder), ...names, ...processes.map((pid) => `process ${pid}`)];
}

function workingDirectory(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

/** The random part of this lab's names, known as soon as its folder is there. */
async function prefixOf(lab: Daemon): Promise<string> {
  await lab.waitFor(/progress: starting/);
  return readdirSync(folder)[0].split('-').slice(0, 2).join('-');
}

const pairs: readonly [a: Implementation, b: Implementation][] = [
  ['openvpn', 'openvpn'],
  [TSVPN, 'openvpn'],
  [TSVPN, TSVPN],
];

describe('lab', () => {
  it.each(pairs)('hosts reach each other in three hops, %s on A and %s on B', async (a, b) => {
    const { code, stdout } = await run(argv({ a, b, transferBytes: 1 << 20 }), environment());
    const report = JSON.parse(stdout.trim().split('\n').at(-1)!) as LabReport;
    expect(report).toMatchObject({
      schema: 'tsvpn.lab/1',
      ok: true,
      gateways: { a, b },
      pings: [
        { from: 'A', sent: 5, received: 5 },
        { from: 'B', sent: 5, received: 5 },
      ],
      traces: [
        { from: 'A', hops: ['10.0.1.1', '10.254.0.2', '10.1.1.2'] },
        { from: 'B', hops: ['10.1.1.1', '10.254.0.1', '10.0.1.2'] },
      ],
      transfers: [
        { from: 'A', bytes: 1 << 20, intact: true },
        { from: 'B', bytes: 1 << 20, intact: true },
      ],
    });
    expect(code).toBe(0);
    expect(leftovers(/tsvpn-\w+/.exec(report.shells.hosta)![0])).toEqual([]);
  });

  it('under keep, stands until it is interrupted and says how to get a shell', async () => {
    const lab = new Daemon(argv({ a: TSVPN, b: TSVPN, keep: true, transferBytes: 1000 }), environment());
    await lab.waitFor(/"schema"/);
    const report = JSON.parse(/^\{.*\}$/m.exec(lab.log)![0]) as LabReport;
    const shell = report.shells.hosta
      .replace(/^sudo /, '')
      .replace(/bash$/, 'ping -c 1 10.1.1.2')
      .split(' ');
    expect((await run(shell)).stdout).toContain('1 received');
    expect(await lab.stop('SIGINT')).toBe(0);
    expect(leftovers(/tsvpn-\w+/.exec(report.shells.hosta)![0])).toEqual([]);
  });
});

describe('whatever happens, the lab leaves nothing behind', () => {
  const moments: readonly [when: string, pattern: RegExp][] = [
    ['while the gateways start', /progress: starting/],
    ['while it pings', /progress: pinging/],
    ['during the transfer', /progress: sending/],
  ];
  const order: Order = { a: TSVPN, b: TSVPN, transferBytes: 1 << 30 };

  it.each(moments)('Ctrl-C %s', async (_when, pattern) => {
    const lab = new Daemon(argv(order), environment());
    const prefix = await prefixOf(lab);
    await lab.waitFor(pattern);
    expect(await lab.stop('SIGINT')).toBe(1);
    expect(lab.log).toContain('"code":"LAB_INTERRUPTED"');
    expect(leftovers(prefix)).toEqual([]);
  });

  it.each(moments)('kill -9 %s', async (_when, pattern) => {
    const lab = new Daemon(argv(order), environment());
    const prefix = await prefixOf(lab);
    await lab.waitFor(pattern);
    lab.signal('SIGKILL');
    await expect.poll(() => leftovers(prefix)).toEqual([]);
  });

  it('a gateway that does not start: the error shows the end of its log, which is kept', async () => {
    const script = 'console.error("no key today"); process.exit(3)';
    const failing = {
      a: 'tsvpn',
      b: 'tsvpn',
      transferBytes: 1,
      tsvpn: [process.execPath, '-e', script],
    } as const;
    const { code, stdout } = await run(argv(failing), environment());
    expect(code).toBe(1);
    expect(stdout).toContain('"code":"LAB_GATEWAY"');
    expect(stdout).toContain('no key today');
    const [kept, ...others] = readdirSync(folder);
    expect(readdirSync(join(folder, kept))).toContain('site-a.log');
    expect(others).toEqual([]);
    rmSync(join(folder, kept), { recursive: true });
    expect(leftovers(kept.split('-').slice(0, 2).join('-'))).toEqual([]);
  });

  it('without privilege: exit code 4 with the way to get it, and nothing is made', async () => {
    giveToUnprivileged(folder);
    const { code, stdout } = await run([...WITHOUT_CAPABILITIES, ...argv(order)], environment());
    expect(code).toBe(4);
    expect(stdout).toContain('"code":"LAB_PRIVILEGE"');
    expect(stdout).toContain('--device /dev/net/tun --cap-add NET_ADMIN');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('without /dev/net/tun: exit code 4 with the way to get it', async () => {
    const hidden = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', 'sh'];
    const { code, stdout } = await run([...hidden, ...argv(order)], environment());
    expect(code).toBe(4);
    expect(stdout).toContain('"code":"TUN_NO_DEVICE_NODE"');
    expect(stdout).toContain('--device /dev/net/tun --cap-add NET_ADMIN');
    expect(readdirSync(folder)).toEqual([]);
  });
});
