/**
 * To the kernel: by the TUN device, where segments of one flow become super-packets again (packet/coalesce.ts), or by
 * the raw socket for ICMP messages and fragments that come from an address of this host.
 */
import type { Batch } from '../packet/batch.ts';
import { Coalescer } from '../packet/coalesce.ts';
import { setPartialChecksum } from '../packet/partial-checksum.ts';
import { CONSUMED, DropReason, PASS } from '../packet/verdict.ts';
import { ZONE_ICMP, ZONE_TUN } from '../packet/zone.ts';
import type { EngineContext, Now } from './context.ts';
import { Counter } from './counters.ts';
import type { ToSocket } from './to-socket.ts';

export class ToKernel {
  private readonly context: EngineContext;
  private readonly toSocket: ToSocket;
  private readonly coalescer = new Coalescer();

  constructor(context: EngineContext, toSocket: ToSocket) {
    this.context = context;
    this.toSocket = toSocket;
  }

  /** Writes packets first..count-1 whose verdict is still PASS; what the kernel refuses is counted as dropped. */
  run(batch: Batch, first: number, now: Now): void {
    const { superPackets } = this.context.tun;
    if (this.prepare(batch, first, now) === 0) return;
    if (superPackets.tcp || superPackets.udp)
      this.coalescer.coalesce(batch, first, batch.count, superPackets);
    this.write(batch, first, batch.count);
  }

  /**
   * The same for packets that were read from the TUN device and go back to it, translated; super-packets as they are. Those
   * between them that go to peers are left alone.
   */
  writeBack(batch: Batch, now: Now): void {
    if (this.prepare(batch, 0, now) === 0) return;
    for (let slot = 0; slot < batch.count; slot++) {
      if (batch.verdict[slot] !== PASS || batch.target[slot] !== ZONE_TUN) continue;
      if (batch.gsoSize[slot] > 0) setPartialChecksum(batch, slot);
      this.write(batch, slot, slot + 1);
    }
  }

  /** Sends what goes by the socket, and counts what is left for the device. */
  private prepare(batch: Batch, first: number, now: Now): number {
    const { counters } = this.context;
    let packets = 0;
    let bytes = 0;
    for (let slot = first; slot < batch.count; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      if (batch.target[slot] === ZONE_ICMP) {
        this.send(batch, slot, now);
      } else if (batch.target[slot] === ZONE_TUN) {
        packets++;
        bytes += batch.length[slot];
      }
    }
    counters.add(Counter.TunWritePackets, packets);
    counters.add(Counter.TunWriteBytes, bytes);
    return packets;
  }

  private send(batch: Batch, slot: number, now: Now): void {
    const verdict = this.toSocket.send(batch, slot, now);
    batch.verdict[slot] = verdict;
    if (verdict !== CONSUMED) this.context.counters.drop(verdict);
  }

  private write(batch: Batch, first: number, end: number): void {
    const { tun, counters } = this.context;
    tun.writeBatch(batch, first, end);
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] === PASS) batch.verdict[slot] = CONSUMED;
      if (batch.verdict[slot] !== DropReason.TunWrite) continue;
      counters.drop(DropReason.TunWrite);
      counters.add(Counter.TunWritePackets, -1);
      counters.add(Counter.TunWriteBytes, -batch.length[slot]);
    }
  }
}
