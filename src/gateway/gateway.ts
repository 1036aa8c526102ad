/**
 * One running gateway, seen from the main thread: hands events to the peers they are about, and takes everything back at
 * the end.
 *
 *   start    undo leftovers → open TUN → kernel set-up (journalled) → data plane → peers and routes (start.ts)
 *   connect  each peer: a link towards its first remote
 *   restart  of a peer: the data plane lets go of its link → pause → next remote → link
 *   reload   the config is read again and the difference is made (reload.ts)
 *   stop     exit notifications → data plane ends, and the device with it → undo what the kernel kept
 */
import { forgetKeys, type LoadedGateway } from '../config/load.ts';
import type { GatewayConfig, PeerConfig } from '../config/model.ts';
import { levelOfVerb, type Logger } from '../control/log.ts';
import type { ReloadReport } from '../control/messages.ts';
import { NOBODY, type Overseer, type StateChange } from '../control/overseer.ts';
import type { TunnelStatus } from '../control/status.ts';
import { plural } from '../control/units.ts';
import type { EngineEvent, RestartReason } from '../engine/messages.ts';
import { ExitCode, locate, OperatorError } from '../errors.ts';
import type { OsError } from '../ffi/libc.ts';
import { Monitor } from '../kernel/monitor.ts';
import { DropSummary } from './drop-summary.ts';
import { Links } from './links.ts';
import { openSocket } from './open-socket.ts';
import { OuterWays } from './outer-ways.ts';
import { restartSignal } from './narrator.ts';
import { natStatus, operationsOf, type Operations } from './operations.ts';
import type { PeerSession } from './peer-session.ts';
import { Peers } from './peers.ts';
import { dropPrivileges, type Identity } from './privileges.ts';
import { RawSocketPool } from './raw-sockets.ts';
import { ending, signalName } from './ending.ts';
import { logRefused, reload } from './reload.ts';
import { observeHost, type Room } from './room.ts';
import { RecursionWatch } from './recursion.ts';
import { Routing } from './routing.ts';
import { connected, exiting, reconnecting } from './states.ts';
import { TunnelClock } from './tunnel-status.ts';
import { Watcher } from './watcher.ts';
import { inOneLine, logWarnings } from './warnings.ts';

export interface GatewayOptions extends LoadedGateway {
  /** Reads the config again. Throws OperatorErrors. */
  readonly load: (running: boolean) => LoadedGateway;
  readonly name: string;
  readonly runtimeDir: string;
  readonly log: Logger;
  /** Set here when there are several peers: lines of the log then name the one they are about. */
  readonly peerNames?: { shown: boolean };
  /** The only crypto provider to try. */
  readonly forcedCrypto?: string;
  /** Log the `ip` commands that equal the kernel set-up. */
  readonly verbose?: boolean;
  /** Ask the kernel for offloads; true unless told. */
  readonly offload?: boolean;
  /** The management interface. */
  readonly overseer?: Overseer;
  /** For scripts: the process runs in the background, or its log is in a file that the config names. */
  readonly daemon?: boolean;
  readonly logRedirect?: boolean;
}

export interface GatewayExit {
  readonly exitCode: ExitCode;
  readonly reason: string;
}

export interface Gateway {
  status(): TunnelStatus;
  /** With what only the data plane knows. */
  fullStatus(): Promise<TunnelStatus>;
  /**
   * Opens each peer's link towards its first remote, looking its name up first; false when the gateway was stopped
   * meanwhile. Throws OperatorError when a socket cannot be opened; the caller then stops the gateway.
   */
  connect(): Promise<boolean>;
  /** Ends the gateway; resolves when everything is undone. Idempotent. */
  stop(reason: string): Promise<void>;
  /** Restarts one peer, or all. Throws OperatorError for a name that no peer has. */
  restart(reason: RestartReason, peer?: string): void;
  /**
   * Reads the config files again and makes the gateway what they say, by difference. Throws OperatorErrors, and changes
   * nothing, when they are wrong or ask for what cannot be done at run time.
   */
  reload(): Promise<ReloadReport>;
  readonly operations: Operations;
  /** As of the last reload. */
  readonly config: GatewayConfig;
  /** Every peer is about to be called for the first time or again, and there is nothing to restart. */
  readonly isPausing: boolean;
  /** How much is logged from now on, as `verb`. */
  verb: number;
  /** Resolves when the gateway has ended, for whatever reason. */
  readonly done: Promise<GatewayExit>;
  /** Ends the gateway because of an error that is not its own. */
  crashed(error: OperatorError): void;
  /** Gives up root's rights in all threads; returns the names of those kept here. Throws OperatorError. */
  become(identity: Identity): string[];
  /** Resolves when device and routes are there: at the start, or when a peer has been heard (`up-delay`, `route-delay`). */
  readonly settled: Promise<void>;
  /** Calls back once when every peer has been heard (at once if all have). */
  onConnected(callback: () => void): void;
}

