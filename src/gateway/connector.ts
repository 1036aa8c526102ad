/**
 * Gets one peer a link towards the remote whose turn it is: resolves, opens, hands over; a TCP connection has to come about
 * first. A name that does not resolve, a call that fails and a restart that fails are tried again after a pause; only the
 * first bind of a peer may fail it.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectionSettings, type ConnectionSettings } from '../config/connection-settings.ts';
import type { AddressFamily, PeerConfig } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import type { Overseer, StateChange } from '../control/overseer.ts';
import { ExitCode, locate, locateThrown, OperatorError, type DirectiveLines } from '../errors.ts';
import { AF_INET, AF_INET6, encodeEndpoint, type EndpointFamily } from '../transport/endpoint.ts';
import type { TransportProtocol } from '../protocol/constants.ts';
import type { OpenTcpSocket } from '../tcp/open.ts';
import type { OpenUdpSocket, UdpSocketOptions } from '../udp/open.ts';
import { isShareable } from './links.ts';
import { RemoteList, type ResolvedRemote } from './remotes.ts';
import { isAddress, resolverFor, type Resolver } from './resolver.ts';
import { mssFor } from './settings.ts';
import { remoteEntry } from './states.ts';
import { prepareCall, type TcpAttempt, type TcpCall, type TcpConnection } from './tcp-connect.ts';
import type { TcpListener } from './tcp-listener.ts';
import { inOneLine } from './warnings.ts';
import type { Watcher } from './watcher.ts';
import { withNumericZone } from './zone.ts';

/** A socket that the data plane has. */
export interface OpenLink {
  readonly link: number;
  readonly socket: OpenUdpSocket | OpenTcpSocket;
}

export interface Connection extends OpenLink {
  /** Socket addresses; none: the peer speaks first. */
  readonly remotes: readonly Uint8Array[];
  /** Clamp for this remote; 0 is off. */
  readonly mss: number;
  readonly protocol: TransportProtocol;
  readonly remote: ResolvedRemote | undefined;
}

export interface ConnectorEvents {
  /** A link towards the remote is open. */
  connect(connection: Connection): void;
  /** A TCP connection is about to be tried; resolves when the way to the peer is free. */
  trying(attempt: TcpAttempt): Promise<void>;
  /** ...and has not come about. */
  failed(): void;
  /** On the way there. */
  state(change: StateChange): void;
  /** Trying again is pointless or used up. */
  fail(error: OperatorError): void;
}

/** After this many failures in a row the pause before the next try doubles each time, up to MAX_PAUSE_SEC. */
const PATIENCE = 4;
const MAX_PAUSE_SEC = 64;

/** With a finite `resolv-retry`, a name is tried again after this pause, milliseconds, before it is another remote's turn. */
const RESOLVE_PAUSE_MS = 5000;
const RESOLVE_FAILED = 'RESOLVE_FAILED';

export interface ConnectorOptions {
  readonly config: PeerConfig;
  /** Let the kernel split and join datagrams where it can. */
  readonly offload: boolean;
  readonly log: Logger;
  readonly events: ConnectorEvents;
  /** Has a word in restarts and in the choice of remotes. */
  readonly overseer: Pick<Overseer, 'hold' | 'choose'>;
  /** Leaves the last link, unless the next socket is its own; undefined for a TCP connection. */
  readonly vacate: (next: UdpSocketOptions | undefined) => Promise<void>;
  /** A link with such a socket: a new one, or, when it is `shareable`, one that other peers use too. Throws OperatorError. */
  readonly openLink: (options: UdpSocketOptions, shareable: boolean) => OpenLink;
  /** A link over that connection. */
  readonly openStream: (connection: TcpConnection) => OpenLink;
  /** Another connection, which may be the peer's in truth. */
  readonly openCandidate: (connection: TcpConnection) => void;
  readonly watcher: Watcher;
  /** In place of the system's, for tests. */
  readonly resolver?: Resolver;
}

