/** One tunnel in this process, from the lock on its name to the exit code. */
import { unlinkSync, writeFileSync } from 'node:fs';
import { forgetKeys, type LoadedGateway } from '../config/load.ts';
import { acquireLock } from '../control/lock.ts';
import type { Logger } from '../control/log.ts';
import { notifySystemd } from '../control/notify.ts';
import { openStatusFile } from '../control/openvpn-status.ts';
import { startControlServer } from '../control/server.ts';
import { ExitCode, fileError, OperatorError } from '../errors.ts';
import type { Gateway } from '../gateway/gateway.ts';
import { setNice } from '../gateway/nice.ts';
import { findIdentity, type Identity } from '../gateway/privileges.ts';
import { handleSignals } from '../gateway/signals.ts';
import { startGateway } from '../gateway/start.ts';
import { logWarnings } from '../gateway/warnings.ts';
import type { DaemonReport } from './daemon-messages.ts';
import type { LogOutput } from './log-output.ts';
import { manage, type Managing } from './manage.ts';
import { peerSilent } from './peer-silent.ts';

/** A tunnel that fails in a way nobody foresaw gets this long to undo what it did. */
const LAST_STOP_MS = 2000;

/** In stock's words. */
const READY = 'Pre-connection initialization successful';

/** The keys are overwritten once the tunnel has started. */
export interface TunnelOptions extends LoadedGateway, Pick<LogOutput, 'log' | 'listeners' | 'mute'> {
  /** Reads the config again. */
  readonly load: (running: boolean) => LoadedGateway;
  readonly name: string;
  readonly runtimeDir: string;
  /** What `log` goes by. */
  readonly peerNames: { shown: boolean };
  readonly verbose: boolean;
  /** False for --no-offload. */
  readonly offload: boolean;
  /** In the background, by `daemon` or --daemon. */
  readonly daemon: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** TSVPN_CRYPTO: the only crypto provider to try. */
  readonly forcedCrypto: string | undefined;
  /** Seconds until a silent peer ends the tunnel with exit code 6; undefined waits for ever. */
  readonly waitSec: number | undefined;
  /** Tells the waiting parent of `up --daemon`; does nothing in the foreground. */
  readonly report: (report: DaemonReport) => void;
}

/** Runs the tunnel until it ends. Throws OperatorError when it cannot start; nothing is left behind then. */
export async function runTunnel(options: TunnelOptions): Promise<ExitCode> {
  const { config, name, runtimeDir, log } = options;
  const signals = handleSignals(log);
  const managing = manage(options, signals);
  const release: (() => void)[] = [() => signals.dispose()];
  try {
    const identity = findIdentity(config.process.user, config.process.group);
    const lock = acquireLock(name, runtimeDir);
    release.push(() => lock.release());
    logWarnings(log, config);
    setNice(config.process.nice, log);
    if (config.pidFile !== undefined) release.push(writePid(config.pidFile));
    if (managing?.mayWait === true) ready(options, undefined, 'waiting for the management client');
    await managing?.beforeStart();
    if (signals.stopAsked.aborted) return endedBefore(managing);
    const gateway = await start(options, managing);
    forgetKeys(options);
    exitOnFault(gateway, log);
    try {
      signals.attach(gateway);
      release.push(...(await publish(gateway, options)));
      await managing?.started(gateway);
      const started = await gateway.connect();
      if (identity !== undefined) void gateway.settled.then(() => giveUpRoot(gateway, identity, log));
      if (started) ready(options, gateway, READY);
      return await untilDone(gateway, options);
    } catch (error) {
      managing?.management.fatal((error as Error).message);
      await gateway.stop('start failed');
      throw error;
    }
  } catch (error) {
    managing?.management.fatal((error as Error).message);
    throw error;
  } finally {
    await managing?.management.close();
    for (const undo of release.toReversed()) undo();
    forgetKeys(options);
  }
}

