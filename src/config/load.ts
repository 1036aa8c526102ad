/** From file names to a checked gateway and its keys. The doors to this folder: loadGateway, parseGateway, examineFiles. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkKeyStrength, parseStaticKey } from '../crypto/static-key.ts';
import { ExitCode, OperatorError, OperatorErrors } from '../errors.ts';
import type { SourcePosition } from '../errors.ts';
import { build } from './build.ts';
import type { Built, Secret } from './build.ts';
import { joinFiles } from './build/gateway.ts';
import type { FilePart } from './build/gateway.ts';
import { emptyDraft } from './draft.ts';
import type { Draft } from './draft.ts';
import { directoryProblem, readRegularFile, readTextFile } from './files.ts';
import type { FileContent, FileProblem } from './files.ts';
import { addFindings, noFindings, refuse, sortByPosition, warn } from './findings.ts';
import type { Findings } from './findings.ts';
import type { GatewayConfig } from './model.ts';
import { createParser, parseText } from './parser.ts';
import { tunnelName } from './tunnel-name.ts';

export interface LoadOptions {
  /** Directory relative paths start from; the process's working directory by default. */
  readonly cwd?: string;
}

export interface LoadedGateway {
  readonly config: GatewayConfig;
  /** 256 bytes for each peer, in the order of `config.peers`; they belong to the caller. */
  readonly keys: readonly Uint8Array[];
}

export interface ParseOptions extends LoadOptions {
  /** How `config FILE` lines are read; from disk by default. */
  readonly read?: (path: string) => FileContent | FileProblem;
}

/** The text of one config file and its name in messages. */
export interface ConfigText {
  readonly file: string;
  readonly text: string;
}

export interface ParsedGateway {
  readonly config: GatewayConfig;
  /** Where the peers' keys are, in the order of `config.peers`. */
  readonly secrets: readonly Secret[];
}

interface Interpreted {
  readonly config: GatewayConfig | undefined;
  readonly peers: readonly Built[];
}

function readDraft({ text, file }: ConfigText, options: ParseOptions): Draft {
  const draft = emptyDraft(noFindings(), resolve(options.cwd ?? process.cwd()));
  parseText(createParser(draft, options.read ?? readTextFile), text, file);
  return draft;
}

function interpret(texts: readonly ConfigText[], findings: Findings, options: ParseOptions): Interpreted {
  const parts = texts.map((source): FilePart => {
    const draft = readDraft(source, options);
    const { file } = source;
    const where = { file, line: 1, column: 1 };
    const name = tunnelName(file);
    const peers = [build({ draft, file, name, where, onlyOfFile: true, onlyOne: texts.length === 1 })];
    addFindings(findings, draft.findings);
    return { file, draft, peers };
  });
  const config = joinFiles(parts, findings);
  sortByPosition(findings);
  return {
    config: findings.errors.length === 0 ? config : undefined,
    peers: parts.flatMap(({ peers }) => peers),
  };
}

/** Reads configs from their texts, without the keys. Throws OperatorErrors with everything that is wrong. */
export function parseGateway(texts: readonly ConfigText[], options: ParseOptions = {}): ParsedGateway {
  const findings = noFindings();
  const { config, peers } = interpret(texts, findings, options);
  if (config === undefined) throw new OperatorErrors(findings.errors);
  return { config, secrets: peers.flatMap(({ secret }) => secret ?? []) };
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
function checkWritable(config: GatewayConfig, findings: Findings): void {
  for (const [name, path] of [
    ['status', config.statusFile?.path],
    ['writepid', config.pidFile],
  ] as const) {
    if (path === undefined) continue;
    const problem = directoryProblem(dirname(path)) ?? writeProblem(dirname(path));
    if (problem === undefined) continue;
    const where = { file: config.files[0], line: 1, column: 1 };
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

/** Everything the files come to. The keys belong to the caller; findings are complete. */
function loadAll(
  files: readonly string[],
  findings: Findings,
  options: LoadOptions,
): { config: GatewayConfig | undefined; keys: (Uint8Array | undefined)[] } {
  const contents = files.map((file) => readConfigFile(file, options));
  const texts = contents.map(({ bytes }, i) => ({ file: files[i], text: Buffer.from(bytes).toString() }));
  const { config, peers } = interpret(texts, findings, options);
  for (const { secret } of peers) {
    const index = secret?.kind === 'inline' ? files.indexOf(secret.where.file) : -1;
    if (secret === undefined || index < 0) continue;
    checkMode(
      findings,
      files[index],
      contents[index].mode,
      'the config file holds the key, and',
      secret.where,
    );
  }
  const keys = peers.map((peer) => readKey(peer, findings, options.cwd ?? process.cwd()));
  if (config !== undefined) checkWritable(config, findings);
  return { config, keys };
}

function wipe(keys: readonly (Uint8Array | undefined)[]): void {
  for (const key of keys) key?.fill(0);
}

/**
 * Loads config files and the keys of their peers: one gateway, whose peers come in the order of the files. Throws
 * OperatorErrors with everything that is wrong: exit code 2 for the config, 3 when only a key is at fault.
 */
export function loadGateway(files: readonly string[], options: LoadOptions = {}): LoadedGateway {
  const findings = noFindings();
  const { config, keys } = loadAll(files, findings, options);
  const complete = keys.flatMap((key) => key ?? []);
  if (config === undefined || complete.length < keys.length || findings.errors.length > 0) {
    wipe(keys);
    throw new OperatorErrors(findings.errors);
  }
  return { config, keys: complete };
}

/** What `tsvpn check` looks at: the config as far as it could be understood, and everything found. */
export interface Examined {
  readonly config: GatewayConfig | undefined;
  readonly findings: Findings;
}

/** Loads like loadGateway, but returns what is wrong. The keys are read, checked and forgotten. */
export function examineFiles(files: readonly string[], options: LoadOptions = {}): Examined {
  const findings = noFindings();
  try {
    const { config, keys } = loadAll(files, findings, options);
    wipe(keys);
    return { config, findings };
  } catch (error) {
    if (!(error instanceof OperatorErrors)) throw error;
    findings.errors.push(...error.errors);
    return { config: undefined, findings };
  }
}
