import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { formatPosition } from '../../src/errors.ts';
import type { KernelChange, RouteChange } from '../../src/kernel/change.ts';
import type { CleanupReport } from '../../src/kernel/cleanup.ts';
import { planDifference, type KernelDifference } from '../../src/kernel/plan.ts';
import type { UndoReport } from '../../src/kernel/undo.ts';
import { staticKeyText } from '../support/keys.ts';
import { createLab, type Lab, type Namespace } from '../support/netns.ts';
import { giveToUnprivileged, WITHOUT_CAPABILITIES } from '../support/unprivileged.ts';

const CHILD = resolve(import.meta.dirname, '../support/kernel-setup.mjs');
const device = 'tun7';
const where = { file: 'peer.conf', line: 4, column: 1 };

const address = (local: string, peer?: string): KernelChange => ({
  kind: 'address',
  device,
  family: local.includes(':') ? 6 : 4,
  local,
  peer,
  prefixLength: peer !== undefined ? 32 : local.includes(':') ? 64 : 24,
});
const route4 = (network: string, gateway: string, metric?: number): RouteChange => ({
  kind: 'route',
  family: 4,
  network,
  prefixLength: 16,
  gateway,
  device: undefined,
  metric,
  where,
});
const route6 = (network: string, metric?: number): KernelChange => ({
  kind: 'route',
  family: 6,
  network,
  prefixLength: 48,
  gateway: undefined,
  device,
  metric,
  where,
});

/** Everything at once: 10.98.0.0/16 goes through a gateway outside the tunnel and outlives the device. */
const EVERYTHING: readonly KernelChange[] = [
  { kind: 'mtu', device, mtu: 1400 },
  { kind: 'txqueuelen', device, packets: 600 },
  address('10.4.0.1', '10.4.0.2'),
  address('fd00::1'),
  { kind: 'up', device },
  route4('10.99.0.0', '10.4.0.2'),
  route4('10.98.0.0', '192.0.2.9', 7),
  route6('fd01::'),
  route6('fd02::', 44),
];

let lab: Lab;
let net: Namespace;
let journal: string;

beforeAll(async () => {
  lab = createLab();
  net = await lab.namespace('a');
  const other = await lab.namespace('b');
  await lab.connect(net, 'outer', other, 'outer');
  await net.ip('address', 'add', '192.0.2.1/24', 'dev', 'outer');
  journal = join(lab.folder, 'run', 'office.journal');
});
afterEach(() => net.run(['ip', 'link', 'del', device]));
afterAll(() => lab.destroy());

interface Order {
  readonly changes?: readonly KernelChange[];
  readonly tun?: string;
  readonly difference?: KernelDifference;
  readonly shell?: string;
  readonly dieAt?: number;
  readonly last: 'undo' | 'wait' | 'cleanup';
}

const argv = (order: Order) => [
  process.execPath,
  CHILD,
  JSON.stringify({ journal, device, changes: [], ...order }),
];

async function setup<Result>(order: Order): Promise<Result> {
  const { stdout, stderr } = await net.run(argv(order));
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Result;
}

interface Outcome {
  readonly notes: readonly string[];
  readonly undo: UndoReport;
}

/** Addresses of the device and routes, without what differs from run to run and without the routes' origin. */
async function picture(): Promise<unknown> {
  const [link] = await list('address', 'show', 'dev', device);
  const addresses = (link.addr_info as Record<string, unknown>[])
    .filter((info) => info.scope !== 'link')
    // Duplicate address detection runs for a moment longer, or has ended.
    .map(({ tentative: _tentative, ...info }) => info);
  const routes = [...(await list('-4', 'route')), ...(await list('-6', 'route'))];
  return {
    link: { ...link, ifindex: 0, addr_info: addresses },
    routes: routes.map((route) => ({ ...route, protocol: route.protocol === 'kernel' ? 'kernel' : 'vpn' })),
  };
}

async function list(...words: string[]): Promise<Record<string, unknown>[]> {
  return JSON.parse(await net.ip('-j', ...words)) as Record<string, unknown>[];
}

