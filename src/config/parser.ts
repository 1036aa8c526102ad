/**
 * Walks the lines of a config through the directive table and fills a Draft. Directives that steer the reading itself
 * (config, cd, setenv opt, ignore-unknown-option, <connection>) are handled here, all others by their row.
 */
import { resolve } from 'node:path';
import type { Argument } from './arguments.ts';
import { readConnection, scopeOf } from './connection.ts';
import { findDirective, nearestDirective } from './directives.ts';
import { synopsis } from './directives/spec.ts';
import type { DirectiveSpec } from './directives/spec.ts';
import type { Draft } from './draft.ts';
import { refuse, shorten, remark, warn } from './findings.ts';
import { directoryProblem } from './files.ts';
import { lexConfig } from './lexer.ts';
import type { Line, Word } from './lexer.ts';
import { configPath, type ReadConfig } from './pipes.ts';

/** Stock's limit on `config` inside `config`. */
const MAX_DEPTH = 10;
/** Stock has no limit on their number, so a file that includes itself twice keeps it busy for ever. */
const MAX_INCLUDES = 100;

export interface Parser {
  readonly draft: Draft;
  /** The config file as given. */
  readonly file: string;
  /** The lines are those of a `<peer>` block. */
  readonly inPeer: boolean;
  readonly read: ReadConfig;
  /** Names from `ignore-unknown-option`. */
  readonly tolerated: Set<string>;
  /** `setenv FORWARD_COMPATIBLE 1` was seen: unknown directives are warnings from here on. */
  forwardCompatible: boolean;
  /** `config` lines followed so far. */
  includes: number;
}

export function createParser(draft: Draft, file: string, read: Parser['read']): Parser {
  return { draft, file, inPeer: false, read, tolerated: new Set(), forwardCompatible: false, includes: 0 };
}

/** Reads one argument, or all remaining words when it takes the rest. */
function readArgument(
  arg: Argument<unknown>,
  words: readonly Word[],
  line: Line,
  draft: Draft,
  usage: () => string,
): { value: unknown; ok: boolean } {
  if (words.length === 0) return { value: undefined, ok: true };
  if (arg.rest) return { value: words.map((each) => each.text), ok: true };
  const read = arg.read(words[0].text);
  if ('value' in read) return { value: read.value, ok: true };
  const what = `${line.name}: \`${shorten(words[0].text)}\` is not ${read.expected}`;
  refuse(draft.findings, words[0].where, 'CONFIG_ARGUMENT', what, { fix: `usage: ${usage()}` });
  return { value: undefined, ok: false };
}

function checkCount(spec: DirectiveSpec, line: Line): string | undefined {
  const required = spec.args.filter((arg) => !arg.optional).length;
  const most = spec.args.some((arg) => arg.rest) ? Infinity : spec.args.length;
  const count = line.words.length;
  if (line.block !== undefined && spec.block) return undefined;
  if (count < required)
    return `${line.name} needs ${required === 1 ? 'an argument' : `${required} arguments`}`;
  if (count > most)
    return most === 0 ? `${line.name} takes no argument` : `too many arguments for ${line.name}`;
  return undefined;
}

/** Reads all arguments of a line; undefined after a fault (recorded). */
function readArguments(
  spec: DirectiveSpec,
  line: Line,
  draft: Draft,
  lenient: boolean,
): unknown[] | undefined {
  const usage = () => synopsis({ ...spec, name: line.name });
  const countProblem = checkCount(spec, line);
  if (countProblem !== undefined) {
    const where = line.words[spec.args.length]?.where ?? line.where;
    const advice = { fix: `usage: ${usage()}` };
    if (lenient)
      warn(draft.findings, where, 'CONFIG_ARGUMENTS', `${countProblem}; the line is ignored`, advice);
    else refuse(draft.findings, where, 'CONFIG_ARGUMENTS', countProblem, advice);
    return undefined;
  }
  const reads = spec.args.map((arg, i) => readArgument(arg, line.words.slice(i), line, draft, usage));
  return reads.every((read) => read.ok) ? reads.map((read) => read.value) : undefined;
}

