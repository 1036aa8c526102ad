/**
 * Hosts that have opened sessions: how many they hold, how many of those are half-open, and how fast they open new ones.
 * Sessions that can go when there is no room, those that have ended and those that are half-open, stand in rings of their
 * host, oldest first: which has to go is known without a search.
 */
import { FreeList, NONE } from './free-list.ts';
import type { FlowHash } from './hash.ts';
import { HalfOpen } from './half-open.ts';
import { HashIndex } from './hash-index.ts';
import { Rings } from './rings.ts';

export class HostTable {
  readonly address: Int32Array;
  readonly sessions: Int32Array;
  readonly halfOpen: HalfOpen;
  /** Sessions the host may open at once, and the second that was true of. */
  private readonly tokens: Int32Array;
  private readonly tokensAt: Int32Array;
  private readonly capacity: number;
  /** Two rings for each host: its half-open sessions, and from `capacity` on its ended ones. */
  private readonly expendable: Rings;
  /** One ring: the ended sessions of all hosts. */
  private readonly ended: Rings;
  private readonly hash: FlowHash;
  private readonly index: HashIndex;
  private readonly rows: FreeList;

  /** For as many hosts as sessions. */
  constructor(capacity: number, hash: FlowHash) {
    this.address = new Int32Array(capacity);
    this.sessions = new Int32Array(capacity);
    this.capacity = capacity;
    this.expendable = new Rings(capacity, 2 * capacity);
    this.halfOpen = new HalfOpen(this.expendable, capacity);
    this.ended = new Rings(capacity, 1);
    this.ended.clear(0);
    this.tokens = new Int32Array(capacity);
    this.tokensAt = new Int32Array(capacity);
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
    this.halfOpen.add(host, session);
    return host;
  }

  /** Of a session that is neither half-open nor ended any more. */
  removeSession(host: number): void {
    if (--this.sessions[host] > 0) return;
    this.halfOpen.leave(host);
    this.index.remove(this.hashOf(this.address[host]), host);
    this.rows.give(host);
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

  /** Oldest ended session of the host, or NONE. */
  oldestEnded(host: number): number {
    return host === NONE ? NONE : this.expendable.first(this.capacity + host);
  }

  /** Oldest ended session of all hosts, or NONE. */
  oldestEndedOfAll(): number {
    return this.ended.first(0);
  }

  private addHost(address: number, nowSec: number, burst: number): number {
    const host = this.rows.take();
    this.address[host] = address;
    this.sessions[host] = 0;
    this.tokens[host] = burst - 1;
    this.tokensAt[host] = nowSec;
    this.halfOpen.enter(host);
    this.expendable.clear(this.capacity + host);
    this.index.insert(this.hashOf(address), host);
    return host;
  }

  private hashOf(address: number): number {
    return this.hash.of(address, 0, 0, 0);
  }
}
