/**
 * Errors for people: every failure an operator can cause or meet is an OperatorError that says what happened,
 * where, why, and what to do. Packet verdicts are counted (packet/verdict.ts) and never thrown; a programmer's
 * mistake is a plain Error and ends the process with exit code 70.
 */

/** The process exit codes, as printed by `tsvpn help exit-codes`. */
export const ExitCode = {
  Ok: 0,
  Failure: 1,
  Usage: 2,
  Key: 3,
  Privilege: 4,
  Busy: 5,
  PeerSilent: 6,
  Bug: 70,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A position in a file; line and column count from 1, column in bytes. */
export interface SourcePosition {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Where the directives of a config stand, by their names. */
export type DirectiveLines = Readonly<Record<string, SourcePosition | undefined>>;

/** What an error says; without `cause` it may cross to another thread or process. */
export interface OperatorErrorDetail {
  /** Stable machine-readable name, for example `CONFIG_UNKNOWN_DIRECTIVE`. */
  readonly code: string;
  /** What happened, one line, no trailing full stop. */
  readonly what: string;
  readonly why?: string | undefined;
  /** What the operator should do now; may span lines. */
  readonly fix?: string | undefined;
  readonly where?: SourcePosition | undefined;
  /** The directives it may stem from, the likeliest first, where only others know the config: see `locate`. */
  readonly directives?: readonly string[];
  readonly exitCode: ExitCode;
  readonly cause?: unknown;
}

export class OperatorError extends Error {
  readonly code: string;
  readonly what: string;
  readonly why: string | undefined;
  readonly fix: string | undefined;
  readonly where: SourcePosition | undefined;
  readonly directives: readonly string[];
  readonly exitCode: ExitCode;

  constructor(detail: OperatorErrorDetail) {
    super(detail.what, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'OperatorError';
    this.code = detail.code;
    this.what = detail.what;
    this.why = detail.why;
    this.fix = detail.fix;
    this.where = detail.where;
    this.directives = detail.directives ?? [];
    this.exitCode = detail.exitCode;
  }

  /** What it says, without the cause. */
  get detail(): OperatorErrorDetail {
    const { code, what, why, fix, where, directives, exitCode } = this;
    return { code, what, why, fix, where, directives, exitCode };
  }
}

/** Several operator errors reported together (all findings of one config file, not just the first). */
export class OperatorErrors extends Error {
  readonly errors: readonly OperatorError[];

  constructor(errors: readonly OperatorError[]) {
    super(errors.map((error) => error.what).join('; '));
    this.name = 'OperatorErrors';
    this.errors = errors;
  }

  get exitCode(): ExitCode {
    return this.errors[0]?.exitCode ?? ExitCode.Failure;
  }
}

/** Files that are written, by the directive that names them. */
const FILES = {
  log: { code: 'LOG_FILE', name: 'log file' },
  status: { code: 'STATUS_FILE', name: 'status file' },
  writepid: { code: 'PID_FILE', name: 'pid file' },
  'replay-persist': { code: 'REPLAY_FILE', name: 'replay-persist file' },
} as const;

/** A file that the config names cannot be opened. */
export function fileError(directive: keyof typeof FILES, path: string, cause: unknown): OperatorError {
  const { code, name } = FILES[directive];
  return new OperatorError({
    code,
    what: `cannot write the ${name} ${path}`,
    why: (cause as Error).message,
    fix: `create its directory, make it writable, or name another file behind \`${directive}\``,
    directives: [directive],
    exitCode: ExitCode.Failure,
    cause,
  });
}

/** The error with the place of the line it stems from, if it has none yet and `lines` knows that line. */
export function locate(error: OperatorError, lines: DirectiveLines): OperatorError {
  const line = error.directives.find((name) => lines[name] !== undefined);
  if (error.where !== undefined || line === undefined) return error;
  return new OperatorError({ ...error.detail, where: lines[line], cause: error.cause });
}

/** The same for whatever was thrown. */
export function locateThrown(error: unknown, lines: DirectiveLines): unknown {
  if (error instanceof OperatorError) return locate(error, lines);
  if (!(error instanceof OperatorErrors)) return error;
  return new OperatorErrors(error.errors.map((each) => locate(each, lines)));
}

/** The operator errors in `error`, or undefined when it is a fault of ours. */
export function operatorErrors(error: unknown): readonly OperatorError[] | undefined {
  if (error instanceof OperatorErrors) return error.errors;
  return error instanceof OperatorError ? [error] : undefined;
}

export function formatPosition(where: SourcePosition): string {
  return `${where.file}:${where.line}:${where.column}`;
}
