/**
 * A gateway in memory, and the time that it alone takes for packets:
 *
 *     far end of peer 0 ── wire ──▶ gateway ──▶ peer 1, where everything is lost
 *                                      │
 *                                     TUN, to the bench
 */
import { selectProvider } from '../crypto/select.ts';
import { generateStaticKey } from '../crypto/static-key.ts';
import type { Engine } from '../engine/engine.ts';
import type { NatSettings } from '../nat/rule.ts';
import type { PacketSink } from '../tun/memory.ts';
import type { CompiledTables } from '../route/compile.ts';
import { encodeEndpoint } from '../transport/endpoint.ts';
import { Wire } from '../udp/memory.ts';
import { addPeer, breathe, memoryEngine, peerSettings, POINT_TO_POINT, SUITE } from './memory-engine.ts';

/** Indexes of the two peers. */
export const PEERS = new Map([
  ['from', 0],
  ['to', 1],
]);

const FAR_END = encodeEndpoint('192.0.2.1', 1194);
const GATEWAY = encodeEndpoint('192.0.2.2', 1194);
const NOWHERE = encodeEndpoint('192.0.2.3', 1194);
const HUB = { ...POINT_TO_POINT, pointToPoint: false, clientToClient: true };
const WIRE_ROWS = 4096;
const ROW_SIZE = 2048;
/** Packets on the way at once. */
const BURST = 1024;

export interface GatewaySetup {
  readonly tables: CompiledTables;
  readonly nat?: NatSettings;
  /** Takes what the gateway writes to its TUN device. */
  readonly sink?: PacketSink;
}

export interface MemoryGateway {
  /** Lets packets come from peer 0, in order and from the beginning again; milliseconds that the gateway took. */
  fromPeer(packets: PacketRing, count: number): number;
  /** The same from the kernel; all must be for peer 0. */
  fromTun(packets: PacketRing, count: number): number;
}

/** Packets of one size, each of them the next after the one before. */
export class PacketRing {
  readonly size: number;
  private readonly bytes: Uint8Array;
  private next = 0;

  /** `bytes` holds the packets without gaps. */
  constructor(bytes: Uint8Array, size: number) {
    this.bytes = bytes;
    this.size = size;
  }

  /** Copies the next packet, and returns its length. */
  copyNext(to: Uint8Array, offset: number): number {
    const { bytes, next, size } = this;
    for (let i = 0; i < size; i++) to[offset + i] = bytes[next + i];
    this.next = next + size === bytes.length ? 0 : next + size;
    return size;
  }
}

/** Throws when packets are lost. */
export function memoryGateway({ tables, nat, sink = () => true }: GatewaySetup): MemoryGateway {
  const provider = selectProvider(SUITE, { legacy: false });
  const wire = new Wire({
    a: FAR_END,
    b: GATEWAY,
    random: Math.random,
    rows: WIRE_ROWS,
    rowSize: ROW_SIZE,
  });
  let arrived = 0;
  const far = new Supply();
  const kernel = new Supply();
  const arrive: PacketSink = (bytes, offset, length) => {
    arrived++;
    return sink(bytes, offset, length);
  };
  const farEnd = memoryEngine(POINT_TO_POINT, { source: far.source, sink: () => ++arrived > 0 });
  const gateway = memoryEngine(HUB, { source: kernel.source, sink: arrive }, SURROUNDINGS);
  const key = generateStaticKey();
  addPeer(farEnd, 0, peerSettings(key), provider, { port: wire.a, remote: GATEWAY });
  const settings = peerSettings(key, { anySource: false });
  addPeer(gateway, 0, settings, provider, { port: wire.b, remote: FAR_END });
  const lost = {
    recvBatch: () => 0,
    sendBatch: (_: unknown, first: number, end: number) => {
      arrived += end - first;
      return end;
    },
    close: () => {},
  };
  addPeer(gateway, 1, settings, provider, { port: lost, remote: NOWHERE });
  gateway.setTables(tables);
  if (nat !== undefined) gateway.setNat(nat);

  const inBursts = (count: number, burst: (size: number) => number): number => {
    let spent = 0;
    arrived = 0;
    for (let left = count; left > 0; left -= BURST) spent += burst(Math.min(left, BURST));
    if (arrived !== count) throw new Error(`${count - arrived} of ${count} packets were lost`);
    return spent;
  };
  return {
    fromPeer: (packets, count) =>
      inBursts(count, (size) => {
        far.fill(packets, size);
        while (far.left > 0) breathe(farEnd);
        return timeOf(() => breatheWhile(gateway, () => wire.b.inbox.waiting > 0));
      }),
    fromTun: (packets, count) =>
      inBursts(count, (size) => {
        kernel.fill(packets, size);
        const spent = timeOf(() => breatheWhile(gateway, () => kernel.left > 0));
        breatheWhile(farEnd, () => wire.a.inbox.waiting > 0);
        return spent;
      }),
  };
}

/** What the simulated host of a TUN device sends. */
class Supply {
  left = 0;
  private packets: PacketRing | undefined;

  fill(packets: PacketRing, count: number): void {
    this.packets = packets;
    this.left = count;
  }

  readonly source = (bytes: Uint8Array, offset: number): number => {
    if (this.left === 0) return 0;
    this.left--;
    return this.packets!.copyNext(bytes, offset);
  };
}

/** A host with one way out and no sockets. */
const SURROUNDINGS = {
  egressMatches: () => true,
  isLocalPortBusy: () => false,
  guards: { open: () => true, close: () => {}, recvBatch: () => 0 },
};

function breatheWhile(engine: Engine, isBusy: () => boolean): void {
  while (isBusy()) breathe(engine);
}

function timeOf(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}
