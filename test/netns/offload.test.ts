/** Offloads on real devices: what they merge and cut arrives intact, and where they cannot work the flow goes on. */
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { expectHostsReachEachOther, startSites } from '../support/field-case.ts';
import {
  inLab,
  startGateway,
  TSVPN_BIN,
  tsvpn,
  writeConfig,
  writeKey,
  COMPLETED,
} from '../support/gateway.ts';
import { staticKeyText } from '../support/keys.ts';
import type { Namespace } from '../support/netns.ts';
import { createFieldCase, createLink, FIELD, OUTER, type FieldCase, type Link } from '../support/topology.ts';
import { expectPing, expectTransfer } from '../support/traffic.ts';

const INTEGRITY = join(import.meta.dirname, '../support/udp-integrity.mjs');
const DATAGRAMS = 4000;

let net: FieldCase | Link | undefined;
afterEach(() => net?.destroy());

/** Sends datagrams of all sizes, alone and in runs, and expects what arrives to be intact. */
async function expectDatagrams(
  from: Namespace,
  to: Namespace,
  address: string,
  sizes: string,
): Promise<void> {
  const listener = to.spawn([process.execPath, INTEGRITY, 'listen', address, '5002']);
  await listener.waitFor(/listening/);
  const send = [process.execPath, INTEGRITY, 'send', address, '5002', String(DATAGRAMS), sizes];
  await from.mustRun(send);
  await listener.exited;
  const result = JSON.parse(/\{.*\}/.exec(listener.log)?.[0] ?? '{}') as Record<string, number>;
  expect(result).toMatchObject({ damaged: 0, repeated: 0 });
  // UDP may lose some on a busy machine; the point is what arrives.
  expect(result.received).toBeGreaterThan(DATAGRAMS / 2);
}

interface Status {
  readonly offload: { tun: string; fallbacks: number };
  readonly peers: readonly { socket: { udpSegment: boolean; udpReceive: boolean } }[];
  readonly drops: Record<string, number>;
}

async function statusOf(link: Link, namespace: Namespace, name: string): Promise<Status> {
  const { stdout } = await tsvpn(link, namespace, 'status', name, '--json');
  return JSON.parse(stdout) as Status;
}

describe('offloads between two sites', () => {
  it.each([
    ['tsvpn', 'tsvpn'],
    ['tsvpn', 'openvpn'],
  ] as const)('carry TCP and UDP of hosts behind the gateways intact: %s to %s', async (a, b) => {
    const sites = await createFieldCase();
    net = sites;
    await startSites(sites, a, b);
    await expectHostsReachEachOther(sites);
    const { hostA, hostB } = sites;
    await expectTransfer(hostA, hostB, FIELD.hostB, 20_000_000);
    await expectTransfer(hostB, hostA, FIELD.hostA, 20_000_000);
    await expectDatagrams(hostA, hostB, FIELD.hostB, '64,1400,200,12,1440,700');
    await expectDatagrams(hostB, hostA, FIELD.hostA, '64,1400,200,12,1440,700');
  });
});

describe('offloads between two gateways', () => {
  async function startPair(mtu: number, flags: readonly string[], lines = ''): Promise<Link> {
    const link = await createLink();
    net = link;
    for (const gateway of [link.a, link.b]) await gateway.ip('link', 'set', 'outer', 'mtu', String(mtu));
    const key = writeKey(link, 'static.key', staticKeyText());
    const common = `dev tun\nsecret ${key}\ncipher AES-256-CBC\nauth SHA256\nverb 3\n${lines}`;
    const a = writeConfig(
      link,
      'a',
      `${common}\nifconfig 10.9.0.1 10.9.0.2\nifconfig-ipv6 fd09::1/64 fd09::2`,
    );
    const text = `${common}\nifconfig 10.9.0.2 10.9.0.1\nifconfig-ipv6 fd09::2/64 fd09::1\nremote ${OUTER.a.ipv4}\nping 1`;
    const daemon = link.a.spawn([TSVPN_BIN, 'up', a, ...flags], inLab(link));
    const b =
      flags.length === 0
        ? startGateway(link, link.b, { implementation: 'tsvpn', name: 'b', config: text })
        : undefined;
    const other = b ?? link.b.spawn([TSVPN_BIN, 'up', writeConfig(link, 'b', text), ...flags], inLab(link));
    await daemon.waitFor(COMPLETED);
    await other.waitFor(COMPLETED);
    return link;
  }

  it('are in use, and carry TCP over IPv4 and IPv6 and UDP', async () => {
    const link = await startPair(1500, []);
    await expectTransfer(link.a, link.b, '10.9.0.2', 20_000_000);
    await expectTransfer(link.b, link.a, 'fd09::1', 20_000_000);
    await expectDatagrams(link.a, link.b, '10.9.0.2', '64,1300,30');
    await expectDatagrams(link.b, link.a, 'fd09::1', '64,1300,30');
    const { offload, peers } = await statusOf(link, link.a, 'a');
    expect(peers[0].socket).toMatchObject({ udpSegment: true, udpReceive: true });
    expect(offload.fallbacks).toBe(0);
    expect(offload.tun).toMatch(/^tso/);
  });

  it('give way where the path is too small for a segment: datagrams are fragmented one by one', async () => {
    // A measured path gets no such segments.
    const link = await startPair(1300, [], 'mtu-probe off');
    await expectPing(link.a, '10.9.0.2', 1400);
    await expectTransfer(link.a, link.b, '10.9.0.2', 3_000_000);
    await expectDatagrams(link.b, link.a, '10.9.0.1', '1400,64');
    const { offload, drops } = await statusOf(link, link.a, 'a');
    expect(offload.fallbacks).toBeGreaterThan(0);
    expect(drops['message-size'] ?? 0).toBe(0);
  });

  it('cut super-packets of more segments than a batch holds (a tiny MSS)', async () => {
    const link = await startPair(1500, []);
    await link.b.ip('route', 'change', '10.9.0.1', 'dev', 'tun0', 'src', '10.9.0.2', 'advmss', '88');
    await link.a.ip('route', 'change', '10.9.0.2', 'dev', 'tun0', 'src', '10.9.0.1', 'advmss', '88');
    await expectTransfer(link.a, link.b, '10.9.0.2', 3_000_000);
  });

  it('are off with --no-offload, and everything works the same', async () => {
    const link = await startPair(1500, ['--no-offload']);
    await expectTransfer(link.a, link.b, '10.9.0.2', 10_000_000);
    await expectDatagrams(link.b, link.a, 'fd09::1', '64,1300,30');
    const { offload, peers } = await statusOf(link, link.a, 'a');
    expect(offload.tun).toBe('none');
    expect(peers[0].socket).toMatchObject({ udpSegment: false, udpReceive: false });
  });

  it('work with jumbo packets', async () => {
    const link = await startPair(9000, [], 'tun-mtu 8900');
    await expectPing(link.a, '10.9.0.2', 8800);
    await expectTransfer(link.a, link.b, '10.9.0.2', 20_000_000);
    await expectDatagrams(link.b, link.a, '10.9.0.1', '8000,64,3000');
  });
});
