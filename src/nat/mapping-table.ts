/**
 * Mappings that do not depend on the destination (RFC 4787 REQ-1): an inside address and port (or ICMP identifier) has
 * one external port for everybody it talks to, held as long as one of its sessions lives. Protocols whose mappings do
 * depend on it (TCP, RFC 7857 3) have none here: each session has its port for itself.
 */
import { FreeList, NONE } from './free-list.ts';
import type { FlowHash } from './hash.ts';
import { HashIndex } from './hash-index.ts';

export class MappingTable {
  readonly insideAddress: Int32Array;
  readonly insidePort: Uint16Array;
  readonly protocol: Uint8Array;
  /** Number of the pool the port is from. */
  readonly pool: Int16Array;
  /** External port. */
  readonly port: Uint16Array;
  /** Sessions that use it. */
  readonly sessions: Int32Array;
  /** Their rows, each XORed with the others: of a single one, its row. */
  private readonly rowsOfSessions: Int32Array;
  private readonly hash: FlowHash;
  private readonly index: HashIndex;
  private readonly rows: FreeList;

  constructor(capacity: number, hash: FlowHash) {
    this.insideAddress = new Int32Array(capacity);
    this.insidePort = new Uint16Array(capacity);
    this.protocol = new Uint8Array(capacity);
    this.pool = new Int16Array(capacity);
    this.port = new Uint16Array(capacity);
    this.sessions = new Int32Array(capacity);
    this.rowsOfSessions = new Int32Array(capacity);
    this.hash = hash;
    this.index = new HashIndex(capacity, (mapping) => this.hashOf(mapping));
    this.rows = new FreeList(capacity, this.sessions);
  }

  get count(): number {
    return this.rows.count;
  }

  /** NONE when the inside address and port have no mapping in the pool. */
  find(address: number, port: number, protocol: number, pool: number): number {
    const { rows, mask } = this.index;
    const hash = this.hash.of(address, port, protocol, pool);
    for (let slot = hash & mask; rows[slot] !== 0; slot = (slot + 1) & mask) {
      const mapping = rows[slot] - 1;
      if (
        this.insideAddress[mapping] === address &&
        this.insidePort[mapping] === port &&
        this.protocol[mapping] === protocol &&
        this.pool[mapping] === pool
      ) {
        return mapping;
      }
    }
    return NONE;
  }

  /** A mapping without sessions. There are never more mappings than sessions, so that there is always a row. */
  add(address: number, insidePort: number, protocol: number, pool: number, port: number): number {
    const mapping = this.rows.take();
    this.insideAddress[mapping] = address;
    this.insidePort[mapping] = insidePort;
    this.protocol[mapping] = protocol;
    this.pool[mapping] = pool;
    this.port[mapping] = port;
    this.sessions[mapping] = 0;
    this.rowsOfSessions[mapping] = 0;
    this.index.insert(this.hashOf(mapping), mapping);
    return mapping;
  }

  addSession(mapping: number, session: number): void {
    this.sessions[mapping]++;
    this.rowsOfSessions[mapping] ^= session;
  }

  removeSession(mapping: number, session: number): void {
    this.sessions[mapping]--;
    this.rowsOfSessions[mapping] ^= session;
  }

  /** The session that alone has the mapping, or NONE when there are several. */
  onlySession(mapping: number): number {
    return this.sessions[mapping] === 1 ? this.rowsOfSessions[mapping] : NONE;
  }

  remove(mapping: number): void {
    this.index.remove(this.hashOf(mapping), mapping);
    this.rows.give(mapping);
  }

  private hashOf(mapping: number): number {
    return this.hash.of(
      this.insideAddress[mapping],
      this.insidePort[mapping],
      this.protocol[mapping],
      this.pool[mapping],
    );
  }
}
