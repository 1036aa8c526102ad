/** Check 29: what a peer may not send through a hub, whatever it writes into its packets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packet } from '../support/hub-packets.ts';
import { icmp, ipPacket, udp } from '../support/ip-packets.ts';
import { PING } from '../support/seal.ts';
import { type Daemon, PATIENCE_MS } from '../support/process.ts';
import { Rogue } from '../support/rogue.ts';
import {
  createStar,
  HUB,
  hubDrops,
  peerBlock,
  startHub,
  startSpoke,
  type Spoke,
  type Star,
} from '../support/star.ts';
import { COMPLETED } from '../support/gateway.ts';

const HUB_LAN = '172.16.0.1';
/** Loose source route by one router, RFC 791 3.1, padded. */
const SOURCE_ROUTE = Buffer.from([131, 7, 4, 10, 8, 0, 1, 0]);
const PORTS = { sourcePort: 5000, destinationPort: 6000 };
const REPORTS_EVERY_MS = 10_000;

function changed(bytes: Buffer, offset: number, value: number): Buffer {
  bytes[offset] = value;
  return bytes;
}

describe('a peer', () => {
  let star: Star;
  let hub: Daemon;
  let rogue: Rogue;
  let a: Spoke;
  let b: Spoke;
  /** What reaches the hub's host and B of the packets that the rogue sends. */
  let captures: Daemon[];
  const started = Date.now();

  beforeAll(async () => {
    star = await createStar(2);
    [a, b] = star.spokes;
    await star.hub.ip('address', 'add', `${HUB_LAN}/32`, 'dev', 'lo');
    rogue = new Rogue(star, a);
    const blocks = [
      peerBlock(star, a, { secret: rogue.secret, lines: ['float'] }),
      // A network of B inside that of A.
      peerBlock(star, b, { routes: ['10.12.0.0/16', '10.11.5.0/24', 'fd00:102::/32', 'fd00:101:5::/48'] }),
    ];
    hub = startHub(star, { blocks });
    await hub.waitFor(/UDPv4 link/);
    startSpoke(star, b);
    await rogue.send(PING);
    await hub.waitFor(COMPLETED, PATIENCE_MS, 2);
    captures = [star.hub, b.namespace].map((namespace) =>
      namespace.spawn(['tcpdump', '-n', '-l', '-i', 'tun0', 'udp dst port 6000']),
    );
    await Promise.all(captures.map((capture) => capture.waitFor(/listening on/)));
  });
  afterAll(() => star.destroy());

  /** The counters of A, which are `before` and `count` more under `reason`. */
  async function expectDropped(before: Record<string, number>, reason: string, count = 1): Promise<void> {
    const expected = { ...before, [reason]: (before[reason] ?? 0) + count };
    await expect.poll(() => hubDrops(star, a.name)).toEqual(expected);
  }

  const rows: readonly [source: string, reason: string, from: () => string][] = [
    ['the address of another peer', 'spoofed', () => b.address],
    ['a network of another peer inside its own', 'spoofed', () => '10.11.5.9'],
    ['an address of nobody', 'spoofed', () => '203.0.113.9'],
    ["the hub's address in the tunnel", 'spoofed', () => HUB.address],
    ["the hub's address in its LAN", 'spoofed', () => HUB_LAN],
    ["the hub's outer address", 'spoofed', () => HUB.outer],
    ['a loopback address', 'martian', () => '127.0.0.1'],
    ['a multicast address', 'martian', () => '224.0.0.9'],
    ['the unspecified address', 'martian', () => '0.0.0.0'],
    ['an IPv6 network of another peer inside its own', 'spoofed', () => 'fd00:101:5::9'],
    ["the hub's IPv6 address in the tunnel", 'spoofed', () => HUB.address6],
    ['the IPv6 loopback address', 'martian', () => '::1'],
    ['an IPv6 multicast address', 'martian', () => 'ff02::9'],
    ['an IPv4-mapped address', 'martian', () => '::ffff:10.11.0.1'],
  ];
  it.each(rows)('cannot use %s as a source: %s, and nothing else', async (_source, reason, from) => {
    const before = await hubDrops(star, a.name);
    const ipv6 = from().includes(':');
    await rogue.send(
      packet(from(), ipv6 ? b.inside6 : b.inside),
      packet(from(), ipv6 ? HUB.address6 : HUB.address),
    );
    await expectDropped(before, reason, 2);
  });

  it.each([
    ['a loopback address', 'martian', '127.0.0.1'],
    ['a multicast address', 'not-forwarded', '224.0.0.9'],
    ['the limited broadcast', 'not-forwarded', '255.255.255.255'],
    ['class E', 'martian', '240.0.0.1'],
  ])('cannot send to %s: %s, and nothing else', async (_title, reason, destination) => {
    const before = await hubDrops(star, a.name);
    await rogue.send(packet(a.inside, destination));
    await expectDropped(before, reason);
  });

  const malformed: readonly [title: string, reason: string, datagram: () => Buffer][] = [
    ['a packet of version 5', 'inner-version', () => changed(packet(a.inside, b.inside), 0, 0x55)],
    ['less than a header', 'inner-header', () => packet(a.inside, b.inside).subarray(0, 19)],
    ['less than the header says', 'inner-header', () => packet(a.inside, b.inside).subarray(0, 40)],
    ['a wrong header checksum', 'header-checksum', () => changed(packet(a.inside, b.inside), 10, 0)],
    ['a source route', 'source-route', () => ipPacket({ ...ends(), options: SOURCE_ROUTE }, udp(PORTS))],
    [
      'an ICMP redirect',
      'redirect',
      () => ipPacket(ends(), icmp({ version: 4, type: 5, data: Buffer.alloc(28) })),
    ],
    ['what leads back to itself', 'loop', () => packet(a.inside, '10.11.0.9')],
    ['a packet at the end of its TTL', 'ttl-exceeded', () => packet(a.inside, b.inside, { ttl: 1 })],
  ];
  const ends = () => ({ source: a.inside, destination: b.inside });
  it.each(malformed)('cannot send %s: %s, and nothing else', async (_title, reason, datagram) => {
    const before = await hubDrops(star, a.name);
    await rogue.send(datagram());
    await expectDropped(before, reason);
  });

  it('is told of in the log once in ten seconds, however much it sends', async () => {
    const before = await hubDrops(star, a.name);
    await rogue.send(...Array.from({ length: 200 }, () => packet(b.inside, b.inside)));
    await expectDropped(before, 'spoofed', 200);
    const reports = hub.count(/dropped a packet from s1 with the source/);
    expect(reports).toBeGreaterThan(0);
    expect(reports).toBeLessThanOrEqual(1 + (Date.now() - started) / REPORTS_EVERY_MS);
    expect(hub.log).toMatch(/with the source 10\.8\.0\.3, which is not routed to it; .*allowed-source/);
  });

  it('gets through with its own addresses, and nothing of the others has', async () => {
    await rogue.send(packet(a.inside, b.inside), packet(a.address6, HUB.address6));
    for (const capture of captures) await capture.waitFor(/UDP, length/);
    expect(captures.map((capture) => capture.count(/UDP, length/))).toEqual([1, 1]);
  });
});
