/** From a file name to a checked config and its key. The doors to this folder: loadConfig, parseConfig, examine. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkKeyStrength, parseStaticKey } from '../crypto/static-key.ts';
import { ExitCode, OperatorError, OperatorErrors } from '../errors.ts';
import type { SourcePosition } from '../errors.ts';
import { build } from './build.ts';
import type { Built, Secret } from './build.ts';
import { emptyDraft } from './draft.ts';
import { directoryProblem, readRegularFile, readTextFile } from './files.ts';
import type { FileContent, FileProblem } from './files.ts';
import { noFindings, refuse, sortByPosition, warn } from './findings.ts';
import type { Findings } from './findings.ts';
import type { PeerConfig } from './model.ts';
import { createParser, parseText } from './parser.ts';

export interface LoadOptions {
  /** Directory relative paths start from; the process's working directory by default. */
  readonly cwd?: string;
}

export interface LoadedConfig {
  readonly config: PeerConfig;
  /** 256 bytes that belong to the caller. */
  readonly key: Uint8Array;
}

export interface ParseOptions extends LoadOptions {
  /** How `config FILE` lines are read; from disk by default. */
  readonly read?: (path: string) => FileContent | FileProblem;
}

export interface ParsedConfig {
  readonly config: PeerConfig;
  readonly secret: Secret;
}

function interpret(text: string, file: string, findings: Findings, options: ParseOptions): Built {
  const draft = emptyDraft(findings, resolve(options.cwd ?? process.cwd()));
  parseText(createParser(draft, options.read ?? readTextFile), text, file);
  const built = build(draft, file);
  sortByPosition(findings);
  return built;
}

/**
 * Reads a config from its text; `file` is its name in messages. The key is not read.
 * Throws OperatorErrors with everything that is wrong.
 */
export function parseConfig(text: string, file: string, options: ParseOptions = {}): ParsedConfig {
  const findings = noFindings();
  const { config, secret } = interpret(text, file, findings, options);
  if (config === undefined || secret === undefined) throw new OperatorErrors(findings.errors);
  return { config, secret };
}

/** Warns about a file with the key in it that others may read, as stock does for key files. */
function checkMode(
  findings: Findings,
  path: string,
  mode: number,
  what: string,
  where: SourcePosition,
): void {
  if ((mode & 0o077) === 0) return;
  const everybody = (mode & 0o004) !== 0;
  const reader = everybody
    ? 'EVERYBODY on this machine can read it'
    : 'its group or others have access to it';
  warn(findings, where, 'KEY_FILE_MODE', `${what} ${path} is not private: ${reader}`, {
    why: 'whoever reads the key can read and forge all traffic of the tunnel, past traffic included',
    fix: `chmod 600 ${path}`,
  });
}

type KeyFile = Extract<Secret, { kind: 'file' }>;

/** What to do about a key file that cannot be read. */
function keyFileFix({ path, written, where }: KeyFile, problem: string, cwd: string): string {
  if (problem.includes('permission'))
    return `run tsvpn as root (sudo), or give the file to this user: chown "$USER" ${path} && chmod 600 ${path}`;
  const beside = resolve(cwd, dirname(where.file), written);
  if (beside !== path && existsSync(beside))
    return `as in OpenVPN, names start from the working directory: write \`secret ${beside}\`, or start tsvpn in ${dirname(beside)}`;
  return 'name the key file behind `secret`; `tsvpn genkey FILE` makes one, to be copied to both ends';
}

/** The text of the key with its place, or undefined (recorded). */
function readSecret(
  secret: Secret,
  findings: Findings,
  cwd: string,
): { text: Uint8Array; file: string; firstLine: number } | undefined {
  if (secret.kind === 'inline') {
    return { text: Buffer.from(secret.text), file: secret.where.file, firstLine: secret.firstLine };
  }
  const content = readRegularFile(secret.path);
  if ('problem' in content) {
    findings.errors.push(
      new OperatorError({
        code: 'KEY_FILE',
        what: `the key file ${secret.path} ${content.problem}`,
        fix: keyFileFix(secret, content.problem, cwd),
        where: secret.where,
        exitCode: ExitCode.Key,
      }),
    );
    return undefined;
  }
  checkMode(findings, secret.path, content.mode, 'the key file', secret.where);
  return { text: content.bytes, file: secret.path, firstLine: 1 };
}

