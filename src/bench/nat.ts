/** The NAT alone: translations and new sessions per second, and what a session costs in memory. */
import { HASH_SECRET_SIZE, Nat } from '../nat/nat.ts';
import type { NatSettings } from '../nat/rule.ts';
import { Arena } from '../packet/arena.ts';
import { Batch } from '../packet/batch.ts';
import { PASS } from '../packet/verdict.ts';
import { writeUint16 } from '../packet/word.ts';
import { ZONE_TUN } from '../packet/zone.ts';
import { allocatedBytes } from './allocation.ts';
import type { InProcessBench, InProcessReading } from './in-process.ts';
import type { Scale } from './measurements.ts';

const ROUND_MS = 500;
const QUICK_ROUND_MS = 150;
const ALLOCATION_PACKETS = 4096;
const MAX_SESSIONS = 65536;
const MANY_SESSIONS = 1_000_000;
const WARM_UP_PACKETS = 200_000;
/** Of inside hosts, each with as many ports. */
const HOSTS = 64;
const FLOWS = HOSTS * 60_000;
const SLOTS = 64;
const PEER = 0;
const PACKET_SIZE = 64;
const UDP = 17;
const TCP = 6;
const SYN = 0x02;
const ACK = 0x10;

/** Offsets in a packet. */
const SOURCE = 12;
const DESTINATION = 16;
const PORTS = 20;
const FLAGS = 33;
const CLIENT = Uint8Array.of(10, 8, 0, 0);
const SERVER = Uint8Array.of(172, 16, 0, 3);

export const nat: InProcessBench = {
  name: 'nat',
  title: 'Source NAT alone: packets translated and sessions opened (one core)',
  run: measureAll,
};

function* measureAll({ quick }: Scale): Generator<InProcessReading> {
  const roundMs = quick ? QUICK_ROUND_MS : ROUND_MS;
  for (const sessions of [MAX_SESSIONS, MANY_SESSIONS])
    yield { contender: `a table of ${sessions} sessions`, values: { memory: memoryPerSession(sessions) } };
  for (const [name, protocol] of [
    ['TCP', TCP],
    ['UDP', UDP],
  ] as const) {
    const bench = new NatBench(protocol);
    const sendNew = () => bench.sendNew();
    repeat(sendNew, MAX_SESSIONS / SLOTS);
    const pps = packetsPerSecond(sendNew, roundMs);
    yield { contender: `new ${name} sessions, each in the place of a half-open one`, values: { pps } };
  }
  for (const [contender, flows, run] of [
    ['packets of 1 flow', 1, 1],
    ['packets of 1000 flows, in runs of 32', 1000, 32],
    ['packets of 1000 flows, each another', 1000, 1],
    ['packets of 50 000 flows, each another', 50_000, 1],
  ] as const) {
    const bench = new NatBench(TCP);
    for (let flow = 0; flow < flows; flow++) bench.establish(flow);
    const send = () => bench.sendRun(flows, run);
    repeat(send, WARM_UP_PACKETS / SLOTS);
    const pps = packetsPerSecond(send, roundMs);
    const allocated = allocatedBytes(() => repeat(send, ALLOCATION_PACKETS / SLOTS)) / ALLOCATION_PACKETS;
    yield { contender, values: { pps, allocated } };
  }
}

function packetsPerSecond(send: () => void, milliseconds: number): number {
  const start = performance.now();
  let packets = 0;
  while (performance.now() - start < milliseconds) {
    send();
    packets += SLOTS;
  }
  return (packets * 1000) / (performance.now() - start);
}

function repeat(action: () => void, times: number): void {
  for (let i = 0; i < times; i++) action();
}

/**
 * Typed arrays for each session of a full table, each from a host of its own and with a mapping and a port: the most it can
 * come to. What is not used is not resident.
 */
function memoryPerSession(sessions: number): number {
  const before = process.memoryUsage().arrayBuffers;
  const bench = new NatBench(UDP, sessions);
  bench.sendNew();
  return (process.memoryUsage().arrayBuffers - before) / sessions;
}

class NatBench {
  private readonly batch: Batch;
  private readonly nat: Nat;
  private readonly now = { ms: 0 };
  private sent = 0;

  constructor(protocol: number, maxSessions = MAX_SESSIONS) {
    const shape = { slots: SLOTS, capacity: 128 };
    const arena = new Arena(new Uint8Array(Batch.arenaSize(shape) + 2 * Nat.ARENA_SIZE), 0);
    this.batch = new Batch(arena, shape);
    this.nat = new Nat({
      arena,
      settings: { ...SNAT_SETTINGS, maxSessions },
      secret: new Uint8Array(HASH_SECRET_SIZE).fill(1),
      random: () => Math.floor(Math.random() * 0x100000000),
      egressMatches: () => true,
      guards: { open: () => true, close: () => {} },
      isLocalPortBusy: () => false,
      now: this.now,
    });
    for (let slot = 0; slot < SLOTS; slot++) writePacket(this.batch, slot, protocol);
  }

