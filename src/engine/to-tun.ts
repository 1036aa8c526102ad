/** To the kernel: segments of one flow become super-packets again (packet/coalesce.ts), and all are written. */
import type { Batch } from '../packet/batch.ts';
import { Coalescer } from '../packet/coalesce.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import type { EngineContext } from './context.ts';
import { Counter } from './counters.ts';

export class ToTun {
  private readonly context: EngineContext;
  private readonly coalescer = new Coalescer();

  constructor(context: EngineContext) {
    this.context = context;
  }

  /** Writes packets 0..count-1 whose verdict is still PASS; what the kernel refuses is counted as dropped. */
  run(batch: Batch): void {
    const { tun, counters } = this.context;
    const { superPackets } = tun;
    const { count } = batch;
    let packets = 0;
    let bytes = 0;
    for (let slot = 0; slot < count; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      packets++;
      bytes += batch.length[slot];
    }
    if (packets === 0) return;
    if (superPackets.tcp || superPackets.udp) this.coalescer.coalesce(batch, 0, count, superPackets);
    tun.writeBatch(batch, 0, count);
    for (let slot = 0; slot < count; slot++) {
      if (batch.verdict[slot] !== DropReason.TunWrite) continue;
      counters.drop(DropReason.TunWrite);
      packets--;
      bytes -= batch.length[slot];
    }
    counters.add(Counter.TunWritePackets, packets);
    counters.add(Counter.TunWriteBytes, bytes);
  }
}
