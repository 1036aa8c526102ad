import { describe, expect, it } from 'vitest';
import { inTurn } from '../../src/bench/in-process.ts';
import { ipv4Packet } from '../../src/bench/memory-engine.ts';
import { memoryGateway, PacketRing, PEERS } from '../../src/bench/memory-gateway.ts';
import { SNAT_SETTINGS } from '../../src/bench/nat.ts';
import { setIpv4HeaderChecksum } from '../../src/packet/ipv4.ts';
import { compileTables } from '../../src/route/compile.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { route, tableOf } from '../support/routes.ts';

describe('contenders in this process', () => {
  it('take turns, each round beginning with another one', () => {
    const turn = (contender: string, pps: number) => ({ contender, run: () => ({ pps }) });
    const readings = [...inTurn([turn('a', 1), turn('b', 2)], 3)];
    expect(readings.map(({ contender, repetition }) => `${contender}${repetition}`)).toEqual([
      'a0',
      'b0',
      'b1',
      'a1',
      'a2',
      'b2',
    ]);
    expect(readings[1].values).toEqual({ pps: 2 });
  });
});

describe('the gateway in memory', () => {
  const routes = tableOf(
    route('10.8.0.0/24', 'from'),
    route('10.9.0.0/24', 'to'),
    route('172.16.0.0/24', 'local'),
  );
  const tables = compileTables(routes.list(), [], PEERS, { fallthrough: false });
  const ring = (source: string, destination: string) => {
    const packet = ipv4Packet(64);
    packet.set([...parseAddress(source), ...parseAddress(destination)], 12);
    setIpv4HeaderChecksum(packet, 0);
    return new PacketRing(packet, packet.length);
  };

  it.each([
    ['from peer to peer', '10.8.0.2', '10.9.0.2'],
    ['from peer to kernel', '10.8.0.2', '172.16.0.3'],
  ])('carries packets %s', (_, source, destination) => {
    expect(memoryGateway({ tables }).fromPeer(ring(source, destination), 3000)).toBeGreaterThan(0);
  });

  it('carries packets from kernel to peer', () => {
    expect(memoryGateway({ tables }).fromTun(ring('172.16.0.3', '10.8.0.2'), 3000)).toBeGreaterThan(0);
  });

  it('translates sources', () => {
    const sources = new Set<string>();
    const sink = (bytes: Uint8Array, offset: number) =>
      sources.add(bytes.subarray(offset + 12, offset + 16).join('.')).size > 0;
    const gateway = memoryGateway({ tables, nat: SNAT_SETTINGS, sink });
    gateway.fromPeer(ring('10.8.0.2', '172.16.0.3'), 100);
    expect([...sources]).toEqual(['172.16.0.9']);
  });

  it('says so when packets are lost', () => {
    const spoofed = ring('10.9.0.2', '172.16.0.3');
    expect(() => memoryGateway({ tables }).fromPeer(spoofed, 5)).toThrow('5 of 5 packets were lost');
  });
});
