/** What the gateway learns from the kernel: routes of a routing daemon, its own addresses, which way packets go, ICMP. */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLab, type Lab, type Namespace } from '../support/netns.ts';
import type { Daemon } from '../support/process.ts';

const CHILD = resolve(import.meta.dirname, '../support/kernel-watch.mjs');
const tun = 'tun7';
const peers = [
  { name: 'a', tunnelAddresses: ['10.8.0.2', 'fd08::2'], prefixes: ['172.16.0.0/12'] },
  { name: 'b', tunnelAddresses: ['10.8.0.3', 'fd08::3'], prefixes: [] },
];

/** gateway eth1 172.16.0.2 ── 172.16.0.3 lan */
let lab: Lab;
let gateway: Namespace;
let lan: Namespace;

beforeEach(async () => {
  lab = createLab();
  gateway = await lab.namespace('gw');
  lan = await lab.namespace('lan');
  await lab.connect(gateway, 'eth1', lan, 'eth0');
  await gateway.ip('address', 'add', '172.16.0.2/24', 'dev', 'eth1');
  await lan.ip('address', 'add', '172.16.0.3/24', 'dev', 'eth0');
});
afterEach(() => lab.destroy());

async function watch(order: object = {}): Promise<Daemon> {
  const journal = join(lab.folder, 'run', 'office.journal');
  const daemon = gateway.spawn([process.execPath, CHILD, JSON.stringify({ tun, peers, journal, ...order })]);
  await daemon.waitFor(/routes 1/);
  return daemon;
}

/** The routes of the last line that told some. */
function routes({ log }: Daemon): string[] {
  const last = [...log.matchAll(/^routes \d+ (.*)$/gm)].at(-1);
  return JSON.parse(last?.[1] ?? '[]') as string[];
}

describe('learning', () => {
  it('takes over the routes of BIRD, follows them, and drops them when they go', async () => {
    const daemon = await watch();
    const config = (lines: string) => `
      router id 10.8.0.1;
      protocol device { scan time 1; }
      protocol kernel { ipv4 { export all; }; }
      protocol kernel { ipv6 { export all; }; }
      protocol static { ipv4; ${lines} }
      protocol static { ipv6; route fd20::/48 via fd08::3; }
    `;
    const file = join(lab.folder, 'bird.conf');
    const socket = join(lab.folder, 'bird.ctl');
    writeFileSync(file, config('route 172.20.0.0/16 via 10.8.0.3; route 172.21.0.0/16 via 10.8.0.2;'));
    const bird = gateway.spawn(['bird', '-f', '-c', file, '-s', socket]);
    await daemon.waitFor(/172\.21\.0\.0.*fd20/);
    expect(routes(daemon)).toEqual(
      expect.arrayContaining([
        '172.20.0.0/16 peer b bird',
        '172.21.0.0/16 peer a bird',
        'fd20::/48 peer b bird',
      ]),
    );
    writeFileSync(file, config('route 172.20.0.0/16 via 10.8.0.2;'));
    await gateway.mustRun(['birdc', '-s', socket, 'configure']);
    await daemon.waitFor(/172\.20\.0\.0\/16 peer a bird/);
    expect(routes(daemon).filter((route) => route.includes('172.21'))).toEqual([]);
    await bird.stop();
  });

  it('finds routes with onlink and with several next hops, and its own networks inside a prefix of a peer', async () => {
    const daemon = await watch();
    await gateway.ip(
      'route',
      'add',
      '10.30.0.0/16',
      'via',
      '10.8.0.3',
      'dev',
      tun,
      'onlink',
      'proto',
      'static',
    );
    const hops = ['nexthop', 'via', '10.8.0.2', 'dev', tun, 'nexthop', 'via', '10.8.0.3', 'dev', tun];
    await gateway.ip('route', 'add', '10.31.0.0/16', ...hops);
    await gateway.ip('route', 'add', '10.32.0.0/16', 'via', 'inet6', 'fd08::3', 'dev', tun);
    await daemon.waitFor(/10\.32/);
    expect(routes(daemon)).toEqual([
      '10.30.0.0/16 peer b static',
      '10.31.0.0/16 peer a boot',
      '10.31.0.0/16 peer b boot',
      '10.32.0.0/16 peer b boot',
      '10.8.0.1/32 own',
      '172.16.0.0/24 local',
      '172.16.0.2/32 own',
      'fd08::1/128 own',
    ]);
  });

  it('hears of addresses that come and go', async () => {
    const daemon = await watch();
    await gateway.ip('address', 'add', '192.0.2.7/32', 'dev', 'lo');
    await daemon.waitFor(/192\.0\.2\.7\/32 own/);
    await gateway.ip('address', 'del', '192.0.2.7/32', 'dev', 'lo');
    await daemon.waitFor(/routes [^\n]*own[^\n]*\n$/);
    await expect.poll(() => routes(daemon)).not.toContain('192.0.2.7/32 own');
  });

  it('looks a few times, not once for each of a thousand changes', async () => {
    const daemon = await watch();
    const batch = Array.from(
      { length: 1000 },
      (_, i) => `route add 10.64.${i >> 8}.${i & 255}/32 via 10.8.0.3`,
    );
    await gateway.mustRun(['ip', '-batch', '-'], { input: batch.join('\n') });
    await expect.poll(() => routes(daemon).length).toBeGreaterThan(1000);
    expect(daemon.count(/^routes/m)).toBeLessThan(20);
  });
});

describe('egress', () => {
  it('tells the interface and the source the kernel would use, for both families', async () => {
    const daemon = await watch({
      egress: ['172.16.0.3', '10.8.0.2', '203.0.113.1', 'fd08::2', '172.16.0.2'],
    });
    await daemon.waitFor(/egress 172\.16\.0\.2/);
    expect(daemon.log).toContain('egress 172.16.0.3 eth1 172.16.0.2\n');
    expect(daemon.log).toContain('egress 10.8.0.2 tun7 10.8.0.1\n');
    expect(daemon.log).toContain('egress 203.0.113.1 none\n');
    expect(daemon.log).toContain('egress fd08::2 tun7 fd08::1\n');
    expect(daemon.log).toContain('egress 172.16.0.2 lo 172.16.0.2\n');
  });
});

describe('the raw ICMP socket', () => {
  it('gets answers and no requests; what it sends keeps the TTL it was given; the host still answers pings', async () => {
    const dump = lan.spawn(['tcpdump', '-n', '-l', '-v', '-i', 'eth0', 'icmp']);
    await dump.waitFor(/listening on/);
    const daemon = await watch({ icmp: '172.16.0.2', ping: '172.16.0.3' });
    await daemon.waitFor(/icmp 172\.16\.0\.3 0/);
    await dump.waitFor(/ttl 7, .*\n.*172\.16\.0\.2 > 172\.16\.0\.3: ICMP echo request, id 4660/);
    await lan.mustRun(['ping', '-c', '1', '-W', '2', '172.16.0.2']);
    expect(daemon.count(/icmp 172\.16\.0\.3 8/)).toBe(0);
    // UDP to a closed port of the LAN host: port unreachable.
    await gateway.run(['bash', '-c', 'echo x > /dev/udp/172.16.0.3/9']);
    await daemon.waitFor(/icmp 172\.16\.0\.3 3/);
  });
});
