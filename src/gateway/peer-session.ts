/**
 * One peer, seen from the main thread: finds its way to it, follows what the data plane says of it, tries the next remote
 * when it restarts, and lets it go at the end.
 */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { connectionSettings, type ConnectionSettings } from '../config/connection-settings.ts';
import type { PeerConfig, ProcessConfig, Remote } from '../config/model.ts';
import { protocolsOf } from '../config/protocols.ts';
import type { Logger, LogLevel } from '../control/log.ts';
import type { Overseer, StateChange } from '../control/overseer.ts';
import type { PeerState as StateName, PeerStatus } from '../control/status.ts';
import { keyFingerprint } from '../crypto/static-key.ts';
import { Counters } from '../engine/counters.ts';
import type { EngineEvent, ExitReason, PeerSettings, RestartReason } from '../engine/messages.ts';
import { ExitCode, locateThrown, type OperatorError } from '../errors.ts';
import { buildOccOptions } from '../protocol/occ-options.ts';
import { endpointsEqual, formatEndpoint } from '../transport/endpoint.ts';
import { Connector, type Connection } from './connector.ts';
import type { DataPlane } from './data-plane.ts';
import { DropWatch } from './drop-summary.ts';
import type { Links } from './links.ts';
import { Narrator } from './narrator.ts';
import { PeerState } from './peer-state.ts';
import { ReplayFile } from './replay-file.ts';
import { occOptions, peerSettings } from './settings.ts';
import type { TcpAttempt } from './tcp-connect.ts';
import type { Watcher } from './watcher.ts';

/** Events about one peer. */
type PeerEvent = Extract<
  EngineEvent,
  {
    kind:
      | 'peer'
      | 'occ'
      | 'bad-length'
      | 'turned-away'
      | 'unreachable'
      | 'path-mtu'
      | 'spoofed'
      | 'restarting'
      | 'exit'
      | 'removed';
  }
>;

/** What all peers of a gateway share. */
export interface SessionContext {
  readonly plane: DataPlane;
  readonly links: Links;
  readonly log: Logger;
  readonly offload: boolean;
  readonly watcher: Watcher;
  readonly overseer: Overseer;
  /** There is another peer, so that the end or restart of this one is not the process's. */
  several(): boolean;
  /** The peer has been heard, from a new address; `first`: for the first time since it was called. */
  heard(session: PeerSession, endpoint: string, first: boolean): void;
  /** The peer is on the way to its remote. */
  state(session: PeerSession, change: StateChange): void;
  /** The peer is called at another address, or is not called at the moment. */
  moved(session: PeerSession): void;
  /** ...and must be reachable outside of the tunnel. */
  calling(session: PeerSession): Promise<void>;
  restarting(session: PeerSession, reason: RestartReason): void;
  remapUsr1(): ProcessConfig['remapUsr1'];
  /** The peer has ended by its own config, or its remote cannot be reached for good. */
  ended(session: PeerSession, exitCode: ExitCode, reason: string, error?: OperatorError): void;
}

export interface SessionOptions {
  /** Known to the data plane by this number. */
  readonly index: number;
  readonly config: PeerConfig;
  /** The 256-byte static key; stays the caller's. */
  readonly key: Uint8Array;
  /** Equal for sessions that need not be replaced by each other (difference.ts). */
  readonly identity: string;
}