export class Connector {
  private readonly config: PeerConfig;
  private readonly offload: boolean;
  private readonly log: Logger;
  private readonly events: ConnectorEvents;
  private readonly options: ConnectorOptions;
  private readonly resolver: Resolver;
  private readonly remotes: RemoteList;
  private readonly closed = new AbortController();
  /** Resolves when the peer ends: a look-up under way is then waited for no longer. */
  private readonly ended = once(this.closed.signal, 'abort');
  /** Resolved remote, kept over restarts with `persist-remote-ip`. */
  private kept: ResolvedRemote | undefined;
  /** Of the link tried last. */
  private protocol: TransportProtocol = 'udp';
  /** Those of the remote tried last. */
  private settings: ConnectionSettings;
  /** Calls since the last session that came up. */
  private calls = 0;
  /** Of a TCP server, as long as nobody has proved to be the peer. */
  private listener: TcpListener | undefined;

  constructor(options: ConnectorOptions) {
    const { config, offload, log, events, resolver } = options;
    this.options = options;
    this.config = config;
    this.offload = offload;
    this.log = log;
    this.events = events;
    this.resolver = resolverFor(config, resolver);
    this.remotes = new RemoteList(orderOf(config), this.resolver);
    this.settings = connectionSettings(config.transport, this.remotes.next);
  }

  /**
   * Opens the first link. Throws OperatorError when it cannot be bound; a remote that cannot be resolved yet is
   * retried in the background, where TCP connections come about, too. Returns early when the peer ends meanwhile.
   */
  async connect(): Promise<void> {
    try {
      const remote = await this.resolve();
      if (this.closed.signal.aborted) return;
      if (remote === 'unresolved') return void this.retry();
      const call = await this.begin(remote);
      if (call === undefined || this.closed.signal.aborted) return;
      void this.follow(call, remote).then((connected) => (connected ? undefined : this.reconnect()));
    } catch (error) {
      throw locateThrown(error, this.lines);
    }
  }

  /** After a restart: pause, next remote, until a link towards it is open. */
  async reconnect(): Promise<void> {
    if (this.closed.signal.aborted) return;
    this.listener?.close();
    this.remotes.advance();
    await this.retry();
  }

  /** Those of the way that is being tried. */
  private get lines(): DirectiveLines {
    return { ...this.config.lines, ...this.settings.lines, remote: this.remotes.next?.where };
  }

  succeeded(): void {
    this.listener?.close();
    this.calls = 0;
    this.remotes.succeeded();
  }

  close(): void {
    this.closed.abort();
  }

  private async retry(): Promise<void> {
    const { connectRetryMax } = this.config.transport;
    for (let failures = 0; !this.closed.signal.aborted; failures++) {
      if (connectRetryMax > 0 && this.remotes.failedRounds >= connectRetryMax)
        return this.giveUp(connectRetryMax);
      if (!(await this.rest(this.pauseSec(failures)))) return;
      try {
        const remote = await this.resolve();
        if (this.closed.signal.aborted) return;
        if (remote !== 'unresolved' && (await this.follow(await this.begin(remote), remote))) return;
        if (this.closed.signal.aborted) return;
      } catch (thrown) {
        const error = locateThrown(thrown, this.lines);
        if (!(error instanceof OperatorError)) throw error;
        if (error.code === RESOLVE_FAILED) return this.events.fail(error);
        this.log.error({ code: error.code }, inOneLine(error));
      }
      this.remotes.advance();
    }
  }

  /** A TCP server waits a second; a client that called each remote four times in vain waits longer and longer. */
  private pauseSec(failures: number): number {
    const { connectRetrySec, connectRetryMaxSec } = this.settings;
    const { remotes } = this.config.transport;
    if (this.protocol === 'tcp-server') return 1;
    if (this.protocol === 'udp') return retryPauseSec(connectRetrySec, failures);
    const doublings = Math.floor(this.calls / remotes.length) - PATIENCE;
    const pauseSec =
      doublings > 0 ? Math.max(1, connectRetrySec) * 2 ** Math.min(doublings, 15) : connectRetrySec;
    return Math.min(pauseSec, connectRetryMaxSec);
  }

  /** A hold, or the pause. False when the peer ended meanwhile. */
  private async rest(pauseSec: number): Promise<boolean> {
    if (await this.options.overseer.hold(pauseSec, this.closed.signal)) return !this.closed.signal.aborted;
    this.log.detail(`Restart pause, ${pauseSec} second(s)`);
    return this.pause(pauseSec * 1000);
  }

