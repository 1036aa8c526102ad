/**
 * OpenVPN's config syntax: text in, directive lines out.
 *
 *     name word "word with \"escapes\"" 'literal word' # comment
 *     <name>
 *     inline block, kept as text
 *     </name>
 *
 * Words are separated by blanks. `#` and `;` start a comment, and quotes open, only at the start of a word; a closing
 * quote ends the word even without a blank. A backslash outside single quotes may stand before a blank, a double
 * quote or a backslash only. Faults are recorded and reading goes on with the next line.
 */
import type { SourcePosition } from '../errors.ts';
import { noFindings, refuse } from './findings.ts';
import type { Findings } from './findings.ts';

/** Stock reads lines into 256 bytes (OPTION_LINE_SIZE), of which the line end and a NUL take two. */
const MAX_LINE_BYTES = 254;
/** Stock's MAX_PARMS less the directive's name. */
const MAX_WORDS = 15;

export interface Word {
  readonly text: string;
  readonly where: SourcePosition;
}

/** The text between `<name>` and `</name>`. */
interface Block {
  readonly text: string;
  /** Line number of the block's first line in its file. */
  readonly firstLine: number;
}

export interface Line {
  /** The directive's name, without the optional leading `--`. */
  readonly name: string;
  readonly where: SourcePosition;
  readonly words: readonly Word[];
  readonly block?: Block;
  /** The line has a lexical fault, which is recorded: only its name counts. */
  readonly broken?: true;
}

/** C's isspace(), which is what stock separates words by. */
function isBlank(character: string | undefined): boolean {
  return character !== undefined && ' \t\r\n\v\f'.includes(character);
}

/** What a word without quotes and escapes is made of. */
const PLAIN = /[^ \t\r\n\v\f\\]+/y;

/** One line of text and where it is, for words to be cut out of. */
interface Source {
  readonly text: string;
  /** Size of the text in UTF-8. */
  readonly bytes: number;
  readonly file: string;
  readonly line: number;
}

function position({ text, bytes, file, line }: Source, index: number): SourcePosition {
  const before = bytes === text.length ? index : Buffer.byteLength(text.slice(0, index));
  return { file, line, column: before + 1 };
}

/** A word and the index after it, or undefined after a fault (recorded). */
type Cut = { readonly text: string; readonly end: number } | undefined;

function badEscape(source: Source, index: number, findings: Findings): undefined {
  refuse(findings, position(source, index), 'CONFIG_BAD_ESCAPE', 'a backslash before an ordinary character', {
    why: 'outside single quotes a backslash may only stand before a blank, a double quote or a backslash',
    fix: "write the backslash twice (\\\\), or put the word in single quotes ('...')",
  });
}

/** Reads up to `closing` (a double quote or a blank), resolving backslashes. */
function cutEscaped(source: Source, start: number, quoted: boolean, findings: Findings): Cut {
  const { text } = source;
  let word = '';
  for (let i = start; i < text.length; i++) {
    if (text[i] === '\\') {
      const next = text[i + 1];
      if (next !== '"' && next !== '\\' && !isBlank(next)) return badEscape(source, i, findings);
      word += next;
      i += 1;
    } else if (quoted ? text[i] === '"' : isBlank(text[i])) {
      return { text: word, end: i + 1 };
    } else {
      word += text[i];
    }
  }
  return quoted ? unterminated(source, start - 1, findings) : { text: word, end: text.length };
}

function unterminated(source: Source, start: number, findings: Findings): undefined {
  const quote = source.text[start];
  refuse(findings, position(source, start), 'CONFIG_OPEN_QUOTE', `no closing quotation mark (${quote})`, {
    fix: `close the word with ${quote} on the same line`,
  });
}

function cutWord(source: Source, start: number, findings: Findings): Cut {
  const { text } = source;
  if (text[start] === '"') return cutEscaped(source, start + 1, true, findings);
  if (text[start] !== "'") {
    PLAIN.lastIndex = start;
    const [word] = PLAIN.exec(text) ?? [''];
    const end = start + word.length;
    return text[end] === '\\' ? cutEscaped(source, start, false, findings) : { text: word, end };
  }
  const closing = text.indexOf("'", start + 1);
  if (closing < 0) return unterminated(source, start, findings);
  return { text: text.slice(start + 1, closing), end: closing + 1 };
}

