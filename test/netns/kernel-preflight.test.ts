/** What forbids attaching the NAT to a host, and what only deserves a word: with the change that helps. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ALIAS, EVERYTHING, NatLab, RANGE, TUN, type Order } from '../support/kernel-nat-lab.ts';

const LEGACY_POLICY = resolve(import.meta.dirname, '../support/legacy-policy.mjs');

let net: NatLab;
beforeEach(async () => void (net = await NatLab.create()));
afterEach(() => net.lab.destroy());

interface Finding {
  readonly code: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

async function refused(order: Order): Promise<Finding> {
  const { code, stdout, stderr } = await net.gateway.run(net.argv(order));
  expect(code, stderr).toBe(1);
  const { errors } = JSON.parse(stdout) as { errors: Finding[] };
  expect(errors).toHaveLength(1);
  return errors[0];
}

describe('preflight refuses', () => {
  it('ports that the host uses for its own connections, naming the overlap', async () => {
    const { code, what, fix } = await refused({ lines: RANGE, ports: { first: 40000, last: 50000 } });
    expect(code).toBe('NAT_PORTS_EPHEMERAL');
    expect(what).toContain('(40000-50000)');
    expect(fix).toContain('nat-ports 61000 65534');
    expect(fix).toContain('sysctl -w net.ipv4.ip_local_reserved_ports=40000-50000');
  });

  it('takes such ports when they are reserved', async () => {
    await net.gateway.mustRun(['sh', '-c', 'echo 40000-50000 > /proc/sys/net/ipv4/ip_local_reserved_ports']);
    const daemon = await net.attached({ lines: RANGE, ports: { first: 40000, last: 50000 } });
    await daemon.stop();
    await net.gateway.mustRun(['sh', '-c', 'echo > /proc/sys/net/ipv4/ip_local_reserved_ports']);
  });

  it('a port that a process of the host has, naming both', async () => {
    const code = "require('net').createServer().listen(62000, () => console.log('listening'))";
    const server = net.gateway.spawn([process.execPath, '-e', code]);
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
    await net.gateway.ip('rule', 'add', 'pref', '0', 'from', '192.0.2.0/24', 'lookup', '77');
    const { code, what } = await refused({ lines: RANGE });
    expect(code).toBe('NAT_RULE_PRIORITY');
    expect(what).toContain('from 192.0.2.0/24 lookup 77');
    await net.gateway.ip('rule', 'del', 'pref', '0', 'from', '192.0.2.0/24', 'lookup', '77');
  });

  it("a table with somebody else's routes", async () => {
    await net.gateway.ip('route', 'add', '192.0.2.0/24', 'dev', 'eth1', 'table', '51820');
    expect((await refused({ lines: RANGE })).code).toBe('NAT_TABLE_IN_USE');
    await net.gateway.ip('route', 'flush', 'table', '51820');
  });

  it('a persistent device', async () => {
    await net.gateway.ip('tuntap', 'add', 'dev', TUN, 'mode', 'tun');
    expect((await refused({ lines: RANGE })).code).toBe('NAT_PERSISTENT_DEVICE');
    await net.gateway.ip('link', 'del', TUN);
  });

  it('an alias that a host of the LAN has, naming its hardware address', async () => {
    await net.lan.ip('address', 'add', '172.16.0.9/24', 'dev', 'eth0');
    const mac = /link\/ether (\S+)/.exec(await net.lan.ip('link', 'show', 'eth0'))?.[1] ?? '';
    const { code, why } = await refused({ lines: [ALIAS] });
    expect(code).toBe('NAT_ALIAS_TAKEN');
    expect(why).toContain(mac);
    await net.lan.ip('address', 'del', '172.16.0.9/24', 'dev', 'eth0');
  });

  it('nothing of what it was asked for remains, whatever the reason', async () => {
    const before = await net.picture();
    await refused({ lines: [...EVERYTHING], peerPort: 61194 });
    expect(await net.picture()).toBe(before);
  });
});

describe('preflight warns', () => {
  it('of a firewall that drops forwarded packets, with the rules to add', async () => {
    await net.gateway.mustRun([
      'nft',
      'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; policy drop; }',
    ]);
    const daemon = await net.attached({ lines: RANGE });
    const insert = 'nft insert rule inet filter forward';
    expect(daemon.log).toContain(`${insert} iifname \\"${TUN}\\" oifname \\"eth1\\" accept`);
    expect(daemon.log).toContain(
      `${insert} iifname \\"eth1\\" oifname \\"${TUN}\\" ct state established,related accept`,
    );
    await daemon.stop();
    await net.gateway.mustRun(['nft', 'flush ruleset']);
  });

  it('of policy DROP that iptables-legacy has set, with the rules to add; asking makes no table', async (context) => {
    context.skip(!existsSync('/proc/net/ip_tables_names'), 'this kernel has no iptables-legacy');
    const tables = () => net.gateway.mustRun(['cat', '/proc/net/ip_tables_names']);
    const before = await tables();
    const untouched = await net.attached({ lines: RANGE });
    expect(untouched.log).not.toContain('NAT_FIREWALL');
    await untouched.stop();
    expect(await tables()).toBe(before);
    for (const family of ['4', '6']) await net.gateway.mustRun([process.execPath, LEGACY_POLICY, family]);
    const daemon = await net.attached({ lines: RANGE });
    expect(daemon.log).toContain('chain FORWARD of iptables-legacy has policy DROP');
    expect(daemon.log).toContain(`iptables-legacy -I FORWARD -i ${TUN} -o eth1 -j ACCEPT`);
    expect(daemon.log).toContain(
      `iptables-legacy -I FORWARD -i eth1 -o ${TUN} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT`,
    );
    expect(daemon.log).toContain('chain FORWARD of ip6tables-legacy has policy DROP');
    await daemon.stop();
  });

  it('of a server of the host that a forward hides', async () => {
    const code = "require('net').createServer().listen(8080, () => console.log('listening'))";
    const server = net.gateway.spawn([process.execPath, '-e', code]);
    await server.waitFor(/listening/);
    const daemon = await net.attached({ lines: ['forward eth0 tcp 8080 10.8.0.2'] });
    expect(daemon.log).toContain(`TCP port 8080 is forwarded, and process ${server.pid} (node)`);
    await daemon.stop();
    await server.stop();
  });
});
