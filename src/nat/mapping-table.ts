/**
 * Mappings that do not depend on the destination (RFC 4787 REQ-1): an inside address and port (or ICMP identifier) has
 * one external port for everybody it talks to, held as long as one of its sessions lives. Protocols whose mappings do
 * depend on it (TCP, RFC 7857 3) have none here: each session has its port for itself.
 */
import { lengthened } from './columns.ts';
import { FreeList, NONE } from './free-list.ts';
import type { FlowHash } from './hash.ts';
import { HashIndex } from './hash-index.ts';

export class MappingTable {
  insideAddress = new Int32Array(0);
  insidePort = new Uint16Array(0);
  protocol = new Uint8Array(0);
  /** Number of the pool the port is from. */
  pool = new Int16Array(0);
  /** External port. */
  port = new Uint16Array(0);
  /** Sessions that use it. */
  sessions = new Int32Array(0);
  /** Their rows, each XORed with the others: of a single one, its row. */
  private rowsOfSessions = new Int32Array(0);
  private readonly hash: FlowHash;
  private readonly index = new HashIndex((mapping) => this.hashOf(mapping));
  private readonly rows = new FreeList();

  constructor(hash: FlowHash) {
    this.hash = hash;
  }

  grow(capacity: number): void {
    this.insideAddress = lengthened(this.insideAddress, capacity);
    this.insidePort = lengthened(this.insidePort, capacity);
    this.protocol = lengthened(this.protocol, capacity);
    this.pool = lengthened(this.pool, capacity);
    this.port = lengthened(this.port, capacity);
    this.sessions = lengthened(this.sessions, capacity);
    this.rowsOfSessions = lengthened(this.rowsOfSessions, capacity);
    this.index.grow(capacity);
    this.rows.grow(this.sessions);
  }

  get capacity(): number {
    return this.rows.capacity;
  }

  get count(): number {
    return this.rows.count;
  }

  /** NONE when the inside address and port have no mapping in the pool. */
  find(address: number, port: number, protocol: number, pool: number): number {
    const { index } = this;
    const hash = this.hash.of(address, port, protocol, pool);
    for (let slot = index.first(hash); slot !== NONE; slot = index.next(slot, hash)) {
      const mapping = index.rowAt(slot);
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

  /** A mapping without sessions. Every one has a session and a port, so that there is always a row. */
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
