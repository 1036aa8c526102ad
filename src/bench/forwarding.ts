/** Whether a large routing table forwards as fast as a small one: the same hub with tables of several sizes. */
import { plural } from '../control/units.ts';
import { IPV4_DESTINATION, IPV4_SOURCE, setIpv4HeaderChecksum } from '../packet/ipv4.ts';
import type { Prefix } from '../packet/prefix.ts';
import { checkAddresses } from '../packet/sanity.ts';
import { PASS } from '../packet/verdict.ts';
import { compileTables } from '../route/compile.ts';
import type { Route } from '../route/route.ts';
import { RoutingTable } from '../route/table.ts';
import { inTurn, type InProcessBench, type InProcessReading } from './in-process.ts';
import type { Scale } from './measurements.ts';
import { memoryGateway, PacketRing, PEERS } from './memory-gateway.ts';
import { ipv4Packet } from './memory-engine.ts';
import { destinationsIn, DESTINATIONS, randomNetworks } from './routes.ts';

/** Routes to each of the two peers. */
const SIZES = [1, 1000, 100_000];
/** Flows in use at one time, each packet another: some, and more than any cache holds. */
const FLOWS = [1000, DESTINATIONS];
const PACKET_SIZE = 64;
const WARM_UP_PACKETS = 2 * DESTINATIONS;
/** Of one turn. */
const PACKETS = 8192;
const TURNS = 40;
const QUICK_TURNS = 15;

export const forwarding: InProcessBench = {
  name: 'forwarding',
  title:
    'A hub in memory, by routes to each of two peers: packets of 64 bytes between them, all over the table (one core)',
  run: measureSizes,
};

function* measureSizes({ quick }: Scale): Generator<InProcessReading> {
  const hubs = SIZES.flatMap((size) => {
    const send = hubWith(size);
    return FLOWS.map((flows) => {
      send(WARM_UP_PACKETS, flows);
      const contender = `${plural(size, 'route')}, ${flows} flows`;
      return { contender, run: () => ({ pps: (PACKETS * 1000) / send(PACKETS, flows) }) };
    });
  });
  yield* inTurn(hubs, quick ? QUICK_TURNS : TURNS);
}

/** Returns what sends packets of so many flows through a hub, and says how many milliseconds the hub took. */
function hubWith(size: number): (packets: number, flows: number) => number {
  const networks = routedNetworks(2 * size);
  const from = networks.slice(0, size);
  const to = networks.slice(size);
  const table = new RoutingTable();
  const source = { kind: 'operator' } as const;
  const routesTo = (peer: string, prefixes: readonly Prefix[]) =>
    prefixes.map((prefix): Route => ({ prefix, kind: 'peer', peer, metric: 0, source }));
  table.replace('operator', [...routesTo('from', from), ...routesTo('to', to)]);
  const tables = compileTables(table.list(), [], PEERS, { fallthrough: false });
  const hub = memoryGateway({ tables });
  const all = packetsBetween(destinationsIn(from, 4), destinationsIn(to, 4));
  const rings = new Map(
    FLOWS.map((flows) => [flows, new PacketRing(all.subarray(0, flows * PACKET_SIZE), PACKET_SIZE)]),
  );
  return (count, flows) => hub.fromPeer(rings.get(flows)!, count);
}

/** Random networks whose addresses may cross a router: some 7 of 8 may. */
function routedNetworks(count: number): Prefix[] {
  const networks = randomNetworks(Math.ceil(count * 1.25) + 16, 4).filter(({ bytes }) => {
    const packet = ipv4Packet(PACKET_SIZE);
    packet.set(bytes, IPV4_SOURCE);
    return checkAddresses(packet, 0) === PASS;
  });
  return networks.slice(0, count);
}

/** A packet for each pair of addresses. */
function packetsBetween(sources: Uint8Array, destinations: Uint8Array): Uint8Array {
  const all = new Uint8Array((sources.length / 4) * PACKET_SIZE);
  const packet = ipv4Packet(PACKET_SIZE);
  for (let i = 0; i < sources.length; i += 4) {
    packet.set(sources.subarray(i, i + 4), IPV4_SOURCE);
    packet.set(destinations.subarray(i, i + 4), IPV4_DESTINATION);
    setIpv4HeaderChecksum(packet, 0);
    all.set(packet, (i / 4) * PACKET_SIZE);
  }
  return all;
}
