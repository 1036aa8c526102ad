/**
 * Sessions that may have to go, by owner: by host, and by the peer the hosts are behind. An owner's half-open sessions
 * stand in a ring, oldest first, and its ended ones in another; the owners stand in rings by how many half-open ones they
 * have. Whose sessions have to go when there is no room is known without a search.
 */
import { lengthened } from './columns.ts';
import { NONE } from './free-list.ts';
import { Rings } from './rings.ts';

/** Weights have this many bits: exact below 2^10, above to within a 512th. */
const WEIGHT_BITS = 10;
const WEIGHTS = (33 - WEIGHT_BITS) << (WEIGHT_BITS - 1);

export class Expendable {
  /** Half-open sessions, by owner and of all. */
  count = new Int32Array(0);
  total = 0;
  /** Two rings for each owner. */
  private readonly sessions: Rings;
  /** A ring for each weight: its owners. */
  private readonly byWeight: Rings;
  private heaviestWeight = 0;

  constructor(sessions: number, owners: number) {
    this.sessions = new Rings(0, 0);
    this.byWeight = new Rings(0, 0);
    this.grow(sessions, owners);
  }

  grow(sessions: number, owners: number): void {
    this.count = lengthened(this.count, owners);
    this.sessions.grow(sessions, 2 * owners);
    this.byWeight.grow(owners, WEIGHTS);
  }

  /** A new owner, without sessions. */
  enter(owner: number): void {
    this.count[owner] = 0;
    this.byWeight.join(0, owner);
  }

  /** An owner that has no sessions any more. */
  leave(owner: number): void {
    this.byWeight.leave(0, owner);
  }

  addHalfOpen(owner: number, session: number): void {
    this.sessions.join(2 * owner, session);
    this.set(owner, this.count[owner] + 1);
  }

  dropHalfOpen(owner: number, session: number): void {
    this.sessions.leave(2 * owner, session);
    this.set(owner, this.count[owner] - 1);
  }

  /** Both sides of the session have closed it, or one has reset it. */
  addEnded(owner: number, session: number): void {
    this.sessions.join(2 * owner + 1, session);
  }

  /** The session goes on after all, or is removed. */
  dropEnded(owner: number, session: number): void {
    this.sessions.leave(2 * owner + 1, session);
  }

  /** The owner's oldest half-open session, or NONE; of no owner, NONE. */
  oldestHalfOpen(owner: number): number {
    return owner === NONE ? NONE : this.sessions.first(2 * owner);
  }

  oldestEnded(owner: number): number {
    return owner === NONE ? NONE : this.sessions.first(2 * owner + 1);
  }

  /** The owner with most half-open sessions, or NONE when there is no owner. */
  heaviest(): number {
    return this.byWeight.first(this.heaviestWeight);
  }

  private set(owner: number, count: number): void {
    const before = weightOf(this.count[owner]);
    const weight = weightOf(count);
    this.total += count - this.count[owner];
    this.count[owner] = count;
    if (weight === before) return;
    this.byWeight.leave(before, owner);
    this.byWeight.join(weight, owner);
    // Weights change by one, and so does the heaviest.
    if (weight > this.heaviestWeight) this.heaviestWeight = weight;
    else if (this.byWeight.first(this.heaviestWeight) === NONE) this.heaviestWeight--;
  }
}

/** The upper bits of the count and their place, as in a floating-point number. */
function weightOf(count: number): number {
  const place = Math.max(0, 32 - WEIGHT_BITS - Math.clz32(count));
  return (place << (WEIGHT_BITS - 1)) + (count >> place);
}
