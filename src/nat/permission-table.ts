/**
 * Address-dependent filtering (RFC 4787 REQ-8): who may send to a mapping, from whatever port: the remote addresses of
 * the mapping's sessions, each with the number of sessions it has there.
 */
import { lengthened } from './columns.ts';
import { FreeList, NONE } from './free-list.ts';
import type { FlowHash } from './hash.ts';
import { HashIndex } from './hash-index.ts';

export class PermissionTable {
  private mapping = new Int32Array(0);
  private remote = new Int32Array(0);
  /** Beyond the first: one for each other port of the remote address. */
  private more = new Uint16Array(0);
  private readonly hash: FlowHash;
  private readonly index = new HashIndex((row) => this.hash.of(this.mapping[row], this.remote[row], 0, 0));
  private readonly rows = new FreeList();

  constructor(hash: FlowHash) {
    this.hash = hash;
  }

  /** To as many permissions as sessions. */
  grow(capacity: number): void {
    this.mapping = lengthened(this.mapping, capacity);
    this.remote = lengthened(this.remote, capacity);
    this.more = lengthened(this.more, capacity);
    this.index.grow(capacity);
    // A free row has no remote address.
    this.rows.grow(this.remote);
  }

  has(mapping: number, remote: number): boolean {
    return this.find(mapping, remote) !== NONE;
  }

  /** A session of the mapping with `remote` begins. */
  add(mapping: number, remote: number): void {
    const known = this.find(mapping, remote);
    if (known !== NONE) {
      this.more[known]++;
      return;
    }
    const row = this.rows.take();
    this.mapping[row] = mapping;
    this.remote[row] = remote;
    this.more[row] = 0;
    this.index.insert(this.hash.of(mapping, remote, 0, 0), row);
  }

  /** A session that was added ends. */
  remove(mapping: number, remote: number): void {
    const row = this.find(mapping, remote);
    if (this.more[row] > 0) {
      this.more[row]--;
      return;
    }
    this.index.remove(this.hash.of(mapping, remote, 0, 0), row);
    this.rows.give(row);
  }

  private find(mapping: number, remote: number): number {
    const { index } = this;
    const hash = this.hash.of(mapping, remote, 0, 0);
    for (let slot = index.first(hash); slot !== NONE; slot = index.next(slot, hash)) {
      const row = index.rowAt(slot);
      if (this.mapping[row] === mapping && this.remote[row] === remote) return row;
    }
    return NONE;
  }
}
