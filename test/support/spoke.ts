/** The far end of a tunnel to a hub: keys, packet ids and a port, but no engine, so that a test can have many. */
import type { CryptoProvider, Opener, Sealer, Suite } from '../../src/crypto/provider.ts';
import { deriveKeys } from '../../src/crypto/static-key.ts';
import { HeapArena } from '../../src/packet/arena.ts';
import { Batch } from '../../src/packet/batch.ts';
import { PASS } from '../../src/packet/verdict.ts';
import { OccOpcode } from '../../src/protocol/constants.ts';
import { isOcc, occOpcode, writeOcc } from '../../src/protocol/occ.ts';
import { PACKET_ID_SIZE, PacketIdSender, readEpoch, readPacketId } from '../../src/protocol/packet-id.ts';
import { isPing, writePing } from '../../src/protocol/ping.ts';
import { ReplayWindow } from '../../src/protocol/replay-window.ts';
import type { Clock } from '../../src/engine/clock.ts';
import type { MemorySwitch, SwitchPort } from './memory-switch.ts';

const SHAPE = { slots: 32, capacity: 8192 };

export interface SpokeOptions {
  readonly provider: CryptoProvider;
  readonly suite: Suite;
  /** Of the static key, 256 bytes; the spoke uses direction 1. */
  readonly key: Uint8Array;
  readonly network: MemorySwitch;
  readonly host: string;
  readonly port: number;
  readonly hub: Uint8Array;
  readonly clock: Clock;
}

export class Spoke {
  /** Packets that came through the tunnel. */
  readonly delivered: Uint8Array[] = [];
  pings = 0;
  exits = 0;
  /** Datagrams out of the replay window or received twice. */
  replayed = 0;
  readonly port: SwitchPort;
  /** Socket address row of the hub. */
  hub: Uint8Array;
  private readonly batch = new Batch(new HeapArena(Batch.arenaSize(SHAPE) + 64), SHAPE);
  private readonly hubRow: number;
  private readonly sealer: Sealer;
  private readonly opener: Opener;
  private readonly ids = new PacketIdSender();
  private readonly replay = new ReplayWindow(64, 15);
  private readonly clock: Clock;

  constructor(options: SpokeOptions) {
    const { provider, suite, key } = options;
    const keys = deriveKeys(key, 1, suite);
    const fill = (bytes: Uint8Array, offset: number, length: number) =>
      bytes.fill(this.ids.id & 0xff, offset, offset + length);
    this.sealer = provider.createSealer(suite, keys.seal, fill);
    this.opener = provider.createOpener(suite, keys.open);
    this.port = options.network.open(options.host, options.port);
    this.hub = options.hub;
    this.hubRow = this.batch.arena.take(32);
    this.clock = options.clock;
  }

  get address(): Uint8Array {
    return this.port.address;
  }

  send(...packets: readonly Uint8Array[]): void {
    for (const packet of packets) this.sendPayload((bytes, at) => (bytes.set(packet, at), packet.length));
  }

  ping(): void {
    this.sendPayload(writePing);
  }

  exit(): void {
    this.sendPayload((bytes, at) => writeOcc(bytes, at, OccOpcode.Exit));
  }

  /** The datagram that would carry `packet`, for tests that send it themselves. */
  seal(packet: Uint8Array): Uint8Array {
    this.sealOne((bytes, at) => (bytes.set(packet, at), packet.length));
    const start = this.batch.start[0];
    return this.batch.bytes.slice(start, start + this.batch.length[0]);
  }

  /** Takes in what has arrived; returns how many datagrams. Whatever is not authentic is an error of the test. */
  receive(): number {
    const { batch } = this;
    batch.count = 0;
    const received = this.port.recvBatch(batch);
    this.opener.open(batch, 0, received);
    for (let slot = 0; slot < received; slot++) this.take(slot);
    return received;
  }

  private take(slot: number): void {
    const { batch, replay } = this;
    if (batch.verdict[slot] !== PASS)
      throw new Error(`the hub sent what does not open: ${batch.verdict[slot]}`);
    const { bytes } = batch;
    const id = readPacketId(bytes, batch.start[slot]);
    const epoch = readEpoch(bytes, batch.start[slot]);
    if (replay.check(id, epoch, this.clock.unixSeconds()) !== PASS) {
      this.replayed++;
      return;
    }
    replay.record(id, epoch, this.clock.unixSeconds());
    const start = batch.start[slot] + PACKET_ID_SIZE;
    const length = batch.length[slot] - PACKET_ID_SIZE;
    if (isPing(bytes, start, length)) this.pings++;
    else if (isOcc(bytes, start, length))
      this.exits += Number(occOpcode(bytes, start, length) === OccOpcode.Exit);
    else this.delivered.push(bytes.slice(start, start + length));
  }

  private sendPayload(write: (bytes: Uint8Array, at: number) => number): void {
    this.sealOne(write);
    this.port.sendBatch(this.batch, 0, 1);
  }

  private sealOne(write: (bytes: Uint8Array, at: number) => number): void {
    const { batch } = this;
    batch.commit(0, write(batch.bytes, batch.packetOffset(0)));
    batch.start[0] -= PACKET_ID_SIZE;
    batch.length[0] += PACKET_ID_SIZE;
    this.ids.write(batch.bytes, batch.start[0], this.clock.unixSeconds());
    this.sealer.seal(batch, 0, 1);
    if (batch.verdict[0] !== PASS) throw new Error('sealing failed');
    batch.bytes.set(this.hub, this.hubRow);
    batch.endpoint[0] = this.hubRow;
  }
}
