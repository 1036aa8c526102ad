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
const HOSTS = 64;
const SLOTS = 64;
const PEER = 0;
const PACKET_SIZE = 64;
const UDP = 17;
const TCP = 6;
const SYN = 0x02;
const ACK = 0x10;

export const nat: InProcessBench = {
  name: 'nat',
  title: 'Source NAT alone: packets translated and sessions opened (one core)',
  run: measureAll,
};

function* measureAll({ quick }: Scale): Generator<InProcessReading> {
  const roundMs = quick ? QUICK_ROUND_MS : ROUND_MS;
  for (const [contender, flows, run] of [
    ['1 flow', 1, 32],
    ['1000 flows, in runs of 32 packets', 1000, 32],
    ['1000 flows, each packet another', 1000, 1],
    ['50 000 flows, each packet another', 50_000, 1],
  ] as const) {
    const bench = new NatBench(TCP);
    const send = () => bench.sendRun(flows, run, ACK);
    for (let packets = 0; packets < 2 * flows * run; packets += SLOTS) send();
    const pps = packetsPerSecond(send, roundMs);
    const allocated = allocatedBytes(() => repeat(send, ALLOCATION_PACKETS / SLOTS)) / ALLOCATION_PACKETS;
    yield { contender, values: { pps, allocated } };
  }
  for (const [contender, protocol] of [
    ['new TCP sessions', TCP],
    ['new UDP sessions', UDP],
  ] as const) {
    const bench = new NatBench(protocol);
    yield {
      contender,
      values: { pps: packetsPerSecond(() => bench.sendNew(), roundMs), memory: memoryPerSession(protocol) },
    };
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

/** Typed arrays of a table that is full, by session. */
function memoryPerSession(protocol: number): number {
  const before = process.memoryUsage().arrayBuffers;
  const bench = new NatBench(protocol);
  for (let i = 0; i < MAX_SESSIONS / 2; i += SLOTS) bench.sendNew();
  return (process.memoryUsage().arrayBuffers - before) / MAX_SESSIONS;
}

class NatBench {
  private readonly batch: Batch;
  private readonly nat: Nat;
  private readonly now = { ms: 0 };
  private sent = 0;

  constructor(protocol: number) {
    const shape = { slots: SLOTS, capacity: 128 };
    const arena = new Arena(new Uint8Array(Batch.arenaSize(shape) + 2 * Nat.ARENA_SIZE), 0);
    this.batch = new Batch(arena, shape);
    this.nat = new Nat({
      arena,
      settings: SETTINGS,
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
  sendRun(flows: number, run: number, tcpFlags: number): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      this.sendOne(slot, Math.floor(this.sent++ / run) % flows, tcpFlags);
    }
  }

  /** 64 packets that belong to no session yet; those before them are forgotten when the table is full. */
  sendNew(): void {
    for (let slot = 0; slot < SLOTS; slot++) this.sendOne(slot, this.sent++, SYN);
  }

  private sendOne(slot: number, flow: number, tcpFlags: number): void {
    const { batch, nat, now } = this;
    const start = batch.start[slot];
    batch.verdict[slot] = PASS;
    // The host, and the port: both ends of the packet as its sender wrote them.
    batch.bytes[start + 12] = 10;
    batch.bytes[start + 13] = 8;
    batch.bytes[start + 14] = 0;
    batch.bytes[start + 15] = flow % HOSTS;
    writeUint16(batch.bytes, start + 18, Math.floor(flow / (HOSTS * 60_000)) & 0xffff);
    writeUint16(batch.bytes, start + 20, 1024 + (Math.floor(flow / HOSTS) % 60_000));
    batch.bytes[start + 33] = tcpFlags;
    if (nat.classify(batch, slot, PEER, now) !== PASS) throw new Error('the NAT refuses a packet');
    if (nat.translate(batch, slot, PEER, ZONE_TUN, now) !== PASS)
      throw new Error('the NAT refuses a session');
  }
}

/** From 10.8.0.x to 172.16.0.3 port 80; the sender's ends are filled in later. */
function writePacket(batch: Batch, slot: number, protocol: number): void {
  const at = batch.packetOffset(slot);
  batch.bytes.set([0x45, 0, 0, PACKET_SIZE, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 8, 0, 0, 172, 16, 0, 3], at);
  batch.bytes.set([0, 0, 0, 80], at + 20);
  if (protocol === TCP) batch.bytes[at + 32] = 0x50;
  batch.commit(slot, PACKET_SIZE);
}

const SETTINGS: NatSettings = {
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
  perHostRate: 1e9,
  perHostBurst: 1e9,
  tcpMapping: 'edm',
  udpFiltering: 'adf',
  unmatched: 'reinject',
};
