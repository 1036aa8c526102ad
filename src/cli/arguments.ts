/** Turns the words after a command's name into an Invocation; what is wrong becomes a usage error (exit code 2). */
import { parseArgs } from 'node:util';
import { findDirective } from '../config/directives.ts';
import { nearest } from '../config/nearest.ts';
import { ExitCode, OperatorError } from '../errors.ts';
import type { Command, Invocation, OptionSpec } from './command.ts';

export function usageError(what: string, fix: string): OperatorError {
  return new OperatorError({ code: 'USAGE', what, fix, exitCode: ExitCode.Usage });
}

const seeHelp = (command: Command) => `see \`tsvpn ${command.name} --help\``;

/** `--wait` alone stands for `--wait=DEFAULT`, and `--wait 5` for `--wait=5`: parseArgs knows no optional values. */
function fillBareValues(args: readonly string[], options: Command['options']): string[] {
  const [arg, next, ...rest] = args;
  if (arg === undefined || arg === '--') return [...args];
  const bare = arg.startsWith('--') ? options[arg.slice(2)]?.bare : undefined;
  if (bare === undefined) return [arg, ...fillBareValues(args.slice(1), options)];
  const separate = next !== undefined && /^\d+$/.test(next);
  return separate
    ? [`${arg}=${next}`, ...fillBareValues(rest, options)]
    : [`${arg}=${bare}`, ...fillBareValues(args.slice(1), options)];
}

/** True when help is asked for anywhere before `--`. */
export function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? undefined : end).some((arg) => arg === '--help' || arg === '-h');
}

type Token = {
  kind: string;
  name?: string;
  rawName?: string;
  value?: string | undefined;
  inlineValue?: boolean | undefined;
};

function checkOption(token: Token, spec: OptionSpec | undefined, command: Command): void {
  const written = token.rawName ?? '';
  if (spec === undefined) {
    const guess = nearest(token.name ?? '', Object.keys(command.options));
    const fix = guess === undefined ? seeHelp(command) : `did you mean --${guess}? ${seeHelp(command)}`;
    throw usageError(`unknown option ${written} of tsvpn ${command.name}`, fix);
  }
  if (spec.type === 'boolean' && token.value !== undefined) {
    throw usageError(`option ${written} takes no value`, `write ${written} alone`);
  }
  if (spec.type === 'string') checkValue(token, written, spec);
}

function checkValue(token: Token, written: string, spec: OptionSpec): void {
  const looksLikeOption = !token.inlineValue && token.value?.startsWith('-') && token.value !== '-';
  if (token.value !== undefined && token.value !== '' && !looksLikeOption) return;
  throw usageError(`option ${written} needs a value`, `write ${written} ${spec.value ?? 'VALUE'}`);
}

function checkOperands(operands: readonly string[], command: Command): void {
  const { min, max } = command.operands;
  if (operands.length < min) {
    throw usageError(
      `tsvpn ${command.name} needs ${min === 1 ? 'an argument' : `${min} arguments`}`,
      usageFix(command),
    );
  }
  if (operands.length > max) {
    throw usageError(`unexpected argument '${operands[max]}'`, usageFix(command));
  }
}

const usageFix = (command: Command) => command.usage.map((usage) => `usage: tsvpn ${usage}`).join('\n');

/**
 * Parts the directives from the command's own words: `--NAME` that is a directive and no option of the command, and what
 * follows it up to the next word with `--`.
 */
function splitDirectives(command: Command, args: readonly string[]): { own: string[]; directives: string[] } {
  const own: string[] = [];
  const directives: string[] = [];
  let rest = own;
  for (const [at, word] of args.entries()) {
    if (word === '--') return { own: [...own, ...args.slice(at)], directives };
    if (word.startsWith('--')) rest = isDirective(command, word) ? directives : own;
    rest.push(word);
  }
  return { own, directives };
}

function isDirective({ options }: Command, word: string): boolean {
  return options[word.slice(2)] === undefined && findDirective(word.slice(2)) !== undefined;
}

/** Throws OperatorError (exit code 2) for anything the command's table does not allow. */
export function parseArguments(command: Command, words: readonly string[]): Invocation {
  const { own: args, directives } =
    command.takesDirectives === true ? splitDirectives(command, words) : { own: words, directives: [] };
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, spec]) => [
      name,
      {
        type: spec.type,
        multiple: spec.multiple ?? false,
        ...(spec.short === undefined ? {} : { short: spec.short }),
      },
    ]),
  );
  const { values, positionals, tokens } = parseArgs({
    args: fillBareValues(args, command.options),
    options,
    allowPositionals: true,
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'option') checkOption(token, command.options[token.name], command);
  }
  if (directives.length === 0) checkOperands(positionals, command);
  return {
    operands: positionals,
    directives,
    flag: (name) => values[name] === true,
    value: (name) => (typeof values[name] === 'string' ? values[name] : undefined),
    values: (name) =>
      Array.isArray(values[name]) ? values[name].filter((item) => typeof item === 'string') : [],
  };
}

/** A whole number from an option. Throws OperatorError (exit code 2) outside min..max. */
export function numberOption(text: string, name: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw usageError(`--${name} is '${text}'`, `give a whole number from ${min} to ${max}`);
}
