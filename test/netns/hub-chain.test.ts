/** Check 31, and traceroute: packets from peer to peer through one hub, through two, and round in a circle. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMPLETED, startGateway, TSVPN, writeKey } from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import { type Daemon, PATIENCE_MS } from '../support/process.ts';
import {
  createStar,
  HUB,
  networkBehind,
  networkBehind6,
  peerBlock,
  secretOf,
  startHub,
  startSpoke,
  type Star,
} from '../support/star.ts';
import { traceroute } from '../support/traffic.ts';

/** The third spoke is a hub itself, and the fourth is one of its spokes. */
const SECOND = { address: '10.9.0.1', address6: 'fd00:9::1' };
const BEHIND = { address: '10.9.0.2', address6: 'fd00:9::2' };
/** Each hub says it is behind the other: by their one tunnel, and by two, so that packets come back by the other one. */
const LOOPS = { direct: '10.77.0.0/16', ring: '10.78.0.0/16' };
const CLOCK_TICKS_PER_SECOND = 100;

describe('two hubs', () => {
  let star: Star;
  let hubs: Daemon[];
  beforeAll(async () => {
    star = await createStar(4);
    const [a, b, second, behind] = star.spokes;
    const ring = writeKey(star, 'ring.key', staticKeyText());
    const toSecond = peerBlock(star, second, {
      routes: [
        '10.9.0.0/24',
        'fd00:9::/64',
        networkBehind(behind),
        networkBehind6(behind),
        ...Object.values(LOOPS),
      ],
      lines: ['allowed-source any'],
    });
    const ringBlock = [
      '<peer>',
      'name ring',
      'lport 2100',
      `secret ${ring} 0`,
      'allowed-source any',
      '</peer>',
    ];
    const hub = startHub(star, {
      blocks: [peerBlock(star, a), peerBlock(star, b), toSecond, ringBlock.join('\n')],
    });
    await hub.waitFor(/UDPv4 link/);
    startSpoke(star, a);
    startSpoke(star, b);
    const daemon = startGateway(star, second.namespace, {
      implementation: TSVPN,
      name: 'second',
      config: secondHub(star, ring),
    });
    await daemon.waitFor(/UDPv4 link/);
    startGateway(star, behind.namespace, {
      implementation: 'openvpn',
      name: 'behind',
      config: behindSecond(star),
    });
    await Promise.all([hub.waitFor(COMPLETED, PATIENCE_MS, 4), daemon.waitFor(COMPLETED, PATIENCE_MS, 3)]);
    hubs = [hub, daemon];
  });
  afterAll(() => star.destroy());

  const methods: readonly (readonly [string, ...string[]])[] = [['UDP'], ['ICMP', '-I'], ['TCP', '-T']];
  it.each(methods)('are one hop each in a traceroute by %s', async (_name, ...options) => {
    const [a, b, , behind] = star.spokes;
    const hops = (to: string) => traceroute(a.namespace, to, ...options);
    expect(await hops(b.inside)).toEqual([HUB.address, b.inside]);
    expect(await hops(b.inside6)).toEqual([HUB.address6, b.inside6]);
    expect(await hops(behind.inside)).toEqual([HUB.address, SECOND.address, behind.inside]);
    expect(await hops(behind.inside6)).toEqual([HUB.address6, SECOND.address6, behind.inside6]);
    // And from the far end, in which the hubs come in the other order.
    const back = await traceroute(behind.namespace, a.inside, ...options);
    expect(back).toEqual([SECOND.address, HUB.address, a.inside]);
  });

  it.each([
    ['one', ({ spokes }: Star) => spokes[1].inside, 63],
    ['one, IPv6', ({ spokes }: Star) => spokes[1].inside6, 63],
    ['two', ({ spokes }: Star) => spokes[3].inside, 62],
  ])('a ping through %s has lost that many of its TTL of 64', async (_hubs, target, ttl) => {
    const output = await star.spokes[0].namespace.mustRun(['ping', '-n', '-c', '1', '-W', '2', target(star)]);
    expect(output).toContain(`ttl=${ttl} `);
  });

  it('that send packets round in a circle end it with time exceeded, at little cost', async () => {
    const before = hubs.map(({ pid }) => cpuSeconds(pid));
    const started = performance.now();
    const [a] = star.spokes;
    const { stdout } = await a.namespace.run(['ping', '-n', '-c', '10', '-i', '0.3', '-W', '1', '10.78.0.1']);
    const elapsed = (performance.now() - started) / 1000;
    expect(stdout.match(/Time to live exceeded/g)).toHaveLength(10);
    const load = hubs.map(({ pid }, i) => (cpuSeconds(pid) - before[i]) / elapsed);
    expect(Math.max(...load)).toBeLessThan(0.1);
  });

  it('that send packets straight back to each other drop them at once', async () => {
    const [a] = star.spokes;
    const { stdout } = await a.namespace.run(['ping', '-n', '-c', '1', '-W', '1', '10.77.0.1']);
    expect(stdout).toMatch(/From 10\.9\.0\.1 .*Destination Net Unreachable/);
  });
});

function secondHub(star: Star, ring: string): string {
  const [a, b, second, behind] = star.spokes;
  return `
dev tun
topology subnet
ifconfig ${SECOND.address} 255.255.255.0
ifconfig-ipv6 ${SECOND.address6}/64 ${SECOND.address6}2
client-to-client
cipher AES-256-CBC
auth SHA256
keepalive 1 4
verb 3
<peer>
name hub
lport 1194
remote ${HUB.outer} ${2000 + second.number}
secret ${secretOf(star, second)} 1
peer-address ${HUB.address}
peer-route 10.8.0.0/24
peer-route fd00:8::/64
${[a, b].map((spoke) => `peer-route ${networkBehind(spoke)}\npeer-route ${networkBehind6(spoke)}`).join('\n')}
peer-route ${LOOPS.direct}
allowed-source any
</peer>
<peer>
name ring
lport 1195
remote ${HUB.outer} 2100
secret ${ring} 1
peer-route ${LOOPS.ring}
</peer>
<peer>
name behind
lport 1196
secret ${secretOf(star, behind)} 0
peer-address ${BEHIND.address} ${BEHIND.address6}
peer-route ${networkBehind(behind)}
peer-route ${networkBehind6(behind)}
</peer>
`;
}

function behindSecond(star: Star): string {
  const [, , second, behind] = star.spokes;
  return `
dev tun
topology subnet
ifconfig ${BEHIND.address} 255.255.255.0
ifconfig-ipv6 ${BEHIND.address6}/64 ${SECOND.address6}
route-gateway ${SECOND.address}
route 10.0.0.0 255.0.0.0
route-ipv6 fd00::/16
remote ${second.outer} 1196
lport 1194
secret ${secretOf(star, behind)} 1
cipher AES-256-CBC
auth SHA256
keepalive 1 4
verb 3
`;
}

/** User and system time of a process so far, proc(5). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}
