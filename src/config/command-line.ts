/**
 * OpenVPN's command line: `--NAME WORD...` is the line `NAME WORD...` of a config, and `--config FILE` reads a file at its
 * place. So what a unit or a script says to openvpn can be said to tsvpn.
 */
import { isAbsolute, join } from 'node:path';
import type { SourcePosition } from '../errors.ts';
import type { Line, Word } from './lexer.ts';

/** What stands in place of the file in messages, as in stock's. */
export const COMMAND_LINE = '[CMD-LINE]';

/** The first config file, and the lines in front of it and behind. */
export interface CommandLine {
  /** Undefined when there is no `--config`. */
  readonly file: string | undefined;
  readonly before: readonly Line[];
  readonly after: readonly Line[];
}

/** A file name starts from the `--cd` in front of it. */
export function readCommandLine(words: readonly string[]): CommandLine {
  const lines = directiveLines(words);
  const at = lines.findIndex(({ name, words: { length } }) => name === 'config' && length === 1);
  if (at < 0) return { file: undefined, before: [], after: lines };
  const before = lines.slice(0, at);
  const directories = before.flatMap((line) => (line.name === 'cd' ? (line.words[0]?.text ?? []) : []));
  const file = lines[at].words[0].text;
  return {
    file:
      file === 'stdin'
        ? file
        : [...directories, file].reduce((from, path) => (isAbsolute(path) ? path : join(from, path))),
    before,
    after: lines.slice(at + 1),
  };
}

/** `words` begins with a word that begins with `--`. */
export function directiveLines(words: readonly string[]): Line[] {
  const lines: { name: string; where: SourcePosition; words: Word[] }[] = [];
  let column = 1;
  for (const text of words) {
    const where = { file: COMMAND_LINE, line: 1, column };
    if (text.startsWith('--')) lines.push({ name: text.slice(2), where, words: [] });
    else lines.at(-1)?.words.push({ text, where });
    column += Buffer.byteLength(text) + 1;
  }
  return lines;
}