function unknownDirective(parser: Parser, line: Line, lenient: boolean): void {
  const { findings } = parser.draft;
  const what = `unknown directive \`${shorten(line.name)}\``;
  if (lenient || parser.forwardCompatible || parser.tolerated.has(line.name)) {
    warn(findings, line.where, 'CONFIG_UNKNOWN_DIRECTIVE', `${what} is ignored`);
    return;
  }
  if (/^-+BEGIN$/.test(line.name)) {
    refuse(findings, line.where, 'CONFIG_UNKNOWN_DIRECTIVE', 'a key outside of a block', {
      fix: 'put the key between a line <secret> and a line </secret>',
    });
    return;
  }
  if (line.name === '<peer') {
    refuse(findings, line.where, 'CONFIG_UNKNOWN_DIRECTIVE', 'the tag <peer> takes no name', {
      why: 'OpenVPN would not load the file either',
      fix: '<peer>\nname NAME',
    });
    return;
  }
  const meant = nearestDirective(line.name);
  if (meant !== undefined) parser.draft.mentioned.add(meant);
  refuse(findings, line.where, 'CONFIG_UNKNOWN_DIRECTIVE', what, {
    fix:
      meant === undefined
        ? 'docs/directives.md lists all directives; `setenv opt NAME ...` ignores an unknown one'
        : `did you mean \`${meant}\`?`,
  });
}

/** Tells why a directive does nothing or cannot be used. */
function answerOther(draft: Draft, spec: DirectiveSpec, line: Line): void {
  const { findings } = draft;
  const { answer } = spec;
  const { name, where } = line;
  if (answer.status === 'ignored') {
    if (answer.warning === undefined)
      remark(findings, where, 'CONFIG_NO_EFFECT', `${name} has no effect here`);
    else warn(findings, where, 'CONFIG_NO_EFFECT', `${name} has no effect: ${answer.warning}`);
  } else if (answer.status === 'refused') {
    const { tls, why, fix } = answer;
    if (tls) draft.tlsLines.push(line);
    else refuse(findings, where, 'CONFIG_REFUSED', `${name} cannot be used here`, { why, fix });
  }
}

/** A variable for scripts. As in stock, characters that shells cannot have in a name are left out. */
function addVariable({ draft, inPeer }: Parser, line: Line, prefix: string): void {
  const [variable, value, tooMuch] = line.words;
  const name = variable.text.replace(/\W/g, '');
  if (inPeer) {
    refuse(draft.findings, line.where, 'CONFIG_PEER_BLOCK', `${line.name} inside <peer>`, {
      why: 'scripts are run for the gateway as a whole',
      fix: 'write it in front of the block',
    });
  } else if (name === '') {
    refuse(draft.findings, variable.where, 'CONFIG_ARGUMENT', `${line.name}: not a name for a variable`, {
      fix: 'use letters, digits and underscores',
    });
  } else if (tooMuch !== undefined) {
    refuse(draft.findings, tooMuch.where, 'CONFIG_ARGUMENTS', `too many arguments for ${line.name}`, {
      fix: `put a value with blanks in quotes: ${line.name} ${name} "..."`,
    });
  } else {
    draft.environment.push({ value: [`${prefix}${name}`, value?.text ?? ''], where: line.where });
  }
}

/** `setenv opt DIRECTIVE ...` is the directive, tolerated when unknown; other variables are for scripts. */
function applySetenv(parser: Parser, line: Line, depth: number): void {
  const [variable, ...words] = line.words;
  if (variable.text === 'opt' && words.length > 0) {
    const [first, ...args] = words;
    parseLine(
      parser,
      { name: first.text.replace(/^--(?=.)/, ''), where: first.where, words: args },
      depth,
      true,
    );
  } else if (variable.text === 'FORWARD_COMPATIBLE' && words[0]?.text === '1') {
    parser.forwardCompatible = true;
  } else {
    addVariable(parser, line, '');
  }
}

