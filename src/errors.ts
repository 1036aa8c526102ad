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
  readonly exitCode: ExitCode;
  readonly cause?: unknown;
}

export class OperatorError extends Error {
  readonly code: string;
  readonly what: string;
  readonly why: string | undefined;
  readonly fix: string | undefined;
  readonly where: SourcePosition | undefined;
  readonly exitCode: ExitCode;

  constructor(detail: OperatorErrorDetail) {
    super(detail.what, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'OperatorError';
    this.code = detail.code;
    this.what = detail.what;
    this.why = detail.why;
    this.fix = detail.fix;
    this.where = detail.where;
    this.exitCode = detail.exitCode;
  }

  /** What it says, without the cause. */
  get detail(): OperatorErrorDetail {
    const { code, what, why, fix, where, exitCode } = this;
    return { code, what, why, fix, where, exitCode };
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

/** The operator errors in `error`, or undefined when it is a fault of ours. */
export function operatorErrors(error: unknown): readonly OperatorError[] | undefined {
  if (error instanceof OperatorErrors) return error.errors;
  return error instanceof OperatorError ? [error] : undefined;
}

export function formatPosition(where: SourcePosition): string {
  return `${where.file}:${where.line}:${where.column}`;
}