/** The worker ends at once when told to; this much later it is ended by force. */
export const STOP_GRACE_MS = 2000;

/** What a gateway is built on. */
export type Ground = Pick<Room, 'tun' | 'kernel' | 'nat' | 'plane' | 'stages'>;

export class RunningGateway implements Gateway {
  readonly done: Promise<GatewayExit>;
  readonly operations: Operations;
  readonly settled: Promise<void>;
  private readonly options: GatewayOptions;
  private readonly overseer: Overseer;
  private verbNow: number;
  private readonly room: Room;
  private readonly links: Links;
  private readonly watcher: Watcher;
  private readonly rawSockets = new RawSocketPool();
  private readonly clock = new TunnelClock();
  private readonly monitor: Monitor;
  private readonly ways = new OuterWays();
  private readonly drops: DropSummary;
  private reloading: Promise<unknown> = Promise.resolve();
  private stopping: Promise<void> | undefined;
  private finish: (exit: GatewayExit) => void = () => undefined;
  private readonly connectedCallbacks: (() => void)[] = [];
  /** All peers have been heard, and what waited for them is done. */
  private complete = false;

  /** The data plane knows nothing of peers and routes yet, and is told. Takes over `ground`. */
  constructor(options: GatewayOptions, ground: Ground) {
    const { config, keys, log } = options;
    const { plane, tun, nat } = ground;
    this.options = options;
    this.overseer = options.overseer ?? NOBODY;
    this.verbNow = config.log.verb;
    this.done = new Promise((resolve) => (this.finish = resolve));
    this.watcher = new Watcher((command) => plane.send(command));
    this.links = new Links({
      send: (command) => plane.send(command),
      openSocket,
      rawSockets: (socket) => this.rawSockets.for(socket),
    });
    const peers = new Peers({
      plane,
      links: this.links,
      watcher: this.watcher,
      log,
      offload: options.offload ?? true,
      several: () => this.room.config.peers.length > 1,
      overseer: this.overseer,
      heard: (session, endpoint, first) => this.heard(session, endpoint, first),
      state: (session, change) => this.tell(session, change),
      moved: () => {
        void this.moved();
        void this.room.stages.restarted(this.room).then((error) => this.scriptFailed(error));
      },
      calling: () => this.moved(),
      restarting: (session, reason) => this.restarting(session, reason),
      remapUsr1: () => this.room.config.process.remapUsr1,
      ended: (session, exitCode, reason, error) => this.peerEnded(session, exitCode, reason, error),
    });
    const routing = new Routing(config, { log, send: (tables) => plane.sendTables(tables) });
    this.room = { ...ground, config, log, peers, routing, recursion: new RecursionWatch() };
    this.settled = ground.stages.settled;
    this.operations = operationsOf(this.room);
    this.namePeers();
    config.peers.forEach((peer, i) => peers.add(peer, keys[i]));
    routing.configure(config, peers.indexes());
    nat.follow(peers.indexes());
    this.monitor = new Monitor({
      device: tun.name,
      onChange: (change) => {
        observeHost(this.room, change);
        this.lookAtWays(this.room.peers.living);
      },
      onFailure: (error) => this.hostUnseen(error),
    });
    this.drops = new DropSummary(this.room);
    for (const note of plane.notes) log.warn(note);
    for (const suite of suitesOf(config.peers))
      log.summary(`Data Channel: ${suite}, crypto ${plane.providerDescription}`);
  }

  async connect(): Promise<boolean> {
    await Promise.all(this.room.peers.list.map((session) => session.connect()));
    if (this.stopping === undefined) await this.room.stages.connected(this.room);
    return this.stopping === undefined;
  }

  status(): TunnelStatus {
    const { config, tun, plane, peers, routing } = this.room;
    return this.clock.status(this.options.name, {
      config,
      tun,
      plane,
      peers: peers.list,
      routes: routing.table.list(),
    });
  }

  async fullStatus(): Promise<TunnelStatus> {
    // A data plane that does not answer has a status all the more.
    return { ...this.status(), nat: await natStatus(this.room).catch(() => null) };
  }

