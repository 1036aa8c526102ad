/**
 * The replay window as the specification words it, with a plain array and no cleverness: the oracle for
 * src/protocol/replay-window.ts. Answers only whether a packet is accepted.
 */
type Entry = number | 'unseen' | 'expired';

export class SlowReplayWindow {
  private readonly window: number;
  private readonly timeSec: number;
  private epoch = 0;
  private top = 0;
  private ring: Entry[] = [];
  private lastReap = -Infinity;

  constructor(window: number, timeSec: number) {
    this.window = window;
    this.timeSec = timeSec;
  }

  /** Checks one packet and, if it is accepted, records it. */
  accept(id: number, time: number, now: number): boolean {
    const accepted = this.window === 0 ? this.isNextInSequence(id, time) : this.isFresh(id, time, now);
    if (accepted) this.record(id, time, now);
    return accepted;
  }

  private isNextInSequence(id: number, time: number): boolean {
    if (id === 0 || time < this.epoch) return false;
    if (time > this.epoch) return id === 1;
    return this.top === 0 || id === this.top + 1;
  }

  private isFresh(id: number, time: number, now: number): boolean {
    if (now >= this.lastReap + 5) this.reap(now);
    if (id === 0) return false;
    if (time > this.epoch) return true;
    if (time < this.epoch) return false;
    if (id > this.top) return true;
    const distance = this.top - id;
    if (distance >= this.ring.length) return false;
    return this.ring[distance] === 'unseen';
  }

  private record(id: number, time: number, now: number): void {
    if (this.window === 0) {
      this.epoch = time;
      this.top = id;
      return;
    }
    const n = this.window;
    if (this.ring.length === 0 || time > this.epoch || (id >= n && id - n > this.top)) {
      this.epoch = time;
      this.top = id > n ? id - n : 0;
      this.ring = [];
    }
    while (this.top < id) {
      this.ring.unshift('unseen');
      if (this.ring.length > n) this.ring.pop();
      this.top += 1;
    }
    if (this.top - id < this.ring.length) this.ring[this.top - id] = now;
  }

  private reap(now: number): void {
    this.lastReap = now;
    if (this.timeSec === 0) return;
    let expiring = false;
    for (let i = 0; i < this.ring.length; i++) {
      const entry = this.ring[i];
      if (entry === 'expired') return;
      if (typeof entry === 'number' && entry < now - this.timeSec) expiring = true;
      if (expiring) this.ring[i] = 'expired';
    }
  }
}
