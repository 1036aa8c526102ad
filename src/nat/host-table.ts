/**
 * Hosts that have opened sessions: how many they hold, how many of those are half-open, and how fast they open new ones.
 * Sessions that can go when there is no room, those that have ended and those that are half-open, stand in rings of their
 * host, oldest first, and the hosts in rings by their number of half-open sessions: which has to go is known without a
 * search.
 */
import { FreeList, NONE } from './free-list.ts';
import type { FlowHash } from './hash.ts';
import { HashIndex } from './hash-index.ts';
import { Rings } from './rings.ts';

/** Hosts with this many half-open sessions or more are equally heavy. */
const HEAVIEST = 1024;

export class HostTable {
  readonly address: Int32Array;
  readonly sessions: Int32Array;
  readonly halfOpen: Int32Array;
  /** Half-open sessions of all hosts. */
  halfOpenCount = 0;
  /** Sessions the host may open at once, and the second that was true of. */
  private readonly tokens: Int32Array;
  private readonly tokensAt: Int32Array;
  private readonly capacity: number;
  /** Two rings for each host: its half-open sessions, and from `capacity` on its ended ones. */
  private readonly expendable: Rings;
  /** One ring: the ended sessions of all hosts. */
  private readonly ended: Rings;
  /** A ring for each weight: hosts with as many half-open sessions. */
  private readonly byWeight: Rings;
  private heaviestWeight = 0;
  private readonly hash: FlowHash;
  private readonly index: HashIndex;
  private readonly rows: FreeList;

  /** For as many hosts as sessions. */
  constructor(capacity: number, hash: FlowHash) {
    this.address = new Int32Array(capacity);
    this.sessions = new Int32Array(capacity);
    this.halfOpen = new Int32Array(capacity);
    this.tokens = new Int32Array(capacity);
    this.tokensAt = new Int32Array(capacity);
    this.capacity = capacity;
    this.expendable = new Rings(capacity, 2 * capacity);
    this.ended = new Rings(capacity, 1);
    this.ended.clear(0);
    this.byWeight = new Rings(capacity, HEAVIEST + 1);
    for (let weight = 0; weight <= HEAVIEST; weight++) this.byWeight.clear(weight);
    this.hash = hash;
    this.index = new HashIndex(capacity, (host) => this.hashOf(this.address[host]));
    // A free row has no tokens.
    this.rows = new FreeList(capacity, this.tokens);
  }

  get count(): number {
    return this.rows.count;
  }

  /** Hosts are among the rows below this one, those with `sessions` above 0. */
  get end(): number {
    return this.rows.end;
  }

  /** NONE for a host without sessions. */
  find(address: number): number {
    const { rows, mask } = this.index;
    for (let slot = this.hashOf(address) & mask; rows[slot] !== 0; slot = (slot + 1) & mask) {
      const host = rows[slot] - 1;
      if (this.address[host] === address) return host;
    }
    return NONE;
  }

  /** Sessions that `host` may open at once: it gets `rate` a second and saves up to `burst`. */
  allowance(host: number, nowSec: number, rate: number, burst: number): number {
    const elapsed = nowSec - this.tokensAt[host];
    return Math.min(burst, this.tokens[host] + elapsed * rate);
  }

  /** Takes one session off the host's allowance; false when there is none left. */
  spend(host: number, nowSec: number, rate: number, burst: number): boolean {
    const left = this.allowance(host, nowSec, rate, burst);
    this.tokensAt[host] = nowSec;
    this.tokens[host] = Math.max(0, left - 1);
    return left > 0;
  }

  /** Counts one more session, half-open, of the host at `address`; returns the host. */
  addSession(address: number, session: number, nowSec: number, burst: number): number {
    let host = this.find(address);
    if (host === NONE) host = this.addHost(address, nowSec, burst);
    this.sessions[host]++;
    this.addHalfOpen(host, session);
    return host;
  }

  /** Of a session that is neither half-open nor ended any more. */
  removeSession(host: number): void {
    if (--this.sessions[host] > 0) return;
    this.byWeight.leave(host);
    this.index.remove(this.hashOf(this.address[host]), host);
    this.rows.give(host);
  }

  /** The session is no longer half-open. */
  dropHalfOpen(host: number, session: number): void {
    this.expendable.leave(session);
    this.setHalfOpen(host, this.halfOpen[host] - 1);
  }

  /** A session is half-open: it is new, or a new connection on the same 5-tuple. */
  addHalfOpen(host: number, session: number): void {
    this.expendable.join(host, session);
    this.setHalfOpen(host, this.halfOpen[host] + 1);
  }

  /** Both sides of the session have closed it, or one has reset it. */
  addEnded(host: number, session: number): void {
    this.expendable.join(this.capacity + host, session);
    this.ended.join(0, session);
  }

  /** The session goes on after all, or is removed. */
  dropEnded(session: number): void {
    this.expendable.leave(session);
    this.ended.leave(session);
  }

  /** Oldest half-open session of the host, or NONE. */
  oldestHalfOpen(host: number): number {
    return host === NONE ? NONE : this.expendable.first(host);
  }

  /** Oldest ended session of the host, or NONE. */
  oldestEnded(host: number): number {
    return host === NONE ? NONE : this.expendable.first(this.capacity + host);
  }

  /** Oldest ended session of all hosts, or NONE. */
  oldestEndedOfAll(): number {
    return this.ended.first(0);
  }

  /** The host with most half-open sessions, or NONE when nobody has any. */
  heaviest(): number {
    return this.heaviestWeight === 0 ? NONE : this.byWeight.first(this.heaviestWeight);
  }

  private addHost(address: number, nowSec: number, burst: number): number {
    const host = this.rows.take();
    this.address[host] = address;
    this.sessions[host] = 0;
    this.halfOpen[host] = 0;
    this.tokens[host] = burst - 1;
    this.tokensAt[host] = nowSec;
    this.expendable.clear(host);
    this.expendable.clear(this.capacity + host);
    this.byWeight.join(0, host);
    this.index.insert(this.hashOf(address), host);
    return host;
  }

  private setHalfOpen(host: number, count: number): void {
    this.halfOpenCount += count - this.halfOpen[host];
    this.halfOpen[host] = count;
    const weight = Math.min(count, HEAVIEST);
    this.byWeight.leave(host);
    this.byWeight.join(weight, host);
    // Counts change by one, and so does the heaviest weight.
    if (weight > this.heaviestWeight) this.heaviestWeight = weight;
    else if (this.byWeight.isEmpty(this.heaviestWeight)) this.heaviestWeight--;
  }

  private hashOf(address: number): number {
    return this.hash.of(address, 0, 0, 0);
  }
}
