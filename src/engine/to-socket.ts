/**
 * By the raw ICMP socket: ICMP messages and fragments that come from an address of this host. What is too long for the
 * way out is ours to cut into fragments, or to refuse, as a router does.
 */
import { REFUSED, SENT, type IcmpPort } from '../icmp/port.ts';
import { Batch, type BatchShape } from '../packet/batch.ts';
import { fragment, fragmentCount, mayFragment } from '../packet/fragment.ts';
import { IcmpError } from '../packet/icmp-error.ts';
import { CONSUMED, DropReason, type Verdict } from '../packet/verdict.ts';
import { ZONE_ICMP } from '../packet/zone.ts';
import type { EngineContext, Now } from './context.ts';
import type { ErrorSender } from './router.ts';

const SHAPE: BatchShape = { slots: 8, capacity: 2048 };

export class ToSocket {
  private readonly context: EngineContext;
  private readonly icmp: ErrorSender;
  private readonly pieces: Batch;

  constructor(context: EngineContext, icmp: ErrorSender) {
    this.context = context;
    this.icmp = icmp;
    this.pieces = new Batch(context.arena, SHAPE);
  }

  static arenaSize(): number {
    return Batch.arenaSize(SHAPE);
  }

  /** CONSUMED, or why the packet was dropped. */
  send(batch: Batch, slot: number, now: Now): Verdict {
    const { icmpPort } = this.context;
    const result = icmpPort?.send(batch, slot) ?? REFUSED;
    if (result === SENT) return CONSUMED;
    if (icmpPort === undefined || result === REFUSED) return DropReason.SendFailed;
    const mtu = Math.min(result, this.pieces.capacity);
    if (mayFragment(batch.bytes, batch.start[slot], mtu)) return this.sendPieces(icmpPort, batch, slot, mtu);
    // The packet is translated already. To its external address, which is this host's, the error comes back to us by
    // the same socket, and is translated for the sender like that of any router.
    this.icmp.send(batch, slot, ZONE_ICMP, IcmpError.TooBig, result, now);
    return DropReason.TooBig;
  }

  private sendPieces(port: IcmpPort, batch: Batch, slot: number, mtu: number): Verdict {
    const { pieces } = this;
    const count = fragmentCount(batch, slot, mtu);
    for (let next = 0; next < count;) {
      pieces.count = 0;
      next = fragment(batch, slot, next, pieces, mtu);
      for (let piece = 0; piece < pieces.count; piece++)
        if (port.send(pieces, piece) !== SENT) return DropReason.SendFailed;
    }
    return CONSUMED;
  }
}