/** The words of one line; `broken` when a fault ended it early. */
function cutWords(source: Source, findings: Findings): { words: Word[]; broken: boolean } {
  const { text } = source;
  const words: Word[] = [];
  let i = 0;
  while (i < text.length) {
    if (isBlank(text[i])) {
      i += 1;
      continue;
    }
    if (text[i] === '#' || text[i] === ';') break;
    const cut = cutWord(source, i, findings);
    if (cut === undefined) return { words, broken: true };
    words.push({ text: cut.text, where: position(source, i) });
    i = cut.end;
  }
  return { words, broken: false };
}

function checkLine(source: Source, findings: Findings): void {
  if (source.bytes > MAX_LINE_BYTES) {
    refuse(
      findings,
      position(source, 0),
      'CONFIG_LONG_LINE',
      `the line is longer than ${MAX_LINE_BYTES} bytes`,
      {
        why: 'OpenVPN does not read such a file, not even when the line is a comment',
        fix: 'break the comment, or shorten the words, so that both ends can read the file',
      },
    );
  }
}

function blockName(words: readonly Word[]): string | undefined {
  if (words.length !== 1) return undefined;
  return /^<([^<>/]+)>$/.exec(words[0].text)?.[1];
}

/** Index of the line that closes block `name`, or -1. Blanks before the tag and text behind it are allowed. */
function findBlockEnd(lines: readonly string[], from: number, name: string): number {
  for (let i = from; i < lines.length; i++) {
    if (lines[i].trimStart().startsWith(`</${name}>`)) return i;
  }
  return -1;
}

function openBlock(where: SourcePosition, name: string, findings: Findings): void {
  refuse(findings, where, 'CONFIG_OPEN_BLOCK', `<${name}> is never closed`, {
    fix: `end the block with a line </${name}>`,
  });
}

/** The words of a command that is one word of the config, by the same rules; undefined after a fault (recorded). */
export function splitCommand(command: Word, findings: Findings): string[] | undefined {
  const { where, text } = command;
  const faults = noFindings();
  const { words, broken } = cutWords(
    { text, bytes: Buffer.byteLength(text), file: where.file, line: where.line },
    faults,
  );
  for (const { code, what, why, fix } of faults.errors) {
    refuse(findings, where, code, `in the command: ${what}`, { why, fix });
  }
  return broken ? undefined : words.map((word) => word.text);
}

/** Takes the words of a line apart into name and arguments. */
function directiveLine(words: readonly Word[], broken: boolean, findings: Findings): Line {
  const [first, ...rest] = words;
  const name = first.text.length > 2 && first.text.startsWith('--') ? first.text.slice(2) : first.text;
  if (!broken && rest.length > MAX_WORDS) {
    const what = `${name} has ${rest.length} arguments; a line holds at most ${MAX_WORDS}`;
    refuse(findings, rest[MAX_WORDS].where, 'CONFIG_TOO_MANY_WORDS', what, {
      why: 'OpenVPN drops the others without a word',
    });
  }
  return { name, where: first.where, words: rest };
}

/**
 * Cuts `text` into directive lines, one when it is asked for: there may be a hundred thousand. `firstLine` is the line number
 * of the first line in `file`.
 */
export function* lexConfig(
  text: string,
  file: string,
  firstLine: number,
  findings: Findings,
): Generator<Line> {
  const rows = text.replace(/^\uFEFF/, '').split('\n');
  for (let i = 0; i < rows.length; i++) {
    const source = { text: rows[i], bytes: Buffer.byteLength(rows[i]), file, line: firstLine + i };
    checkLine(source, findings);
    const { words, broken } = cutWords(source, findings);
    if (words.length === 0) continue;
    const name = blockName(words);
    if (broken || name === undefined) {
      const line = directiveLine(words, broken, findings);
      yield broken ? { ...line, broken } : line;
      continue;
    }
    const { where } = words[0];
    const end = findBlockEnd(rows, i + 1, name);
    if (end < 0) {
      openBlock(where, name, findings);
      yield { name, where, words: [], broken: true };
      return;
    }
    const block = { text: rows.slice(i + 1, end).join('\n') + '\n', firstLine: firstLine + i + 1 };
    yield { name, where, words: [], block };
    i = end;
  }
}
