/** The checks of source NAT that hold in every mode, as tests. */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fragments, icmp, ipPacket, udp } from './ip-packets.ts';
import { capture, NAT, packetsOf, type NatLab } from './nat-lab.ts';
import { COMPLETED, tsvpn, writeConfig } from './gateway.ts';
import { hostilePackets } from './hostile-packets.ts';
import {
  gatewayConfig,
  listen,
  probe,
  startNatGateway,
  records,
  sendPackets,
  startProbe,
  type Mode,
  type RoadWarrior,
} from './road-warrior.ts';
import type { Namespace } from './netns.ts';
import type { Daemon } from './process.ts';
import { expectPing, expectPingWithin, expectTransfer } from './traffic.ts';

const MEGABYTE = 1_000_000;
/** Of the servers, TCP and UDP. */
const PORT = 7777;
const UDP_HEADER = 8;

/** Ports that a session may have outside. */
const PORTS = {
  range: { first: 61000, last: 65534 },
  alias: { first: 1024, last: 65535 },
} as const;

/** Servers on the LAN, which all checks ask. They end with the lab. */
let udpServer: Daemon;

export async function startServers({ lan }: NatLab): Promise<void> {
  udpServer = await listen(lan, 'udp', NAT.lan, PORT);
  await listen(lan, 'tcp', NAT.lan, PORT);
}

