/** NAT in the kernel without netfilter: what is attached, what is left, and that the host can be reached all the time. */
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CleanupReport } from '../../src/kernel/cleanup.ts';
import type { UndoReport } from '../../src/kernel/undo.ts';
import { createLab, type Lab, type Namespace } from '../support/netns.ts';
import type { Daemon } from '../support/process.ts';

const CHILD = resolve(import.meta.dirname, '../support/kernel-nat.mjs');
const CLEANER = resolve(import.meta.dirname, '../support/kernel-setup.mjs');
const tun = 'tun7';

/**
 *   lan ──────── gateway ──────── wan
 *   172.16.0.3   eth1 172.16.0.2
 *                eth0 203.0.113.2   203.0.113.9
 */
let lab: Lab;
let gateway: Namespace;
let lan: Namespace;
let wan: Namespace;
let journal: string;

beforeEach(async () => {
  lab = createLab();
  gateway = await lab.namespace('gw');
  lan = await lab.namespace('lan');
  wan = await lab.namespace('wan');
  await lab.connect(gateway, 'eth1', lan, 'eth0');
  await lab.connect(gateway, 'eth0', wan, 'eth0');
  await gateway.ip('address', 'add', '172.16.0.2/24', 'dev', 'eth1');
  await gateway.ip('address', 'add', 'fd16::2/64', 'dev', 'eth1');
  await gateway.ip('address', 'add', '203.0.113.2/24', 'dev', 'eth0');
  await lan.ip('address', 'add', '172.16.0.3/24', 'dev', 'eth0');
  await lan.ip('address', 'add', 'fd16::3/64', 'dev', 'eth0');
  await wan.ip('address', 'add', '203.0.113.9/24', 'dev', 'eth0');
  for (const setting of ['all', 'eth0', 'eth1'])
    await gateway.sysctl(`net/ipv4/conf/${setting}/rp_filter`, 1);
  journal = join(lab.folder, 'run', 'office.journal');
});
afterEach(() => lab.destroy());

interface Order {
  readonly lines: readonly string[];
  readonly ports?: { first: number; last: number };
  readonly peerPort?: number;
  readonly dieAt?: number;
  readonly last?: 'undo' | 'wait';
}
interface Finding {
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

const argv = (order: Order) => [
  process.execPath,
  CHILD,
  JSON.stringify({ journal, tun, last: 'wait', ...order }),
];

async function attached(order: Order): Promise<Daemon> {
  const daemon = gateway.spawn(argv(order));
  await daemon.waitFor(/ready/);
  return daemon;
}

async function refused(order: Order): Promise<Finding> {
  const { code, stdout, stderr } = await gateway.run(argv(order));
  expect(code, stderr).toBe(1);
  const { errors } = JSON.parse(stdout) as { errors: Finding[] };
  expect(errors).toHaveLength(1);
  return errors[0];
}

async function cleanUp(): Promise<CleanupReport> {
  return JSON.parse(
    await gateway.mustRun([
      process.execPath,
      CLEANER,
      JSON.stringify({ journal, changes: [], last: 'cleanup' }),
    ]),
  ) as CleanupReport;
}

/** Everything an attachment may touch. */
function picture(): Promise<string> {
  const script = `
    ip -br link; ip -br address; ip route show table all; ip -6 route show table all
    ip -d rule; ip -6 -d rule; ip neigh show proxy; ip -6 neigh show proxy
    cd /proc/sys/net; grep . ip*/conf/*/*forwarding ipv4/conf/*/rp_filter ipv6/conf/*/proxy_ndp`;
  return gateway.mustRun(['sh', '-c', script]);
}

const rules = async () =>
  (await gateway.ip('rule'))
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' '));

const RANGE = ['masquerade eth1'];
const ALIAS = 'alias eth1 172.16.0.9';
const EVERYTHING = [
  'masquerade eth1',
  ALIAS,
  'forward eth0 tcp 8080 10.8.0.2',
  'forward eth1 udp 53 fd08::2',
  'alias eth1 fd16::9',
];

