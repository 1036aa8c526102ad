import { describe, expect, it } from 'vitest';
import { noFindings } from '../../src/config/findings.ts';
import { lexConfig } from '../../src/config/lexer.ts';

function lex(text: string) {
  const findings = noFindings();
  const all = [...lexConfig(text, 'a.conf', 1, findings)];
  const broken = all.filter((line) => line.broken).map(({ name }) => name);
  return { lines: all.filter((line) => !line.broken), broken, errors: findings.errors };
}

function wordsOf(text: string): string[] {
  const { lines, errors } = lex(text);
  expect(errors).toEqual([]);
  return lines.flatMap(({ name, words }) => [name, ...words.map((word) => word.text)]);
}

describe('the words of a line', () => {
  const rows: readonly [rule: string, text: string, words: readonly string[]][] = [
    ['are separated by blanks and tabs', '\t dev \t tun  ', ['dev', 'tun']],
    ['end at a comment', 'dev tun # c', ['dev', 'tun']],
    ['end at a semicolon', 'dev tun ;c', ['dev', 'tun']],
    ['keep a # inside', 'dev a#b;c', ['dev', 'a#b;c']],
    ['may be quoted', 'dev "a b"', ['dev', 'a b']],
    ['may be quoted literally', "dev 'a\\ b\"'", ['dev', 'a\\ b"']],
    ['may be empty', 'dev ""', ['dev', '']],
    ['keep quotes inside', 'dev a"b"c', ['dev', 'a"b"c']],
    ['start after a closing quote', 'dev "a"b', ['dev', 'a', 'b']],
    ['hold escaped blanks', 'dev a\\ b', ['dev', 'a b']],
    ['hold escaped quotes', 'dev "a\\"b"', ['dev', 'a"b']],
    ['hold escaped backslashes', 'dev a\\\\b', ['dev', 'a\\b']],
    ['drop the leading -- of a name', '--dev --tun', ['dev', '--tun']],
    ['survive CRLF', 'dev tun\r\nverb 3\r\n', ['dev', 'tun', 'verb', '3']],
    ['survive a byte order mark', '\uFEFFdev tun', ['dev', 'tun']],
    ['are absent from comments and empty lines', '# a\n;b\n  # c\n\n \t\r\n', []],
  ];
  for (const [rule, text, words] of rows) {
    it(`words ${rule}`, () => expect(wordsOf(text)).toEqual(words));
  }

  it('know line and column, counted in bytes', () => {
    const { lines } = lex('\n  remote  "gré" 1194');
    expect(lines[0].where).toEqual({ file: 'a.conf', line: 2, column: 3 });
    expect(lines[0].words[1].where).toEqual({ file: 'a.conf', line: 2, column: 18 });
  });
});

describe('faults', () => {
  const rows: readonly [rule: string, text: string, code: string, line: number, column: number][] = [
    ['a backslash before a letter', 'verb 3\ndev a\\b', 'CONFIG_BAD_ESCAPE', 2, 6],
    ['a backslash at the end', 'dev a\\', 'CONFIG_BAD_ESCAPE', 1, 6],
    ['an open double quote', 'dev "tun', 'CONFIG_OPEN_QUOTE', 1, 5],
    ['an open single quote', "dev 'tun", 'CONFIG_OPEN_QUOTE', 1, 5],
    ['a line of 255 bytes', `#${'y'.repeat(254)}`, 'CONFIG_LONG_LINE', 1, 1],
    ['a line of 255 bytes in 254 characters', `# é${'y'.repeat(251)}`, 'CONFIG_LONG_LINE', 1, 1],
    ['16 arguments', `echo ${'x '.repeat(16)}`, 'CONFIG_TOO_MANY_WORDS', 1, 36],
    ['a block without end', 'dev tun\n<secret>\nabc\n', 'CONFIG_OPEN_BLOCK', 2, 1],
  ];
  for (const [rule, text, code, line, column] of rows) {
    it(`names ${rule}`, () => {
      const { errors } = lex(text);
      expect(errors.map((error) => error.code)).toEqual([code]);
      expect(errors[0].where).toEqual({ file: 'a.conf', line, column });
    });
  }

  it('accepts a line of 254 bytes', () => {
    expect(lex(`#${'y'.repeat(253)}`).errors).toEqual([]);
  });

  it('are all reported, and the lines between them read', () => {
    const { errors, lines, broken } = lex('dev "a\nverb 3\nping 1\\0\nport 1');
    expect(errors).toHaveLength(2);
    expect(lines.map(({ name }) => name)).toEqual(['verb', 'port']);
    expect(broken).toEqual(['dev', 'ping']);
  });
});

describe('inline blocks', () => {
  it('keep their text and know their first line', () => {
    const { lines } = lex('dev tun\n  <secret>\n a\n# b\n\t</secret> junk\nverb 3');
    expect(lines.map(({ name }) => name)).toEqual(['dev', 'secret', 'verb']);
    expect(lines[1].block).toEqual({ text: ' a\n# b\n', firstLine: 3 });
  });

  it('open with nothing but the tag on the line', () => {
    expect(lex('<secret >\n').lines[0].block).toBeUndefined();
    expect(lex('<a> <b>\n').lines[0].block).toBeUndefined();
  });
});
