/**
 * Who has how many half-open sessions: hosts, and the peers they are behind. The sessions of each owner stand in a ring,
 * oldest first, and the owners in rings by how many they have: whose sessions have to go when there is no room is known
 * without a search.
 */
import { NONE } from './free-list.ts';
import { Rings } from './rings.ts';

/** Owners with this weight or more are equally heavy. */
const HEAVIEST = 1024;

export class HalfOpen {
  /** By owner. */
  readonly count: Int32Array;
  total = 0;
  /** A ring for each owner: its sessions. */
  private readonly sessions: Rings;
  /** A ring for each weight: its owners. */
  private readonly byWeight: Rings;
  private readonly grain: number;
  private heaviestWeight = 0;

  /** `sessions` are the owners' rings, which may have others behind them; `grain` sessions make a difference in weight. */
  constructor(sessions: Rings, owners: number, grain = 1) {
    this.count = new Int32Array(owners);
    this.sessions = sessions;
    this.byWeight = new Rings(owners, HEAVIEST + 1);
    for (let weight = 0; weight <= HEAVIEST; weight++) this.byWeight.clear(weight);
    this.grain = grain;
  }

  /** A new owner, without sessions. */
  enter(owner: number): void {
    this.count[owner] = 0;
    this.sessions.clear(owner);
    this.byWeight.join(0, owner);
  }

  /** An owner that has no sessions any more. */
  leave(owner: number): void {
    this.byWeight.leave(owner);
  }

  add(owner: number, session: number): void {
    this.sessions.join(owner, session);
    this.set(owner, this.count[owner] + 1);
  }

  drop(owner: number, session: number): void {
    this.sessions.leave(session);
    this.set(owner, this.count[owner] - 1);
  }

  /** The owner's oldest session, or NONE; of no owner, NONE. */
  oldest(owner: number): number {
    return owner === NONE ? NONE : this.sessions.first(owner);
  }

  /** The owner with most sessions, to within the grain, or NONE when there is no owner. */
  heaviest(): number {
    return this.byWeight.first(this.heaviestWeight);
  }

  private set(owner: number, count: number): void {
    const before = this.weightOf(this.count[owner]);
    const weight = this.weightOf(count);
    this.total += count - this.count[owner];
    this.count[owner] = count;
    if (weight === before) return;
    this.byWeight.leave(owner);
    this.byWeight.join(weight, owner);
    // Weights change by one, and so does the heaviest.
    if (weight > this.heaviestWeight) this.heaviestWeight = weight;
    else if (this.byWeight.isEmpty(this.heaviestWeight)) this.heaviestWeight--;
  }

  private weightOf(count: number): number {
    return Math.min(Math.floor(count / this.grain), HEAVIEST);
  }
}
