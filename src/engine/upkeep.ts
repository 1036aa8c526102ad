/**
 * What peers need besides packets: their timers, the answers they are owed, and their ends. Looked at once in every
 * breath.
 */
import type { RandomFill } from '../crypto/provider.ts';
import { OccOpcode } from '../protocol/constants.ts';
import {
  EXACT_LOADS,
  markOccLoad,
  MIN_SIZED_LOAD,
  writeOcc,
  writeOccLoad,
  writeOccMtuReply,
  writeOccReply,
} from '../protocol/occ.ts';
import { PACKET_ID_SIZE } from '../protocol/packet-id.ts';
import { writePing } from '../protocol/ping.ts';
import type { Now } from './context.ts';
import type { ControlSender, PayloadWriter } from './control-sender.ts';
import { Counter } from './counters.ts';
import type { ExitReason, RestartReason } from './messages.ts';
import { OccAnswer, type LoadRequest } from './occ-exchange.ts';
import type { Peer } from './peer.ts';

/** Largest MTU load we send on request, payload bytes. */
const MAX_OCC_LOAD = 9000;

const occRequest: PayloadWriter = (bytes, offset) => writeOcc(bytes, offset, OccOpcode.Request);
const occExit: PayloadWriter = (bytes, offset) => writeOcc(bytes, offset, OccOpcode.Exit);

/** What became of a peer. */
export type Outcome =
  | { readonly kind: 'restart'; readonly reason: RestartReason }
  | { readonly kind: 'exit'; readonly reason: ExitReason }
  /** Its last exit notification is sent. */
  | { readonly kind: 'left' };

export class Upkeep {
  private readonly control: ControlSender;
  private readonly random: RandomFill;

  constructor(control: ControlSender, random: RandomFill) {
    this.control = control;
    this.random = random;
  }

  /** Milliseconds on the monotonic clock when `tick` has something to do for the peer, Infinity for never. */
  dueMs(peer: Peer): number {
    if (peer.state === 'leaving') return peer.exitStepMs;
    if (peer.state !== 'running') return Infinity;
    const { liveness, occ, endpoint, reassembler } = peer;
    if (occ.owes || peer.exited) return 0;
    const keepalive = endpoint.known ? Math.min(liveness.pingDueMs(), occ.requestDueMs()) : Infinity;
    return Math.min(
      keepalive,
      liveness.timeoutDueMs(endpoint.known),
      liveness.inactiveDueMs(),
      liveness.sessionDueMs(),
      reassembler?.dueMs() ?? Infinity,
    );
  }

  /** Does what is due; returns what becomes of the peer, if anything. */
  tick(peer: Peer, now: Now): Outcome | undefined {
    if (peer.state === 'leaving') return this.exitStep(peer, now);
    if (peer.state !== 'running') return undefined;
    const { liveness, occ, endpoint, settings } = peer;
    if (occ.owed !== OccAnswer.None) this.answerOcc(peer, now);
    for (let load = occ.loads.shift(); load !== undefined; load = occ.loads.shift())
      this.sendLoad(peer, load, now);
    if (peer.exited) return { kind: 'restart', reason: 'remote-exit' };
    if (now.ms >= liveness.timeoutDueMs(endpoint.known)) {
      return settings.pingTimeoutAction === 'exit'
        ? { kind: 'exit', reason: 'ping-exit' }
        : { kind: 'restart', reason: 'ping-restart' };
    }
    if (now.ms >= liveness.inactiveDueMs()) return { kind: 'exit', reason: 'inactive' };
    if (now.ms >= liveness.sessionDueMs()) return { kind: 'exit', reason: 'session-timeout' };
    if (endpoint.known) this.keepAlive(peer, now);
    return undefined;
  }

  /** Begins the peer's end: with exit notifications configured that takes as many seconds. */
  leave(peer: Peer, now: Now): void {
    if (peer.state === 'leaving' || peer.state === 'ended') return;
    const silent = peer.state !== 'running' || !peer.endpoint.known;
    peer.exitMessagesLeft = silent ? 0 : peer.exitNotify;
    peer.exitStepMs = now.ms;
    peer.state = 'leaving';
  }

  private keepAlive(peer: Peer, now: Now): void {
    if (now.ms >= peer.occ.requestDueMs()) {
      this.control.send(peer, occRequest, now);
      peer.occ.requested(now.ms);
    }
    if (now.ms >= peer.liveness.pingDueMs()) this.control.send(peer, writePing, now);
  }

  private answerOcc(peer: Peer, now: Now): void {
    const { occ, counters } = peer;
    const answer = occ.owed;
    occ.owed = OccAnswer.None;
    if (answer === OccAnswer.Options) {
      this.control.send(peer, (bytes, offset) => writeOccReply(bytes, offset, occ.options), now);
    } else {
      const received = counters.get(Counter.LargestReceived);
      const sent = counters.get(Counter.LargestSent);
      this.control.send(peer, (bytes, offset) => writeOccMtuReply(bytes, offset, received, sent), now);
    }
  }

  /** The size asked for is that of the datagram before padding, as stock counts it. */
  private sendLoad(peer: Peer, { size, total }: LoadRequest, now: Now): void {
    const { cipher, digest } = peer.settings.suite;
    const headers = digest.size + cipher.blockSize + (peer.settings.replay.enabled ? PACKET_ID_SIZE : 0);
    const length = size - headers;
    if (length > MAX_OCC_LOAD) return;
    const load = (bytes: Uint8Array, offset: number): number => {
      const written = writeOccLoad(bytes, offset, length, this.random);
      const mark = total === 0 && peer.port?.exactSizes === true ? EXACT_LOADS : total;
      if (mark >= 0 && written >= MIN_SIZED_LOAD) markOccLoad(bytes, offset, mark);
      return written;
    };
    if (total > 0) this.control.sendSized(peer, load, total, now);
    else this.control.send(peer, load, now);
  }

  private exitStep(peer: Peer, now: Now): Outcome | undefined {
    if (now.ms < peer.exitStepMs) return undefined;
    if (peer.exitMessagesLeft === 0) return { kind: 'left' };
    peer.exitMessagesLeft--;
    this.control.send(peer, occExit, now);
    peer.exitStepMs = now.ms + 1000;
    return undefined;
  }
}
