/** Where the log of a tunnel goes: the terminal, a file or syslog, as the config says. */
import { closeSync, openSync } from 'node:fs';
import type { GatewayConfig } from '../config/model.ts';
import { createLogger, parseLogFormat, type LogFormat, type Logger, type LogLine } from '../control/log.ts';
import type { Mute } from '../control/mute.ts';
import { openSyslog } from '../control/syslog.ts';
import { fileError, operatorErrors } from '../errors.ts';
import { check, dup2, fcntl } from '../ffi/libc.ts';
import { inOneLine } from '../gateway/warnings.ts';

/** fcntl.h: a copy that programs we start do not get. */
const F_DUPFD_CLOEXEC = 1030;
const STDOUT = 1;
const STDERR = 2;

export interface LogOutputOptions {
  readonly config: GatewayConfig;
  /** Name of the tunnel. */
  readonly name: string;
  readonly verb: number;
  /** `--log-format`. */
  readonly format: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Whether lines name the peer they are about. */
  readonly peerNames: { shown: boolean };
}

export interface LogOutput {
  readonly log: Logger;
  /** Each hears every line of the log from then on (`mute` and `verb` have been applied). */
  readonly listeners: Set<(line: LogLine) => void>;
  /** `mute`, which may be changed. */
  readonly mute: Mute;
  /** An error ends the tunnel: it is written to a log that is not the terminal, which gets stdout and stderr back to show it, too. */
  failed(error: unknown): void;
}

/** Throws OperatorError when the file cannot be opened. */
export function openLogOutput(options: LogOutputOptions): LogOutput {
  const { config, name, verb, env, peerNames } = options;
  const { logFile, syslog, machineReadable } = config.process;
  const restore = logFile && redirectOutput(logFile);
  const toSyslog = logFile === undefined && syslog !== undefined ? openSyslog(syslog) : undefined;
  const listeners: LogOutput['listeners'] = new Set();
  const mute = { limit: config.log.mute };
  const log = createLogger({
    verb,
    mute,
    listener: (line) => {
      for (const listener of listeners) listener(line);
    },
    timestamps: config.log.timestamps,
    tunnel: name,
    peerNames,
    machineReadable,
    format: formatOf(options, logFile !== undefined || machineReadable),
    env,
    syslog: toSyslog,
  });
  const isElsewhere = restore !== undefined || toSyslog !== undefined;
  const failed = (error: unknown) => {
    if (isElsewhere) logErrors(log, error);
    restore?.();
  };
  return { log, listeners, mute, failed };
}

function logErrors(log: Logger, error: unknown): void {
  for (const each of operatorErrors(error) ?? []) log.fatal({ code: each.code }, inOneLine(each));
}

/** Who names a file in the config, or asks for numbers in front, expects lines as OpenVPN's. */
function formatOf({ format, env }: LogOutputOptions, asStock: boolean): LogFormat | undefined {
  if (format !== undefined) return parseLogFormat(format, '--log-format');
  return asStock && !env.TSVPN_LOG ? 'human' : undefined;
}

/** As stock, stdout and stderr go to the file, and with them what scripts print. */
function redirectOutput({ path, append }: { readonly path: string; readonly append: boolean }): () => void {
  const fd = openLog(path, append);
  const saved = [STDOUT, STDERR].map((each) => check('fcntl', fcntl(each, F_DUPFD_CLOEXEC, 0)));
  for (const each of [STDOUT, STDERR]) check('dup2', dup2(fd, each));
  closeSync(fd);
  return () => {
    for (const each of [STDOUT, STDERR]) dup2(saved[each - STDOUT], each);
    for (const each of saved) closeSync(each);
  };
}

function openLog(path: string, append: boolean): number {
  try {
    if (!append) closeSync(openSync(path, 'w', 0o600));
    return openSync(path, 'a', 0o600);
  } catch (cause) {
    throw fileError('log', path, cause);
  }
}
