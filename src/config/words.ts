/**
 * Directives with a grammar of their own (`nat`, `peer-route`) read their words one after the other. A reader takes what
 * it needs and returns undefined after a fault, which it has recorded.
 */
import { refuse, shorten } from './findings.ts';
import type { Findings } from './findings.ts';
import type { Line, Word } from './lexer.ts';
import { nearest } from './nearest.ts';

/** The words of a line, and how many are taken. */
export interface Words {
  readonly line: Line;
  readonly findings: Findings;
  /** How the line should look. */
  readonly usage: string;
  taken: number;
}

export type Reader<T> = (words: Words) => T | undefined;

export function wordsOf(line: Line, findings: Findings, usage: string): Words {
  return { line, findings, usage, taken: 0 };
}

/** The next word, not yet taken. */
export function peek(words: Words): Word | undefined {
  return words.line.words.at(words.taken);
}

/** Records that `word` is not what belongs there. */
export function refuseWord(words: Words, word: Word, expected: string): undefined {
  const what = `${words.line.name}: \`${shorten(word.text)}\` is not ${expected}`;
  refuse(words.findings, word.where, 'CONFIG_ARGUMENT', what, { fix: `usage: ${words.usage}` });
}

/** Records a fault of a whole NAT line. */
export function refuseRule(words: Words, what: string, fix: string, why?: string): undefined {
  const advice = why === undefined ? { fix } : { why, fix };
  refuse(words.findings, words.line.where, 'CONFIG_NAT', what, advice);
}

function refuseEnd(words: Words, expected: string): undefined {
  const { line, findings, usage } = words;
  const { where } = line.words.at(-1) ?? line;
  const what = `${line.name}: the line ends where ${expected} belongs`;
  refuse(findings, where, 'CONFIG_ARGUMENTS', what, { fix: `usage: ${usage}` });
}

/** Takes the next word; `expected` says what it should be, for the message when there is none. */
export function take(words: Words, expected: string): Word | undefined {
  const word = peek(words);
  if (word === undefined) return refuseEnd(words, expected);
  words.taken += 1;
  return word;
}

/** A reader of one word. */
export function oneWord<T>(expected: string, read: (text: string) => T | undefined): Reader<T> {
  return (words) => {
    const word = take(words, expected);
    if (word === undefined) return undefined;
    return read(word.text) ?? refuseWord(words, word, expected);
  };
}

/** One of these words, which must come next. */
export function keyword<const T extends string>(...choices: readonly T[]): Reader<T> {
  return oneWord(choices.map((choice) => `\`${choice}\``).join(' or '), (text) =>
    choices.find((choice) => choice === text),
  );
}

/** A whole number. */
export function numberWord(min: number, max: number): Reader<number> {
  return oneWord(`a number, ${min} to ${max}`, (text) => {
    const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  });
}

/** A clause without words behind its keyword. */
export const flag: Reader<true> = () => true;

export type Clauses = Readonly<Record<string, Reader<unknown>>>;
export type ClauseValues<C extends Clauses> = { [K in keyof C]?: NonNullable<ReturnType<C[K]>> };

function refuseTwice(words: Words, word: Word): undefined {
  const what = `${words.line.name}: \`${word.text}\` comes a second time`;
  refuse(words.findings, word.where, 'CONFIG_ARGUMENT', what, { fix: `usage: ${words.usage}` });
}

function unknownClause(words: Words, word: Word, names: readonly string[]): undefined {
  const meant = nearest(word.text, names);
  const fix = meant === undefined ? `usage: ${words.usage}` : `did you mean \`${meant}\`?`;
  const what = `${words.line.name}: \`${shorten(word.text)}\` does not belong here`;
  refuse(words.findings, word.where, 'CONFIG_ARGUMENT', what, { fix });
}

/** Reads clauses up to the end of the line: a keyword and what follows it, in any order, each at most once. */
export function readClauses<C extends Clauses>(words: Words, clauses: C): ClauseValues<C> | undefined {
  const values: Record<string, unknown> = {};
  for (let word = peek(words); word !== undefined; word = peek(words)) {
    const name = word.text;
    if (!Object.hasOwn(clauses, name)) return unknownClause(words, word, Object.keys(clauses));
    words.taken += 1;
    if (Object.hasOwn(values, name)) return refuseTwice(words, word);
    const value = clauses[name](words);
    if (value === undefined) return undefined;
    values[name] = value;
  }
  return values as ClauseValues<C>;
}
