/**
 * ICMP errors of our own: written into a batch of their own while packets are forwarded, sent back to where the
 * offending packets came from at the end of the breath. Limited in rate, and never about what must not be answered
 * (packet/icmp-error.ts).
 */
import { addressSize } from '../packet/address.ts';
import { Batch, type BatchShape } from '../packet/batch.ts';
import {
  IcmpError,
  MAX_ICMP_ERROR,
  mayAnswer,
  writeIcmpError,
  type IcmpErrorKind,
} from '../packet/icmp-error.ts';
import { innerDestination, innerSource } from '../packet/inner.ts';
import { ipVersion } from '../packet/ipv4.ts';
import { IcmpLimiter } from '../packet/token-bucket.ts';
import { isPeer, ZONE_TUN, type Zone } from '../packet/zone.ts';
import type { EngineContext, Now } from './context.ts';
import { Counter } from './counters.ts';
import type { ErrorSender } from './router.ts';
import type { ToPeers } from './to-peers.ts';
import type { ToKernel } from './to-kernel.ts';

const SHAPE: BatchShape = { slots: 32, capacity: MAX_ICMP_ERROR };

export class IcmpSender implements ErrorSender {
  private readonly context: EngineContext;
  private readonly batch: Batch;
  private readonly limiter: IcmpLimiter;
  /** Path MTU discovery must not starve behind errors that somebody provokes: it has a limit of its own. */
  private readonly tooBigLimiter: IcmpLimiter;

  /** `seed`: 32 random bits. */
  constructor(context: EngineContext, seed: number) {
    this.context = context;
    this.batch = new Batch(context.arena, SHAPE);
    this.limiter = new IcmpLimiter(seed);
    this.tooBigLimiter = new IcmpLimiter(seed);
  }

  static arenaSize(): number {
    return Batch.arenaSize(SHAPE);
  }

  /** Answers the packet in `slot`, which came from `to`. `mtu` in bytes, for TooBig only. */
  send(about: Batch, slot: number, to: Zone, error: IcmpErrorKind, mtu: number, now: Now): void {
    const { batch } = this;
    const { bytes } = about;
    const start = about.start[slot];
    const length = about.length[slot];
    if (batch.count === batch.slots || !mayAnswer(bytes, start, length, error)) return;
    const limiter = error === IcmpError.TooBig ? this.tooBigLimiter : this.limiter;
    if (!limiter.take(bytes, start, now.ms)) return;
    const source = this.sourceFor(about, slot, to);
    const at = batch.packetOffset(batch.count);
    const written = writeIcmpError(about.arena, at, start, length, error, mtu, source);
    batch.commit(batch.count, written);
    batch.target[batch.count] = to;
    // The quote is in our view of addresses: a peer with a view of its own gets it in that.
    if (isPeer(to)) this.context.peers[to]?.netmap?.outbound(batch, batch.count);
    batch.count++;
    this.context.counters.add(Counter.IcmpSent, 1);
  }

  /** Sends what has come together. */
  flush(toPeers: ToPeers, toKernel: ToKernel, now: Now): void {
    const { batch } = this;
    if (batch.count === 0) return;
    toPeers.start(batch);
    toPeers.run(now);
    toKernel.run(batch, 0, now);
    batch.count = 0;
  }

  /**
   * Our tunnel address; but the kernel takes no IPv4 packet from outside whose source is an address of its own, and no
   * IPv6 packet for itself. An error for its side comes from the destination that the packet was sent to.
   */
  private sourceFor(about: Batch, slot: number, to: Zone): Uint8Array {
    const { routes, settings } = this.context;
    const { bytes } = about;
    const start = about.start[slot];
    const ipv4 = ipVersion(bytes, start) === 4;
    const address = ipv4 ? settings.address4 : settings.address6;
    const refused =
      to === ZONE_TUN && (ipv4 || routes.isOwn(routes.lookup6(bytes, innerSource(bytes, start))));
    if (address !== undefined && !refused) return address;
    const destination = innerDestination(bytes, start);
    return bytes.slice(destination, destination + addressSize(ipv4 ? 4 : 6));
  }
}
