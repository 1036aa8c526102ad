/**
 * One running tunnel, seen from the main thread: opens what the data plane works on, follows its events, restarts it
 * towards the next remote, and takes everything back at the end.
 *
 *   start    undo leftovers → open TUN → kernel set-up (journalled) → data plane
 *   connect  socket towards the first remote
 *   restart  the data plane closes its socket → pause → next remote → fresh socket
 *   stop     exit notifications → data plane ends, and the device with it → undo what the kernel kept
 */
import { join } from 'node:path';
import type { PeerConfig } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import type { TunnelStatus } from '../control/status.ts';
import { keyFingerprint } from '../crypto/static-key.ts';
import type { EngineEvent, RestartReason } from '../engine/messages.ts';
import { ExitCode, type OperatorError } from '../errors.ts';
import { KernelSetup } from '../kernel/apply.ts';
import { cleanup } from '../kernel/cleanup.ts';
import { planKernel } from '../kernel/plan.ts';
import { openTun, type OpenTun } from '../tun/open.ts';
import { Connector } from './connector.ts';
import { DataPlane } from './data-plane.ts';
import { Narrator, SUMMARY_INTERVAL_MS } from './narrator.ts';
import { peerSettings } from './settings.ts';
import { TunnelState } from './tunnel-state.ts';

export interface GatewayOptions {
  readonly config: PeerConfig;
  /** The 256-byte static key; stays the caller's, who may overwrite it after the start. */
  readonly key: Uint8Array;
  readonly name: string;
  readonly runtimeDir: string;
  readonly log: Logger;
  /** The only crypto provider to try. */
  readonly forcedCrypto?: string;
  /** Log the `ip` commands that equal the kernel set-up. */
  readonly verbose?: boolean;
  /** Ask the kernel for offloads; true unless told. */
  readonly offload?: boolean;
}

export interface GatewayExit {
  readonly exitCode: ExitCode;
  readonly reason: string;
}

export interface Gateway {
  status(): TunnelStatus;
  /**
   * Opens the socket towards the first remote, looking its name up first; false when the tunnel was stopped
   * meanwhile. Throws OperatorError when the socket cannot be opened; the caller then stops the gateway.
   */
  connect(): Promise<boolean>;
  /** Ends the tunnel; resolves when everything is undone. Idempotent. */
  stop(reason: string): Promise<void>;
  restart(reason: RestartReason): void;
  /** Resolves when the tunnel has ended, for whatever reason. */
  readonly done: Promise<GatewayExit>;
  /** Calls back once when the peer has been heard (at once if it has). */
  onConnected(callback: () => void): void;
}

/** The worker ends at once when told to; this much later it is ended by force. */
const STOP_GRACE_MS = 2000;

/** Starts a tunnel up to its socket; `connect` opens that. Throws OperatorError, with everything undone. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, name, runtimeDir, log } = options;
  reportLeftovers(cleanup(runtimeDir, name), log);
  const tun = openTun(config.device.name, config.device.node, options.offload ?? true);
  log.info(`TUN/TAP device ${tun.name} opened`);
  const kernelLog = {
    info: (text: string) => (options.verbose ? log.info(`[#] ${text}`) : log.debug(text)),
    warn: (text: string) => log.warn(text),
  };
  const kernel = new KernelSetup({ journalPath: join(runtimeDir, `${name}.journal`), log: kernelLog });
  const gateway = new RunningGateway(options, tun, kernel);
  try {
    await gateway.start();
  } catch (error) {
    await gateway.abort();
    throw error;
  }
  return gateway;
}

function reportLeftovers({ journals }: ReturnType<typeof cleanup>, log: Logger): void {
  for (const { outcome, undo } of journals) {
    if (undo === undefined) continue;
    log.info(`undid what an earlier run left behind: ${undo.undone.length} changes (${outcome})`);
    for (const { command, reason } of undo.failed) log.warn(`could not undo: ${command}: ${reason}`);
  }
}

/** As stock names it: a real signal is hard, everything else acts like a soft SIGUSR1. */
function restartSignal(reason: RestartReason): string {
  if (reason === 'sigusr1') return 'SIGUSR1[hard,]';
  return reason === 'sighup' ? 'SIGHUP[hard,]' : `SIGUSR1[soft,${reason}]`;
}

class RunningGateway implements Gateway {
  readonly done: Promise<GatewayExit>;
  private readonly options: GatewayOptions;
  private readonly tun: OpenTun;
  private readonly kernel: KernelSetup;
  private readonly narrator: Narrator;
  private readonly state: TunnelState;
  private readonly connector: Connector;
  private plane: DataPlane | undefined;
  private summaryTimer: NodeJS.Timeout | undefined;
  private stopping: Promise<void> | undefined;
  private finish: (exit: GatewayExit) => void = () => undefined;
  private readonly connectedCallbacks: (() => void)[] = [];