export class PeerSession {
  readonly index: number;
  readonly identity: string;
  readonly counters: Counters;
  readonly drops: DropWatch;
  /** What is behind the peer may change; the rest stays as it was at the start. */
  config: PeerConfig;
  private readonly context: SessionContext;
  private readonly log: Logger;
  private readonly narrator: Narrator;
  private readonly connector: Connector;
  private readonly state: PeerState;
  private remotes: readonly Uint8Array[] = [];
  private address: string | undefined;
  /** `[AF_INET]192.0.2.1:1194`, and so over restarts. */
  private heardFrom: string | undefined;
  /** The one whose turn it is. */
  private remote: Remote | undefined;
  private readonly replayFile: ReplayFile | undefined;
  private removal: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(options: SessionOptions, context: SessionContext) {
    const { index, config, key } = options;
    this.index = index;
    this.identity = options.identity;
    this.config = config;
    this.context = context;
    this.log = context.log.child({ peer: config.name });
    const shared = Counters.allocate();
    this.counters = new Counters(shared);
    this.drops = new DropWatch((reason) => this.counters.drops(reason));
    this.replayFile = this.openReplayFile();
    this.narrator = new Narrator(this.log, config);
    this.state = new PeerState(this.counters, keyFingerprint(key), protocolsOf(config.transport)[0]);
    this.connector = new Connector({
      config,
      offload: context.offload,
      log: this.log,
      events: {
        connect: (connection) => this.connected(connection),
        trying: (attempt) => this.trying(attempt),
        failed: () => this.callFailed(),
        state: (change) => context.state(this, change),
        fail: (error) => context.ended(this, error.exitCode, error.what, error),
      },
      overseer: context.overseer,
      vacate: (next) => context.links.vacate(index, next),
      openLink: (socket, shareable) => context.links.open(index, socket, context.several() && shareable),
      openStream: (connection) => context.links.openStream(index, connection),
      openCandidate: (connection) => context.links.openCandidate(index, connection),
      watcher: context.watcher,
    });
    context.plane.addPeer(index, this.settings(key), shared);
  }

  get name(): string {
    return this.config.name;
  }

  get isConnected(): boolean {
    return this.state.connected;
  }

  get isLeaving(): boolean {
    return this.removal !== undefined;
  }

  get isUsable(): boolean {
    return this.state.usable;
  }

  get stateName(): StateName {
    return this.state.state(this.config);
  }

  /** Outside of the tunnel: where the peer is called, or was heard from; undefined when it is to be looked up. */
  get outerAddress(): string | undefined {
    return this.address;
  }

  /** On the way to the remote whose turn it is. */
  get connectionSettings(): ConnectionSettings {
    return connectionSettings(this.config.transport, this.remote);
  }

  /** Exit messages that its end takes, one a second. */
  get exitNotify(): number {
    return this.state.protocol === 'udp' ? this.connectionSettings.exitNotify : 0;
  }

  setLogLevel(level: LogLevel): void {
    this.log.level = level;
  }

  /** Throws OperatorError when no socket can be opened. */
  connect(): Promise<void> {
    return this.connector.connect();
  }

  /** As `connect`, but tries again for as long as it takes. */
  keepTrying(): void {
    void this.connector.reconnect();
  }

  restart(reason: RestartReason): void {
    this.context.plane.send({ kind: 'restart', peer: this.index, reason });
  }

  handle(event: PeerEvent): void {
    switch (event.kind) {
      case 'peer':
        this.narrator.peerHeard(event.endpoint, event.via);
        this.state.heard(event.endpoint);
        this.connector.succeeded();
        this.heardFrom = event.endpoint;
        this.address = hostOf(event.endpoint);
        return this.context.heard(this, event.endpoint, event.first);
      case 'occ':
        return this.narrator.peerOptions(event.options);
      case 'bad-length':
        return this.narrator.badLength(event.length, event.longest);
      case 'unreachable':
        return this.narrator.unreachable(event.endpoint, event.errno, event.reporter);
      case 'turned-away':
        return this.narrator.turnedAway(event.endpoint, event.why);
      case 'path-mtu':
        return this.narrator.pathMtu(event.change);
      case 'spoofed':
        return this.narrator.spoofed(event.address);
      case 'restarting':
        return this.restarting(event.reason);
      case 'exit':
        return this.exited(event.reason);
      case 'removed':
        return this.removed();
    }
  }

  /** What waited for the peer is done. */
  completed(): void {
    this.narrator.completed();
  }

  /** Is this one of the addresses the peer would be accepted from? */
  expects(endpoint: string): boolean {
    return this.remotes.some((row) => formatEndpoint(row, 0) === endpoint);
  }

  rejected(endpoint: string): void {
    this.narrator.sourceRejected(endpoint);
  }

