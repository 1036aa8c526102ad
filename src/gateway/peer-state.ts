/** What `status` shows of one peer, put together from events and its counters. */
import type { PeerConfig } from '../config/model.ts';
import { PREFIXES_SHOWN, type PeerState as StateName, type PeerStatus } from '../control/status.ts';
import { systemClock } from '../engine/clock.ts';
import { Counter, type Counters } from '../engine/counters.ts';
import { parseAddress } from '../packet/address.ts';
import type { TransportProtocol } from '../protocol/constants.ts';
import { formatPrefix, hostPrefix, prefixKey } from '../packet/prefix.ts';
import type { Connection } from './connector.ts';
import { errnoName } from './errno-text.ts';
import type { ResolvedRemote } from './remotes.ts';
import { drops, peerTraffic } from './tally.ts';
import type { TcpAttempt } from './tcp-connect.ts';

/** `[AF_INET]192.0.2.1:1194` as people write it. */
function plainEndpoint(endpoint: string): string {
  const [, family, host, port] = /^\[(AF_INET6?)\](.*):(\d+)$/.exec(endpoint) ?? [];
  return family === 'AF_INET6' ? `[${host}]:${port}` : `${host}:${port}`;
}

function formatRemote({ addresses: [address], remote, family }: ResolvedRemote): string {
  return family === 6 ? `[${address}]:${remote.port}` : `${address}:${remote.port}`;
}

export class PeerState {
  private readonly counters: Counters;
  private readonly fingerprint: string;
  private name: StateName = 'starting';
  private since = new Date();
  private restarts = 0;
  private socket: Connection['socket'] | undefined;
  protocol: TransportProtocol;
  /** There is a link: a TCP connection takes its time. */
  private linked = false;
  private remote: string | null = null;
  private endpoint: string | null = null;
  private mss = 0;
  /** Timed out or gone by its own word, and not heard since. */
  private lost = false;

  constructor(counters: Counters, fingerprint: string, protocol: TransportProtocol) {
    this.protocol = protocol;
    this.counters = counters;
    this.fingerprint = fingerprint;
  }

  get connected(): boolean {
    return this.name === 'connected';
  }

  get ended(): boolean {
    return this.name === 'ended';
  }

  /** Packets can be sent to it, and it does not count as lost: what the data plane goes by, too. */
  get usable(): boolean {
    const running = this.name === 'waiting' || this.name === 'connected';
    return running && this.linked && !this.lost && (this.remote !== null || this.endpoint !== null);
  }

  /** Where the peer was heard from, else where it is called. */
  get address(): string | null {
    return this.endpoint ?? this.remote;
  }

  /** A TCP connection is waited for. */
  trying({ protocol, socket, remote, mss }: TcpAttempt): void {
    this.mss = mss;
    this.protocol = protocol;
    this.socket = socket;
    this.remote = remote === undefined ? null : formatRemote(remote);
    this.enter('waiting');
  }

  /** `kept`: where the peer was before the restart, and is called. */
  connecting({ protocol, socket, mss, remote }: Connection, kept: string | undefined): void {
    this.protocol = protocol;
    this.linked = true;
    this.socket = socket;
    this.mss = mss;
    this.remote = remote === undefined ? null : formatRemote(remote);
    this.endpoint = kept === undefined ? null : plainEndpoint(kept);
    this.enter('waiting');
  }

  heard(endpoint: string): void {
    this.endpoint = plainEndpoint(endpoint);
    this.lost = false;
    if (!this.connected) this.enter('connected');
  }

  restarting(lost: boolean): void {
    this.restarts++;
    this.lost ||= lost;
    this.endpoint = null;
    this.linked = false;
    this.enter('restarting');
  }

  exiting(): void {
    if (!this.ended) this.enter('exiting');
  }

  end(): void {
    this.enter('ended');
  }

  status(config: PeerConfig, shared: boolean, configFile: string): PeerStatus {
    const { socket } = this;
    return {
      name: config.name,
      state: this.state(config),
      stateSince: this.since.toISOString(),
      restarts: this.restarts,
      configFile,
      addresses: config.tunnelAddresses,
      routes: routesBehind(config),
      protocol: this.protocol,
      local: socket === undefined ? null : plainEndpoint(socket.local),
      remote: this.remote,
      endpoint: this.endpoint,
      crypto: {
        cipher: config.cipher.name,
        digest: config.digest.name,
        keyFingerprint: this.fingerprint,
      },
      lastPacketAgeMs: this.lastPacketAgeMs(),
      unreachable: this.unreachable(),
      traffic: peerTraffic(this.counters, config.framing !== 'off'),
      drops: drops(this.counters),
      socket: {
        udpSegment: socket?.offload.segment ?? false,
        udpReceive: socket?.offload.receive ?? false,
        receiveBufferBytes: socket?.receiveBufferBytes ?? 0,
        sendBufferBytes: socket?.sendBufferBytes ?? 0,
        shared,
      },
      mtu: this.mtu(config),
    };
  }

  private unreachable(): PeerStatus['unreachable'] {
    const errno = this.counters.get(Counter.UnreachableErrno);
    if (errno === 0) return null;
    return { error: errnoName(errno), times: this.counters.get(Counter.UnreachableTimes) };
  }

  /** `inner` and `mss` are in force; before the data plane has said so, what the config says. */
  private mtu({ mtu }: PeerConfig): PeerStatus['mtu'] {
    const known = this.counters.get(Counter.InnerMtu) > 0;
    const inner = known ? this.counters.get(Counter.InnerMtu) : mtu.tunMtu;
    const mss = known ? this.counters.get(Counter.Mss) : this.mss;
    const path = this.counters.get(Counter.PathMtu);
    return { tunMtu: mtu.tunMtu, inner, mss: mss === 0 ? null : mss, path: path === 0 ? null : path };
  }

  state(config: PeerConfig): StateName {
    return this.connected && this.isSilent(config) ? 'silent' : this.name;
  }

  private enter(name: StateName): void {
    this.name = name;
    this.since = new Date();
  }

  /** Half of the time after which the peer counts as lost. */
  private isSilent({ timers }: PeerConfig): boolean {
    const age = this.lastPacketAgeMs();
    return age !== null && timers.pingTimeoutSec > 0 && age > timers.pingTimeoutSec * 500;
  }

  private lastPacketAgeMs(): number | null {
    const last = this.counters.get(Counter.LastReceiveMs);
    return last === 0 ? null : Math.max(0, systemClock.monotonicMs() - last);
  }
}

/** The networks behind the peer, without its own addresses. */
function routesBehind({ peerRoutes, tunnelAddresses }: PeerConfig): PeerStatus['routes'] {
  const own = new Set(tunnelAddresses.map((address) => prefixKey(hostPrefix(parseAddress(address)))));
  const first: string[] = [];
  let count = 0;
  for (const { prefix } of peerRoutes) {
    // There may be a hundred thousand: most are shorter than any address.
    if (prefix.length >= 32 && own.has(prefixKey(prefix))) continue;
    count++;
    if (first.length < PREFIXES_SHOWN) first.push(formatPrefix(prefix));
  }
  return { count, first };
}
