/** Sends a peer what is not a tunnelled packet: pings, OCC messages, exit notifications. */
import { type Arena } from '../packet/arena.ts';
import { Batch } from '../packet/batch.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import type { Now } from './context.ts';
import { Counter } from './counters.ts';
import { encapsulate } from './encapsulate.ts';
import type { Peer } from './peer.ts';

/** Writes a payload at `bytes[offset...]` and returns its length. */
export type PayloadWriter = (bytes: Uint8Array, offset: number) => number;

export class ControlSender {
  private readonly batch: Batch;

  constructor(arena: Arena) {
    this.batch = new Batch(arena, { slots: 1 });
  }

  static arenaSize(): number {
    return Batch.arenaSize({ slots: 1 });
  }

  /**
   * Sends one payload, or nothing while no peer address is known (no packet id is spent then). A full socket buffer
   * drops it: a later timer sends the next one.
   */
  send(peer: Peer, write: PayloadWriter, now: Now): void {
    const { batch } = this;
    const { counters } = peer;
    if (peer.port === undefined || !peer.endpoint.known) return;
    batch.commit(0, write(batch.bytes, batch.packetOffset(0)));
    encapsulate(batch, 0, 1, peer, now.sec);
    peer.liveness.sent(now.ms);
    const sent = peer.port.sendBatch(batch, 0, 1) === 1;
    if (sent && batch.verdict[0] === PASS) {
      counters.add(Counter.UdpWritePackets, 1);
      counters.add(Counter.UdpWriteBytes, batch.length[0]);
      counters.atLeast(Counter.LargestSent, batch.length[0]);
    } else {
      counters.drop(sent ? (batch.verdict[0] as Verdict) : DropReason.SendBuffer);
    }
  }
}
