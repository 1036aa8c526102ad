import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  createLogger,
  levelOfVerb,
  localTime,
  writeLine,
  type LogLine,
  type LogOptions,
} from '../../src/control/log.ts';
import { tempDir } from '../support/temp-dir.ts';

const PEER = 'Peer Connection Initiated with [AF_INET]192.0.2.1:1194';
const COMPLETED = 'Initialization Sequence Completed';

/** A logger that writes to a file, and what is in the file. */
function fileLogger(options: Partial<LogOptions> = {}) {
  const path = join(tempDir(), 'log');
  const fd = openSync(path, 'a');
  onTestFinished(() => closeSync(fd));
  const log = createLogger({ verb: 3, fd, env: {}, ...options });
  return { log, fd, lines: () => readFileSync(path, 'utf8').split('\n').slice(0, -1) };
}

const json = (line: string) => JSON.parse(line) as Record<string, unknown>;

describe('mute', () => {
  const messages = (mute: number, repeat: number) => {
    const { log, lines } = fileLogger({ mute: { limit: mute } });
    for (let i = 0; i < repeat; i++) log.warn({ reason: 'auth' }, `dropped ${i}`);
    log.info(PEER);
    log.info(PEER);
    return lines().map((line) => json(line).msg);
  };

  test('logs so many warnings of one kind in a row and counts the rest', () => {
    expect(messages(2, 5)).toEqual([
      'dropped 0',
      'dropped 1',
      'NOTE: --mute triggered...',
      '3 variation(s) on previous 2 message(s) suppressed by --mute',
      PEER,
      PEER,
    ]);
  });

  test.each([
    ['0 passes all', 0, 3],
    ['as many as allowed pass', 3, 3],
  ])('%s', (_row, mute, repeat) => {
    expect(messages(mute, repeat)).toEqual(['dropped 0', 'dropped 1', 'dropped 2', PEER, PEER]);
  });

  test('warnings of another kind start afresh', () => {
    const { log, lines } = fileLogger({ mute: { limit: 1 } });
    for (const reason of ['auth', 'source', 'auth']) log.warn({ reason }, `dropped ${reason}`);
    expect(lines()).toHaveLength(3);
  });
});

test('a listener hears every line with its level, and not what `mute` holds back', () => {
  const heard: LogLine[] = [];
  const { log } = fileLogger({ mute: { limit: 1 }, listener: (line) => heard.push(line) });
  log.info(PEER);
  log.warn({ reason: 'auth' }, 'dropped');
  log.warn({ reason: 'auth' }, 'dropped');
  log.debug('never shown');
  log.error('broken');
  expect(heard.map(({ level, text }) => `${level}: ${text}`)).toEqual([
    `info: ${PEER}`,
    'warn: dropped reason=auth',
    'info: NOTE: --mute triggered...',
    'info: 1 variation(s) on previous 1 message(s) suppressed by --mute',
    'error: broken',
  ]);
  for (const { timeMs } of heard) expect(timeMs).toBeGreaterThan(1_600_000_000_000);
});

describe('JSON logs', () => {
  test('what is not a terminal gets one JSON object per line, with named fields', () => {
    const { log, lines } = fileLogger({ tunnel: 'site-a' });
    log.info({ endpoint: '192.0.2.1:1194' }, PEER);
    log.warn({ reason: 'auth' }, 'dropped');
    expect(lines().map(json)).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
        tunnel: 'site-a',
        endpoint: '192.0.2.1:1194',
        msg: PEER,
      },
      { level: 'warn', time: expect.any(String) as string, tunnel: 'site-a', reason: 'auth', msg: 'dropped' },
    ]);
  });

  test('control, bidirectional and C1 characters never reach the file raw, and the JSON keeps their value', () => {
    const { log, lines } = fileLogger();
    const text = 'evil \u001b[2J\n\u009b31m\u202etxt\u007f';
    log.info({ endpoint: text }, text);
    expect(lines()).toHaveLength(1);
    expect(lines()[0]).toMatch(/^[\u0020-\u007e]*$/);
    expect(json(lines()[0])).toMatchObject({ msg: text, endpoint: text });
  });

  test('lines for the journal carry their syslog priority', () => {
    const path = join(tempDir(), 'journal');
    const fd = openSync(path, 'a');
    onTestFinished(() => closeSync(fd));
    const { dev, ino } = fstatSync(fd);
    createLogger({ verb: 3, fd, env: { JOURNAL_STREAM: `${dev}:${ino}` } }).warn('careful');
    createLogger({ verb: 3, fd, env: { JOURNAL_STREAM: `${dev}:1` } }).warn('another stream');
    const [prefixed, bare] = readFileSync(path, 'utf8').split('\n');
    expect(prefixed).toMatch(/^<4>\{"level":"warn"/);
    expect(bare).toMatch(/^\{"level":"warn"/);
  });
});