describe('range mode', () => {
  it('captures TCP and UDP ports of the address before the local rule, and no ICMP', async () => {
    const daemon = await attached({ lines: RANGE });
    expect(await rules()).toEqual([
      '0: from all to 172.16.0.2 iif eth1 ipproto tcp dport 61000-65534 lookup 51820 proto 213',
      '0: from all to 172.16.0.2 iif eth1 ipproto udp dport 61000-65534 lookup 51820 proto 213',
      '0: from all lookup local',
      '32766: from all lookup main',
      '32767: from all lookup default',
    ]);
    expect(await gateway.ip('route', 'show', 'table', '51820')).toBe(
      `default dev ${tun} proto 86 scope link \n`,
    );
    await daemon.stop();
  });

  it.each([
    ['tcp', 61000],
    ['udp', 65534],
  ] as const)(
    'hands %s to port %d to the device; ping and other ports reach the host',
    async (transport, port) => {
      const daemon = await attached({ lines: RANGE });
      const dump = gateway.spawn(['tcpdump', '-n', '-l', '-i', tun, transport]);
      await dump.waitFor(/listening on/);
      await lan.run(['bash', '-c', `timeout 0.5 bash -c 'echo x > /dev/${transport}/172.16.0.2/${port}'`]);
      await dump.waitFor(new RegExp(`172\\.16\\.0\\.3\\.\\d+ > 172\\.16\\.0\\.2\\.${port}`), 3000);
      expect(await reaches(lan, '172.16.0.2')).toBe(true);
      await dump.stop();
      await daemon.stop();
    },
  );
});

/** Ping, and a connection to a port that is not captured, where a server need not listen: a reset is an answer. */
async function reaches(from: Namespace, address: string): Promise<boolean> {
  const ping = await from.run(['ping', '-c', '1', '-W', '1', address]);
  const connection = await from.run(['timeout', '2', 'bash', '-c', `echo > /dev/tcp/${address}/22`]);
  return ping.code === 0 && /refused/.test(connection.stderr);
}

describe('undo', () => {
  it.each([
    ['range', RANGE],
    ['alias', [ALIAS]],
    ['everything at once', EVERYTHING],
  ])('leaves rules, routes and settings as they were: %s', async (_title, lines) => {
    const before = await picture();
    const { stdout, stderr } = await gateway.run(argv({ lines, last: 'undo' }));
    expect(stderr).toBe('');
    const { undo } = JSON.parse(stdout) as { undo: UndoReport };
    expect(undo.failed).toEqual([]);
    expect(await picture()).toBe(before);
  });

  it('does not touch a setting that somebody has changed since, for the interface or for all', async () => {
    const daemon = await attached({ lines: RANGE });
    await gateway.sysctl('net/ipv4/ip_forward', 1);
    await daemon.stop();
    expect(await gateway.mustRun(['cat', '/proc/sys/net/ipv4/conf/eth1/forwarding'])).toBe('1\n');
    await gateway.sysctl('net/ipv4/ip_forward', 0);
  });
});

