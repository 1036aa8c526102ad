/**
 * Protection against our own packets sent back to us. Without a key direction both ends use the same keys, so a
 * reflected packet authenticates; stock accepts it, and its newer epoch then locks the real peer out.
 *
 * Theory of operation: an inbound packet is ours when it carries an epoch we have sent in and an id we have used in
 * it. A peer may have started in the same second and share our epoch; its packets are told apart by moving our own
 * epoch forward as soon as that happens (receivers accept time moving forward), which freezes the ids we have used
 * in the shared one. The move never runs ahead of the clock, so reflecting packets at us cannot push us into the
 * future, and the memory is bounded: at MAX_EPOCHS we stop moving.
 */

const MAX_EPOCHS = 1024;

export class OwnEpochs {
  private readonly epochs = new Float64Array(MAX_EPOCHS);
  private readonly highestId = new Float64Array(MAX_EPOCHS);
  private count = 0;

  /** Notes that we have sent ids 1..highestId in `epoch`; called when an epoch ends. */
  retire(epoch: number, highestId: number): void {
    if (highestId === 0 || this.count === MAX_EPOCHS) return;
    this.epochs[this.count] = epoch;
    this.highestId[this.count] = highestId;
    this.count++;
  }

  /** Did we send id `id` in `epoch`, `currentEpoch`/`currentId` being where we are now? */
  sent(id: number, epoch: number, currentEpoch: number, currentId: number): boolean {
    if (epoch === currentEpoch) return id <= currentId;
    for (let i = 0; i < this.count; i++) if (this.epochs[i] === epoch && id <= this.highestId[i]) return true;
    return false;
  }

  /** May our epoch move from `currentEpoch` because a peer shares it? Never ahead of the clock. */
  mayMove(currentEpoch: number, nowSec: number): boolean {
    return this.count < MAX_EPOCHS && nowSec > currentEpoch;
  }
}