describe('compared with stock', () => {
  const cases: readonly [title: string, options: string, changes: readonly KernelChange[]][] = [
    [
      'p2p, IPv6, txqueuelen, routes with and without metric',
      '--ifconfig 10.4.0.1 10.4.0.2 --ifconfig-ipv6 fd00::1/64 fd00::2 --tun-mtu 1400 --txqueuelen 600' +
        ' --route 10.99.0.0 255.255.0.0 --route 10.98.0.0 255.255.0.0 192.0.2.9 7' +
        ' --route-ipv6 fd01::/48 --route-ipv6 fd02::/48 fd00::2 44',
      EVERYTHING,
    ],
    [
      'topology subnet',
      '--topology subnet --ifconfig 10.4.0.1 255.255.255.0',
      [{ kind: 'mtu', device, mtu: 1500 }, address('10.4.0.1'), { kind: 'up', device }],
    ],
    [
      'no ifconfig: the device stays down',
      '--txqueuelen 600 --route 10.98.0.0 255.255.0.0 192.0.2.9',
      [{ kind: 'txqueuelen', device, packets: 600 }, route4('10.98.0.0', '192.0.2.9')],
    ],
  ];

  it.each(cases)('the kernel ends up in the same state: %s', async (_title, options, changes) => {
    const key = join(lab.folder, 'static.key');
    writeFileSync(key, staticKeyText(), { mode: 0o600 });
    const base = ['openvpn', '--dev', device, '--secret', key, '--cipher', 'AES-256-CBC', '--verb', '3'];
    const stock = net.spawn([...base, ...options.split(' ')]);
    await stock.waitFor(/link local/);
    const expected = await picture();
    await stock.stop();

    const ours = net.spawn(argv({ changes, tun: device, last: 'wait' }));
    await ours.waitFor(/ready/);
    expect(await picture()).toEqual(expected);
    await ours.stop('SIGKILL');
    await setup({ last: 'cleanup' });
  });
});

describe('undo', () => {
  it('leaves the namespace as it was, on a device that stays', async () => {
    await net.ip('tuntap', 'add', 'dev', device, 'mode', 'tun');
    const before = await net.snapshot();
    const { undo } = await setup<Outcome>({ changes: EVERYTHING, last: 'undo' });
    expect(undo.failed).toEqual([]);
    expect(undo.undone[0]).toBe('ip -6 route flush table all dev tun7 proto 86');
    expect(undo.undone.at(-1)).toBe('ip link set dev tun7 mtu 1500');
    expect(await net.snapshot()).toBe(before);
    expect(existsSync(journal)).toBe(false);
  });

  it('leaves alone what was there before', async () => {
    await net.ip('tuntap', 'add', 'dev', device, 'mode', 'tun');
    await net.ip('address', 'add', '10.4.0.1', 'peer', '10.4.0.2', 'dev', device);
    await net.ip('link', 'set', device, 'up');
    await net.ip('route', 'add', '10.99.0.0/16', 'via', '10.4.0.2', 'proto', '86');
    await net.ip('route', 'add', '10.98.0.0/16', 'via', '192.0.2.9', 'metric', '7');
    const before = await net.snapshot();
    // Not IPv6: the kernel adds a multicast route of its own on a device that is up but has no carrier.
    const changes = EVERYTHING.filter((change) => !('family' in change) || change.family === 4);
    const { notes, undo } = await setup<Outcome>({ changes, last: 'undo' });
    expect(notes).toEqual([
      'already there, left alone: ip address add 10.4.0.1 peer 10.4.0.2/32 dev tun7',
      'already there, left alone: ip link set dev tun7 up',
      'already there, left alone: ip route add 10.99.0.0/16 via 10.4.0.2 proto 86',
    ]);
    expect(undo.failed).toEqual([]);
    expect(await net.snapshot()).toBe(before);
    await net.ip('route', 'del', '10.98.0.0/16');
  });
});

