/** One tunnel in this process, from the lock on its name to the exit code. */
import { unlinkSync, writeFileSync } from 'node:fs';
import type { PeerConfig } from '../config/model.ts';
import { acquireLock } from '../control/lock.ts';
import type { Logger } from '../control/log.ts';
import { openStatusFile } from '../control/openvpn-status.ts';
import { startControlServer } from '../control/server.ts';
import { ExitCode, formatPosition, OperatorError } from '../errors.ts';
import { startGateway, type Gateway } from '../gateway/gateway.ts';
import type { DaemonReport } from './daemon-messages.ts';
import { peerSilent } from './peer-silent.ts';
import { handleSignals } from './signals.ts';

/** A tunnel that fails in a way nobody foresaw gets this long to undo what it did. */
const LAST_STOP_MS = 2000;

export interface TunnelOptions {
  readonly config: PeerConfig;
  /** 256 bytes; overwritten here once the tunnel has started. */
  readonly key: Uint8Array;
  readonly name: string;
  readonly runtimeDir: string;
  readonly log: Logger;
  readonly verbose: boolean;
  /** False for --no-offload. */
  readonly offload: boolean;
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
  const release: (() => void)[] = [() => signals.dispose()];
  try {
    const lock = acquireLock(name, runtimeDir);
    release.push(() => lock.release());
    for (const warning of config.warnings) {
      if (warning.severity === 'warning') log.warn({ code: warning.code }, warningText(warning));
    }
    const gateway = await start(options);
    options.key.fill(0);
    exitOnFault(gateway, log);
    try {
      signals.attach(gateway);
      release.push(...(await publish(gateway, options)));
      if (await gateway.connect())
        options.report({ kind: 'started', pid: process.pid, device: gateway.status().device ?? '' });
      return await untilDone(gateway, options);
    } catch (error) {
      await gateway.stop('start failed');
      throw error;
    }
  } finally {
    for (const undo of release.toReversed()) undo();
    options.key.fill(0);
  }
}

function start({
  config,
  key,
  name,
  runtimeDir,
  log,
  forcedCrypto,
  verbose,
  offload,
}: TunnelOptions): Promise<Gateway> {
  return startGateway({
    config,
    key,
    name,
    runtimeDir,
    log,
    verbose,
    offload,
    ...(forcedCrypto === undefined ? {} : { forcedCrypto }),
  });
}

function warningText({ what, fix, where }: PeerConfig['warnings'][number]): string {
  return `WARNING: ${formatPosition(where)}: ${what}${fix === undefined ? '' : `; ${fix.replaceAll(/\s+/g, ' ')}`}`;
}

/** Control socket, `status` file and `writepid` file; returns what takes each of them back. */
async function publish(gateway: Gateway, options: TunnelOptions): Promise<(() => void)[]> {
  const { config, name, runtimeDir, log } = options;
  const undo: (() => void)[] = [];
  const server = await startControlServer(runtimeDir, name, {
    status: () => gateway.status(),
    stop: () => {
      log.info('stop requested by tsvpn down');
      void gateway.stop('control');
      return { pid: process.pid };
    },
    restart: () => {
      gateway.restart('sigusr1');
      return { pid: process.pid };
    },
  });
  undo.push(() => server.close());
  try {
    if (config.statusFile !== undefined) {
      const { path, intervalSec } = config.statusFile;
      const file = openStatusFile(path, intervalSec, () => gateway.status().traffic, log);
      undo.push(() => file.close());
    }
    if (config.pidFile !== undefined) undo.push(writePid(config.pidFile));
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
    throw new OperatorError({
      code: 'PID_FILE',
      what: `cannot write the pid file ${path}`,
      why: (cause as Error).message,
      fix: 'change the `writepid` line of the config, or create the directory',
      exitCode: ExitCode.Failure,
      cause,
    });
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
    report({ kind: 'connected', endpoint: gateway.status().endpoint ?? '' });
  });
  const exit = await gateway.done;
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