  /** 64 packets of `flows` flows, `run` of each one after the other. */
  sendRun(flows: number, run: number): void {
    for (let slot = 0; slot < SLOTS; slot++) this.sendOne(slot, Math.floor(this.sent++ / run) % flows, ACK);
  }

  /** 64 packets of flows that were never seen. */
  sendNew(): void {
    for (let slot = 0; slot < SLOTS; slot++) this.sendOne(slot, this.sent++ % FLOWS, SYN);
  }

  /** A handshake, or a question and its answer. */
  establish(flow: number): void {
    this.sendOne(0, flow, SYN);
    this.answer(0);
    this.sendOne(0, flow, ACK);
  }

  private sendOne(slot: number, flow: number, tcpFlags: number): void {
    const { bytes, start } = this.batch;
    const packet = start[slot];
    // What the last translation changed, and the answer: both ends and the flags.
    const host = flow % HOSTS;
    const port = Math.floor(flow / HOSTS);
    for (let i = 0; i < CLIENT.length; i++) bytes[packet + SOURCE + i] = CLIENT[i];
    for (let i = 0; i < SERVER.length; i++) bytes[packet + DESTINATION + i] = SERVER[i];
    bytes[packet + SOURCE + 3] = host;
    writeUint16(bytes, packet + PORTS, 1024 + port);
    writeUint16(bytes, packet + PORTS + 2, 80);
    bytes[packet + FLAGS] = tcpFlags;
    this.translate(slot, PEER, ZONE_TUN);
  }

  /** The other end answers the packet that left last. */
  private answer(slot: number): void {
    const { bytes, start } = this.batch;
    const packet = start[slot];
    bytes.copyWithin(packet + DESTINATION, packet + SOURCE, packet + DESTINATION);
    for (let i = 0; i < SERVER.length; i++) bytes[packet + SOURCE + i] = SERVER[i];
    bytes.copyWithin(packet + PORTS + 2, packet + PORTS, packet + PORTS + 2);
    writeUint16(bytes, packet + PORTS, 80);
    bytes[packet + FLAGS] = SYN | ACK;
    this.translate(slot, ZONE_TUN, PEER);
  }

  private translate(slot: number, from: number, to: number): void {
    const { batch, nat, now } = this;
    const verdict = nat.classify(batch, slot, from, now) || nat.translate(batch, slot, from, to, now);
    if (verdict !== PASS) throw new Error(`the NAT refuses a packet: ${verdict}`);
  }
}

/** Without checksums, which nobody looks at. */
function writePacket(batch: Batch, slot: number, protocol: number): void {
  const at = batch.packetOffset(slot);
  batch.bytes.set([0x45, 0, 0, PACKET_SIZE, 0, 0, 0, 0, 64, protocol], at);
  if (protocol === TCP) batch.bytes[at + 32] = 0x50;
  batch.commit(slot, PACKET_SIZE);
}

/** Peers of 10.8.0.0/24 appear as 172.16.0.9, however many sessions each has. */
export const SNAT_SETTINGS: NatSettings = {
  rules: [
    {
      kind: 'snat',
      id: 0,
      text: 'nat snat 10.8.0.0/24 out eth1 to 172.16.0.9',
      where: { file: 'bench', line: 1, column: 1 },
      match: {
        source: { bytes: Uint8Array.of(10, 8, 0, 0), length: 24 },
        destination: undefined,
        protocol: undefined,
        sourcePorts: undefined,
        destinationPorts: undefined,
      },
      out: 'tun',
      egress: undefined,
      peer: undefined,
      to: { address: Uint8Array.of(172, 16, 0, 9), ports: { first: 1024, last: 65535 }, shared: false },
    },
  ],
  timeouts: {
    udp: 300,
    udpOneWay: 120,
    udpDns: 30,
    tcpEstablished: 7440,
    tcpPartial: 240,
    tcpClosing: 240,
    icmp: 60,
    other: 300,
    fragment: 30,
    portQuarantine: 0,
  },
  maxSessions: MAX_SESSIONS,
  perHost: MAX_SESSIONS,
  perHostHalfOpen: MAX_SESSIONS,
  perHostRate: 60_000,
  perHostBurst: 60_000,
  tcpMapping: 'edm',
  udpFiltering: 'adf',
  unmatched: 'reinject',
};
