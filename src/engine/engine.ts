/**
 * The data plane of one tunnel, without threads, clocks or system calls of its own: everything it touches is handed
 * to it, so that tests drive it over memory devices and a fake clock, and the worker over the real ones.
 *
 * Theory of operation: the caller waits until a device is ready or `nextTimeoutMs` is over, then calls `breathe`,
 * which moves at most one batch in each direction (so that a flood in one never starves the other), runs the timers
 * that are due, and says whether more is waiting.
 *
 *   idle ──connect──▶ running ──restart──▶ restarting ──connect──▶ running ... ──stop──▶ exiting ──▶ stopped
 */
import { type Arena } from '../packet/arena.ts';
import { Batch, type BatchShape } from '../packet/batch.ts';
import type { RandomFill } from '../crypto/provider.ts';
import { OccOpcode } from '../protocol/constants.ts';
import { writeOcc, writeOccLoad, writeOccMtuReply, writeOccReply } from '../protocol/occ.ts';
import { PACKET_ID_SIZE } from '../protocol/packet-id.ts';
import { writePing } from '../protocol/ping.ts';
import type { TunDevice } from '../tun/device.ts';
import type { UdpPort } from '../udp/port.ts';
import type { Clock } from './clock.ts';
import type { EngineContext, Now } from './context.ts';
import { ControlSender, type PayloadWriter } from './control-sender.ts';
import { Counter, type Counters } from './counters.ts';
import { Inbound } from './inbound.ts';
import type { EngineEvent, ExitReason, PeerSettings, RestartReason } from './messages.ts';
import { OccAnswer } from './occ-exchange.ts';
import { Outbound } from './outbound.ts';
import { Peer, type PeerCrypto } from './peer.ts';
import { PeerEndpoint } from './peer-endpoint.ts';

/** Packets and super-packets read from the TUN device in one breath. */
const PACKET_SHAPE: BatchShape = { slots: 128 };
/** Datagrams sealed and sent at a time. */
export const DATAGRAM_SLOTS = 256;
/** Datagrams received in one breath, some of them in runs that share a buffer. */
const RECEIVE_SHAPE: BatchShape = { slots: 2048, buffers: 64 };
/** A packet of the MTU, however small that is configured. */
const MIN_CAPACITY = 2048;

function datagramShape(settings: PeerSettings): BatchShape {
  return { slots: DATAGRAM_SLOTS, capacity: Math.max(MIN_CAPACITY, settings.tunMtu) };
}

/** Why the caller woke up; a device that is not ready is not touched. */
export const Ready = { Nothing: 0, Tun: 1, Udp: 2, UdpWritable: 4, Everything: 7 } as const;

export interface EngineOptions {
  readonly arena: Arena;
  readonly tun: TunDevice;
  readonly crypto: PeerCrypto;
  readonly settings: PeerSettings;
  readonly clock: Clock;
  readonly random: RandomFill;
  readonly counters: Counters;
  readonly emit: (event: EngineEvent) => void;
}

/** Largest MTU load we send on request, payload bytes. */
const MAX_OCC_LOAD = 9000;

const occRequest: PayloadWriter = (bytes, offset) => writeOcc(bytes, offset, OccOpcode.Request);
const occExit: PayloadWriter = (bytes, offset) => writeOcc(bytes, offset, OccOpcode.Exit);

export type EngineState = 'idle' | 'running' | 'restarting' | 'exiting' | 'stopped';

export class Engine {
  state: EngineState = 'idle';
  readonly peer: Peer;
  private readonly context: EngineContext;
  private readonly clock: Clock;
  private readonly random: RandomFill;
  private readonly outbound: Outbound;
  private readonly inbound: Inbound;
  private readonly control: ControlSender;
  private exitMessagesLeft = 0;
  private exitStepMs = Infinity;

  constructor(options: EngineOptions) {
    this.clock = options.clock;
    this.random = options.random;
    this.peer = new Peer(options.arena, options.settings, options.crypto);
    this.context = { tun: options.tun, peer: this.peer, counters: options.counters, emit: options.emit };
    this.outbound = new Outbound(
      this.context,
      new Batch(options.arena, PACKET_SHAPE),
      new Batch(options.arena, datagramShape(options.settings)),
    );
    this.inbound = new Inbound(this.context, new Batch(options.arena, RECEIVE_SHAPE));
    this.control = new ControlSender(this.context, options.arena);
  }

  /** Arena bytes an engine needs, without its port's. */
  static arenaSize(settings: PeerSettings): number {
    return (
      Batch.arenaSize(PACKET_SHAPE) +
      Batch.arenaSize(datagramShape(settings)) +
      Batch.arenaSize(RECEIVE_SHAPE) +
      ControlSender.arenaSize() +
      PeerEndpoint.arenaSize()
    );
  }

  /** The outbound path waits for the port to become writable and reads no TUN packets meanwhile. */
  get blocked(): boolean {
    return this.outbound.blocked;
  }

  /** Takes over `port` and talks to `remotes` (none: waits for a peer). `mss` is the clamp for this remote. */
  connect(port: UdpPort, remotes: readonly Uint8Array[], mss: number): void {
    if (this.state === 'exiting' || this.state === 'stopped') return port.close();
    this.peer.connect(port, remotes, mss, this.clock.monotonicMs(), this.clock.unixSeconds());
    this.state = 'running';
  }

