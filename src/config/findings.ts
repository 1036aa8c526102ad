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
  readonly why?: string | undefined;
  readonly fix?: string | undefined;
}

/** What came from the config may hold anything; a message is one line without control characters. */
function oneLine(message: string): string {
  return message.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

/** A word of the config as a message quotes it: not endless. */
export function shorten(word: string): string {
  return word.length > 60 ? `${word.slice(0, 57)}...` : word;
}

export function noFindings(): Findings {
  return { errors: [], warnings: [] };
}

type Finding = OperatorError | ConfigWarning;

/** Adds the findings of a part to those of the whole, each once: several peers may share a line. */
export function addFindings(findings: Findings, { errors, warnings }: Findings): void {
  findings.errors.push(...fresh(findings.errors, errors));
  findings.warnings.push(...fresh(findings.warnings, warnings));
}

function fresh<T extends Finding>(known: readonly T[], found: readonly T[]): T[] {
  const key = ({ what, where }: T) => `${where?.file}:${where?.line}: ${what}`;
  const keys = new Set(known.map(key));
  return found.filter((each) => !keys.has(key(each)));
}

/** Records an error that makes the config unusable. */
export function refuse(
  findings: Findings,
  where: SourcePosition,
  code: string,
  what: string,
  advice: Advice = {},
): void {
  findings.errors.push(
    new OperatorError({ code, what: oneLine(what), where, exitCode: ExitCode.Usage, ...advice }),
  );
}

/** Records something the operator should know before the tunnel is used. */
export function warn(
  findings: Findings,
  where: SourcePosition,
  code: string,
  what: string,
  advice: Advice = {},
): void {
  findings.warnings.push({ severity: 'warning', code, what: oneLine(what), where, ...advice });
}

/** Records something only `tsvpn check` mentions. */
export function remark(
  findings: Findings,
  where: SourcePosition,
  code: string,
  what: string,
  advice: Advice = {},
): void {
  findings.warnings.push({ severity: 'remark', code, what: oneLine(what), where, ...advice });
}

/** Puts errors and warnings in the order of the config's lines; an included file stays together. */
export function sortByPosition(findings: Findings): void {
  const files = [...findings.errors, ...findings.warnings].map(({ where }) => where?.file);
  const rank = ({ where }: { readonly where: SourcePosition | undefined }) => files.indexOf(where?.file);
  const order = (a: Finding, b: Finding) =>
    rank(a) - rank(b) ||
    (a.where?.line ?? 0) - (b.where?.line ?? 0) ||
    (a.where?.column ?? 0) - (b.where?.column ?? 0);
  findings.errors.sort(order);
  findings.warnings.sort(order);
}