describe('kill -9', () => {
  const steps = EVERYTHING.length * 2;

  it(`at any of ${steps} steps is cleaned up, on a device that stays`, async () => {
    await net.ip('tuntap', 'add', 'dev', device, 'mode', 'tun');
    const before = await net.snapshot();
    for (let dieAt = 0; dieAt < steps; dieAt++) {
      const { code } = await net.run(argv({ changes: EVERYTHING, dieAt, last: 'wait' }));
      expect(code, 'killed').not.toBe(0);
      const report = await setup<CleanupReport>({ last: 'cleanup' });
      expect(report.journals[0].outcome).toBe('undone');
      expect(await net.snapshot(), `killed at step ${dieAt}`).toBe(before);
    }
  });

  it('takes the device with it; cleanup removes the route through another gateway', async () => {
    const before = await net.snapshot();
    const dieAt = EVERYTHING.length * 2 - 1;
    await net.run(argv({ changes: EVERYTHING, tun: device, dieAt, last: 'wait' }));
    expect(await net.snapshot()).toContain('10.98.0.0/16');
    const { journals } = await setup<CleanupReport>({ last: 'cleanup' });
    expect(journals[0].undo?.undone).toEqual(['ip route del 10.98.0.0/16 via 192.0.2.9 metric 7 proto 86']);
    // The two IPv6 routes are one entry.
    expect(journals[0].undo?.gone).toHaveLength(EVERYTHING.length - 2);
    expect(await net.snapshot()).toBe(before);
  });

  it('does not make cleanup touch a device of the same name that came later', async () => {
    const dieAt = EVERYTHING.length * 2 - 1;
    await net.run(argv({ changes: EVERYTHING, tun: device, dieAt, last: 'wait' }));
    await net.ip('tuntap', 'add', 'dev', device, 'mode', 'tun');
    await net.ip('link', 'set', device, 'mtu', '1300', 'up');
    await net.ip('address', 'add', '10.4.0.1', 'peer', '10.4.0.2', 'dev', device);
    const addresses = await net.ip('address', 'show', 'dev', device);
    const { journals } = await setup<CleanupReport>({ last: 'cleanup' });
    expect(journals[0].undo?.undone).toHaveLength(1);
    expect(await net.ip('address', 'show', 'dev', device)).toBe(addresses);
  });

  it('leaves a journal that another network namespace may not use', async () => {
    await net.run(argv({ changes: [route4('10.98.0.0', '192.0.2.9')], dieAt: 1, last: 'wait' }));
    const elsewhere = await lab.namespace('c');
    const { stdout } = await elsewhere.run(argv({ last: 'cleanup' }));
    const { journals } = JSON.parse(stdout) as CleanupReport;
    expect(journals).toEqual([
      { name: 'office', outcome: 'other-namespace', namespacePath: `/run/netns/${net.name}` },
    ]);
    expect((await setup<CleanupReport>({ last: 'cleanup' })).journals[0].outcome).toBe('undone');
    expect(readdirSync(join(lab.folder, 'run'))).toEqual([]);
  });
});

