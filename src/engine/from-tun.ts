/**
 * From the kernel: packets and super-packets read from the TUN device, one forwarding decision for up to 64 KiB; cut,
 * sealed and sent by to-peers.ts. Translated ones may go back to the kernel.
 */
import type { Batch } from '../packet/batch.ts';
import { segmentCount } from '../packet/segment.ts';
import { CONSUMED, PASS, type Verdict } from '../packet/verdict.ts';
import { isPeer, ZONE_TUN } from '../packet/zone.ts';
import type { EngineContext, Now } from './context.ts';
import { Counter } from './counters.ts';
import type { Forwarding } from './forward.ts';
import type { ToKernel } from './to-kernel.ts';
import type { ToPeers } from './to-peers.ts';

/** Bytes read in one breath: some 100 segments, so that the other direction waits well under a millisecond. */
const READ_BUDGET = 128 * 1024;

export interface Exits {
  readonly toPeers: ToPeers;
  readonly toKernel: ToKernel;
}

export class FromTun {
  private readonly context: EngineContext;
  private readonly packets: Batch;
  private readonly forwarder: Forwarding;
  private readonly toPeers: ToPeers;
  private readonly toKernel: ToKernel;
  /** Bytes of the packets read last. */
  private readBytes = 0;

  constructor(context: EngineContext, packets: Batch, forwarder: Forwarding, exits: Exits) {
    this.context = context;
    this.packets = packets;
    this.forwarder = forwarder;
    this.toPeers = exits.toPeers;
    this.toKernel = exits.toKernel;
  }

  /** Moves one batch; not to be called while its predecessor waits. True when more packets may be waiting. */
  run(now: Now): boolean {
    const { packets, toPeers } = this;
    if (this.read(now)) this.toKernel.writeBack(packets, now);
    toPeers.start(packets);
    toPeers.run(now);
    return packets.count === packets.slots || this.readBytes >= READ_BUDGET;
  }

  /** True when packets go back to where they came from. */
  private read(now: Now): boolean {
    const { packets } = this;
    const { tun, counters, peers } = this.context;
    packets.count = 0;
    this.readBytes = 0;
    const read = tun.readBatch(packets, READ_BUDGET);
    let count = 0;
    let back = false;
    for (let slot = 0; slot < read; slot++) {
      this.readBytes += packets.length[slot];
      // Whom the slot's last packet went to is not who a drop is counted at.
      packets.target[slot] = ZONE_TUN;
      if (packets.verdict[slot] === PASS) packets.verdict[slot] = this.forwarder.fromTun(packets, slot, now);
      if (packets.verdict[slot] === PASS) {
        count += segmentCount(packets, slot);
        back ||= !isPeer(packets.target[slot]);
        continue;
      }
      count++;
      if (packets.verdict[slot] === CONSUMED) continue;
      const target = packets.target[slot];
      const owner = isPeer(target) ? (peers[target] ?? this.context) : this.context;
      owner.counters.drop(packets.verdict[slot] as Verdict);
    }
    counters.add(Counter.TunReadPackets, count);
    counters.add(Counter.TunReadBytes, this.readBytes);
    return back;
  }
}
