/**
 * A link: one UDP socket and the peers behind it (OpenVPN's word for the outer side), or one TCP connection and its
 * peer. Static-key datagrams carry no peer id, so a socket belongs to one peer, or all peers on it are known by their
 * remote addresses.
 */
import { endpointPort, endpointsEqual, hostsEqual } from '../transport/endpoint.ts';
import type { TransportPort } from '../transport/port.ts';
import type { Peer } from './peer.ts';

export class Link {
  readonly id: number;
  readonly port: TransportPort;
  /** Outlives the restarts of its peers. */
  shared: boolean;
  readonly peers: Peer[] = [];
  /** Errors may be waiting (transport/port.ts). Set by who waits for the socket, and cleared when they are read. */
  failed = false;
  /** Datagrams may be waiting. Set by who waits for the socket, cleared when it is found empty. */
  ready = false;
  /** Of a stream: what came last was not made with the key, or not in order, which ends it. */
  corrupt = false;
  /** Of a stream: sealed datagrams wait for the peer's `shaper`, and nothing may overtake them. */
  waiting = false;
  /** Of a stream that may be the peer's, which has not proved it by `untilMs`. */
  candidacy: { readonly peer: Peer; readonly untilMs: number } | undefined;
  /** At most one report of a rejected source in this time. */
  nextRejectionReportMs = 0;
  /** Most datagrams come in runs from one peer: where to look first. */
  private recent: Peer | undefined;

  constructor(id: number, port: TransportPort, shared: boolean) {
    this.id = id;
    this.port = port;
    this.shared = shared;
  }

  /** Nothing more may be sealed for it at the moment. */
  get full(): boolean {
    const { stream } = this.port;
    return stream !== undefined && (this.waiting || stream.congested);
  }

  attach(peer: Peer): void {
    this.peers.push(peer);
  }

  detach(peer: Peer): void {
    const at = this.peers.indexOf(peer);
    if (at >= 0) this.peers.splice(at, 1);
    if (this.recent === peer) this.recent = undefined;
  }

  /** The peers that we send to at the socket address at `offset`; the kernel's own errors name no port. */
  peersSentTo(bytes: Uint8Array, offset: number): Peer[] {
    const same = endpointPort(bytes, offset) === 0 ? hostsEqual : endpointsEqual;
    return this.peers.filter(({ endpoint }) => {
      return endpoint.known && same(endpoint.bytes, endpoint.offset, bytes, offset);
    });
  }

  /** The peer that datagrams from the socket address at `offset` belong to. */
  peerAt(bytes: Uint8Array, offset: number): Peer | undefined {
    if (this.recent?.endpoint.accepts(bytes, offset)) return this.recent;
    for (const peer of this.peers) {
      if (!peer.endpoint.accepts(bytes, offset)) continue;
      this.recent = peer;
      return peer;
    }
    return undefined;
  }
}