describe('kill -9', () => {
  it(
    'at any request leaves a host that can be reached, and cleanup leaves no trace',
    { timeout: 300_000 },
    async () => {
      const before = await picture();
      let dieAt = 0;
      for (; ; dieAt++) {
        const { code, stdout } = await gateway.run(argv({ lines: EVERYTHING, dieAt, last: 'undo' }));
        const step = `killed at step ${dieAt}`;
        expect(await rules(), step).toContainEqual(
          expect.stringMatching(/^[01]: from all lookup local( proto 213)?$/),
        );
        expect(await reaches(lan, '172.16.0.2'), step).toBe(true);
        await cleanUp();
        expect(await picture(), step).toBe(before);
        if (code === 0) {
          expect(stdout).toContain('"failed":[]');
          break;
        }
      }
      expect(dieAt).toBeGreaterThan(20);
    },
  );

  it('lets the captured ports fall through to the host, and the next start works', async () => {
    const before = await picture();
    const daemon = await attached({ lines: EVERYTHING });
    await daemon.stop('SIGKILL');
    const { stderr } = await lan.run(['timeout', '2', 'bash', '-c', 'echo > /dev/tcp/172.16.0.2/62000']);
    expect(stderr).toMatch(/refused/);
    const { code } = await lan.run(['arping', '-c', '1', '-w', '1', '-I', 'eth0', '172.16.0.9']);
    expect(code, 'nobody answers for the alias').not.toBe(0);
    await cleanUp();
    const again = await attached({ lines: EVERYTHING });
    await again.stop();
    expect(await picture()).toBe(before);
  });

  it('with the journal lost: the next start takes its rules over and removes them at its end', async () => {
    const before = await picture();
    const daemon = await attached({ lines: RANGE });
    await daemon.stop('SIGKILL');
    rmSync(journal);
    const again = await attached({ lines: RANGE });
    await again.stop();
    expect(await rules()).toEqual(expect.not.arrayContaining([expect.stringContaining('213')]));
    await gateway.sysctl('net/ipv4/conf/eth1/forwarding', 0);
    expect(await picture()).toBe(before);
  });
});

describe('check', () => {
  const CAPTURE = [
    'iif',
    'eth1',
    'to',
    '172.16.0.2',
    'ipproto',
    'tcp',
    'dport',
    '61000-65534',
    'lookup',
    '51820',
  ];

  it.each([
    [
      'a capture rule was deleted',
      async () => void (await gateway.ip('rule', 'del', 'pref', '0', ...CAPTURE)),
    ],
    [
      'another local rule came first',
      async () => {
        await gateway.ip('rule', 'del', 'pref', '0', ...CAPTURE);
        await gateway.ip('rule', 'add', 'pref', '0', ...CAPTURE, 'protocol', '213');
      },
    ],
    ['the route was deleted', async () => void (await gateway.ip('route', 'flush', 'table', '51820'))],
    ['forwarding was switched off', () => gateway.sysctl('net/ipv4/conf/eth1/forwarding', 0)],
  ])('restores the attachment when %s', async (_what, harm) => {
    const daemon = await attached({ lines: EVERYTHING });
    const before = await picture();
    await harm();
    await daemon.waitFor(/check /);
    expect(lines(await picture())).toEqual(lines(before));
    expect((await rules()).findIndex((rule) => rule.endsWith('lookup local'))).toBe(4);
    expect(daemon.log).not.toContain('"problem":"');
    await daemon.stop();
  });

  it('moves every local rule behind its own', async () => {
    await gateway.ip('rule', 'add', 'pref', '0', 'lookup', 'local');
    const daemon = await attached({ lines: RANGE });
    expect((await rules()).slice(2, 4)).toEqual(['0: from all lookup local', '0: from all lookup local']);
    await daemon.stop();
  });

  it('follows the address of the interface', async () => {
    const daemon = await attached({ lines: RANGE });
    await gateway.ip('address', 'del', '172.16.0.2/24', 'dev', 'eth1');
    await gateway.ip('address', 'add', '172.16.0.20/24', 'dev', 'eth1');
    await daemon.waitFor(/check .*"addressesChanged":true.*"addresses":\["172\.16\.0\.20"\]/);
    const now = await rules();
    expect(now.filter((rule) => rule.includes('172.16.0.20'))).toHaveLength(2);
    expect(now.filter((rule) => rule.includes('172.16.0.2 '))).toHaveLength(0);
    await daemon.stop();
  });

  it('waits for an interface that is not there yet', async () => {
    const daemon = await attached({ lines: ['masquerade late0'] });
    expect(daemon.log).toContain('there is no interface late0');
    await gateway.ip('link', 'add', 'late0', 'type', 'veth', 'peer', 'name', 'late1');
    await gateway.ip('address', 'add', '192.0.2.1/24', 'dev', 'late0');
    await daemon.waitFor(/check .*"addresses":\["192\.0\.2\.1"\]/);
    await gateway.ip('link', 'del', 'late0');
    await daemon.waitFor(/check .*"addresses":\[null\]/);
    await daemon.stop();
    expect(await rules()).toHaveLength(3);
  });
});

