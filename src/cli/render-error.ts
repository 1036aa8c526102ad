/**
 * The one place where errors become text or JSON. Text: what, where with the source line and a caret, why, fix.
 * A line of a key is never shown, whatever the position says.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { Finding } from '../config/explain.ts';
import {
  ExitCode,
  formatPosition,
  OperatorError,
  OperatorErrors,
  operatorErrors,
  type SourcePosition,
} from '../errors.ts';
import type { Paint } from '../control/colour.ts';
import { escapeLines, escapeText } from '../control/escape.ts';
import { VERSION } from '../control/version.ts';

/** Config files are small; of anything larger only the beginning is looked at. */
const SOURCE_MAX = 256 * 1024;
const LINE_SHOWN_MAX = 160;

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof OperatorErrors || error instanceof OperatorError) return error.exitCode;
  return ExitCode.Bug;
}

/** Text for stderr, ending with a line feed. */
export function renderError(error: unknown, paint: Paint): string {
  const list = operatorErrors(error);
  if (list === undefined) return renderBug(error, paint);
  const texts = renderFindings(
    list.map((item) => ({ severity: 'error', ...pick(item) })),
    paint,
  );
  if (list.length > 1) texts.push(`${list.length} errors found.\n`);
  return texts.join('\n');
}

/** One JSON object, ending with a line feed. */
export function renderErrorJson(error: unknown): string {
  const list = operatorErrors(error) ?? [bugAsError(error)];
  const errors = list.map((item) => ({ ...pick(item), exitCode: item.exitCode }));
  return `${JSON.stringify({ schema: 'tsvpn.error/1', errors })}\n`;
}

const SEVERITY_COLOUR = { error: 'red', warning: 'yellow', remark: 'cyan' } as const;

/** Text of each finding, ending with a line feed. */
export function renderFindings(findings: readonly Finding[], paint: Paint): string[] {
  const sources = new Map<string, readonly string[] | undefined>();
  const linesOf = (file: string) => {
    if (!sources.has(file)) sources.set(file, readStart(file)?.split('\n'));
    return sources.get(file);
  };
  return findings.map((finding) => renderFinding(finding, linesOf, paint));
}

/** The lines of a file, as far as they may be looked at. */
type SourceLines = (file: string) => readonly string[] | undefined;

function renderFinding(finding: Finding, linesOf: SourceLines, paint: Paint): string {
  const { severity, what, where, why, fix, code } = finding;
  const lines = [`${paint(SEVERITY_COLOUR[severity], `${severity}:`)} ${paint('bold', escapeText(what))}`];
  if (where !== undefined)
    lines.push(
      `  ${paint('dim', `at ${escapeText(formatPosition(where))}`)}`,
      ...excerpt(where, linesOf(where.file), paint),
    );
  if (why !== undefined) lines.push(labelled('why', why, paint));
  if (fix !== undefined) lines.push(labelled('fix', fix, paint));
  lines.push(
    ...configLines('in this config', finding.here, paint),
    ...configLines("in the peer's config", finding.peer, paint),
  );
  lines.push(paint('dim', `  [${code}]`));
  return `${lines.join('\n')}\n`;
}

function configLines(label: string, lines: readonly string[] | undefined, paint: Paint): string[] {
  if (lines === undefined) return [];
  return [
    `  ${paint('bold', `${label}:`)}`,
    ...lines.map((line) => `      ${paint('cyan', escapeText(line))}`),
  ];
}

function labelled(label: string, text: string, paint: Paint): string {
  return `  ${paint('bold', `${label}:`)} ${escapeLines(text).replaceAll('\n', '\n       ')}`;
}

function pick({ code, what, why, fix, where }: OperatorError) {
  return { code, what, why, fix, where };
}

/** The source line with a caret under the column, or nothing when it cannot or must not be shown. */
function excerpt(where: SourcePosition, lines: readonly string[] | undefined, paint: Paint): string[] {
  const line = lines?.[where.line - 1];
  if (lines === undefined || line === undefined || where.line < 1) return [];
  if (isSecret(lines, where.line - 1)) return [];
  const text = line.replace(/^\ufeff/, '').trimEnd();
  const before = Buffer.from(text)
    .subarray(0, where.column - 1)
    .toString('utf8');
  // A comment is never at fault: the position stands for the whole file.
  if (text === '' || /^\s*[#;]/.test(text) || text.length > LINE_SHOWN_MAX) return [];
  const margin = `  ${where.line} | `;
  const pad = escapeText(before.replaceAll('\t', ' ')).length;
  const shown = escapeText(text.replaceAll('\t', ' '));
  return [
    `${paint('dim', margin)}${shown}`,
    `${' '.repeat(margin.length - 2)}${paint('dim', '|')} ${' '.repeat(pad)}${paint('red', '^')}`,
  ];
}

/** Inside an inline block, inside a PEM-like envelope, or nothing but hex digits: may be key material. */
function isSecret(lines: readonly string[], index: number): boolean {
  const isHex = (line: string) => /[0-9a-f]{24}/i.test(line);
  if (isHex(lines[index])) return true;
  let inside = false;
  for (const line of lines.slice(0, index)) {
    if (/^\s*<\/?(?:peer|connection)>/.test(line)) continue;
    if (/^\s*<[^/>]+>/.test(line) || line.includes('-----BEGIN')) inside = true;
    else if (/^\s*<\/[^>]+>/.test(line)) inside = false;
  }
  return inside && !/^\s*</.test(lines[index]);
}

function readStart(file: string): string | undefined {
  let fd: number | undefined;
  try {
    if (!statSync(file).isFile()) return undefined;
    fd = openSync(file, 'r');
    const bytes = Buffer.alloc(SOURCE_MAX);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, SOURCE_MAX, 0));
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function bugAsError(error: unknown): OperatorError {
  const what = `unexpected error: ${error instanceof Error ? error.message : String(error)}`;
  return new OperatorError({ code: 'BUG', what, fix: REPORT, exitCode: ExitCode.Bug });
}

const REPORT =
  "this is a fault in tsvpn: please report it to the project's issue tracker with the text above";

function renderBug(error: unknown, paint: Paint): string {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const versions = `tsvpn ${VERSION}, Node ${process.version}, ${process.platform} ${process.arch}`;
  return [
    `${paint('red', 'unexpected error:')} ${escapeLines(detail)}`,
    `  ${versions}`,
    labelled('fix', REPORT, paint),
    '',
  ].join('\n');
}
