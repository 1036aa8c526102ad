/**
 * Gets one peer a link towards the remote whose turn it is: resolves, opens, hands over. A name that does not resolve
 * and a restart that fails are tried again after a pause; only the first bind of a peer may fail it.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerConfig } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import type { Overseer } from '../control/overseer.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import { AF_INET, AF_INET6, encodeEndpoint, type EndpointFamily } from '../transport/endpoint.ts';
import type { OpenUdpSocket, UdpSocketOptions } from '../udp/open.ts';
import { RemoteList, type ResolvedRemote, type Resolver } from './remotes.ts';
import { mssFor } from './settings.ts';
import { isName, remoteEntry } from './states.ts';
import { withNumericZone } from './zone.ts';

/** A socket that the data plane has. */
export interface OpenLink {
  readonly link: number;
  readonly socket: OpenUdpSocket;
}

export interface Connection extends OpenLink {
  /** Socket addresses; none: the peer speaks first. */
  readonly remotes: readonly Uint8Array[];
  /** Clamp for this remote; 0 is off. */
  readonly mss: number;
  readonly remote: ResolvedRemote | undefined;
}

export interface ConnectorEvents {
  /** A link towards the remote is open. */
  connect(connection: Connection): void;
  /** A host name is about to be looked up. */
  resolving(): void;
  /** Trying again is pointless or used up. */
  fail(error: OperatorError): void;
}

/** After this many failures in a row the pause before the next try doubles each time, up to MAX_PAUSE_SEC. */
const PATIENCE = 4;
const MAX_PAUSE_SEC = 64;

/** With a finite `resolv-retry`, a name is tried again after this pause, milliseconds. */
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
  /** A link with such a socket: a new one, or one that other peers use too. Throws OperatorError. */
  readonly openLink: (options: UdpSocketOptions) => OpenLink;
  /** In place of the system's, for tests. */
  readonly resolver?: Resolver;
}

export class Connector {
  private readonly config: PeerConfig;
  private readonly offload: boolean;
  private readonly log: Logger;
  private readonly events: ConnectorEvents;
  private readonly overseer: ConnectorOptions['overseer'];
  private readonly openLink: ConnectorOptions['openLink'];
  private readonly remotes: RemoteList;
  private readonly closed = new AbortController();
  /** Resolves when the peer ends: a look-up under way is then waited for no longer. */
  private readonly ended = once(this.closed.signal, 'abort');
  /** Resolved remote, kept over restarts with `persist-remote-ip`. */
  private kept: ResolvedRemote | undefined;

  constructor({ config, offload, log, events, overseer, openLink, resolver }: ConnectorOptions) {
    this.config = config;
    this.offload = offload;
    this.log = log;
    this.events = events;
    this.overseer = overseer;
    this.openLink = openLink;
    this.remotes = new RemoteList(orderOf(config), resolver);
  }

  /**
   * Opens the first link. Throws OperatorError when it cannot be bound; a remote that cannot be resolved yet is
   * retried in the background. Returns early when the peer ends meanwhile.
   */
  async connect(): Promise<void> {
    const remote = await this.resolve();
    if (this.closed.signal.aborted) return;
    if (remote === 'unresolved') void this.retry();
    else this.open(remote);
  }

  /** After a restart: pause, next remote, until a link towards it is open. */
  async reconnect(): Promise<void> {
    this.remotes.advance();
    await this.retry();
  }

  succeeded(): void {
    this.remotes.succeeded();
  }

  close(): void {
    this.closed.abort();
  }

  private async retry(): Promise<void> {
    const { connectRetryMax, connectRetrySec } = this.config.transport;
    for (let failures = 0; !this.closed.signal.aborted; failures++) {
      if (connectRetryMax > 0 && this.remotes.failedRounds >= connectRetryMax)
        return this.giveUp(connectRetryMax);
      if (!(await this.rest(retryPauseSec(connectRetrySec, failures)))) return;
      try {
        const remote = await this.resolve();
        if (this.closed.signal.aborted) return;
        if (remote !== 'unresolved') return this.open(remote);
      } catch (error) {
        if (!(error instanceof OperatorError)) throw error;
        if (error.code === RESOLVE_FAILED) return this.events.fail(error);
        this.log.error({ code: error.code }, error.what);
      }
      this.remotes.advance();
    }
  }

