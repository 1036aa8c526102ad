/**
 * Logs: pino on the main thread, written synchronously to stderr, so that the last line before an exit is never
 * lost. A terminal gets lines as OpenVPN 2.6 prints them, everything else one JSON object per line. Field names:
 * tunnel, peer, endpoint, dst, reason, packetId, bytes, syscall, code.
 */
import { fstatSync } from 'node:fs';
import { isatty } from 'node:tty';
import { pino, type Logger as PinoLogger } from 'pino';
import { OperatorError, ExitCode } from '../errors.ts';
import { painter, plain, type Colour, type Paint } from './colour.ts';
import { escapeLines, escapeText } from './escape.ts';
import { muter, type Mute } from './mute.ts';
import type { Syslog } from './syslog.ts';
import { writeText } from './write-text.ts';

/** What OpenVPN prints from `verb` 2, and from 3 on: less than `info`, which begins with 1. */
export const OWN_LEVELS = { summary: 28, detail: 26 } as const;

export type Logger = PinoLogger<keyof typeof OWN_LEVELS>;
export type LogFormat = 'human' | 'json';
export type LogLevel = 'error' | 'info' | keyof typeof OWN_LEVELS | 'debug';

export interface LogOptions {
  /** `verb` of the config, 0..11. */
  readonly verb: number;
  /** `mute` of the config: log so many warnings of one kind in a row; 0 logs all. */
  readonly mute?: Mute;
  /** False for `suppress-timestamps`. */
  readonly timestamps?: boolean;
  /** Its name, the field `tunnel` of every JSON line. */
  readonly tunnel?: string;
  /** Whether human lines begin with the name of the peer they are about (the field `peer`); looked at for each line. */
  readonly peerNames?: { readonly shown: boolean };
  readonly format?: LogFormat | undefined;
  readonly env?: NodeJS.ProcessEnv;
  /** `machine-readable-output`: human lines begin with numbers in place of a date. */
  readonly machineReadable?: boolean;
  /** Open file descriptor to write to; stderr unless told. */
  readonly fd?: number;
  /** In place of the descriptor: human lines without their date. */
  readonly syslog?: Syslog | undefined;
  /** Hears every line that is logged, wherever it is written to. */
  readonly listener?: (line: LogLine) => void;
}

/** A line of the log for who listens to it, such as the management interface. */
export interface LogLine {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug';
  /** As people read it, without time; may have several lines. */
  readonly text: string;
}

const BY_VERB: readonly LogLevel[] = ['error', 'info', 'summary', 'detail'];

/** OpenVPN's `verb`: 0 errors only, 1 to 3 normal operation, 4 and more for finding faults. */
export function levelOfVerb(verb: number): LogLevel {
  return BY_VERB[verb] ?? 'debug';
}

/** `--log-format` or TSVPN_LOG, checked. */
export function parseLogFormat(value: string, source: string): LogFormat {
  if (value === 'human' || value === 'json') return value;
  throw new OperatorError({
    code: 'LOG_FORMAT',
    what: `${source} is '${value}', which is not a log format`,
    fix: `use ${source}=human or ${source}=json`,
    exitCode: ExitCode.Usage,
  });
}

/** Throws OperatorError when TSVPN_LOG holds anything but `human` or `json`. */
export function createLogger(options: LogOptions): Logger {
  const { fd = 2, env = process.env, syslog } = options;
  const fromEnv = env.TSVPN_LOG ? parseLogFormat(env.TSVPN_LOG, 'TSVPN_LOG') : undefined;
  const format = options.format ?? fromEnv ?? (isatty(fd) ? 'human' : 'json');
  const write =
    syslog === undefined
      ? descriptorWriter(fd, format, options, env)
      : syslogWriter(syslog, options.peerNames);
  const mute = muter(options.mute ?? { limit: 0 });
  const tell = options.listener && lineTeller(options.listener, options.peerNames);
  return pino(
    {
      level: levelOfVerb(options.verb),
      base: options.tunnel === undefined ? {} : { tunnel: options.tunnel },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      customLevels: OWN_LEVELS,
      formatters: { level: (label) => ({ level: label in OWN_LEVELS ? 'info' : label }) },
    },
    {
      write(line: string) {
        for (const shown of mute(line)) {
          write(shown);
          tell?.(shown);
        }
      },
    },
  );
}

/** Takes a line as pino makes it. */
type Writer = (line: string) => void;

function descriptorWriter(
  fd: number,
  format: LogFormat,
  { timestamps = true, machineReadable = false, peerNames }: LogOptions,
  env: NodeJS.ProcessEnv,
): Writer {
  const stamp = machineReadable ? machineStamp : timestamps ? humanStamp : () => '';
  const render =
    format === 'human'
      ? humanRenderer(painter(isatty(fd), env), stamp, peerNames)
      : jsonRenderer(goesToJournal(fd, env));
  return (line) => writeLine(fd, render(line));
}