  constructor(options: GatewayOptions, tun: OpenTun, kernel: KernelSetup) {
    const { config, log } = options;
    this.options = options;
    this.tun = tun;
    this.kernel = kernel;
    this.narrator = new Narrator(log, config);
    this.state = new TunnelState(options, tun, keyFingerprint(options.key));
    this.connector = new Connector({
      config,
      offload: options.offload ?? true,
      log,
      events: {
        connect: (command, socket, remote) => {
          this.narrator.socketOpened(socket, remote);
          this.state.connecting(socket, command.mss, remote);
          this.plane?.send(command);
        },
        fail: (error) => void this.end(error.exitCode, error.what, error),
      },
    });
    this.done = new Promise((resolve) => (this.finish = resolve));
  }

  async start(): Promise<void> {
    const { config, key, log, forcedCrypto } = this.options;
    this.kernel.apply(planKernel(config, this.tun.name));
    this.plane = await DataPlane.start({
      tun: this.tun,
      settings: peerSettings(config, key),
      legacyProvider: config.legacyProvider,
      forcedCrypto,
      onEvent: (event) => this.handle(event),
      onCrash: (error) => void this.end(error.exitCode, error.what, error),
    });
    this.state.started(this.plane);
    for (const note of this.plane.notes) log.warn(note);
    log.info(
      `Data Channel: cipher '${config.cipher.name}', auth '${config.digest.name}', crypto ${this.plane.providerDescription}`,
    );
    const { counters } = this.plane;
    this.summaryTimer = setInterval(() => this.narrator.dropSummary(counters), SUMMARY_INTERVAL_MS);
    this.summaryTimer.unref();
  }

  async connect(): Promise<boolean> {
    await this.connector.connect();
    return this.stopping === undefined;
  }

  /** Takes back a start that failed half-way. */
  async abort(): Promise<void> {
    await this.plane?.stop(STOP_GRACE_MS);
    this.kernel.undo();
    this.finish({ exitCode: ExitCode.Failure, reason: 'start failed' });
  }

  status(): TunnelStatus {
    return this.state.status();
  }

  onConnected(callback: () => void): void {
    if (this.state.connected) callback();
    else this.connectedCallbacks.push(callback);
  }

  restart(reason: RestartReason): void {
    this.plane?.send({ kind: 'restart', reason });
  }

  stop(reason: string): Promise<void> {
    return this.end(ExitCode.Ok, reason);
  }

  private handle(event: EngineEvent): void {
    const { log } = this.options;
    switch (event.kind) {
      case 'peer':
        this.narrator.peerHeard(event.endpoint, event.first);
        this.state.heard(event.endpoint);
        this.connector.succeeded();
        for (const callback of this.connectedCallbacks.splice(0)) callback();
        return;
      case 'occ':
        return this.narrator.peerOptions(event.options);
      case 'offload-failed':
        log.info(`${event.offload}: the kernel refused; single packets are used where it does`);
        return;
      case 'rejected-source':
        return this.narrator.sourceRejected(event.endpoint);
      case 'restarting':
        if (event.reason === 'remote-exit') log.info('OCC exit message received by peer');
        if (event.reason === 'ping-restart') log.info('Inactivity timeout (--ping-restart), restarting');
        log.info({ reason: event.reason }, `${restartSignal(event.reason)} received, process restarting`);
        this.state.restarting();
        void this.connector.reconnect();
        return;
      case 'exit':
        log.info({ reason: event.reason }, `SIGTERM[soft,${event.reason}] received, process exiting`);
        void this.end(ExitCode.Ok, event.reason);
        return;
      case 'ready':
      case 'failed':
      case 'stopped':
        return;
    }
  }

  private end(exitCode: ExitCode, reason: string, error?: OperatorError): Promise<void> {
    this.stopping ??= this.shutDown(exitCode, reason, error);
    return this.stopping;
  }

  private async shutDown(
    exitCode: ExitCode,
    reason: string,
    error: OperatorError | undefined,
  ): Promise<void> {
    const { log, config } = this.options;
    if (error !== undefined)
      log.fatal({ code: error.code }, `${error.what}${error.fix === undefined ? '' : `; ${error.fix}`}`);
    if (config.timers.exitNotify > 0 && this.state.connected) log.info('sending exit notification to peer');
    this.state.exiting();
    clearInterval(this.summaryTimer);
    this.connector.close();
    if (this.plane !== undefined) {
      await this.plane.stop(config.timers.exitNotify * 1000 + STOP_GRACE_MS);
      this.narrator.dropSummary(this.plane.counters);
    }
    // The device went with its descriptor, and addresses and routes with the device: what remains is undone here.
    this.kernel.undo();
    log.info({ reason }, `${this.tun.name} closed, process exiting`);
    this.finish({ exitCode, reason });
  }
}
