/**
 * Protection against our own packets sent back to us. Without a key direction both ends use the same keys, so a
 * reflected packet authenticates; stock accepts it, and its newer epoch then locks the real peer out.
 *
 * Theory of operation: an inbound packet can only be ours when it carries an epoch we have sent in and an id we have
 * used in it. A peer may use the same epoch (both started in the same second), so the first bytes of every
 * datagram we send (HMAC or IV: random to all but us) are remembered by id and tell the two apart. Ids too old to be
 * remembered count as ours. That would cost a peer packets that stays far behind us in the same epoch, so a shared
 * epoch does not last: an end that has sent nothing yet starts later than the peer (`laterThan`), and ends that
 * started together toss a coin with the bits of what they receive until one has moved on (`shouldMove`). The
 * epoch never runs more than MAX_AHEAD_SEC ahead of the clock, whatever is reflected at us.
 *
 * Limits: 65536 remembered datagrams (256 KiB) per epoch, 8 epochs with them, 1024 without.
 */
import { readInt32 } from '../packet/word.ts';

const REMEMBERED_IDS = 65536;
const REMEMBERED_EPOCHS = 8;
const MAX_EPOCHS = 1024;
const MAX_AHEAD_SEC = 2;

interface Epoch {
  readonly epoch: number;
  readonly highestId: number;
  /** Tag of id i at index i % REMEMBERED_IDS; undefined when forgotten. */
  tags: Int32Array | undefined;
}

/** First 32 bits of a datagram: what we recognise our own by. */
export function datagramTag(bytes: Uint8Array, offset: number): number {
  return readInt32(bytes, offset);
}

export class OwnPackets {
  private tags = new Int32Array(REMEMBERED_IDS);
  private readonly retired: Epoch[] = [];

  /** Remembers the datagram sent with packet id `id` in the current epoch. */
  sent(id: number, tag: number): void {
    this.tags[id % REMEMBERED_IDS] = tag;
  }

  /** The current epoch ends, `highestId` being the last id used in it; what was sent in it stays known. */
  retire(epoch: number, highestId: number): void {
    if (highestId === 0) return;
    this.retired.unshift({
      epoch,
      highestId,
      tags: this.tags.slice(0, Math.min(highestId + 1, REMEMBERED_IDS)),
    });
    if (this.retired.length > REMEMBERED_EPOCHS) this.retired[REMEMBERED_EPOCHS].tags = undefined;
    if (this.retired.length > MAX_EPOCHS) this.retired.pop();
  }

  /** Everything in these epochs is ours: an earlier process has used them. */
  restore(epochs: readonly number[]): void {
    const old = epochs.map((epoch): Epoch => ({ epoch, highestId: Infinity, tags: undefined }));
    this.retired.push(...old.toReversed());
  }

  /** Is the received (id, epoch, tag) one of ours, `currentEpoch`/`currentId` being where we are now? */
  isOwn(id: number, epoch: number, tag: number, currentEpoch: number, currentId: number): boolean {
    if (epoch === currentEpoch) return isOwnId(id, tag, currentId, this.tags);
    for (const old of this.retired) if (old.epoch === epoch) return isOwnId(id, tag, old.highestId, old.tags);
    return false;
  }

  /** A peer's packet carries our current epoch: is it for us to move on? True for half of all tags. */
  shouldMove(tag: number, currentEpoch: number, nowSec: number): boolean {
    return (tag & 1) === 1 && currentEpoch < nowSec + MAX_AHEAD_SEC && this.retired.length < MAX_EPOCHS;
  }

  /** Epoch to start in, not shared with a peer that has been heard in `peerEpoch` (0: not heard), Unix seconds. */
  laterThan(peerEpoch: number, nowSec: number): number {
    return peerEpoch >= nowSec && peerEpoch < nowSec + MAX_AHEAD_SEC ? peerEpoch + 1 : nowSec;
  }
}

function isOwnId(id: number, tag: number, highestId: number, tags: Int32Array | undefined): boolean {
  if (id > highestId) return false;
  const remembered = tags !== undefined && highestId - id < REMEMBERED_IDS;
  return !remembered || tags[id % REMEMBERED_IDS] === tag;
}