describe('a change at run time', () => {
  const AFTER: readonly KernelChange[] = [
    { kind: 'mtu', device, mtu: 1300 },
    ...EVERYTHING.slice(1, 5),
    route4('10.99.0.0', '10.4.0.2'),
    route4('10.97.0.0', '192.0.2.9'),
    route6('fd01::', 5),
  ];
  const difference = planDifference(EVERYTHING, AFTER);

  it('leaves the kernel as if the new plan had been made at once, and undo leaves no trace', async () => {
    await net.ip('tuntap', 'add', 'dev', device, 'mode', 'tun');
    const before = await net.snapshot();
    const atOnce = net.spawn(argv({ changes: AFTER, last: 'wait' }));
    await atOnce.waitFor(/ready/);
    const expected = await picture();
    await atOnce.stop('SIGKILL');
    await setup({ last: 'cleanup' });

    const changed = net.spawn(argv({ changes: EVERYTHING, difference, last: 'wait' }));
    await changed.waitFor(/ready/);
    expect(await picture()).toEqual(expected);
    await changed.stop('SIGKILL');
    const { journals } = await setup<CleanupReport>({ last: 'cleanup' });
    // The kernel takes IPv6 addresses away itself when the device goes down; nothing else is undone twice.
    expect(journals[0].undo?.gone).toEqual(['ip address del fd00::1/64 dev tun7']);
    expect(await net.snapshot()).toBe(before);
  });

  it('that is killed at any step is cleaned up', async () => {
    await net.ip('tuntap', 'add', 'dev', device, 'mode', 'tun');
    const before = await net.snapshot();
    const first = EVERYTHING.length * 2;
    const steps = difference.toAdd.length + difference.toRemove.length;
    for (let dieAt = first; dieAt < first + steps; dieAt++) {
      const { code } = await net.run(argv({ changes: EVERYTHING, difference, dieAt, last: 'undo' }));
      expect(code, `killed at step ${dieAt}`).not.toBe(0);
      const report = await setup<CleanupReport>({ last: 'cleanup' });
      expect(report.journals[0].outcome).toBe('undone');
      expect(await net.snapshot(), `killed at step ${dieAt}`).toBe(before);
    }
  });

  it('does not make undo remove what was taken back before and belongs to somebody else by now', async () => {
    const toRemove = [route4('10.98.0.0', '192.0.2.9')];
    const { undo } = await setup<Outcome>({
      changes: toRemove,
      difference: { toAdd: [], toRemove },
      shell: 'ip route add 10.98.0.0/16 via 192.0.2.9 proto 86',
      last: 'undo',
    });
    expect(undo.undone).toEqual([]);
    expect(await net.ip('route')).toContain('10.98.0.0/16');
    await net.ip('route', 'del', '10.98.0.0/16');
  });
});

describe('a refused change', () => {
  it('is no more than a warning when it is a route of the config', async () => {
    await net.ip('tuntap', 'add', 'dev', device, 'mode', 'tun');
    const changes = [route4('10.99.0.0', '172.16.0.1'), route4('10.98.0.0', '192.0.2.9')];
    const { notes, undo } = await setup<Outcome>({ changes, last: 'undo' });
    expect(notes).toEqual([
      `${formatPosition(where)}: ERROR: Linux route add command failed: the kernel refused: ip route add 10.99.0.0/16 via 172.16.0.1 ` +
        'proto 86: Nexthop has invalid gateway (network is unreachable); gateway 172.16.0.1 is on no connected network: ' +
        'correct the route line, or the ifconfig line that should make it reachable',
    ]);
    expect(undo.undone).toHaveLength(1);
    expect(undo.failed).toEqual([]);
  });

  it("is an error with the command, the kernel's reason and a fix otherwise; the rest is undone", async () => {
    await net.ip('tuntap', 'add', 'dev', device, 'mode', 'tun');
    const before = await net.snapshot();
    const { where: _where, ...unplaced } = route4('10.99.0.0', '172.16.0.1');
    const changes = [address('10.4.0.1'), unplaced];
    const { code, stdout } = await net.run(argv({ changes, last: 'wait' }));
    const { error, undo } = JSON.parse(stdout) as { error: unknown; undo: UndoReport };
    expect(code).toBe(1);
    expect(error).toMatchObject({
      what: 'the kernel refused: ip route add 10.99.0.0/16 via 172.16.0.1 proto 86',
      why: 'Nexthop has invalid gateway (network is unreachable)',
      fix: 'gateway 172.16.0.1 is on no connected network: correct the route line, or the ifconfig line that should make it reachable',
    });
    expect(undo.failed).toEqual([]);
    expect(await net.snapshot()).toBe(before);
  });

  it('without privilege says which and has exit code 4', async () => {
    const changes: KernelChange[] = [{ kind: 'mtu', device: 'lo', mtu: 1400 }];
    mkdirSync(dirname(journal), { recursive: true });
    for (const path of [lab.folder, dirname(journal)]) giveToUnprivileged(path);
    const { stdout } = await net.run([...WITHOUT_CAPABILITIES, ...argv({ changes, last: 'wait' })]);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'KERNEL_PRIVILEGE', exitCode: 4 } });
  });
});