  /** Who oversees may pass over remotes, or name another one. */
  private async choose(): Promise<void> {
    while (!this.closed.signal.aborted && this.remotes.next !== undefined) {
      const answer = await this.options.overseer.choose(remoteEntry(this.remotes.next), this.closed.signal);
      if (answer === 'accept') return this.remotes.replace(undefined);
      this.kept = undefined;
      if (answer !== 'skip') return this.remotes.replace(answer);
      this.remotes.skip();
    }
  }

  private giveUp(rounds: number): void {
    const what = `All connections have been connect-retry-max (${rounds}) times unsuccessful, exiting`;
    const code = 'CONNECT_RETRY_MAX';
    const error = new OperatorError({
      code,
      what,
      directives: ['connect-retry-max'],
      exitCode: ExitCode.Failure,
    });
    this.events.fail(locate(error, this.lines));
  }

  private async resolve(): Promise<ResolvedRemote | undefined | 'unresolved'> {
    await this.choose();
    if (this.closed.signal.aborted) return 'unresolved';
    this.settings = connectionSettings(this.config.transport, this.remotes.next);
    const { persistRemoteIp, resolveRetrySec } = this.config.transport;
    if (persistRemoteIp && this.kept !== undefined) return this.kept;
    if (this.remotes.isName) this.events.state({ name: 'RESOLVE' });
    const retries = Number.isFinite(resolveRetrySec)
      ? Math.floor(resolveRetrySec / (RESOLVE_PAUSE_MS / 1000))
      : 0;
    for (let attempt = 0; ; attempt++) {
      try {
        await Promise.race([this.remotes.current().then((remote) => (this.kept = remote)), this.ended]);
        return this.closed.signal.aborted ? 'unresolved' : this.kept;
      } catch (cause) {
        const reason = reasonOf(cause);
        this.log.warn(`RESOLVE: Cannot resolve host address: ${reason}`);
        if (resolveRetrySec === 0) return this.unresolvable(reason);
        if (attempt >= retries) return 'unresolved';
        if (!(await this.pause(RESOLVE_PAUSE_MS))) return 'unresolved';
      }
    }
  }

  private unresolvable(reason: string): never {
    throw new OperatorError({
      code: RESOLVE_FAILED,
      what: `cannot resolve the remote: ${reason}`,
      why: '`resolv-retry 0` allows one try',
      fix: 'correct the `remote` line or the name service, or use `resolv-retry infinite`',
      directives: ['remote'],
      exitCode: ExitCode.Failure,
    });
  }

  /** Opens a link, or the socket for a TCP connection, which is to be followed then. Throws OperatorError. */
  private async begin(remote: ResolvedRemote | undefined): Promise<TcpCall | undefined> {
    this.settings = connectionSettings(this.config.transport, remote?.remote);
    const localHost = await this.localAddress(remote);
    if (this.closed.signal.aborted) return undefined;
    this.protocol = remote?.remote.protocol ?? this.config.transport.protocol;
    this.calls++;
    const family = socketFamily(remote, localHost, this.config.transport.family);
    const socket = this.protocol === 'udp' ? this.socketOptions(family, localHost) : undefined;
    await Promise.race([this.options.vacate(socket), this.ended]);
    if (this.closed.signal.aborted) return undefined;
    if (socket !== undefined) {
      this.open(remote, socket);
      return undefined;
    }
    const { options, closed, log, config, protocol } = this;
    const { signal } = closed;
    const way = { protocol, family, localHost, remote, mss: mssFor(config, outerFamily(family), protocol) };
    return prepareCall(config, way, {
      watcher: options.watcher,
      log,
      signal,
      trying: (attempt) => {
        if (attempt.protocol === 'tcp-client') this.events.state({ name: 'TCP_CONNECT' });
        return this.events.trying(attempt);
      },
    });
  }

