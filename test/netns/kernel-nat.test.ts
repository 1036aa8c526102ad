/** NAT in the kernel without netfilter: what is attached, what is left, and that the host can be reached all the time. */
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UndoReport } from '../../src/kernel/undo.ts';
import { ALIAS, EVERYTHING, NatLab, RANGE, TUN } from '../support/kernel-nat-lab.ts';
import type { Namespace } from '../support/netns.ts';

let net: NatLab;
beforeEach(async () => void (net = await NatLab.create()));
afterEach(() => net.lab.destroy());

describe('range mode', () => {
  it('captures TCP and UDP ports of the address before the local rule, and no ICMP', async () => {
    const daemon = await net.attached({ lines: RANGE });
    expect(await net.rules()).toEqual([
      '0: from all to 172.16.0.2 iif eth1 ipproto tcp dport 61000-65534 lookup 51820 proto 213',
      '0: from all to 172.16.0.2 iif eth1 ipproto udp dport 61000-65534 lookup 51820 proto 213',
      '0: from all lookup local',
      '32766: from all lookup main',
      '32767: from all lookup default',
    ]);
    expect(await net.gateway.ip('route', 'show', 'table', '51820')).toBe(
      `default dev ${TUN} proto 86 scope link \n`,
    );
    expect(await daemon.stop(), daemon.log).toBe(0);
  });

  it.each([
    ['tcp', 61000],
    ['udp', 65534],
  ] as const)(
    'hands %s to port %d to the device; ping and other ports reach the host',
    async (transport, port) => {
      const daemon = await net.attached({ lines: RANGE });
      const dump = await net.dump(transport);
      await net.lan.run([
        'bash',
        '-c',
        `timeout 0.5 bash -c 'echo x > /dev/${transport}/172.16.0.2/${port}'`,
      ]);
      await dump.waitFor(new RegExp(`172\\.16\\.0\\.3\\.\\d+ > 172\\.16\\.0\\.2\\.${port}`), 3000);
      expect(await reaches(net.lan, '172.16.0.2')).toBe(true);
      await dump.stop();
      expect(await daemon.stop(), daemon.log).toBe(0);
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
    const before = await net.picture();
    const { stdout, stderr } = await net.gateway.run(net.argv({ lines, last: 'undo' }));
    expect(stderr).toBe('');
    const { undo } = JSON.parse(stdout) as { undo: UndoReport };
    expect(undo.failed).toEqual([]);
    expect(await net.picture()).toBe(before);
  });

  it('does not touch a setting that somebody has changed since, for the interface or for all', async () => {
    const daemon = await net.attached({ lines: RANGE });
    await net.gateway.sysctl('net/ipv4/ip_forward', 1);
    expect(await daemon.stop(), daemon.log).toBe(0);
    expect(await net.gateway.mustRun(['cat', '/proc/sys/net/ipv4/conf/eth1/forwarding'])).toBe('1\n');
    await net.gateway.sysctl('net/ipv4/ip_forward', 0);
  });
});