  onConnected(callback: () => void): void {
    if (this.complete && this.allConnected()) callback();
    else this.connectedCallbacks.push(callback);
  }

  restart(reason: RestartReason, peer?: string): void {
    const { peers } = this.room;
    const sessions = peer === undefined ? peers.living : [peers.named(peer)];
    for (const session of sessions) session.restart(reason);
  }

  get isPausing(): boolean {
    return this.room.peers.living.every(
      ({ stateName }) => stateName === 'starting' || stateName === 'restarting',
    );
  }

  get config(): GatewayConfig {
    return this.room.config;
  }

  get verb(): number {
    return this.verbNow;
  }

  set verb(verb: number) {
    this.verbNow = verb;
    const level = levelOfVerb(verb);
    this.room.log.level = level;
    for (const session of this.room.peers.list) session.setLogLevel(level);
  }

  /** One after the other, so that each finds the gateway as its config says. */
  reload(): Promise<ReloadReport> {
    const next = this.reloading.then(() => this.reloadNow());
    this.reloading = next.catch(() => undefined);
    return next;
  }

  stop(reason: string): Promise<void> {
    return this.end(ExitCode.Ok, reason);
  }

  handle(event: EngineEvent): void {
    const { log, peers } = this.room;
    switch (event.kind) {
      case 'peer':
      case 'occ':
      case 'bad-length':
      case 'turned-away':
      case 'unreachable':
      case 'path-mtu':
      case 'spoofed':
      case 'restarting':
      case 'exit':
      case 'removed':
        peers.at(event.peer)?.handle(event);
        return this.clock.look(peers.list);
      case 'refused': {
        const session = peers.at(event.peer);
        if (session === undefined) return;
        const error = locate(new OperatorError(event.error), session.config.lines);
        return this.peerEnded(session, error.exitCode, error.what, error);
      }
      case 'descriptor-ready':
        return this.watcher.isReady(event.id);
      case 'link-closed':
        return this.links.closed(event.link);
      case 'rejected-source':
        return this.sourceRejected(event.link, event.endpoint);
      case 'offload-failed':
        log.detail(`${event.offload}: the kernel refused; single packets are used where it does`);
        return;
      case 'ready':
      case 'failed':
      case 'answer':
      case 'stopped':
        return;
    }
  }

  become(identity: Identity): string[] {
    const kept = dropPrivileges(identity);
    this.room.plane.send({ kind: 'confine' });
    return kept;
  }

  crashed(error: OperatorError): void {
    void this.end(error.exitCode, error.what, error);
  }

  private hostUnseen({ code, message }: OsError): void {
    this.room.log.warn({ code }, `cannot look at the host's addresses and routes: ${message}`);
  }

  private async reloadNow(): Promise<ReloadReport> {
    if (this.stopping !== undefined) throw ending();
    const { load, log, verbose } = this.options;
    const loaded = load(true);
    try {
      const report = await reload(this.room, loaded);
      this.namePeers();
      if (report.changes.length > 0) await this.room.stages.reloaded(this.room);
      if (verbose !== true) this.verb = loaded.config.log.verb;
      logWarnings(log, loaded.config);
      const { changes, untouched, problems } = report;
      log.info(
        `config reloaded: ${changes.join(', ') || 'no changes'}; ${plural(untouched, 'peer')} untouched`,
      );
      for (const problem of problems) log.warn(problem);
      return report;
    } finally {
      forgetKeys(loaded);
    }
  }

  private namePeers(): void {
    const { peerNames } = this.options;
    if (peerNames !== undefined) peerNames.shown = this.room.config.peers.length > 1;
  }

  private heard(session: PeerSession, endpoint: string, first: boolean): void {
    void this.moved();
    this.lookAtWays([session]);
    this.heardFrom(session, endpoint, first).catch((error: unknown) => this.stageFailed(error));
  }

  /** The data plane measures again where the way has changed. */
  private lookAtWays(sessions: readonly PeerSession[]): void {
    for (const { index } of this.ways.look(sessions))
      this.room.plane.send({ kind: 'way-changed', peer: index });
  }

  /** Connected is who has a device and routes, too. */
  private async heardFrom(session: PeerSession, endpoint: string, first: boolean): Promise<void> {
    await this.room.stages.heard(this.room, session.name, endpoint);
    if (first && session.isConnected) {
      session.completed();
      this.tell(session, connected(this.room.config, session.connectionSettings, endpoint));
    }
    if (!this.allConnected()) return;
    this.complete = true;
    for (const callback of this.connectedCallbacks.splice(0)) callback();
  }