/** Rules of one priority may stand in another order. */
const lines = (text: string) => text.split('\n').toSorted();

describe('preflight refuses', () => {
  it('ports that the host uses for its own connections, naming the overlap', async () => {
    const { code, what, fix } = await refused({ lines: RANGE, ports: { first: 40000, last: 50000 } });
    expect(code).toBe('NAT_PORTS_EPHEMERAL');
    expect(what).toContain('(40000-50000)');
    expect(fix).toContain('nat-ports 61000 65534');
    expect(fix).toContain('sysctl -w net.ipv4.ip_local_reserved_ports=40000-50000');
  });

  it('takes such ports when they are reserved', async () => {
    await gateway.mustRun(['sh', '-c', 'echo 40000-50000 > /proc/sys/net/ipv4/ip_local_reserved_ports']);
    const daemon = await attached({ lines: RANGE, ports: { first: 40000, last: 50000 } });
    await daemon.stop();
    await gateway.mustRun(['sh', '-c', 'echo > /proc/sys/net/ipv4/ip_local_reserved_ports']);
  });

  it('a port that a process of the host has, naming both', async () => {
    const code = "require('net').createServer().listen(62000, () => console.log('listening'))";
    const server = gateway.spawn([process.execPath, '-e', code]);
    await server.waitFor(/listening/);
    const finding = await refused({ lines: RANGE });
    expect(finding.code).toBe('NAT_PORT_TAKEN');
    expect(finding.what).toContain(`TCP port 62000 is in use by process ${server.pid} (node)`);
    await server.stop();
  });

  it("a range with the tunnel's own port in it", async () => {
    expect((await refused({ lines: RANGE, peerPort: 61194 })).code).toBe('NAT_PORTS_TUNNEL');
  });

  it('port 65535', async () => {
    expect((await refused({ lines: RANGE, ports: { first: 61000, last: 65535 } })).code).toBe(
      'NAT_PORTS_LAST',
    );
  });

  it("a rule of somebody else's behind the local rule, whose meaning would change", async () => {
    await gateway.ip('rule', 'add', 'pref', '0', 'from', '192.0.2.0/24', 'lookup', '77');
    const { code, what } = await refused({ lines: RANGE });
    expect(code).toBe('NAT_RULE_PRIORITY');
    expect(what).toContain('from 192.0.2.0/24 lookup 77');
    await gateway.ip('rule', 'del', 'pref', '0', 'from', '192.0.2.0/24', 'lookup', '77');
  });

  it("a table with somebody else's routes", async () => {
    await gateway.ip('route', 'add', '192.0.2.0/24', 'dev', 'eth1', 'table', '51820');
    expect((await refused({ lines: RANGE })).code).toBe('NAT_TABLE_IN_USE');
    await gateway.ip('route', 'flush', 'table', '51820');
  });

  it('a persistent device', async () => {
    await gateway.ip('tuntap', 'add', 'dev', tun, 'mode', 'tun');
    expect((await refused({ lines: RANGE })).code).toBe('NAT_PERSISTENT_DEVICE');
    await gateway.ip('link', 'del', tun);
  });

  it('an alias that a host of the LAN has, naming its hardware address', async () => {
    await lan.ip('address', 'add', '172.16.0.9/24', 'dev', 'eth0');
    const mac = /link\/ether (\S+)/.exec(await lan.ip('link', 'show', 'eth0'))?.[1] ?? '';
    const { code, why } = await refused({ lines: [ALIAS] });
    expect(code).toBe('NAT_ALIAS_TAKEN');
    expect(why).toContain(mac);
    await lan.ip('address', 'del', '172.16.0.9/24', 'dev', 'eth0');
  });

  it('nothing of what it was asked for remains, whatever the reason', async () => {
    const before = await picture();
    await refused({ lines: [...EVERYTHING], peerPort: 61194 });
    expect(await picture()).toBe(before);
  });
});

