/** From file names to a checked gateway and its keys. The doors to this folder: loadGateway, parseGateway, examineFiles. */
import { resolve } from 'node:path';
import { ExitCode, OperatorError, OperatorErrors } from '../errors.ts';
import { build, type Built, type Secret } from './build.ts';
import { joinFiles, type FilePart } from './build/gateway.ts';
import { resolveRoutes } from './build/routes.ts';
import { checkFiles } from './checks/files.ts';
import { checkKeys } from './checks/keys.ts';
import { checkTls } from './checks/tls.ts';
import { COMMAND_LINE, type CommandLine } from './command-line.ts';
import { emptyDraft, type Draft } from './draft.ts';
import { readTextFile, type FileContent } from './files.ts';
import { addFindings, noFindings, sortByPosition, type Findings } from './findings.ts';
import type { GatewayConfig } from './model.ts';
import { createParser, parseLines, parseText } from './parser.ts';
import { readPeers, type PeerDraft } from './peer-block.ts';
import { configPath, type ReadConfig } from './pipes.ts';
import { checkMode, readKey } from './read-key.ts';

export interface LoadOptions {
  /** Directory relative paths start from; the process's working directory by default. */
  readonly cwd?: string;
  /** Lines in front of each file and behind it. */
  readonly commandLine?: Pick<CommandLine, 'before' | 'after'> | undefined;
  /** For a reload: status, log and pid file are open, and `user` need not be somebody who could open them. */
  readonly running?: boolean;
  /** How config files are read, those of `config` lines among them; regular files from disk by default. */
  readonly read?: ReadConfig;
}

export interface LoadedGateway {
  readonly config: GatewayConfig;
  /** 256 bytes for each peer, in the order of `config.peers`; they belong to the caller. */
  readonly keys: readonly Uint8Array[];
}

/** Overwrites them. */
export function forgetKeys({ keys }: LoadedGateway): void {
  for (const key of keys) key.fill(0);
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

interface ReadFile {
  readonly file: string;
  readonly draft: Draft;
  readonly peers: readonly PeerDraft[];
}

function startDirectory({ cwd }: LoadOptions): string {
  return resolve(cwd ?? process.cwd());
}

function readFile({ text, file }: ConfigText, options: LoadOptions): ReadFile {
  const draft = emptyDraft(noFindings(), startDirectory(options));
  const parser = createParser(draft, file, options.read ?? readTextFile);
  parseLines(parser, options.commandLine?.before ?? []);
  parseText(parser, text, file);
  parseLines(parser, options.commandLine?.after ?? []);
  const peers = readPeers(parser);
  for (const each of draftsOf(draft, peers)) checkTls(each);
  return { file, draft, peers };
}

/** The lines outside of the blocks may be a peer's, too. */
function draftsOf(outside: Draft, peers: readonly { readonly draft: Draft }[]): ReadonlySet<Draft> {
  return new Set([outside, ...peers.map(({ draft }) => draft)]);
}

/** `route` lines outside of the blocks of a file whose lines there are no peer. */
function strayRoutes(draft: Draft): Pick<FilePart, 'otherRoutes' | 'lateRoutes'> {
  const { routes, late } = resolveRoutes(draft, {
    peer: undefined,
    addresses: [],
    device: { type: 'tun' },
    remotes: [],
    allowRecursiveRouting: false,
  });
  return { otherRoutes: routes.map(({ route }) => route), lateRoutes: late };
}

function buildFile({ file, draft, peers }: ReadFile, onlyOne: boolean): FilePart {
  const built = peers.map((peer) => build(peer, onlyOne));
  const outside = peers.some((peer) => peer.draft === draft);
  const stray = outside ? undefined : strayRoutes(draft);
  return {
    file,
    draft,
    peers: built,
    otherRoutes: [...(stray?.otherRoutes ?? []), ...built.flatMap((peer) => peer.otherRoutes)],
    lateRoutes: [...(stray?.lateRoutes ?? []), ...built.flatMap((peer) => peer.lateRoutes)],
  };
}

function interpret(texts: readonly ConfigText[], findings: Findings, options: LoadOptions): Interpreted {
  const files = texts.map((text) => readFile(text, options));
  const onlyOne = files.reduce((count, { peers }) => count + peers.length, 0) === 1;
  const parts = files.map((each) => buildFile(each, onlyOne));
  for (const { draft, peers } of parts) {
    for (const each of draftsOf(draft, peers)) addFindings(findings, each.findings);
  }
  const config = joinFiles(parts, startDirectory(options), findings);
  sortByPosition(findings);
  return {
    config: findings.errors.length === 0 ? config : undefined,
    peers: parts.flatMap(({ peers }) => peers),
  };
}

/** Reads configs from their texts, without the keys. Throws OperatorErrors with everything that is wrong. */
export function parseGateway(texts: readonly ConfigText[], options: LoadOptions = {}): ParsedGateway {
  const findings = noFindings();
  const { config, peers } = interpret(texts, findings, options);
  if (config === undefined) throw new OperatorErrors(findings.errors);
  return { config, secrets: peers.flatMap(({ secret }) => secret ?? []) };
}

/** A config may be all on the command line; it is nobody's to read, but for those who see the processes. */
const NO_FILE: FileContent = { bytes: new Uint8Array(), mode: 0o600 };

function readConfigFile(file: string, options: LoadOptions): FileContent {
  if (file === COMMAND_LINE) return NO_FILE;
  const content = (options.read ?? readTextFile)(configPath(startDirectory(options), file));
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
  const keys = peers.map((peer) => readKey(peer, findings, startDirectory(options)));
  const links = peers.flatMap(({ name, secret }, i) => {
    const key = keys[i];
    return secret === undefined || key === undefined ? [] : { peer: name, where: secret.where, key };
  });
  checkKeys(links, findings);
  if (config !== undefined) checkFiles(config, findings, options.running ?? false);
  return { config, keys };
}

function wipe(keys: readonly (Uint8Array | undefined)[]): void {
  for (const key of keys) key?.fill(0);
}

/**
 * Loads config files and the keys of their peers: one gateway, whose peers come in the order of the files. A file may be
 * COMMAND_LINE, which is empty: all lines are those of `commandLine` then. Throws
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
