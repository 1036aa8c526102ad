/**
 * Search for the largest size that passes a path, from which of the probes arrive (in the manner of RFC 8899, but many
 * sizes at a time). Pure: who sends probes and waits for answers asks for a `round`, tells what arrived, and ends it.
 *
 * What arrived, passes: that is certain. What did not may have been lost: the size that bounds the result from above is
 * tried until it has failed often enough, and whatever else is unanswered only says where to look next. Answers may come
 * late, twice and in any order.
 */

/** Sizes of one round that lie between the bounds; the first round has likely ones instead. */
const WIDTH = 12;
/** Probes of each size in a round. */
const COPIES = 2;
/** Unanswered probes that make a size the bound for good. */
const CONFIRMED = 5;

export interface SearchOptions {
  /** Known to pass. */
  readonly floor: number;
  /** Largest size of interest. */
  readonly ceiling: number;
  /** Sizes to begin with. Each is tried with the next larger one, so that a likely answer takes one round. */
  readonly likely: readonly number[];
}

export class PathMtuSearch {
  /** Largest size known to pass. */
  passes: number;
  private readonly ceiling: number;
  private readonly likely: Set<number>;
  /** Unanswered probes, by size. */
  private readonly misses = new Map<number, number>();
  /** This host sends nothing of this size or more. */
  private refusedFrom = Infinity;
  private asked: readonly number[] = [];

  constructor({ floor, ceiling, likely }: SearchOptions) {
    this.passes = floor;
    this.ceiling = ceiling;
    this.likely = new Set(likely);
  }

  /** The next larger size is of no interest, cannot be sent, or has failed again and again. */
  get done(): boolean {
    const next = this.passes + 1;
    return next > this.ceiling || next >= this.refusedFrom || this.missesOf(next) >= CONFIRMED;
  }

  /** Nothing larger was of interest: the path may take more. */
  get reachedCeiling(): boolean {
    return this.passes >= this.ceiling;
  }

  /** This host itself does not send what is longer than `passes`. */
  get refusedNext(): boolean {
    return this.refusedFrom <= this.passes + 1;
  }

  /** Sizes of the probes to send next, in this order; none when `done`. */
  round(): readonly number[] {
    this.asked = this.done ? [] : this.choose();
    return this.asked;
  }

  /** A probe of `size` was answered. */
  arrived(size: number): void {
    if (size > this.passes) this.passes = size;
  }

  /** This host does not send what is so long. */
  refused(size: number): void {
    this.refusedFrom = Math.min(this.refusedFrom, size);
  }

  /** A router says that the path takes `mtu` at most. It may be wrong, so that it only says where to look. */
  told(mtu: number): void {
    this.likely.add(mtu);
    this.misses.set(mtu + 1, Math.max(this.missesOf(mtu + 1), COPIES));
  }

  /** What was unanswered says nothing: the path, or the peer, was silent. */
  discardRound(): void {
    this.asked = [];
  }

  /** The time for answers is up. */
  endRound(): void {
    for (const size of this.asked) this.misses.set(size, this.missesOf(size) + 1);
    this.asked = [];
  }

  private missesOf(size: number): number {
    return this.misses.get(size) ?? 0;
  }

  /** Smallest size above `passes` that seems not to pass. */
  private bound(): number {
    let bound = Math.min(this.ceiling + 1, this.refusedFrom);
    for (const [size, misses] of this.misses) {
      if (size > this.passes && size < bound && misses >= COPIES) bound = size;
    }
    return bound;
  }

  private choose(): readonly number[] {
    const { passes } = this;
    const bound = this.bound();
    if (bound === passes + 1) return Array<number>(CONFIRMED - this.missesOf(bound)).fill(bound);
    const sizes = this.likelyBelow(bound);
    const between = bound - passes - 1;
    if (between <= WIDTH) for (let size = passes + 1; size < bound; size++) sizes.add(size);
    for (let i = 1; sizes.size < WIDTH && i <= WIDTH; i++) {
      sizes.add(passes + Math.ceil((between * i) / (WIDTH + 1)));
    }
    const ascending = [...sizes].toSorted((a, b) => a - b);
    return Array<readonly number[]>(COPIES).fill(ascending).flat();
  }

  private likelyBelow(bound: number): Set<number> {
    const found = new Set<number>();
    for (const size of this.likely) {
      for (const each of [size, size + 1]) if (each > this.passes && each < bound) found.add(each);
    }
    return found;
  }
}
