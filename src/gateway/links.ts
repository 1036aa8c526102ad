/**
 * The sockets of all peers, and who uses which. A peer of a gateway of its own has a socket of its own, fresh after each
 * restart, as stock; so have peers that may call from anywhere. Peers at the same local port whose remotes are known
 * share one socket, which outlives their restarts. A TCP connection is one peer's. On its way to the next remote a peer may
 * need another socket than on the last.
 */
import type { ConnectionSettings } from '../config/connection-settings.ts';
import type { Remote } from '../config/model.ts';
import type { EngineCommand } from '../engine/messages.ts';
import type { OpenUdpSocket, UdpSocketOptions } from '../udp/open.ts';
import type { RawSockets } from '../udp/raw.ts';
import type { OpenLink } from './connector.ts';
import type { TcpConnection } from './tcp-connect.ts';

interface LinkRecord extends OpenLink {
  /** Equal for sockets that cannot exist twice. */
  readonly key: string;
  shared: boolean;
  readonly peers: Set<number>;
}

export interface LinksOptions {
  readonly send: (command: EngineCommand) => void;
  readonly openSocket: (options: UdpSocketOptions) => OpenUdpSocket;
  /** For probes of the path. */
  readonly rawSockets: (options: UdpSocketOptions) => RawSockets | undefined;
}

/** May datagrams from this remote come in by a socket that others use, too? Their sources tell them apart then. */
export function isShareable(settings: ConnectionSettings, remote: Remote | undefined): boolean {
  const { bind, localPort, float } = settings;
  return bind && localPort !== 0 && remote !== undefined && !float;
}

/** Family, local address and port, the device a socket is bound to, and what else differs from way to way. */
function linkKey({ family, localHost, localPort, bindDevice, mtuDiscovery }: UdpSocketOptions): string {
  return `${family} ${localHost ?? '*'} ${localPort} ${bindDevice ?? ''} ${mtuDiscovery ?? ''}`;
}

export class Links {
  private readonly options: LinksOptions;
  private readonly links = new Map<number, LinkRecord>();
  /** Who waits for a link to be closed. */
  private readonly closing = new Map<number, () => void>();
  private nextId = 0;

  constructor(options: LinksOptions) {
    this.options = options;
  }

  /**
   * The peer leaves the link it has, unless its next socket is the same. Resolves when the old socket is closed, or stays
   * for others: it is not in the way of the next then.
   */
  vacate(peer: number, next: UdpSocketOptions | undefined): Promise<void> {
    const key = this.of(peer)?.key;
    return next !== undefined && key === linkKey(next) ? Promise.resolve() : this.leave(peer);
  }

  /** A link for the peer, which has left any other. `share` when others may use it. Throws OperatorError. */
  open(peer: number, options: UdpSocketOptions, share: boolean): OpenLink {
    const key = linkKey(options);
    const found = share ? this.find(key) : undefined;
    const record = found ?? this.create(key, options, share);
    if (!record.shared && share) this.share(record);
    record.peers.add(peer);
    return record;
  }

  /** Hands over the connection of the peer, which has left its link. */
  openStream(peer: number, connection: TcpConnection): OpenLink {
    const link = this.sendStream(connection, undefined);
    const record = { link, socket: connection.socket, key: '', shared: false, peers: new Set([peer]) };
    this.links.set(link, record);
    return record;
  }

  /** Hands over one that may turn out to be the peer's; the data plane sees to it. */
  openCandidate(peer: number, connection: TcpConnection): void {
    this.sendStream(connection, peer);
  }

  private sendStream({ socket, remote }: TcpConnection, candidateOf: number | undefined): number {
    const link = this.nextId++;
    this.options.send({ kind: 'open-stream', link, fd: socket.fd, remote, candidateOf });
    return link;
  }

  /** The peer restarts: the data plane has closed its link, unless that is shared. */
  restarted(peer: number): void {
    const record = this.of(peer);
    if (record !== undefined && !record.shared) this.links.delete(record.link);
  }

  /** Nobody needs a link without peers. Resolves when it is closed, or stays for others. */
  leave(peer: number): Promise<void> {
    const record = this.of(peer);
    record?.peers.delete(peer);
    if (record === undefined || record.peers.size > 0) return Promise.resolve();
    const { link } = record;
    this.links.delete(link);
    const closed = new Promise<void>((resolve) => this.closing.set(link, resolve));
    this.options.send({ kind: 'close-link', link });
    return closed;
  }

  /** The data plane has closed a link that everybody left. */
  closed(link: number): void {
    this.closing.get(link)?.();
    this.closing.delete(link);
  }

  /** Indexes of the peers of a link. */
  peersOf(link: number): ReadonlySet<number> {
    return this.links.get(link)?.peers ?? new Set();
  }

  isShared(peer: number): boolean {
    return (this.of(peer)?.peers.size ?? 0) > 1;
  }

  private of(peer: number): LinkRecord | undefined {
    for (const record of this.links.values()) if (record.peers.has(peer)) return record;
    return undefined;
  }

  private find(key: string): LinkRecord | undefined {
    for (const record of this.links.values()) if (record.key === key) return record;
    return undefined;
  }

  private create(key: string, options: UdpSocketOptions, shared: boolean): LinkRecord {
    // A socket of each family on one port: the IPv6 one must leave IPv4 to the other.
    const socket = this.options.openSocket(shared ? { ...options, ipv6Only: true } : options);
    const link = this.nextId++;
    const record = { link, socket, key, shared, peers: new Set<number>() };
    this.links.set(link, record);
    const { fd: udpFd, offload } = socket;
    const raw = this.options.rawSockets(options);
    this.options.send({ kind: 'open-link', link, udpFd, offload, raw, shared });
    return record;
  }

  /** A socket of one peer gets company. */
  private share(record: LinkRecord): void {
    record.shared = true;
    this.options.send({ kind: 'share-link', link: record.link });
  }
}