function readKey({ config, secret }: Built, findings: Findings, cwd: string): Uint8Array | undefined {
  const source = secret && readSecret(secret, findings, cwd);
  if (source === undefined) return undefined;
  try {
    const key = parseStaticKey(source.text, source);
    if (config !== undefined) checkKeyStrength(key, config.cipher, config.key.where);
    return key;
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    findings.errors.push(error);
    return undefined;
  } finally {
    source.text.fill(0);
  }
}

/** Refuses files that could not be written later, when nobody looks any more. */
function checkWritable(config: PeerConfig, findings: Findings): void {
  for (const [name, path] of [
    ['status', config.statusFile?.path],
    ['writepid', config.pidFile],
  ] as const) {
    if (path === undefined) continue;
    const problem = directoryProblem(dirname(path)) ?? writeProblem(dirname(path));
    if (problem === undefined) continue;
    const where = { file: config.file, line: 1, column: 1 };
    refuse(findings, where, 'CONFIG_FILE', `${name}: the directory of ${path} ${problem}`, {
      fix: `make the directory, or name another file behind \`${name}\``,
    });
  }
}

function writeProblem(directory: string): string | undefined {
  try {
    accessSync(directory, constants.W_OK);
    return undefined;
  } catch {
    return 'is not writable';
  }
}

function readConfigFile(file: string, options: LoadOptions): FileContent {
  const content = readTextFile(resolve(options.cwd ?? process.cwd(), file));
  if (!('problem' in content)) return content;
  throw new OperatorErrors([
    new OperatorError({
      code: 'CONFIG_FILE',
      what: `the config file ${file === '' ? "''" : file} ${content.problem}`,
      fix: 'name a config file; `tsvpn init` writes a pair of them',
      exitCode: ExitCode.Usage,
    }),
  ]);
}

/** Everything a config file comes to. The key belongs to the caller; findings are complete. */
function loadAll(
  file: string,
  findings: Findings,
  options: LoadOptions,
): { built: Built; key: Uint8Array | undefined } {
  const content = readConfigFile(file, options);
  const built = interpret(Buffer.from(content.bytes).toString(), file, findings, options);
  if (built.secret?.kind === 'inline') {
    checkMode(findings, file, content.mode, 'the config file holds the key, and', built.secret.where);
  }
  const key = readKey(built, findings, options.cwd ?? process.cwd());
  if (built.config !== undefined) checkWritable(built.config, findings);
  return { built, key };
}

/**
 * Loads a config file and its key. Throws OperatorErrors with everything that is wrong: exit code 2 for the config,
 * 3 when only the key is at fault.
 */
export function loadConfig(file: string, options: LoadOptions = {}): LoadedConfig {
  const findings = noFindings();
  const { built, key } = loadAll(file, findings, options);
  if (built.config === undefined || key === undefined || findings.errors.length > 0) {
    key?.fill(0);
    throw new OperatorErrors(findings.errors);
  }
  return { config: built.config, key };
}

/** What `tsvpn check` looks at: the config as far as it could be understood, and everything found. */
export interface Examined {
  readonly config: PeerConfig | undefined;
  readonly findings: Findings;
}

/** Loads like loadConfig, but returns what is wrong. The key is read, checked and forgotten. */
export function examineFile(file: string, options: LoadOptions = {}): Examined {
  const findings = noFindings();
  try {
    const { built, key } = loadAll(file, findings, options);
    key?.fill(0);
    return { config: built.config, findings };
  } catch (error) {
    if (!(error instanceof OperatorErrors)) throw error;
    findings.errors.push(...error.errors);
    return { config: undefined, findings };
  }
}
