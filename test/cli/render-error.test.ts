import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodeOf, renderError, renderErrorJson } from '../../src/cli/render-error.ts';
import { plain } from '../../src/control/colour.ts';
import { ExitCode, OperatorError, OperatorErrors, type OperatorErrorDetail } from '../../src/errors.ts';
import { tempDir } from '../support/temp-dir.ts';

const detail = (more: Partial<OperatorErrorDetail> = {}): OperatorErrorDetail => ({
  code: 'CONFIG_UNKNOWN_DIRECTIVE',
  what: 'unknown directive `cypher`',
  exitCode: ExitCode.Usage,
  ...more,
});
const render = (more: Partial<OperatorErrorDetail>) => renderError(new OperatorError(detail(more)), plain);

function file(...lines: string[]): string {
  const path = join(tempDir(), 'site-a.conf');
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

const KEY_LINE = '0123456789abcdef0123456789abcdef';

describe('error text', () => {
  test('says what, where with the source line and a caret, why, and what to do', () => {
    const path = file('dev tun', 'verb 3 # cypher', 'remote gw  cypher');
    expect(
      render({
        where: { file: path, line: 3, column: 12 },
        why: 'it is not in the table',
        fix: 'did you mean `cipher`?',
      }),
    ).toBe(
      [
        'error: unknown directive `cypher`',
        `  at ${path}:3:12`,
        '  3 | remote gw  cypher',
        '    |            ^',
        '  why: it is not in the table',
        '  fix: did you mean `cipher`?',
        '  [CONFIG_UNKNOWN_DIRECTIVE]',
        '',
      ].join('\n'),
    );
  });

  test('the caret counts bytes of the file and columns of the screen', () => {
    const path = file('rémöte\tgw');
    const [, , source, caret] = render({ where: { file: path, line: 1, column: 10 } }).split('\n');
    expect(source.indexOf('gw')).toBe(caret.indexOf('^'));
  });

  test('further lines of a fix are indented below the first', () => {
    expect(render({ fix: 'either this\nor that' })).toContain('  fix: either this\n       or that\n');
  });

  test.each<[string, string[], number]>([
    ['inside an inline block', ['<secret>', 'x not hex', '</secret>'], 2],
    ['of a key file', ['-----BEGIN OpenVPN Static key V1-----', 'secretish', 'z'], 3],
    ['that looks like key material', ['dev tun', KEY_LINE], 2],
    ['inside a mistyped block', ['<secert>', 'abc', '</secert>'], 2],
    ['that is a comment, which stands for the whole file', ['# written by hand'], 1],
    ['that is too long for a screen', ['x'.repeat(500)], 1],
    ['that does not exist', ['dev tun'], 9],
  ])('does not show a line %s', (_row, lines, line) => {
    const text = render({ where: { file: file(...lines), line, column: 1 } });
    expect(text).not.toContain(' | ');
    expect(text).toContain(`.conf:${line}:1`);
  });

  test('shows the line that opens a block', () => {
    expect(render({ where: { file: file('<secret>'), line: 1, column: 1 } })).toContain('1 | <secret>');
  });

  test.each(['/nonexistent/file', '/', '/dev/zero'])(
    'a position in %s is shown without its source',
    (path) => {
      expect(render({ where: { file: path, line: 1, column: 1 } })).toContain(`at ${path}:1:1\n  [`);
    },
  );

  test('escapes control characters from a config', () => {
    const text = render({
      what: 'unknown directive `\u001b[2J`',
      where: { file: file('\u001b[2J x'), line: 1, column: 1 },
    });
    expect(text).not.toContain('\u001b');
    expect(text).toContain('1 | \\u001b[2J x');
  });

  test('reports every error of a file and their number', () => {
    const errors = new OperatorErrors([
      new OperatorError(detail()),
      new OperatorError(detail({ what: 'second' })),
    ]);
    const text = renderError(errors, plain);
    expect(text.match(/^error:/gm)).toHaveLength(2);
    expect(text).toContain('2 errors found.');
  });
});

describe('unexpected errors', () => {
  test('exit with 70, show the stack, and say how to report', () => {
    const error = new TypeError('undefined is not a function');
    expect(exitCodeOf(error)).toBe(70);
    const text = renderError(error, plain);
    expect(text).toContain('TypeError: undefined is not a function');
    expect(text).toContain('render-error.test.ts');
    expect(text).toMatch(/tsvpn \d+\.\d+\.\d+, Node v/);
    expect(text).toContain('report');
  });

  test('a thrown value that is no error is still shown', () => {
    expect(renderError('boom', plain)).toContain('boom');
    expect(JSON.parse(renderErrorJson('boom'))).toMatchObject({ errors: [{ code: 'BUG', exitCode: 70 }] });
  });
});

describe('error JSON', () => {
  test('is one line with everything the text has', () => {
    const where = { file: 'a.conf', line: 1, column: 2 };
    const json = renderErrorJson(new OperatorErrors([new OperatorError(detail({ where, fix: 'a\nb' }))]));
    expect(json.split('\n')).toHaveLength(2);
    expect(JSON.parse(json)).toEqual({
      schema: 'tsvpn.error/1',
      errors: [
        {
          code: 'CONFIG_UNKNOWN_DIRECTIVE',
          what: 'unknown directive `cypher`',
          fix: 'a\nb',
          where,
          exitCode: 2,
        },
      ],
    });
  });
});

test('several errors exit with the code of the first', () => {
  const errors = [new OperatorError(detail({ exitCode: ExitCode.Key })), new OperatorError(detail())];
  expect(exitCodeOf(new OperatorErrors(errors))).toBe(3);
});
