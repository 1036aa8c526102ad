/**
 * Hosts that have opened sessions: how many they hold, which of those can go when there is no room, and how fast they
 * open new ones.
 */
import { lengthened } from './columns.ts';
import { Expendable } from './expendable.ts';
import { FreeList, NONE } from './free-list.ts';
import type { FlowHash } from './hash.ts';
import { HashIndex } from './hash-index.ts';

export class HostTable {
  address = new Int32Array(0);
  sessions = new Int32Array(0);
  readonly expendable = new Expendable(0, 0);
  /** Sessions the host may open at once, and the second that was true of, modulo 2^16. */
  private tokens = new Uint16Array(0);
  private tokensAt = new Uint16Array(0);
  private readonly hash: FlowHash;
  private readonly index = new HashIndex((host) => this.hashOf(this.address[host]));
  private readonly rows = new FreeList();

  constructor(hash: FlowHash) {
    this.hash = hash;
  }

  /** To as many hosts as sessions. */
  grow(capacity: number): void {
    this.address = lengthened(this.address, capacity);
    this.sessions = lengthened(this.sessions, capacity);
    this.tokens = lengthened(this.tokens, capacity);
    this.tokensAt = lengthened(this.tokensAt, capacity);
    this.expendable.grow(capacity, capacity);
    this.index.grow(capacity);
    // A free row has no address.
    this.rows.grow(this.address);
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
    const { index } = this;
    const hash = this.hashOf(address);
    for (let slot = index.first(hash); slot !== NONE; slot = index.next(slot, hash)) {
      const host = index.rowAt(slot);
      if (this.address[host] === address) return host;
    }
    return NONE;
  }

  /** Sessions that `host` may open at once: it gets `rate` a second and saves up to `burst`, below 2^16. */
  allowance(host: number, nowSec: number, rate: number, burst: number): number {
    // After a multiple of 18 hours without a new session it may look like less: for a moment, at that rate.
    const elapsed = (nowSec - this.tokensAt[host]) & 0xffff;
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
    this.expendable.addHalfOpen(host, session);
    return host;
  }

  /** Of a session that is neither half-open nor ended any more. */
  removeSession(host: number): void {
    if (--this.sessions[host] > 0) return;
    this.expendable.leave(host);
    this.index.remove(this.hashOf(this.address[host]), host);
    this.rows.give(host);
  }

  private addHost(address: number, nowSec: number, burst: number): number {
    const host = this.rows.take();
    this.address[host] = address;
    this.sessions[host] = 0;
    this.tokens[host] = burst - 1;
    this.tokensAt[host] = nowSec;
    this.expendable.enter(host);
    this.index.insert(this.hashOf(address), host);
    return host;
  }

  private hashOf(address: number): number {
    return this.hash.of(address, 0, 0, 0);
  }
}