/** Device, routes and sockets are there. */
function giveUpRoot(gateway: Gateway, identity: Identity, log: Logger): void {
  const { user, group } = identity;
  try {
    const kept = gateway.become(identity);
    log.info(`GID set to ${group.name}`);
    if (user !== undefined) log.info(`UID set to ${user.name}`);
    log.info(`Capabilities retained: ${kept.join(', ') || 'none'}`);
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    gateway.crashed(error);
  }
}

/** Tells who has started us that there is nothing to wait for any more. */
function ready({ report, env }: TunnelOptions, gateway: Gateway | undefined, status: string): void {
  report({ kind: 'started', pid: process.pid, device: gateway?.status().device ?? null });
  notifySystemd(env, 'READY=1', `STATUS=${status}`, `MAINPID=${process.pid}`);
}

/** The end was asked for before there was a gateway to end. */
function endedBefore(managing: Managing | undefined): ExitCode {
  managing?.management.state({ name: 'EXITING', detail: 'SIGTERM' });
  return ExitCode.Ok;
}

function start(
  { forcedCrypto, ...options }: TunnelOptions,
  managing: Managing | undefined,
): Promise<Gateway> {
  const logRedirect = options.config.process.logFile !== undefined;
  return startGateway({
    ...options,
    logRedirect,
    ...(managing === undefined ? {} : { overseer: managing.management }),
    ...(forcedCrypto === undefined ? {} : { forcedCrypto }),
  });
}

/** Control socket and `status` file; returns what takes each of them back. */
async function publish(gateway: Gateway, options: TunnelOptions): Promise<(() => void)[]> {
  const { config, name, runtimeDir, log } = options;
  const undo: (() => void)[] = [];
  const server = await startControlServer(runtimeDir, name, {
    status: () => gateway.fullStatus(),
    stop: () => {
      log.info('stop requested by tsvpn down');
      void gateway.stop('control');
      return { pid: process.pid };
    },
    restart: ({ peer }) => {
      gateway.restart('control', peer);
      return { pid: process.pid };
    },
    reload: () => gateway.reload(),
    ...gateway.operations,
  });
  undo.push(() => server.close());
  try {
    if (config.statusFile !== undefined) {
      const { path, intervalSec } = config.statusFile;
      const file = openStatusFile(path, intervalSec, () => gateway.status().traffic, log);
      undo.push(() => file.close());
    }
  } catch (error) {
    for (const step of undo) step();
    throw error;
  }
  return undo;
}

function writePid(path: string): () => void {
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (cause) {
    throw fileError('writepid', path, cause);
  }
  return () => {
    try {
      unlinkSync(path);
    } catch {
      // Somebody else removed it: that is what we wanted.
    }
  };
}

/** Waits for the end of the tunnel, or for the peer's silence to last too long. */
async function untilDone(gateway: Gateway, options: TunnelOptions): Promise<ExitCode> {
  const { waitSec, report } = options;
  let silent = false;
  const timer =
    waitSec === undefined
      ? undefined
      : setTimeout(() => {
          silent = true;
          void gateway.stop('peer silent');
        }, waitSec * 1000);
  gateway.onConnected(() => {
    clearTimeout(timer);
    notifySystemd(options.env, 'STATUS=Initialization Sequence Completed');
    report({ kind: 'connected', endpoints: gateway.status().peers.map(({ endpoint }) => endpoint ?? '') });
  });
  const exit = await gateway.done;
  notifySystemd(options.env, 'STOPPING=1');
  clearTimeout(timer);
  if (silent) throw peerSilent(gateway.status(), waitSec ?? 0, false);
  return exit.exitCode;
}

/** A fault of ours while packets flow: say so, undo what we can, and end with exit code 70. */
function exitOnFault(gateway: Gateway, log: Logger): void {
  process.once('uncaughtException', (error) => {
    log.fatal({ err: error }, `unexpected error: ${error.message}`);
    setTimeout(() => process.exit(ExitCode.Bug), LAST_STOP_MS);
    void gateway.stop('unexpected error').finally(() => process.exit(ExitCode.Bug));
  });
}
