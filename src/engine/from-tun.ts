/**
 * From the kernel: packets and super-packets read from the TUN device, one forwarding decision for up to 64 KiB; cut,
 * sealed and sent by to-peers.ts.
 */
import type { Batch } from '../packet/batch.ts';
import { segmentCount } from '../packet/segment.ts';
import { PASS, type Verdict } from '../packet/verdict.ts';
import { isPeer } from '../packet/zone.ts';
import type { EngineContext, Now } from './context.ts';
import { Counter } from './counters.ts';
import type { Forwarder } from './forward.ts';
import type { ToPeers } from './to-peers.ts';

/** Bytes read in one breath: some 100 segments, so that the other direction waits well under a millisecond. */
const READ_BUDGET = 128 * 1024;

export class FromTun {
  private readonly context: EngineContext;
  private readonly packets: Batch;
  private readonly forwarder: Forwarder;
  private readonly toPeers: ToPeers;
  /** Bytes of the packets read last. */
  private readBytes = 0;

  constructor(context: EngineContext, packets: Batch, forwarder: Forwarder, toPeers: ToPeers) {
    this.context = context;
    this.packets = packets;
    this.forwarder = forwarder;
    this.toPeers = toPeers;
  }

  /** Moves one batch, or goes on with the last; returns true when more packets may be waiting. */
  run(now: Now): boolean {
    if (!this.toPeers.blocked) {
      this.read(now);
      this.toPeers.start(this.packets);
    }
    const full = this.packets.count === this.packets.slots || this.readBytes >= READ_BUDGET;
    this.toPeers.run(now);
    return full && !this.toPeers.blocked;
  }

  private read(now: Now): void {
    const { packets } = this;
    const { tun, counters, peers } = this.context;
    packets.count = 0;
    this.readBytes = 0;
    const read = tun.readBatch(packets, READ_BUDGET);
    let count = 0;
    for (let slot = 0; slot < read; slot++) {
      this.readBytes += packets.length[slot];
      if (packets.verdict[slot] === PASS) packets.verdict[slot] = this.forwarder.fromTun(packets, slot, now);
      if (packets.verdict[slot] === PASS) {
        count += segmentCount(packets, slot);
        continue;
      }
      count++;
      const target = packets.target[slot];
      const owner = isPeer(target) ? (peers[target] ?? this.context) : this.context;
      owner.counters.drop(packets.verdict[slot] as Verdict);
    }
    counters.add(Counter.TunReadPackets, count);
    counters.add(Counter.TunReadBytes, this.readBytes);
  }
}
