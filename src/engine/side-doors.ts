/**
 * What comes in besides datagrams and packets from the TUN device, all of it for translated sessions and little:
 *
 * - copies of ICMP messages to an address of this host, from the raw socket;
 * - datagrams that arrived in fragments at a translated port of this host, whole, from the port's guard socket;
 * - fragments that had waited for the first of their packet.
 */
import { Batch, type BatchShape } from '../packet/batch.ts';
import { CONSUMED, PASS, type Verdict } from '../packet/verdict.ts';
import { NO_ZONE } from '../nat/nat.ts';
import type { PortGuards } from '../nat/ports.ts';
import type { EngineContext, Now } from './context.ts';
import type { Forwarder } from './forward.ts';
import type { ToKernel } from './to-kernel.ts';
import type { ToPeers } from './to-peers.ts';

const SHAPE: BatchShape = { slots: 16 };

/** Guards, and what comes in by them. */
export interface GuardDoor extends PortGuards {
  /** Appends what waits at any of them, each datagram as one IPv4 packet; 0 when nothing does. */
  recvBatch(batch: Batch): number;
}

export class SideDoors {
  private readonly context: EngineContext;
  private readonly batch: Batch;
  private readonly forwarder: Forwarder;
  private readonly toPeers: ToPeers;
  private readonly toKernel: ToKernel;
  private readonly guards: GuardDoor | undefined;
  /** Copies of ICMP messages may be waiting. */
  icmpReady = false;
  guardsReady = false;

  constructor(
    context: EngineContext,
    stages: { readonly forwarder: Forwarder; readonly toPeers: ToPeers; readonly toKernel: ToKernel },
    guards: GuardDoor | undefined,
  ) {
    this.context = context;
    this.batch = new Batch(context.arena, SHAPE);
    this.forwarder = stages.forwarder;
    this.toPeers = stages.toPeers;
    this.toKernel = stages.toKernel;
    this.guards = guards;
  }

  static arenaSize(): number {
    return Batch.arenaSize(SHAPE);
  }

  /** Moves at most one batch from each; true when more may be waiting. */
  run(now: Now): boolean {
    if (this.icmpReady) this.icmpReady = this.fromIcmp(now);
    if (this.guardsReady) this.guardsReady = this.fromGuards(now);
    return this.fromHeld(now) || this.icmpReady || this.guardsReady;
  }

  private fromIcmp(now: Now): boolean {
    const { batch } = this;
    const received = this.context.icmpPort?.recvBatch(batch) ?? 0;
    for (let slot = 0; slot < received; slot++) this.judge(slot, this.forwarder.fromIcmp(batch, slot, now));
    this.flush(now);
    return received === batch.slots;
  }

  private fromGuards(now: Now): boolean {
    const { batch } = this;
    const received = this.guards?.recvBatch(batch) ?? 0;
    for (let slot = 0; slot < received; slot++) this.judge(slot, this.forwarder.fromTun(batch, slot, now));
    this.flush(now);
    return received === batch.slots;
  }

  private fromHeld(now: Now): boolean {
    const { batch } = this;
    const { nat } = this.context;
    if (nat === undefined) return false;
    while (batch.count < batch.slots) {
      const from = nat.release(batch, batch.count);
      if (from === NO_ZONE) break;
      const slot = batch.count++;
      this.judge(slot, this.forwarder.released(batch, slot, from, now));
    }
    const full = batch.count === batch.slots;
    if (batch.count > 0) this.flush(now);
    return full;
  }

  private judge(slot: number, verdict: Verdict): void {
    this.batch.verdict[slot] = verdict;
    if (verdict !== PASS && verdict !== CONSUMED) this.context.counters.drop(verdict);
  }

  private flush(now: Now): void {
    this.toPeers.start(this.batch);
    this.toPeers.run(now);
    this.toKernel.run(this.batch, 0, now);
    this.batch.count = 0;
  }
}
