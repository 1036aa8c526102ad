/**
 * Address-dependent filtering (RFC 4787 REQ-8): who may send to a mapping, from whatever port: the remote addresses of
 * the mapping's sessions, each with the number of sessions it has there.
 */
import { FreeList, NONE } from './free-list.ts';
import type { FlowHash } from './hash.ts';
import { HashIndex } from './hash-index.ts';

export class PermissionTable {
  private readonly mapping: Int32Array;
  private readonly remote: Int32Array;
  private readonly sessions: Int32Array;
  private readonly hash: FlowHash;
  private readonly index: HashIndex;
  private readonly rows: FreeList;

  /** For as many permissions as sessions. */
  constructor(capacity: number, hash: FlowHash) {
    this.mapping = new Int32Array(capacity);
    this.remote = new Int32Array(capacity);
    this.sessions = new Int32Array(capacity);
    this.hash = hash;
    this.index = new HashIndex(capacity, (row) => hash.of(this.mapping[row], this.remote[row], 0, 0));
    this.rows = new FreeList(capacity, this.sessions);
  }

  has(mapping: number, remote: number): boolean {
    return this.find(mapping, remote) !== NONE;
  }

  /** A session of the mapping with `remote` begins. */
  add(mapping: number, remote: number): void {
    let row = this.find(mapping, remote);
    if (row === NONE) {
      row = this.rows.take();
      this.mapping[row] = mapping;
      this.remote[row] = remote;
      this.sessions[row] = 0;
      this.index.insert(this.hash.of(mapping, remote, 0, 0), row);
    }
    this.sessions[row]++;
  }

  /** A session that was added ends. */
  remove(mapping: number, remote: number): void {
    const row = this.find(mapping, remote);
    if (--this.sessions[row] > 0) return;
    this.index.remove(this.hash.of(mapping, remote, 0, 0), row);
    this.rows.give(row);
  }

  private find(mapping: number, remote: number): number {
    const { rows, mask } = this.index;
    for (let slot = this.hash.of(mapping, remote, 0, 0) & mask; rows[slot] !== 0; slot = (slot + 1) & mask) {
      const row = rows[slot] - 1;
      if (this.mapping[row] === mapping && this.remote[row] === remote) return row;
    }
    return NONE;
  }
}