describe('preflight warns', () => {
  it('of a firewall that drops forwarded packets, with the rules to add', async () => {
    await gateway.mustRun([
      'nft',
      'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; policy drop; }',
    ]);
    const daemon = await attached({ lines: RANGE });
    expect(daemon.log).toContain(
      `nft insert rule inet filter forward iifname \\"${tun}\\" oifname \\"eth1\\" accept\\n` +
        `nft insert rule inet filter forward iifname \\"eth1\\" oifname \\"${tun}\\" ct state established,related accept`,
    );
    await daemon.stop();
    await gateway.mustRun(['nft', 'flush ruleset']);
  });

  it('of a server of the host that a forward hides', async () => {
    const code = "require('net').createServer().listen(8080, () => console.log('listening'))";
    const server = gateway.spawn([process.execPath, '-e', code]);
    await server.waitFor(/listening/);
    const daemon = await attached({ lines: ['forward eth0 tcp 8080 10.8.0.2'] });
    expect(daemon.log).toContain(`TCP port 8080 is forwarded, and process ${server.pid} (node)`);
    await daemon.stop();
    await server.stop();
  });
});

describe('alias mode', () => {
  it('answers ARP for the address and hands its packets to the device', async () => {
    const daemon = await attached({ lines: [ALIAS] });
    const dump = gateway.spawn(['tcpdump', '-n', '-l', '-i', tun, 'icmp']);
    await dump.waitFor(/listening on/);
    await lan.run(['ping', '-c', '2', '-W', '1', '172.16.0.9']);
    await dump.waitFor(/172\.16\.0\.3 > 172\.16\.0\.9: ICMP echo request/, 3000);
    await dump.stop();
    await daemon.stop();
  });

  it('answers neighbour solicitations for an IPv6 address', async () => {
    const daemon = await attached({ lines: ['alias eth1 fd16::9'] });
    const dump = gateway.spawn(['tcpdump', '-n', '-l', '-i', tun, 'icmp6']);
    await dump.waitFor(/listening on/);
    await lan.run(['ping', '-c', '2', '-W', '1', 'fd16::9']);
    await dump.waitFor(/fd16::3 > fd16::9: ICMP6, echo request/, 3000);
    await dump.stop();
    await daemon.stop();
  });

  it('captures the whole address when it is configured on the host', async () => {
    await gateway.ip('address', 'add', '172.16.0.9/24', 'dev', 'eth1');
    const before = await picture();
    const daemon = await attached({ lines: [ALIAS] });
    const dump = gateway.spawn(['tcpdump', '-n', '-l', '-i', tun, 'icmp']);
    await dump.waitFor(/listening on/);
    await lan.run(['ping', '-c', '2', '-W', '1', '172.16.0.9']);
    await dump.waitFor(/172\.16\.0\.3 > 172\.16\.0\.9: ICMP echo request/, 3000);
    await dump.stop();
    await daemon.stop();
    expect(await picture()).toBe(before);
    await gateway.ip('address', 'del', '172.16.0.9/24', 'dev', 'eth1');
  });
});

describe('port-forward', () => {
  it('captures the port on its interface and for the host itself', async () => {
    const daemon = await attached({ lines: ['forward eth0 tcp 8080 10.8.0.2'] });
    const dump = gateway.spawn(['tcpdump', '-n', '-l', '-i', tun, 'tcp']);
    await dump.waitFor(/listening on/);
    for (const host of [wan, gateway]) {
      await host.run(['timeout', '0.5', 'bash', '-c', 'echo > /dev/tcp/203.0.113.2/8080']);
    }
    await dump.waitFor(/203\.0\.113\.9\.\d+ > 203\.0\.113\.2\.8080/, 3000);
    await dump.waitFor(/10\.8\.0\.1\.\d+ > 203\.0\.113\.2\.8080/, 3000);
    expect(await reaches(wan, '203.0.113.2')).toBe(true);
    await dump.stop();
    await daemon.stop();
  });
});
