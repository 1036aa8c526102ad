/**
 * Sessions that have ended and wait out their time (RFC 7857 2.1), oldest first: of each host, and of all. They are the
 * first to go when room is needed.
 */
import { NONE } from './free-list.ts';
import { Rings } from './rings.ts';

export class Ended {
  private readonly byHost: Rings;
  /** One ring. */
  private readonly all: Rings;

  constructor(sessions: number, hosts: number) {
    this.byHost = new Rings(sessions, hosts);
    this.all = new Rings(sessions, 1);
    this.all.clear(0);
  }

  /** A new host, without sessions. */
  enter(host: number): void {
    this.byHost.clear(host);
  }

  add(host: number, session: number): void {
    this.byHost.join(host, session);
    this.all.join(0, session);
  }

  /** The session goes on after all, or is removed. */
  drop(session: number): void {
    this.byHost.leave(session);
    this.all.leave(session);
  }

  /** The host's oldest, or NONE; of no host, NONE. */
  oldest(host: number): number {
    return host === NONE ? NONE : this.byHost.first(host);
  }

  oldestOfAll(): number {
    return this.all.first(0);
  }
}
