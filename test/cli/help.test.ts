import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { EXIT_CODES } from '../../src/cli/exit-codes.ts';
import { ExitCode } from '../../src/errors.ts';
import { runMain } from '../support/cli.ts';

const EXAMPLES = COMMANDS.flatMap((command) => command.examples.map(({ line }) => ({ line, command })));

describe('help', () => {
  test.each(EXAMPLES)('the example `$line` parses', ({ line, command }) => {
    const [typed] = line.split(' | ');
    const [program, name, ...args] = typed.replace(/^sudo /, '').split(' ');
    expect([program, name]).toEqual(['tsvpn', command.name]);
    expect(() => parseArguments(command, args)).not.toThrow();
  });

  test.each(COMMANDS)('of $name starts with examples and names every option', async (command) => {
    const { code, out, err } = await runMain([command.name, '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const positions = ['Examples:', 'Usage:', 'Options:'].map((title) => out.indexOf(title));
    expect(positions.toSorted((a, b) => a - b)).toEqual(positions);
    expect(command.examples.length).toBeGreaterThan(0);
    for (const option of Object.keys(command.options)) expect(out).toContain(`--${option}`);
    const long = await runMain(['help', command.name]);
    expect({ ...long, out: long.out.slice(0, out.length) }).toEqual({ code, out, err });
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  test('of a word that is a directive as well explains both', async () => {
    const { out } = await runMain(['help', 'nat']);
    expect(out).toContain('tsvpn nat flush');
    expect(out).toContain('\nnat snat NETWORK into tunnel');
  });

  test.each([
    ['tap', /dev, .*bridge/],
    ['tcp-client', /proto/],
    ['frag', /fragment/],
    ['SIGUSR1', /remap-usr1/],
  ])('on %s, which is neither, names the directives about it', async (word, names) => {
    const { code, err } = await runMain(['help', word]);
    expect(code).toBe(2);
    expect(err).toMatch(names);
  });

  test('on a misspelt word names the nearest', async () => {
    expect((await runMain(['help', 'kepalive'])).err).toContain('did you mean `tsvpn help keepalive`?');
  });

  test('lists every command', async () => {
    const { out } = await runMain(['--help']);
    for (const { name, summary } of COMMANDS) expect(out).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'));
  });

  test.each([['--help'], ['-h'], ['help']])('%s goes to stdout and is a success', async (word) => {
    const { code, out, err } = await runMain([word]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('Examples:');
  });

  test('no command at all shows the help on stderr and is a usage error', async () => {
    const { code, out, err } = await runMain([]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('Commands:');
  });

  test('-h is found behind other words, but not behind --', async () => {
    expect((await runMain(['up', 'x.conf', '-h'])).out).toContain('tsvpn up:');
    expect((await runMain(['down', '--', '-h'])).out).toBe('');
  });

  test('there is a source file for every command and no other', () => {
    const texts = readdirSync('src/cli').map((file) => readFileSync(`src/cli/${file}`, 'utf8'));
    const declared = texts.flatMap((text) =>
      [...text.matchAll(/: Command = \{\s+name: '(\w+)'/g)].map((match) => match[1]),
    );
    expect(declared.toSorted()).toEqual(COMMANDS.map(({ name }) => name).toSorted());
  });
});

describe('help exit-codes', () => {
  test('explains every exit code of the program', async () => {
    const { code, out } = await runMain(['help', 'exit-codes']);
    expect(code).toBe(0);
    expect(EXIT_CODES.map((row) => row.code).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 70]);
    for (const value of Object.values(ExitCode))
      expect(out).toMatch(new RegExp(`^ +${value}  \\S.{10,}$`, 'm'));
  });

  test('suggests the topic that was meant', async () => {
    const { code, err } = await runMain(['help', 'exit-code']);
    expect(code).toBe(2);
    expect(err).toContain('tsvpn help exit-codes');
  });
});

describe('typing errors', () => {
  test.each<[string, string[], string]>([
    ['a mistyped command', ['stauts'], 'did you mean `tsvpn status`?'],
    ['a command in capitals', ['UP'], 'did you mean `tsvpn up`?'],
    ['an unknown command', ['frobnicate'], 'see `tsvpn --help`'],
    ['a config file without a command', ['package.json'], 'tsvpn up package.json'],
    ['a mistyped option', ['status', '--jsn'], 'did you mean --json?'],
    ['an unknown option', ['status', '--frobnicate'], 'see `tsvpn status --help`'],
    ['an option of another command', ['down', 'x', '--json'], 'unknown option --json of tsvpn down'],
    ['an unknown short option', ['status', '-x'], 'unknown option -x'],
    ['an unknown option of tsvpn itself', ['--verson'], "unknown option '--verson'"],
    ['a missing argument', ['down'], 'usage: tsvpn down NAME'],
    ['an argument too many', ['down', 'a', 'b'], "unexpected argument 'b'"],
    ['a value for a flag', ['status', '--json=yes'], 'takes no value'],
    ['an option without its value', ['up', 'x', '--name'], '--name needs a value'],
    ['an option in place of a value', ['up', 'x', '--name', '-v'], '--name needs a value'],
    ['an empty value', ['up', 'x', '--name='], '--name needs a value'],
    ['a wait that is no number', ['up', 'x', '--wait=soon'], "--wait is 'soon'"],
    ['a wait of zero', ['up', 'x', '--wait=0'], 'from 1 to 86400'],
  ])('%s is a usage error with a way out', async (_row, args, text) => {
    const { code, out, err } = await runMain(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(text);
  });
});

describe('arguments', () => {
  const up = COMMANDS.find(({ name }) => name === 'up');
  if (up === undefined) throw new Error('no command up');

  test.each<[string, string[], string | undefined, string[]]>([
    ['--wait alone means its default', ['a.conf', '--wait'], '30', ['a.conf']],
    ['--wait in front of the file does not swallow it', ['--wait', 'a.conf'], '30', ['a.conf']],
    ['--wait=5 is five seconds', ['--wait=5', 'a.conf'], '5', ['a.conf']],
    ['and so is --wait 5', ['--wait', '5', 'a.conf'], '5', ['a.conf']],
    ['without --wait there is none', ['a.conf'], undefined, ['a.conf']],
    ['behind -- everything is an operand', ['--', '--wait'], undefined, ['--wait']],
  ])('%s', (_row, args, wait, operands) => {
    const invocation = parseArguments(up, args);
    expect(invocation.value('wait')).toBe(wait);
    expect(invocation.operands).toEqual(operands);
  });

  test('short and long options are the same, and flags default to false', () => {
    const invocation = parseArguments(up, ['-dv', 'a.conf']);
    expect([invocation.flag('daemon'), invocation.flag('verbose'), invocation.flag('dry-run')]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('version', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

  test.each([['--version'], ['-V']])('%s prints the version of package.json', async (word) => {
    expect(await runMain([word])).toEqual({ code: 0, out: `tsvpn ${version}\n`, err: '' });
  });

  test('version --json is for scripts', async () => {
    const { out } = await runMain(['version', '--json']);
    expect(JSON.parse(out)).toMatchObject({ tsvpn: version, node: process.versions.node });
  });
});
