/**
 * One peer of the data plane: its keys at work, its packet ids in both directions, where it is, and the port its
 * datagrams come and go through. Outbound and inbound (the two flow files) read and advance this state.
 */
import type { Opener, Sealer } from '../crypto/provider.ts';
import type { Arena } from '../packet/arena.ts';
import { createFraming, type Framing } from '../protocol/framing.ts';
import { PacketIdSender } from '../protocol/packet-id.ts';
import { OwnPackets } from '../protocol/reflection.ts';
import { ReplayWindow } from '../protocol/replay-window.ts';
import type { UdpPort } from '../udp/port.ts';
import { Liveness } from './liveness.ts';
import type { PeerSettings } from './messages.ts';
import { OccExchange } from './occ-exchange.ts';
import { PeerEndpoint } from './peer-endpoint.ts';

export interface PeerCrypto {
  readonly sealer: Sealer;
  readonly opener: Opener;
}

export class Peer {
  readonly settings: PeerSettings;
  readonly sealer: Sealer;
  readonly opener: Opener;
  readonly framing: Framing;
  readonly packetIds = new PacketIdSender();
  /** Undefined with `no-replay`: there is then no packet id on the wire. Kept over restarts (docs/adr/0008). */
  readonly replay: ReplayWindow | undefined;
  /** Only when both ends share one set of keys and datagrams are recognisable. */
  readonly ownPackets: OwnPackets | undefined;
  readonly endpoint: PeerEndpoint;
  readonly liveness: Liveness;
  readonly occ: OccExchange;
  /** Undefined while restarting. */
  port: UdpPort | undefined;
  /** MSS clamp for the current remote; 0 is off. */
  mss = 0;
  /** The peer has said that it exits; the engine restarts at its next tick. */
  exited = false;
  /** A valid payload has come since the last connect. */
  heard = false;

  constructor(arena: Arena, settings: PeerSettings, crypto: PeerCrypto) {
    this.settings = settings;
    this.sealer = crypto.sealer;
    this.opener = crypto.opener;
    this.framing = createFraming(settings.framing);
    this.replay = settings.replay.enabled
      ? new ReplayWindow(settings.replay.window, settings.replay.timeSec)
      : undefined;
    const recognisable = settings.suite.digest.size > 0 || settings.suite.cipher.blockSize > 0;
    const reflects = settings.sharedKeys && settings.replay.enabled && recognisable;
    this.ownPackets = reflects ? new OwnPackets() : undefined;
    this.endpoint = new PeerEndpoint(arena, settings.float);
    this.liveness = new Liveness(settings);
    this.occ = new OccExchange(settings.occ, settings.occOptions);
  }

  /** Takes over a port and starts afresh towards `remotes`: new epoch, timers from now. The replay window stays. */
  connect(port: UdpPort, remotes: readonly Uint8Array[], mss: number, nowMs: number, nowSec: number): void {
    this.port = port;
    this.mss = mss;
    this.heard = false;
    this.exited = false;
    this.endpoint.reset(remotes);
    this.newEpoch(nowSec);
    this.liveness.start(nowMs);
    this.occ.start(nowMs);
  }

  /** Closes the port; nothing moves until the next connect. */
  disconnect(): void {
    this.port?.close();
    this.port = undefined;
  }

  /** Packet ids start again at 1 in an epoch later than any before. */
  newEpoch(nowSec: number): void {
    this.ownPackets?.retire(this.packetIds.epoch, this.packetIds.id);
    this.packetIds.start(this.ownPackets?.laterThan(this.replay?.epoch ?? 0, nowSec) ?? nowSec);
  }

  /** The peer has sent in `peerEpoch` a datagram that starts with `tag`: our ids must not stay in the same epoch. */
  leaveSharedEpoch(peerEpoch: number, tag: number, nowSec: number): void {
    const { ownPackets, packetIds } = this;
    if (ownPackets === undefined) return;
    if (packetIds.id === 0) packetIds.start(ownPackets.laterThan(peerEpoch, nowSec));
    else if (peerEpoch === packetIds.epoch && ownPackets.shouldMove(tag, peerEpoch, nowSec))
      this.newEpoch(nowSec);
  }
}