describe('kill -9', () => {
  it(
    'at any request leaves a host that can be reached, and cleanup leaves no trace',
    { timeout: 300_000 },
    async () => {
      const before = await net.picture();
      // The device's own set-up comes first, see kernel.test.ts.
      let dieAt = 6;
      for (; ; dieAt++) {
        const { code, stdout } = await net.gateway.run(net.argv({ lines: RANGE, dieAt, last: 'undo' }));
        const step = `killed at step ${dieAt}`;
        expect(await net.rules(), step).toContainEqual(
          expect.stringMatching(/^[01]: from all lookup local( proto 213)?$/),
        );
        expect(await reaches(net.lan, '172.16.0.2'), step).toBe(true);
        await net.cleanUp();
        expect(await net.picture(), step).toBe(before);
        if (code === 0) {
          expect(stdout).toContain('"failed":[]');
          break;
        }
      }
      expect(dieAt).toBeGreaterThan(20);
    },
  );

  it('lets the captured ports fall through to the host, and the next start works', async () => {
    const before = await net.picture();
    const daemon = await net.attached({ lines: EVERYTHING });
    await daemon.stop('SIGKILL');
    const { stderr } = await net.lan.run(['timeout', '2', 'bash', '-c', 'echo > /dev/tcp/172.16.0.2/62000']);
    expect(stderr).toMatch(/refused/);
    const { code } = await net.lan.run(['arping', '-c', '1', '-w', '1', '-I', 'eth0', '172.16.0.9']);
    expect(code, 'nobody answers for the alias').not.toBe(0);
    await net.cleanUp();
    const again = await net.attached({ lines: EVERYTHING });
    expect(await again.stop(), again.log).toBe(0);
    expect(await net.picture()).toBe(before);
  });

  it('with the journal lost: the next start takes its rules over and removes them at its end', async () => {
    const before = await net.picture();
    const daemon = await net.attached({ lines: RANGE });
    await daemon.stop('SIGKILL');
    rmSync(net.journal);
    const again = await net.attached({ lines: RANGE });
    expect(await again.stop(), again.log).toBe(0);
    expect(await net.rules()).toEqual(expect.not.arrayContaining([expect.stringContaining('213')]));
    await net.gateway.sysctl('net/ipv4/conf/eth1/forwarding', 0);
    expect(await net.picture()).toBe(before);
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
      async () => void (await net.gateway.ip('rule', 'del', 'pref', '0', ...CAPTURE)),
    ],
    [
      'another local rule came first',
      async () => {
        await net.gateway.ip('rule', 'del', 'pref', '0', ...CAPTURE);
        await net.gateway.ip('rule', 'add', 'pref', '0', ...CAPTURE, 'protocol', '213');
      },
    ],
    ['the route was deleted', async () => void (await net.gateway.ip('route', 'flush', 'table', '51820'))],
    ['forwarding was switched off', () => net.gateway.sysctl('net/ipv4/conf/eth1/forwarding', 0)],
  ])('restores the attachment when %s', async (_what, harm) => {
    const daemon = await net.attached({ lines: EVERYTHING });
    const before = await net.picture();
    await harm();
    await daemon.waitFor(/check /);
    expect(lines(await net.picture())).toEqual(lines(before));
    expect((await net.rules()).findIndex((rule) => rule.endsWith('lookup local'))).toBe(4);
    expect(daemon.log).not.toContain('"problem":"');
    expect(await daemon.stop(), daemon.log).toBe(0);
  });

  it('says so when somebody keeps taking rules away', async () => {
    const daemon = await net.attached({ lines: RANGE });
    for (let times = 1; times <= 3; times++) {
      await net.gateway.ip('rule', 'del', 'pref', '0', ...CAPTURE);
      await daemon.waitFor(/check /, 5000, times);
    }
    expect(daemon.count(/"contested":false/)).toBe(2);
    expect(daemon.count(/"contested":true/)).toBe(1);
    expect(await daemon.stop(), daemon.log).toBe(0);
  });

  it('moves every local rule behind its own', async () => {
    await net.gateway.ip('rule', 'add', 'pref', '0', 'lookup', 'local');
    const daemon = await net.attached({ lines: RANGE });
    expect((await net.rules()).slice(2, 4)).toEqual(['0: from all lookup local', '0: from all lookup local']);
    expect(await daemon.stop(), daemon.log).toBe(0);
  });

  it('follows the address of the interface', async () => {
    const daemon = await net.attached({ lines: RANGE });
    await net.gateway.ip('address', 'del', '172.16.0.2/24', 'dev', 'eth1');
    await net.gateway.ip('address', 'add', '172.16.0.20/24', 'dev', 'eth1');
    await daemon.waitFor(/check .*"addressesChanged":true.*"addresses":\["172\.16\.0\.20"\]/);
    const now = await net.rules();
    expect(now.filter((rule) => rule.includes('172.16.0.20'))).toHaveLength(2);
    expect(now.filter((rule) => rule.includes('172.16.0.2 '))).toHaveLength(0);
    expect(await daemon.stop(), daemon.log).toBe(0);
  });

  it('waits for an interface that is not there yet', async () => {
    const daemon = await net.attached({ lines: ['masquerade late0'] });
    expect(daemon.log).toContain('there is no interface late0');
    await net.gateway.ip('link', 'add', 'late0', 'type', 'veth', 'peer', 'name', 'late1');
    await net.gateway.ip('address', 'add', '192.0.2.1/24', 'dev', 'late0');
    await daemon.waitFor(/check .*"addresses":\["192\.0\.2\.1"\]/);
    await net.gateway.ip('link', 'del', 'late0');
    await daemon.waitFor(/check .*"addresses":\[null\]/);
    expect(await daemon.stop(), daemon.log).toBe(0);
    expect(await net.rules()).toHaveLength(3);
  });
});

/** Rules of one priority may stand in another order. */
const lines = (text: string) => text.split('\n').toSorted();

describe('alias mode', () => {
  it('answers ARP for the address and hands its packets to the device', async () => {
    const daemon = await net.attached({ lines: [ALIAS] });
    const dump = await net.dump('icmp');
    await net.lan.run(['ping', '-c', '2', '-W', '1', '172.16.0.9']);
    await dump.waitFor(/172\.16\.0\.3 > 172\.16\.0\.9: ICMP echo request/, 3000);
    await dump.stop();
    expect(await daemon.stop(), daemon.log).toBe(0);
  });

  it('answers neighbour solicitations for an IPv6 address', async () => {
    const daemon = await net.attached({ lines: ['alias eth1 fd16::9'] });
    const dump = await net.dump('icmp6');
    await net.lan.run(['ping', '-c', '2', '-W', '1', 'fd16::9']);
    await dump.waitFor(/fd16::3 > fd16::9: ICMP6, echo request/, 3000);
    await dump.stop();
    expect(await daemon.stop(), daemon.log).toBe(0);
  });

  it('captures the whole address when it is configured on the host', async () => {
    await net.gateway.ip('address', 'add', '172.16.0.9/24', 'dev', 'eth1');
    const before = await net.picture();
    const daemon = await net.attached({ lines: [ALIAS] });
    const dump = await net.dump('icmp');
    await net.lan.run(['ping', '-c', '2', '-W', '1', '172.16.0.9']);
    await dump.waitFor(/172\.16\.0\.3 > 172\.16\.0\.9: ICMP echo request/, 3000);
    await dump.stop();
    expect(await daemon.stop(), daemon.log).toBe(0);
    expect(await net.picture()).toBe(before);
    await net.gateway.ip('address', 'del', '172.16.0.9/24', 'dev', 'eth1');
  });
});

describe('port-forward', () => {
  it('captures the port on its interface and for the host itself', async () => {
    const daemon = await net.attached({ lines: ['forward eth0 tcp 8080 10.8.0.2'] });
    const dump = await net.dump('tcp');
    for (const host of [net.wan, net.gateway]) {
      await host.run(['timeout', '0.5', 'bash', '-c', 'echo > /dev/tcp/203.0.113.2/8080']);
    }
    await dump.waitFor(/203\.0\.113\.9\.\d+ > 203\.0\.113\.2\.8080/, 3000);
    await dump.waitFor(/10\.8\.0\.1\.\d+ > 203\.0\.113\.2\.8080/, 3000);
    expect(await reaches(net.wan, '203.0.113.2')).toBe(true);
    await dump.stop();
    expect(await daemon.stop(), daemon.log).toBe(0);
  });
});
