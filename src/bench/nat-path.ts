/** What source NAT costs on a packet's whole way through a gateway: the same gateway with and without it. */
import { plural } from '../control/units.ts';
import { onesComplementSum } from '../packet/checksum.ts';
import { IPV4_DESTINATION, IPV4_MIN_HEADER, IPV4_SOURCE, setIpv4HeaderChecksum } from '../packet/ipv4.ts';
import { parsePrefix } from '../packet/prefix.ts';
import { PROTOCOL_TCP, setTcpChecksum, setTcpFlags, setTcpHeaderLength, TcpFlag } from '../packet/tcp.ts';
import { writeUint16 } from '../packet/word.ts';
import { compileTables } from '../route/compile.ts';
import { RoutingTable } from '../route/table.ts';
import { inTurn, type InProcessBench, type InProcessReading, type Turn } from './in-process.ts';
import type { Scale } from './measurements.ts';
import { memoryGateway, PacketRing, PEERS } from './memory-gateway.ts';
import { SNAT_SETTINGS } from './nat.ts';

const FLOWS = [1, 1000];
const PACKET_SIZE = 64;
/** Of one turn. */
const PACKETS = 8192;
const WARM_UPS = 8;
const TURNS = 40;
const QUICK_TURNS = 10;

export const natPath: InProcessBench = {
  name: 'nat-path',
  title: 'A gateway in memory with and without source NAT: TCP packets of 64 bytes (one core)',
  run: measureDirections,
};

function* measureDirections({ quick }: Scale): Generator<InProcessReading> {
  const turns = FLOWS.flatMap((flows) => [...turnsOf(flows, false), ...turnsOf(flows, true)]);
  yield* inTurn(turns, quick ? QUICK_TURNS : TURNS);
}

function turnsOf(flows: number, translates: boolean): Turn[] {
  const seen: Uint8Array[] = [];
  const gateway = memoryGateway({
    tables: TABLES,
    ...(translates ? { nat: SNAT_SETTINGS } : {}),
    sink: (bytes, offset) => {
      if (seen.length < flows) seen.push(bytes.slice(offset, offset + PACKET_SIZE));
      return true;
    },
  });
  const questions = ringOf(Array.from({ length: flows }, (_, flow) => segment(flow)));
  gateway.fromPeer(questions, flows);
  const answers = ringOf(seen.map(turnedRound));
  for (let i = 0; i < WARM_UPS; i++) {
    gateway.fromTun(answers, PACKETS);
    gateway.fromPeer(questions, PACKETS);
  }
  const suffix = `${plural(flows, 'flow')}, ${translates ? 'source NAT' : 'no NAT'}`;
  const pps = (milliseconds: number) => ({ pps: (PACKETS * 1000) / milliseconds });
  return [
    { contender: `peer to LAN, ${suffix}`, run: () => pps(gateway.fromPeer(questions, PACKETS)) },
    { contender: `LAN to peer, ${suffix}`, run: () => pps(gateway.fromTun(answers, PACKETS)) },
  ];
}

const TABLES = compileTables(table().list(), [], PEERS, { fallthrough: false });

function table(): RoutingTable {
  const routes = new RoutingTable();
  const source = { kind: 'operator' } as const;
  routes.add({ prefix: parsePrefix('10.8.0.0/24')!, kind: 'peer', peer: 'from', metric: 0, source });
  routes.add({ prefix: parsePrefix('172.16.0.0/24')!, kind: 'local', peer: undefined, metric: 0, source });
  return routes;
}

/** TCP from 10.8.0.2 to 172.16.0.3 port 80; each flow has a source port of its own. */
function segment(flow: number): Uint8Array {
  const packet = new Uint8Array(PACKET_SIZE);
  packet.set([0x45, 0, 0, PACKET_SIZE, 0, 0, 0x40, 0, 64, PROTOCOL_TCP, 0, 0, 10, 8, 0, 2, 172, 16, 0, 3]);
  setIpv4HeaderChecksum(packet, 0);
  writeUint16(packet, IPV4_MIN_HEADER, 1024 + flow);
  writeUint16(packet, IPV4_MIN_HEADER + 2, 80);
  setTcpHeaderLength(packet, IPV4_MIN_HEADER, 20);
  setTcpFlags(packet, IPV4_MIN_HEADER, TcpFlag.Ack);
  const length = PACKET_SIZE - IPV4_MIN_HEADER;
  const pseudoHeader = onesComplementSum(packet, IPV4_SOURCE, 8, PROTOCOL_TCP + length);
  setTcpChecksum(
    packet,
    IPV4_MIN_HEADER,
    0xffff - onesComplementSum(packet, IPV4_MIN_HEADER, length, pseudoHeader),
  );
  return packet;
}

/** The answer to a packet; exchanging addresses and ports leaves all checksums right. */
function turnedRound(packet: Uint8Array): Uint8Array {
  const answer = packet.slice();
  answer.copyWithin(IPV4_SOURCE, IPV4_DESTINATION, IPV4_DESTINATION + 4);
  answer.set(packet.subarray(IPV4_SOURCE, IPV4_SOURCE + 4), IPV4_DESTINATION);
  answer.copyWithin(IPV4_MIN_HEADER, IPV4_MIN_HEADER + 2, IPV4_MIN_HEADER + 4);
  answer.set(packet.subarray(IPV4_MIN_HEADER, IPV4_MIN_HEADER + 2), IPV4_MIN_HEADER + 2);
  return answer;
}

function ringOf(packets: readonly Uint8Array[]): PacketRing {
  const bytes = new Uint8Array(packets.length * PACKET_SIZE);
  for (const [i, packet] of packets.entries()) bytes.set(packet, i * PACKET_SIZE);
  return new PacketRing(bytes, PACKET_SIZE);
}