function syslogWriter(syslog: Syslog, peerNames: LogOptions['peerNames']): Writer {
  const render = humanRenderer(plain, () => '', peerNames);
  return (line) => {
    const { level } = JSON.parse(line) as LogRecord;
    for (const text of render(line).trimEnd().split('\n')) syslog(SYSLOG_PRIORITY[level], text);
  };
}

/** As stock: LOG_ERR, LOG_WARNING, LOG_NOTICE. */
const SYSLOG_PRIORITY: typeof PRIORITY = { fatal: 3, error: 3, warn: 4, info: 5, debug: 5 };

function lineTeller(listener: (line: LogLine) => void, peerNames: LogOptions['peerNames']): Writer {
  const render = humanRenderer(plain, () => '', peerNames);
  return (line) => {
    const { time, level } = JSON.parse(line) as LogRecord;
    listener({ timeMs: Date.parse(time), level, text: render(line).trimEnd() });
  };
}

function humanStamp({ time }: LogRecord): string {
  return `${localTime(new Date(time))} `;
}

/** OpenVPN's flags of a message, hexadecimal: what stands in front of its own. */
const MACHINE_FLAGS: Readonly<Record<LogLine['level'], string>> = {
  fatal: '10',
  error: '20',
  warn: '40',
  info: '1',
  debug: '4',
};

/** Seconds and microseconds since 1970, flags; the clock of the log has milliseconds. */
function machineStamp({ time, level }: LogRecord): string {
  const ms = new Date(time).getTime();
  const micros = String((ms % 1000) * 1000).padStart(6, '0');
  return `${Math.floor(ms / 1000)}.${micros} ${MACHINE_FLAGS[level]} `;
}

const LEVEL_COLOUR: Readonly<Partial<Record<LogLine['level'], Colour>>> = {
  fatal: 'red',
  error: 'red',
  warn: 'yellow',
  debug: 'dim',
};
/** Fields that the human form leaves out, as it does those whose value stands in the text already. */
const QUIET_FIELDS = new Set(['level', 'time', 'tunnel', 'peer', 'msg', 'err']);

interface LogRecord {
  readonly level: LogLine['level'];
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly peer?: string;
  readonly msg?: string;
  readonly err?: { readonly message?: string; readonly stack?: string };
  readonly [field: string]: unknown;
}

function humanRenderer(
  paint: Paint,
  stampOf: (record: LogRecord) => string,
  peerNames: LogOptions['peerNames'],
): (line: string) => string {
  return (line) => {
    const record = JSON.parse(line) as LogRecord;
    const stamp = stampOf(record);
    const colour = LEVEL_COLOUR[record.level];
    const name = peerNames?.shown === true && record.peer !== undefined ? `${escapeText(record.peer)}: ` : '';
    const text = `${name}${humanText(record)}`;
    return `${stamp}${colour === undefined ? text : paint(colour, text)}\n`;
  };
}

function humanText(record: LogRecord): string {
  const { level, msg, err } = record;
  const text = msg ?? err?.message ?? '';
  const fields = Object.entries(record)
    .filter(([name, value]) => !QUIET_FIELDS.has(name) && !text.includes(String(value)))
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const message = escapeText(`${text}${fields.join('')}`);
  const detail = level === 'fatal' || level === 'debug' ? err?.stack : undefined;
  return detail === undefined ? message : `${message}\n${escapeLines(detail)}`;
}

/** `2026-11-22 00:59:42` in local time, as OpenVPN 2.5 and later stamp their lines. */
export function localTime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** syslog priorities, as sd-daemon(3) wants them in front of a line: `<4>` is a warning. */
const PRIORITY: Readonly<Record<LogLine['level'], number>> = {
  fatal: 2,
  error: 3,
  warn: 4,
  info: 6,
  debug: 7,
};

/** pino escapes C0 controls; what else could disturb a terminal that shows the log is escaped here. */
function jsonRenderer(journal: boolean): (line: string) => string {
  return (line) => {
    const text = `${escapeText(line.trimEnd())}\n`;
    if (!journal) return text;
    const level = (JSON.parse(line) as LogRecord).level;
    return `<${PRIORITY[level]}>${text}`;
  };
}

/** JOURNAL_STREAM names device and inode of the socket systemd connected; another fd is not the journal. */
function goesToJournal(fd: number, env: NodeJS.ProcessEnv): boolean {
  if (!env.JOURNAL_STREAM) return false;
  const { dev, ino } = fstatSync(fd);
  return env.JOURNAL_STREAM === `${dev}:${ino}`;
}

/** A reader that is slow is waited for so long, milliseconds. */
const PATIENCE_MS = 100;

/** Writes a line, which a reader that is gone or too slow loses: a tunnel does not stop because nobody reads its log. */
export function writeLine(fd: number, line: string): void {
  try {
    writeText(fd, line, PATIENCE_MS);
  } catch {
    // There is no other place to say so.
  }
}