describe('human logs', () => {
  test('a line is local time and text, as OpenVPN 2.6 prints it', () => {
    const { log, lines } = fileLogger({ format: 'human' });
    log.info(COMPLETED);
    expect(lines()[0]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d Initialization Sequence Completed$/);
    expect(localTime(new Date(2026, 10, 22, 0, 59, 42))).toBe('2026-11-22 00:59:42');
  });

  test('suppress-timestamps leaves the text alone', () => {
    const { log, lines } = fileLogger({ format: 'human', timestamps: false });
    log.info(PEER);
    expect(lines()).toEqual([PEER]);
  });

  test('fields follow the text unless it names them itself', () => {
    const { log, lines } = fileLogger({ format: 'human', timestamps: false });
    log.info({ endpoint: '[AF_INET]192.0.2.1:1194', bytes: 12 }, PEER);
    expect(lines()).toEqual([`${PEER} bytes=12`]);
  });

  test('a peer cannot start a line of its own or an escape sequence', () => {
    const { log, lines } = fileLogger({ format: 'human', timestamps: false });
    log.info('peer says \n2026-11-22 00:00:00 all is well\u001b[0m');
    expect(lines()).toEqual(['peer says \\u000a2026-11-22 00:00:00 all is well\\u001b[0m']);
  });

  test('TSVPN_LOG chooses the format and --log-format overrides it', () => {
    const fromEnv = fileLogger({ env: { TSVPN_LOG: 'human' }, timestamps: false });
    fromEnv.log.info('text');
    expect(fromEnv.lines()).toEqual(['text']);
    const overridden = fileLogger({ env: { TSVPN_LOG: 'human' }, format: 'json' });
    overridden.log.info('text');
    expect(json(overridden.lines()[0])).toMatchObject({ msg: 'text' });
  });

  test('an unknown format in TSVPN_LOG is a usage error', () => {
    expect(() => createLogger({ verb: 3, env: { TSVPN_LOG: 'xml' } })).toThrow(
      expect.objectContaining({ code: 'LOG_FORMAT', exitCode: 2 }) as Error,
    );
  });
});

describe('verb', () => {
  test.each([
    [0, 'error'],
    [1, 'info'],
    [2, 'summary'],
    [3, 'detail'],
    [4, 'debug'],
    [11, 'debug'],
  ] as const)('verb %d logs from %s on', (verb, level) => expect(levelOfVerb(verb)).toBe(level));

  test('verb 0 keeps warnings and milestones out, but no errors', () => {
    const { log, lines } = fileLogger({ verb: 0 });
    log.info(PEER);
    log.warn('w');
    log.error('e');
    log.fatal('f');
    expect(lines().map((line) => json(line).msg)).toEqual(['e', 'f']);
  });
});

/** A program that logs both milestones and then says on stdout that it survived. */
const PROGRAM = `
  import { createLogger } from ${JSON.stringify(new URL('../../dist/control/log.js', import.meta.url).href)};
  const log = createLogger({ verb: 3, tunnel: 'site-a' });
  log.info(${JSON.stringify(PEER)});
  log.warn(${JSON.stringify(COMPLETED)});
  process.stdout.write('survived');
`;
const nodeArgs = ['--input-type=module', '-e', PROGRAM];

describe('log destinations', () => {
  test('a pipe gets JSON with both milestones', () => {
    const { stderr, stdout } = spawnSync(process.execPath, nodeArgs, { encoding: 'utf8' });
    expect(
      stderr
        .trimEnd()
        .split('\n')
        .map((line) => json(line).msg),
    ).toEqual([PEER, COMPLETED]);
    expect(stdout).toBe('survived');
  });

  const hasScript = spawnSync('script', ['--version']).status === 0;
  if (!hasScript) console.warn('skipped: script(1) is not installed, so there is no terminal to log to');

  test.runIf(hasScript).each([
    ['a terminal gets coloured lines', {}, '\u001b[33m'],
    ['NO_COLOR takes the colour away', { NO_COLOR: '1' }, undefined],
    ['TERM=dumb takes the colour away', { TERM: 'dumb' }, undefined],
  ])('%s', (_row, env, colour) => {
    const program = join(tempDir(), 'command');
    const words = [process.execPath, ...nodeArgs]
      .map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
      .join(' ');
    const { NO_COLOR: _unset, ...inherited } = process.env;
    const output = execFileSync('script', ['-qec', words, program], {
      encoding: 'utf8',
      env: { ...inherited, TERM: 'xterm', ...env },
    });
    expect(output).toContain(`${PEER}\r\n`);
    expect(output).toContain(COMPLETED);
    if (colour === undefined) expect(output).not.toContain('\u001b');
    else expect(output).toContain(`${colour}${COMPLETED}\u001b[0m`);
  });

  test('a reader that closed the pipe does not end the program', async () => {
    const child = spawn(process.execPath, nodeArgs, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stderr.destroy();
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect({ code, output }).toEqual({ code: 0, output: 'survived' });
  });

  test('a file descriptor that is gone loses the line and nothing else', () => {
    const fd = openSync(join(tempDir(), 'closed'), 'w');
    closeSync(fd);
    expect(() => writeLine(fd, 'text\n')).not.toThrow();
  });
});