  /** Routes may depend on where the peers are. */
  private async moved(): Promise<void> {
    const { stages, peers, recursion } = this.room;
    const outer = peers.living.map(({ name, config, outerAddress: address }) => {
      return { name, hasRemote: config.transport.remotes.length > 0, address };
    });
    await stages.follow(this.room, outer);
    if (this.stopping === undefined) recursion.check(this.room);
  }

  private restarting(session: PeerSession, reason: RestartReason): void {
    const signal = restartSignal(reason, this.room.config.process.remapUsr1);
    if (signal === 'SIGTERM') return this.peerEnded(session, ExitCode.Ok, reason);
    if (signal === 'SIGHUP') this.reloadInPassing();
    this.tell(session, reconnecting(reason));
    void this.moved();
    const { stages } = this.room;
    void stages.restarting(this.room, reason).then((error) => this.scriptFailed(error));
  }

  /** What is wrong with the config is logged, and the old one stays. */
  private reloadInPassing(): void {
    this.reload().catch((error: unknown) => logRefused(this.room.log, error));
  }

  /** With several peers, the states are those of the first. */
  private tell(session: PeerSession, change: StateChange): void {
    if (session === this.room.peers.list.at(0)) this.overseer.state(change);
  }

  private scriptFailed(error: OperatorError | undefined): void {
    if (error !== undefined) this.stageFailed(error);
  }

  /** What could not be done when a peer was heard ends the tunnel, as it would have at the start. */
  private stageFailed(error: unknown): void {
    if (!(error instanceof OperatorError)) throw error;
    void this.end(error.exitCode, error.what, error);
  }

  private allConnected(): boolean {
    return this.room.peers.living.every(({ isConnected }) => isConnected);
  }

  /** A peer of a shared link that restarts is not there for a moment; what it sends meanwhile is no news. */
  private sourceRejected(link: number, endpoint: string): void {
    const sessions = [...this.links.peersOf(link)].flatMap((index) => this.room.peers.at(index) ?? []);
    if (sessions.some((session) => session.expects(endpoint))) return;
    if (sessions.length === 1) return sessions[0].rejected(endpoint);
    const text = `TCP/UDP: Incoming packet rejected from ${endpoint}: it is the remote of no peer at this port`;
    this.room.log.warn({ endpoint, reason: 'source' }, text);
  }

  /** The last peer takes the process with it. */
  private peerEnded(session: PeerSession, exitCode: ExitCode, reason: string, error?: OperatorError): void {
    const { peers, log } = this.room;
    if (peers.living.every((other) => other === session)) return void this.end(exitCode, reason, error);
    if (error !== undefined) log.error({ peer: session.name, code: error.code }, inOneLine(error));
    void session.remove();
  }

  private end(exitCode: ExitCode, reason: string, error?: OperatorError): Promise<void> {
    this.stopping ??= this.shutDown(exitCode, reason, error);
    return this.stopping;
  }

  private async shutDown(exitCode: ExitCode, reason: string, error?: OperatorError): Promise<void> {
    const { log, config, peers, plane, kernel, nat, tun, stages } = this.room;
    const longestGoodbye = Math.max(0, ...peers.living.map(({ exitNotify }) => exitNotify));
    const lastState = exiting(reason, longestGoodbye > 0);
    const signal = signalName(lastState);
    if (error !== undefined) log.fatal({ code: error.code }, inOneLine(locate(error, config.lines)));
    this.clock.exit();
    for (const session of peers.living) session.stopping();
    this.monitor.close();
    nat.close();
    const failures = await stages.lower(this.room, signal);
    await plane.stop(longestGoodbye * 1000 + STOP_GRACE_MS);
    this.rawSockets.close();
    for (const session of peers.list) session.close();
    this.drops.close();
    // The device went with its descriptor, and addresses and routes with the device: what remains is undone here.
    kernel.undo();
    failures.push(...(await stages.lowered(config, signal)));
    log.summary({ reason }, `${tun.name} closed, process exiting`);
    this.overseer.state(lastState);
    const failed = exitCode === ExitCode.Ok && failures.length > 0;
    this.finish({ exitCode: failed ? ExitCode.Failure : exitCode, reason });
  }
}

function suitesOf(peers: readonly PeerConfig[]): Set<string> {
  return new Set(peers.map(({ cipher, digest }) => `cipher '${cipher.name}', auth '${digest.name}'`));
}
