/**
 * Packets of one flow that follow each other are decided about once (packet/flow-run.ts). The oracle is the same hub that
 * gets every packet in a breath of its own, and so decides about each.
 */
import { describe, expect, it } from 'vitest';
import type { NatSettings } from '../../src/nat/rule.ts';
import { Hub, type HubPeer } from '../support/hub.ts';
import { packet, SITE_ROUTES } from '../support/hub-packets.ts';
import { ipPacket, tcp, udp } from '../support/ip-packets.ts';
import { address, DEFAULTS, dnat, snat } from '../support/nat.ts';
import { seeded } from '../support/random.ts';

/** Ports are kept where they are free, so that both hubs give out the same. */
const RULES = [
  snat({ from: '10.1.0.0/16', to: '172.16.0.0/24' }, address('172.16.0.9')),
  dnat({ to: '10.8.0.1/32', protocol: 17, ports: [6000, 6000] }, '10.2.0.9', 7000, { from: 'peers' }),
].map((rule, id) => ({ ...rule, id }));
const NAT: NatSettings = { ...DEFAULTS, rules: RULES };

const ROUTES = [...SITE_ROUTES, '172.16.7.0/24 blackhole'];

function hubWithTwoPeers(nat: boolean): { hub: Hub; a: HubPeer; b: HubPeer } {
  const surroundings = {
    guards: { open: () => true, close: () => undefined, recvBatch: () => 0 },
    egressMatches: () => true,
    isLocalPortBusy: () => false,
  };
  const hub = new Hub({ nat: surroundings });
  const peers = { a: hub.add('a', { tunMtu: 1400 }), b: hub.add('b', { tunMtu: 600 }) };
  hub.route(ROUTES);
  if (nat) hub.engine.setNat(NAT);
  return { hub, ...peers };
}

/** All that can be seen of a hub's doing. */
function traces(hub: Hub): object {
  const hex = (packets: readonly Uint8Array[]) =>
    packets.map((bytes) => Buffer.from(bytes).toString('hex')).sort();
  return {
    kernel: hex(hub.delivered),
    peers: hub.peers.map(({ spoke }) => hex(spoke.delivered)),
    drops: hub.allDrops(),
    sessions: hub.engine.answer({ kind: 'nat-list', from: 0, filter: {} }),
  };
}

const DESTINATIONS = [
  '172.16.0.3',
  '172.16.0.3',
  '10.2.0.5',
  '10.8.0.1',
  '8.8.8.8',
  '172.16.7.1',
  '10.1.9.9',
];
const FLAGS = [0x10, 0x10, 0x10, 0x18, 0x18, 0x02, 0x12, 0x11, 0x14];

/** A packet from the network of peer a, or one that pretends to be; most are like those before. */
function randomPacket(random: () => number): Uint8Array {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)];
  const rarely = (chance: number) => random() < chance;
  const source = rarely(0.03) ? pick(['10.2.0.5', '127.0.0.1', '172.16.0.2']) : '10.1.0.5';
  const destination = pick(DESTINATIONS);
  const ports = { sourcePort: 5000 + Number(rarely(0.1)), destinationPort: 6000 };
  const ttl = rarely(0.05) ? 1 : rarely(0.05) ? 63 : 64;
  const data = Buffer.alloc(pick([0, 20, 20, 700, 1300]), 7);
  const options = rarely(0.05) ? Buffer.from([1, 1, 1, 0]) : Buffer.alloc(0);
  const fragment = rarely(0.03) ? { offset: 0, more: rarely(0.5), id: 7 } : undefined;
  const shape = { source, destination, ttl, options, ...(fragment === undefined ? {} : { fragment }) };
  const transport = rarely(0.5)
    ? tcp({ ...ports, flags: pick(FLAGS), data })
    : udp({ ...ports, data, noChecksum: rarely(0.3) });
  const bytes = ipPacket(shape, transport);
  if (rarely(0.03)) bytes[11] ^= 1;
  if (rarely(0.02)) bytes[32] = 0x10;
  return rarely(0.05) ? Buffer.concat([bytes, Buffer.alloc(5)]) : bytes;
}

/** Bursts in which most packets are the last one again. */
function randomBursts(count: number, random: () => number): Uint8Array[][] {
  return Array.from({ length: count }, () => {
    const burst: Uint8Array[] = [];
    while (burst.length < 24) {
      const last = burst.at(-1);
      burst.push(last !== undefined && random() < 0.6 ? last : randomPacket(random));
    }
    return burst;
  });
}

describe('a burst fares as its packets would one by one', () => {
  it.each([
    ['without NAT', false, 1],
    ['with NAT', true, 2],
    ['with NAT, other packets', true, 3],
  ])('%s', (_, nat, seed) => {
    const together = hubWithTwoPeers(nat);
    const alone = hubWithTwoPeers(nat);
    for (const burst of randomBursts(150, seeded(seed))) {
      together.a.spoke.send(...burst);
      together.hub.settle();
      for (const each of burst) {
        alone.a.spoke.send(each);
        alone.hub.settle();
      }
      // What expires then does so before the next burst.
      for (const { hub } of [together, alone]) hub.advance(1000, 1000);
    }
    expect(together.hub.delivered.length).toBeGreaterThan(100);
    expect(together.b.spoke.delivered.length).toBeGreaterThan(100);
    expect(traces(together.hub)).toEqual(traces(alone.hub));
  });

  it('and two peers in turn do not go on with each other’s runs', () => {
    const { hub, a, b } = hubWithTwoPeers(false);
    const { port } = a;
    a.spoke.send(packet('10.1.0.5', '172.16.0.3', { mark: 1 }));
    b.spoke.send(packet('10.1.0.5', '172.16.0.3', { mark: 2 }));
    a.spoke.send(packet('10.1.0.5', '172.16.0.3', { mark: 3 }));
    hub.settle();
    expect(port.closed).toBe(false);
    expect(hub.delivered).toHaveLength(2);
    expect(hub.allDrops()).toEqual([['b', 32, 1]]);
  });
});