  /** Says goodbye, gives everything back, and resolves when the data plane has forgotten the peer. Idempotent. */
  remove(): Promise<void> {
    if (this.removal === undefined) {
      let resolve = () => {};
      const promise = new Promise<void>((done) => (resolve = done));
      this.removal = { promise, resolve };
      this.stopping();
      this.context.plane.send({ kind: 'remove-peer', peer: this.index });
    }
    return this.removal.promise;
  }

  /** The process ends: no more tries. */
  stopping(): void {
    if (this.exitNotify > 0 && this.isConnected) this.log.info('sending exit notification to peer');
    this.connector.close();
    this.state.exiting();
  }

  /** The data plane has ended, or forgotten the peer. */
  close(): void {
    this.replayFile?.close();
  }

  get endpoint(): string | null {
    return this.state.address;
  }

  /** `startDirectory`: what the name of the config file starts from. */
  status(startDirectory: string): PeerStatus {
    const shared = this.context.links.isShared(this.index);
    return this.state.status(this.config, shared, resolve(startDirectory, this.config.file));
  }

  private openReplayFile(): ReplayFile | undefined {
    const { replay, lines } = this.config;
    if (!replay.enabled || replay.persist === undefined) return undefined;
    try {
      return new ReplayFile(replay.persist, this.counters, this.log);
    } catch (error) {
      throw locateThrown(error, lines);
    }
  }

  private settings(key: Uint8Array): PeerSettings {
    return peerSettings(this.config, key, this.replayFile?.memory);
  }

  private connected(connection: Connection): void {
    const { link, remotes, mss, protocol } = connection;
    const options = occOptions(this.config, protocol);
    const kept = this.kept(connection);
    this.narrator.socketOpened(connection, options, kept);
    this.state.connecting(connection, kept);
    this.remote = connection.remote?.remote;
    this.remotes = remotes;
    const { float, exitNotify } = this.connectionSettings;
    const keep = kept !== undefined;
    const way = { remotes, float, keep, mss, exitNotify, occOptions: buildOccOptions(options) };
    this.context.plane.send({ kind: 'connect', peer: this.index, link, way });
    this.address = keep ? hostOf(kept) : connection.remote?.addresses[0];
    this.context.moved(this);
  }

  /** `persist-remote-ip`: a peer that was heard is called where it was, even where it had moved to or called from. */
  private kept({ protocol, remotes }: Connection): string | undefined {
    if (!this.config.transport.persistRemoteIp || protocol !== 'udp') return undefined;
    const same =
      remotes.length === this.remotes.length &&
      remotes.every((row, i) => endpointsEqual(row, 0, this.remotes[i], 0));
    return same ? this.heardFrom : undefined;
  }

  private callFailed(): void {
    const who = this.context.several() ? 'peer' : 'process';
    this.narrator.restarting('connection-failed', who, this.context.remapUsr1());
    this.context.restarting(this, 'connection-failed');
  }

  private trying(attempt: TcpAttempt): Promise<void> {
    this.state.trying(attempt);
    this.address = attempt.remote?.addresses[0];
    return this.context.calling(this);
  }

  private restarting(reason: RestartReason): void {
    this.context.links.restarted(this.index);
    this.narrator.restarting(reason, this.context.several() ? 'peer' : 'process', this.context.remapUsr1());
    this.state.restarting(reason === 'ping-restart' || reason === 'remote-exit');
    if (this.config.transport.remotes.some(({ host }) => isIP(host) === 0)) this.address = undefined;
    this.replayFile?.save();
    this.context.restarting(this, reason);
    void this.connector.reconnect();
  }

  private exited(reason: ExitReason): void {
    const who = this.context.several() ? 'peer' : 'process';
    if (reason !== 'session-timeout') this.log.info(`Inactivity timeout (--${reason}), exiting`);
    this.log.info({ reason }, `SIGTERM[soft,${reason}] received, ${who} exiting`);
    this.context.ended(this, ExitCode.Ok, reason);
  }

  private removed(): void {
    void this.context.links.leave(this.index);
    this.state.end();
    this.close();
    this.removal?.resolve();
  }
}

/** Of `[AF_INET]192.0.2.1:1194`. */
function hostOf(endpoint: string): string | undefined {
  return /\](.*):\d+$/.exec(endpoint)?.[1];
}