  /** False when no connection came about. */
  private async follow(call: TcpCall | undefined, remote: ResolvedRemote | undefined): Promise<boolean> {
    if (call === undefined) return true;
    const connection = await call();
    if (connection === undefined) {
      if (!this.closed.signal.aborted) this.events.failed();
      return false;
    }
    const { protocol, config } = this;
    const mss = mssFor(config, outerFamily(connection.socket.family), protocol);
    const link = this.options.openStream(connection);
    this.events.connect({ ...link, remotes: [connection.remote], mss, protocol, remote });
    void this.takeCandidates(connection.listener);
    return true;
  }

  private async takeCandidates(listener: TcpListener | undefined): Promise<void> {
    this.listener = listener;
    for (let next = await listener?.next(); next !== undefined; next = await listener?.next())
      this.options.openCandidate(next);
  }

  private open(remote: ResolvedRemote | undefined, socket: UdpSocketOptions): void {
    const remotes = (remote?.addresses ?? []).map((address) =>
      encodeEndpoint(withNumericZone(address, 'remote'), remote!.remote.port, socket.family),
    );
    const link = this.options.openLink(socket, isShareable(this.settings, remote?.remote));
    const mss = mssFor(this.config, remote?.family, 'udp');
    this.events.connect({ ...link, remotes, mss, protocol: 'udp', remote });
  }

  private socketOptions(family: EndpointFamily, localHost: string | undefined): UdpSocketOptions {
    const { settings, config } = this;
    const { transport } = config;
    return {
      family,
      localHost,
      localPort: settings.bind ? settings.localPort : 0,
      ipv6Only: settings.ipv6Only,
      sendBufferBytes: transport.sendBufferBytes,
      receiveBufferBytes: transport.receiveBufferBytes,
      mark: transport.mark,
      bindDevice: transport.bindDevice,
      mtuDiscovery: settings.mtuDiscovery,
      multihome: transport.multihome,
      trafficClass: transport.passTos,
      offload: this.offload,
    };
  }

  /** What `local` names, an address of the remote's family. */
  private async localAddress(remote: ResolvedRemote | undefined): Promise<string | undefined> {
    const { bind, localHost } = this.settings;
    const { family } = this.config.transport;
    if (!bind || localHost === undefined) return undefined;
    if (isAddress(localHost)) return withNumericZone(localHost, 'local');
    const wanted = remote === undefined ? family : remote.family === 6 ? 'ipv6' : 'ipv4';
    try {
      const [address] = await this.resolver(localHost, wanted);
      return address;
    } catch (cause) {
      throw new OperatorError({
        code: 'LOCAL_UNRESOLVED',
        what: `cannot resolve ${localHost}, the name behind \`local\`: ${reasonOf(cause)}`,
        fix: 'write the address there; or remove the line to listen on every address',
        directives: ['local'],
        exitCode: ExitCode.Failure,
      });
    }
  }

  /** False when the peer ended meanwhile. */
  private async pause(ms: number): Promise<boolean> {
    try {
      await sleep(ms, undefined, { signal: this.closed.signal });
      return true;
    } catch {
      return false;
    }
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function outerFamily(family: EndpointFamily): 4 | 6 {
  return family === AF_INET6 ? 6 : 4;
}

function retryPauseSec(connectRetrySec: number, failures: number): number {
  const doubled = connectRetrySec * 2 ** Math.max(0, failures - PATIENCE);
  return Math.max(connectRetrySec, Math.min(doubled, MAX_PAUSE_SEC));
}

/** `remote-random` shuffles once (Fisher-Yates). */
function orderOf(config: PeerConfig): PeerConfig['transport']['remotes'] {
  const remotes = [...config.transport.remotes];
  if (!config.transport.remoteRandom) return remotes;
  for (let i = remotes.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [remotes[i], remotes[j]] = [remotes[j], remotes[i]];
  }
  return remotes;
}

/** That of the remote; without one, of the local address or of `proto`, IPv4 unless `udp6` is asked for. */
function socketFamily(
  remote: ResolvedRemote | undefined,
  localHost: string | undefined,
  family: AddressFamily,
): EndpointFamily {
  if (remote !== undefined) return remote.family === 6 ? AF_INET6 : AF_INET;
  return family === 'ipv6' || localHost?.includes(':') === true ? AF_INET6 : AF_INET;
}