  /** Gives up the port and the peer's address; the control plane answers with a new `connect`. */
  restart(reason: RestartReason): void {
    if (this.state !== 'running') return;
    this.outbound.abandon();
    this.peer.disconnect();
    this.state = 'restarting';
    this.context.emit({ kind: 'restarting', reason });
  }

  /** Ends the tunnel; with exit notifications configured that takes as many seconds. */
  stop(): void {
    if (this.state === 'exiting' || this.state === 'stopped') return;
    const notify = this.state === 'running' && this.peer.endpoint.known ? this.peer.settings.exitNotify : 0;
    this.state = 'exiting';
    this.exitMessagesLeft = notify;
    this.exitStepMs = this.clock.monotonicMs();
  }

  /** One round: a batch each way, then the timers. Returns true when more work is waiting already. */
  breathe(ready: number): boolean {
    const now = { ms: this.clock.monotonicMs(), sec: this.clock.unixSeconds() };
    const { counters } = this.context;
    let more = false;
    const moved = counters.get(Counter.TunReadBytes) + counters.get(Counter.TunWriteBytes);
    if (ready & Ready.Udp && this.peer.port !== undefined) more = this.inbound.run(this.peer.port, now);
    if (ready & (this.blocked ? Ready.UdpWritable : Ready.Tun)) more = this.outbound.run(now) || more;
    this.peer.liveness.activity(
      counters.get(Counter.TunReadBytes) + counters.get(Counter.TunWriteBytes) - moved,
      now.ms,
    );
    this.tick(now);
    counters.set(Counter.NowMs, now.ms);
    counters.add(Counter.Breaths, 1);
    return more;
  }

  /** Milliseconds until a timer is due, 0 when one is, Infinity when none runs. */
  nextTimeoutMs(): number {
    return Math.max(0, this.nextDeadlineMs() - this.clock.monotonicMs());
  }

  private nextDeadlineMs(): number {
    if (this.state === 'exiting') return this.exitStepMs;
    if (this.state !== 'running') return Infinity;
    const { liveness, occ, endpoint } = this.peer;
    const keepalive = endpoint.known ? Math.min(liveness.pingDueMs(), occ.requestDueMs()) : Infinity;
    const loss = Math.min(
      liveness.timeoutDueMs(endpoint.known),
      liveness.inactiveDueMs(),
      liveness.sessionDueMs(),
    );
    return Math.min(keepalive, loss);
  }

  private tick(now: Now): void {
    if (this.state === 'exiting') return this.exitStep(now);
    if (this.state !== 'running') return;
    const { liveness, occ, endpoint, settings } = this.peer;
    if (occ.owed !== OccAnswer.None) this.answerOcc(now);
    if (this.peer.exited) return this.restart('remote-exit');
    if (now.ms >= liveness.timeoutDueMs(endpoint.known)) {
      return settings.pingTimeoutAction === 'exit' ? this.exit('ping-exit') : this.restart('ping-restart');
    }
    if (now.ms >= liveness.inactiveDueMs()) return this.exit('inactive');
    if (now.ms >= liveness.sessionDueMs()) return this.exit('session-timeout');
    if (!endpoint.known) return;
    if (now.ms >= occ.requestDueMs()) {
      this.control.send(occRequest, now);
      occ.requested(now.ms);
    }
    if (now.ms >= liveness.pingDueMs()) this.control.send(writePing, now);
  }

  private answerOcc(now: Now): void {
    const { occ, settings } = this.peer;
    const { counters } = this.context;
    const answer = occ.owed;
    occ.owed = OccAnswer.None;
    if (answer === OccAnswer.Options) {
      this.control.send((bytes, offset) => writeOccReply(bytes, offset, occ.options), now);
    } else if (answer === OccAnswer.Mtu) {
      const received = counters.get(Counter.LargestReceived);
      const sent = counters.get(Counter.LargestSent);
      this.control.send((bytes, offset) => writeOccMtuReply(bytes, offset, received, sent), now);
    } else {
      // The size asked for is that of the datagram before padding, as stock counts it.
      const { cipher, digest } = settings.suite;
      const headers = digest.size + cipher.blockSize + (settings.replay.enabled ? PACKET_ID_SIZE : 0);
      const length = occ.loadSize - headers;
      if (length > MAX_OCC_LOAD) return;
      this.control.send((bytes, offset) => writeOccLoad(bytes, offset, length, this.random), now);
    }
  }

  private exit(reason: ExitReason): void {
    this.context.emit({ kind: 'exit', reason });
    this.stop();
  }

  private exitStep(now: Now): void {
    if (now.ms < this.exitStepMs) return;
    if (this.exitMessagesLeft > 0) {
      this.exitMessagesLeft--;
      this.control.send(occExit, now);
      this.exitStepMs = now.ms + 1000;
      return;
    }
    this.peer.disconnect();
    this.context.tun.close();
    this.state = 'stopped';
    this.exitStepMs = Infinity;
    this.context.emit({ kind: 'stopped' });
  }
}
