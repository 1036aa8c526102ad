/**
 * Who calls a TCP server may be anybody. Until somebody proves to have the key, a few more connections are held beside the
 * one that counts as the peer's: the first that brings a new packet made with the key becomes the peer's. OpenVPN holds one
 * connection, whoever it is.
 */
import type { Arena } from '../packet/arena.ts';
import { Batch } from '../packet/batch.ts';
import { DropReason, PASS, type Verdict } from '../packet/verdict.ts';
import { PACKET_ID_SIZE, readEpoch, readPacketId } from '../protocol/packet-id.ts';
import { datagramTag } from '../protocol/reflection.ts';
import { formatEndpoint, hostsEqual } from '../transport/endpoint.ts';
import type { EngineContext, Now } from './context.ts';
import type { Link } from './link.ts';
import type { TurnedAway } from './messages.ts';
import type { Peer } from './peer.ts';

/** Beside the peer's own connection. */
export const MAX_CANDIDATES = 3;
/** How long one may take to prove itself, milliseconds: stock asks for our options 10 s after its start at the latest. */
export const CANDIDATE_MS = 30_000;

const SCRATCH_SHAPE = { slots: 1 };

export interface CandidatesOptions {
  readonly arena: Arena;
  readonly close: (link: Link) => void;
  /** Makes the candidate the peer's link, in the place of the one it has. */
  readonly adopt: (peer: Peer, link: Link, why: TurnedAway, now: Now) => void;
}

export class Candidates {
  private readonly context: EngineContext;
  private readonly options: CandidatesOptions;
  private readonly scratch: Batch;

  constructor(context: EngineContext, options: CandidatesOptions) {
    this.context = context;
    this.options = options;
    this.scratch = new Batch(options.arena, SCRATCH_SHAPE);
  }

  static arenaSize(): number {
    return Batch.arenaSize(SCRATCH_SHAPE);
  }

  /** Holds a connection that may be the peer's. */
  add(peer: Peer, link: Link, now: Now): void {
    link.candidacy = { peer, untilMs: now.ms + CANDIDATE_MS };
    peer.candidates.push(link);
    if (peer.state !== 'running' || peer.heard) this.turnAway(link, 'outdone');
    else if (peer.candidates.length > MAX_CANDIDATES) this.turnAway(surplus(peer.candidates), 'crowded');
  }

  /** Is what `link` has brought the peer's? Then the link is, too. */
  admit(link: Link, batch: Batch, now: Now): boolean {
    if (link.candidacy === undefined) return true;
    if (batch.count === 0) return false;
    const { peer } = link.candidacy;
    const verdict = this.prove(peer, batch, now);
    if (verdict === PASS) {
      this.options.adopt(peer, link, 'outdone', now);
      return true;
    }
    peer.counters.drop(verdict);
    link.corrupt = true;
    return false;
  }

  /** The link is none of the candidates any more. */
  release(link: Link): void {
    const candidates = link.candidacy?.peer.candidates;
    candidates?.splice(candidates.indexOf(link), 1);
    link.candidacy = undefined;
  }

  turnAway(link: Link, why: TurnedAway): void {
    const { index } = link.candidacy!.peer;
    this.release(link);
    this.options.close(link);
    this.tell(index, link, why);
  }

  /** The link, which is closed, was not the peer's after all. */
  tell(peer: number, { port }: Link, why: TurnedAway): void {
    this.context.emit({ kind: 'turned-away', peer, endpoint: formatEndpoint(port.stream!.remote, 0), why });
  }

  /** The peer has been found, or is not looked for any more. */
  dismiss(peer: Peer): void {
    while (peer.candidates.length > 0) this.turnAway(peer.candidates[0], 'outdone');
  }

  dueMs({ candidates }: Peer): number {
    return candidates.length === 0 ? Infinity : candidates[0].candidacy!.untilMs;
  }

  tick(peer: Peer, now: Now): void {
    while (now.ms >= this.dueMs(peer)) this.turnAway(peer.candidates[0], 'silent');
  }

  /** Was the first datagram of the batch made with the key, and not recorded before? The batch stays as it is. */
  private prove(peer: Peer, batch: Batch, now: Now): Verdict {
    const { scratch } = this;
    const start = batch.start[0];
    scratch.commit(0, batch.length[0]);
    scratch.bytes.set(batch.bytes.subarray(start, start + batch.length[0]), scratch.start[0]);
    const tag = datagramTag(batch.bytes, start);
    peer.opener.open(scratch, 0, 1);
    if (scratch.verdict[0] !== PASS || peer.replay === undefined) return scratch.verdict[0] as Verdict;
    if (scratch.length[0] < PACKET_ID_SIZE) return DropReason.Header;
    const id = readPacketId(scratch.bytes, scratch.start[0]);
    const epoch = readEpoch(scratch.bytes, scratch.start[0]);
    const { packetIds, ownPackets } = peer;
    if (ownPackets?.isOwn(id, epoch, tag, packetIds.epoch, packetIds.id) === true)
      return DropReason.Reflected;
    return peer.replay.check(id, epoch, now.sec);
  }
}

/** Whoever has the most connections gives up the oldest of them: one address does not push out another. */
function surplus(candidates: readonly Link[]): Link {
  const alike = (link: Link) =>
    candidates.filter((other) => hostsEqual(link.port.stream!.remote, 0, other.port.stream!.remote, 0))
      .length;
  return candidates.reduce((most, link) => (alike(link) > alike(most) ? link : most));
}
