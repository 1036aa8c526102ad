/**
 * What reading a config file turns up. Every error of a file is collected, never just the first, so the functions
 * here record and return; only the outermost function (load.ts) throws.
 */
import { ExitCode, OperatorError } from '../errors.ts';
import type { SourcePosition } from '../errors.ts';
import type { ConfigWarning } from './model.ts';

export interface Findings {
  readonly errors: OperatorError[];
  readonly warnings: ConfigWarning[];
}

/** Why it matters and what to do about it. */
export interface Advice {
  readonly why?: string;
  readonly fix?: string;
}

export function noFindings(): Findings {
  return { errors: [], warnings: [] };
}

/** Records an error that makes the config unusable. */
export function refuse(
  findings: Findings,
  where: SourcePosition,
  code: string,
  what: string,
  advice: Advice = {},
): void {
  findings.errors.push(new OperatorError({ code, what, where, exitCode: ExitCode.Usage, ...advice }));
}

/** Records something the operator should know before the tunnel is used. */
export function warn(
  findings: Findings,
  where: SourcePosition,
  code: string,
  what: string,
  advice: Advice = {},
): void {
  findings.warnings.push({ severity: 'warning', code, what, where, ...advice });
}

/** Records something only `tsvpn check` mentions. */
export function remark(
  findings: Findings,
  where: SourcePosition,
  code: string,
  what: string,
  advice: Advice = {},
): void {
  findings.warnings.push({ severity: 'remark', code, what, where, ...advice });
}