export function declareRoadWarriorChecks(scene: () => RoadWarrior): void {
  it('strict reverse-path filters, and ip_forward stays 0', async () => {
    const { gateway } = scene().lab;
    const names = ['all', 'eth0', 'eth1'].map((name) => `net/ipv4/conf/${name}/rp_filter`);
    for (const name of names) expect(await gateway.mustRun(['cat', `/proc/sys/${name}`]), name).toBe('1\n');
    expect(await gateway.mustRun(['cat', '/proc/sys/net/ipv4/ip_forward'])).toBe('0\n');
  });

  it('ping, UDP and TCP reach the LAN, which sees only the external address', async () => {
    const { lab, external } = scene();
    const dump = await capture(lab.lan, 'br0', 'dst host 172.16.0.3 and ip');
    const ping = await lab.client.mustRun(['ping', '-n', '-c', '3', '-i', '0.2', '-W', '2', NAT.lan]);
    expect(ping).toContain('3 received, 0% packet loss');
    await expectTranslated(scene());
    await dump.waitFor(/Flags \[F/);
    await dump.stop();
    const seen = packetsOf(dump);
    expect(seen.length).toBeGreaterThanOrEqual(3 + 1 + 3);
    expect(seen.filter((line) => !line.includes(`${external}.`) && !line.includes(`${external} `))).toEqual(
      [],
    );
  });

  it('100 MB of TCP each way arrive intact, by way of a link of MTU 1300', { timeout: 600_000 }, async () => {
    const { client, server } = scene().lab;
    await expectTransfer(client, server, NAT.server, 100 * MEGABYTE);
  });

  it('a packet too big for a hidden link is answered with its MTU, and the route learns it', async () => {
    const { client } = scene().lab;
    const ping = await client.run(['ping', '-n', '-M', 'do', '-s', '1372', '-c', '2', '-W', '2', NAT.server]);
    expect(ping.stdout + ping.stderr).toMatch(/Frag needed and DF set \(mtu = 1300\)|mtu=1300/);
    expect(await client.ip('route', 'get', NAT.server)).toContain('mtu 1300');
  });

  it.each([
    ['UDP', []],
    ['ICMP', ['-I']],
    ['TCP', ['-T']],
  ] as const)('traceroute by %s shows every hop once', async (_protocol, flags) => {
    const { client } = scene().lab;
    const words = ['traceroute', '-n', '-w', '2', '-m', '6', ...flags, NAT.server];
    const output = await client.mustRun(words);
    const hops = output
      .split('\n')
      .slice(1)
      .filter((line) => line !== '');
    expect(hops, output).toHaveLength(3);
    expect(output).not.toContain('*');
    expect(hops.map((hop) => hop.match(/\d+\.\d+\.\d+\.\d+/g))).toEqual([
      [NAT.tunnelGateway],
      [NAT.lan],
      [NAT.server],
    ]);
  });

  it('closed ports and absent hosts are reported as such', async () => {
    const { client } = scene().lab;
    for (const words of [
      ['udp', NAT.lan, 9, 10, 10],
      ['tcp', NAT.lan, 9],
    ]) {
      const { error, ms } = await probe(client, ...words);
      expect(error).toBe('ECONNREFUSED');
      expect(ms).toBeLessThan(1000);
    }
    const absent = await client.run(['ping', '-n', '-c', '1', '-W', '4', '172.16.0.77']);
    expect(absent.stdout).toContain('Destination Host Unreachable');
  });

  describe('fragments', () => {
    it.each([
      [100, 3000],
      [100, 20_000],
      [3000, 100],
      [20_000, 20_000],
    ])('a request of %d bytes and an answer of %d arrive intact', async (size, reply) => {
      const { lab, external } = scene();
      const { sent, sha256, seenAs, error } = await probe(lab.client, 'udp', NAT.lan, PORT, size, reply);
      expect(error).toBeUndefined();
      const request = records(udpServer).find(({ sha256: received }) => received === sent);
      expect(request?.from).toBe(seenAs);
      expect(seenAs).toContain(external);
      expect(sha256).toBe(request?.replied);
    });

    it('pass a LAN interface with a smaller MTU than the tunnel; what must not be cut is answered', async () => {
      const { lab } = scene();
      const { client, gateway, lan } = lab;
      const setMtu = async (mtu: number) => {
        await gateway.ip('link', 'set', 'eth1', 'mtu', String(mtu));
        await lan.ip('link', 'set', 'br0', 'mtu', String(mtu));
      };
      await setMtu(1400);
      const ping = ['ping', '-n', '-c', '1', '-W', '2', '-s', '1472', NAT.lan];
      const { stdout, stderr } = await client.run([...ping, '-M', 'do']);
      expect(stdout + stderr).toMatch(/Frag needed and DF set \(mtu = 1400\)/);
      await client.mustRun([...ping, '-M', 'dont']);
      const { sent, error } = await probe(client, 'udp', NAT.lan, PORT, 3000, 3000);
      expect(error).toBeUndefined();
      expect(records(udpServer).map((request) => request.sha256)).toContain(sent);
      await setMtu(1500);
      await client.ip('route', 'flush', 'cache');
    });

    it('a request whose fragments come last first arrives intact', async () => {
      const { client } = scene().lab;
      const data = randomBytes(3000);
      data.writeUInt16BE(0);
      const ends = { source: NAT.tunnelClient, destination: NAT.lan };
      const transport = udp({ sourcePort: 40_001, destinationPort: PORT, data });
      await sendPackets(client, fragments(ends, transport, 0x7001, 1480, 2960).toReversed());
      await udpServer.waitFor(new RegExp(sha256(data)), 5000);
    });

    it('an answer whose fragments come last first arrives intact', async () => {
      const { lab, external } = scene();
      const before = records(udpServer).length;
      const waiting = startProbe(lab.client, 'udp', NAT.lan, PORT, 64, 0);
      await udpServer.waitFor(/from/, 5000, before + 1);
      const port = Number(records(udpServer).at(-1)?.from.split(':')[1]);
      const data = randomBytes(3000);
      const ends = { source: NAT.lan, destination: external };
      const transport = udp({ sourcePort: PORT, destinationPort: port, data });
      expect(transport.bytes).toHaveLength(data.length + UDP_HEADER);
      await sendPackets(lab.lan, fragments(ends, transport, 0x7002, 1480, 2960).toReversed());
      await waiting.waitFor(new RegExp(sha256(data)), 6000);
    });

    it('an ICMP error whose fragments come last first is told to the program it is about', async () => {
      const { lab, external } = scene();
      const before = records(udpServer).length;
      const waiting = startProbe(lab.client, 'udp', NAT.lan, PORT, 64, 0);
      await udpServer.waitFor(/from/, 5000, before + 1);
      const sourcePort = Number(records(udpServer).at(-1)?.from.split(':')[1]);
      const sent = udp({ sourcePort, destinationPort: PORT, data: randomBytes(1000) });
      const quoted = ipPacket({ source: external, destination: NAT.lan }, sent);
      const error = icmp({ version: 4, type: 3, code: 3, data: quoted });
      const ends = { source: NAT.lan, destination: external };
      await sendPackets(lab.lan, fragments(ends, error, 0x7003, 576).toReversed());
      await waiting.waitFor(/ECONNREFUSED/, 6000);
    });
  });
}

/** 41, besides what the capture of all tests shows. */
export function declareLeakChecks(scene: () => RoadWarrior): void {
  it('when the gateway ends, starts, and reloads its rules under traffic', async () => {
    const { lab, mode, external } = scene();
    const { client, lan, gateway } = lab;
    const config = gatewayConfig(mode);
    const restart = async () => {
      scene().gateway = startNatGateway(lab, config);
      await scene().gateway.waitFor(COMPLETED);
      await expectPingWithin(client, NAT.lan);
    };
    const dump = await capture(lan, 'br0', 'icmp[icmptype] == icmp-echo and dst host 172.16.0.3');
    const traffic = client.spawn(['ping', '-n', '-q', '-i', '0.02', NAT.lan]);
    await dump.waitFor(/echo request/);
    await scene().gateway.stop();
    await restart();
    const dnat = `setenv opt nat dnat from peers tcp dport 80 dst ${external} to 172.16.0.3:7777`;
    for (const text of [`${config}\n${dnat}`, config]) {
      writeConfig(lab, 'gateway', text);
      const { code, stdout, stderr } = await tsvpn(lab, gateway, 'reload', 'gateway');
      expect(code, stdout + stderr).toBe(0);
      await expectTranslated(scene());
    }
    await scene().gateway.stop('SIGKILL');
    await restart();
    await Promise.all([traffic.stop('SIGINT'), dump.stop()]);
    expect(packetsOf(dump).filter((line) => !line.includes(`${external} > `))).toEqual([]);
  });

  it('when a host opens more sessions than it may, or sends what cannot be translated', async () => {
    const { lab } = scene();
    await listen(lab.lan, 'udp', NAT.lan, 5000);
    const flood = await probe(lab.client, 'udp-many', NAT.lan, 1, 1500);
    expect(flood.answered).toBeGreaterThan(100);
    expect(flood.answered).toBeLessThan(1500);
    expect(flood.EHOSTUNREACH, 'refusals are told with ICMP').toBeGreaterThan(0);
    for (const source of [NAT.tunnelClient, '10.8.0.77']) {
      await sendPackets(lab.client, hostilePackets(source, [NAT.lan, NAT.server, NAT.gateway, NAT.alias]));
    }
    await expectPingWithin(lab.client, NAT.lan);
    await expectTranslated(scene());
  });
}

/** Checks 1 and 2 in short. */
export async function expectTranslated({ lab, external, mode }: RoadWarrior): Promise<void> {
  await expectPing(lab.client, NAT.lan);
  for (const words of [
    ['udp', NAT.lan, PORT, 100, 100],
    ['tcp', NAT.lan, PORT],
  ]) {
    await expectSeenAs(lab.client, words, external, mode);
  }
}

async function expectSeenAs(
  client: Namespace,
  words: readonly (string | number)[],
  external: string,
  mode: Mode,
) {
  const { first, last } = PORTS[mode];
  const { seenAs } = await probe(client, ...words);
  const [address, port] = seenAs?.split(':') ?? [];
  expect(address).toBe(external);
  expect(Number(port)).toBeGreaterThanOrEqual(first);
  expect(Number(port)).toBeLessThanOrEqual(last);
}

/** Nothing of netfilter is in use in the gateway, and nothing has been tracked. */
export async function expectNoNetfilter({ lab }: RoadWarrior): Promise<void> {
  const { gateway } = lab;
  expect(await gateway.mustRun(['nft', 'list', 'ruleset'])).toBe('');
  // What iptables-save would list, and what conntrack -S would count.
  expect(await gateway.mustRun(['cat', '/proc/net/ip_tables_names'])).toBe('');
  const counters = await gateway.mustRun(['cat', '/proc/net/stat/nf_conntrack']);
  expect(counters.split('\n').slice(1).join(' ')).toMatch(/^[0\s]*$/);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