/** `cd` moves every relative path of the config, as in stock, which opens files only after reading it all. */
function applyCd(parser: Parser, line: Line): void {
  const { draft } = parser;
  const [target] = line.words;
  const directory = resolve(draft.directory, target.text);
  const problem = directoryProblem(directory);
  if (problem === undefined) {
    draft.directory = directory;
    draft.changesDirectory = true;
  } else {
    refuse(draft.findings, target.where, 'CONFIG_CD', `cd: ${shorten(directory)} ${problem}`, {
      fix: 'make the directory, or correct the line',
    });
  }
}

function applyInclude(parser: Parser, line: Line, depth: number): void {
  const { draft } = parser;
  const [name] = line.words;
  parser.includes += 1;
  if (depth >= MAX_DEPTH || parser.includes > MAX_INCLUDES) {
    const limit = depth >= MAX_DEPTH ? `nested deeper than ${MAX_DEPTH}` : `more than ${MAX_INCLUDES}`;
    refuse(draft.findings, line.where, 'CONFIG_INCLUDE', `too many config files: ${limit}`, {
      why: 'does a file include itself?',
    });
    return;
  }
  const content = parser.read(configPath(draft.directory, name.text));
  if ('problem' in content) {
    refuse(draft.findings, name.where, 'CONFIG_INCLUDE', `config: ${shorten(name.text)} ${content.problem}`, {
      why: `relative names start from ${draft.directory}`,
    });
    return;
  }
  parseText(parser, Buffer.from(content.bytes).toString(), name.text, depth + 1);
}

/** Directives that steer the reading; true when the line was one of them. */
function applyControl(parser: Parser, line: Line, depth: number): boolean {
  switch (line.name) {
    case 'setenv':
      applySetenv(parser, line, depth);
      return true;
    case 'setenv-safe':
      addVariable(parser, line, 'OPENVPN_');
      return true;
    case 'cd':
      applyCd(parser, line);
      return true;
    case 'config':
      applyInclude(parser, line, depth);
      return true;
    case 'ignore-unknown-option':
      for (const name of line.words) parser.tolerated.add(name.text.replace(/^--(?=.)/, ''));
      return true;
    case 'connection':
      readConnection(parser.draft, line, readArguments);
      return true;
    default:
      return false;
  }
}

function parseLine(parser: Parser, line: Line, depth: number, lenient: boolean): void {
  const { draft } = parser;
  draft.mentioned.add(line.name);
  const spec = findDirective(line.name);
  if (spec === undefined) {
    unknownDirective(parser, line, lenient);
    return;
  }
  if (line.block !== undefined && !spec.block) {
    refuse(draft.findings, line.where, 'CONFIG_BLOCK', `${line.name} cannot be written as a block`, {
      fix: `usage: ${synopsis(spec)}`,
    });
    return;
  }
  if (spec.answer.status !== 'supported') {
    answerOther(draft, spec, line);
    return;
  }
  if (parser.inPeer && spec.shared) {
    refuse(draft.findings, line.where, 'CONFIG_PEER_BLOCK', `${line.name} inside <peer>`, {
      why: 'it is for the gateway as a whole',
      fix: 'write it in front of the block',
    });
    return;
  }
  const tolerant = lenient || parser.forwardCompatible || parser.tolerated.has(line.name);
  const values = readArguments(spec, line, draft, tolerant);
  if (values === undefined || applyControl(parser, line, depth)) return;
  const scope = scopeOf(draft, spec, line);
  scope.lines[spec.name] = line.where;
  spec.answer.apply(scope, values as never, line);
}

/** Lines of the command line. */
export function parseLines(parser: Parser, lines: readonly Line[]): void {
  for (const line of lines) parseLine(parser, line, 1, false);
}

/** Reads lines into the parser's draft. `file` is their file's name in messages, `firstLine` where they start in it. */
export function parseText(parser: Parser, text: string, file: string, depth = 1, firstLine = 1): void {
  for (const line of lexConfig(text, file, firstLine, parser.draft.findings)) {
    if (line.broken === true) parser.draft.mentioned.add(line.name);
    else parseLine(parser, line, depth, false);
  }
}