  /** A hold, or the pause. False when the peer ended meanwhile. */
  private async rest(pauseSec: number): Promise<boolean> {
    if (await this.overseer.hold(pauseSec, this.closed.signal)) return !this.closed.signal.aborted;
    this.log.info(`Restart pause, ${pauseSec} second(s)`);
    return this.pause(pauseSec * 1000);
  }

  /** Who oversees may pass over remotes, or name another one. */
  private async choose(): Promise<void> {
    while (!this.closed.signal.aborted && this.remotes.next !== undefined) {
      const answer = await this.overseer.choose(remoteEntry(this.remotes.next), this.closed.signal);
      if (answer === 'accept') return;
      this.kept = undefined;
      if (answer !== 'skip') return this.remotes.replace(answer.host, answer.port);
      this.remotes.skip();
    }
  }

  private giveUp(rounds: number): void {
    const what = `All connections have been connect-retry-max (${rounds}) times unsuccessful, exiting`;
    this.events.fail(new OperatorError({ code: 'CONNECT_RETRY_MAX', what, exitCode: ExitCode.Failure }));
  }

  private async resolve(): Promise<ResolvedRemote | undefined | 'unresolved'> {
    await this.choose();
    if (this.closed.signal.aborted) return 'unresolved';
    const { persistRemoteIp, resolveRetrySec } = this.config.transport;
    if (persistRemoteIp && this.kept !== undefined) return this.kept;
    if (this.remotes.next !== undefined && isName(this.remotes.next.host)) this.events.resolving();
    const attempts = Number.isFinite(resolveRetrySec)
      ? Math.floor(resolveRetrySec / (RESOLVE_PAUSE_MS / 1000))
      : 0;
    for (let attempt = 0; ; attempt++) {
      try {
        await Promise.race([this.remotes.current().then((remote) => (this.kept = remote)), this.ended]);
        return this.closed.signal.aborted ? 'unresolved' : this.kept;
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        this.log.warn(`RESOLVE: Cannot resolve host address: ${reason}`);
        if (!Number.isFinite(resolveRetrySec) && attempt >= attempts) return 'unresolved';
        if (attempt >= attempts) return this.unresolvable(reason);
        if (!(await this.pause(RESOLVE_PAUSE_MS))) return 'unresolved';
      }
    }
  }

  private unresolvable(reason: string): never {
    throw new OperatorError({
      code: RESOLVE_FAILED,
      what: `cannot resolve the remote: ${reason}`,
      why: '`resolv-retry` limits how long to try',
      fix: 'correct the `remote` line or the name service, or use `resolv-retry infinite`',
      exitCode: ExitCode.Failure,
    });
  }

  private open(remote: ResolvedRemote | undefined): void {
    const { transport } = this.config;
    const family = socketFamily(remote, this.config);
    const remotes = (remote?.addresses ?? []).map((address) =>
      encodeEndpoint(withNumericZone(address), remote!.remote.port, family),
    );
    const link = this.openLink({
      family,
      localHost: transport.bind ? transport.localHost && withNumericZone(transport.localHost) : undefined,
      localPort: transport.bind ? transport.localPort : 0,
      ipv6Only: transport.ipv6Only,
      sendBufferBytes: transport.sendBufferBytes,
      receiveBufferBytes: transport.receiveBufferBytes,
      mark: transport.mark,
      bindDevice: transport.bindDevice,
      mtuDiscovery: transport.mtuDiscovery,
      multihome: transport.multihome,
      trafficClass: transport.passTos,
      offload: this.offload,
    });
    this.events.connect({ ...link, remotes, mss: mssFor(this.config, remote?.family), remote });
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
function socketFamily(remote: ResolvedRemote | undefined, config: PeerConfig): EndpointFamily {
  if (remote !== undefined) return remote.family === 6 ? AF_INET6 : AF_INET;
  const { localHost, family } = config.transport;
  return family === 'ipv6' || localHost?.includes(':') === true ? AF_INET6 : AF_INET;
}
