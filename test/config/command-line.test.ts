import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMAND_LINE, directiveLines, readCommandLine } from '../../src/config/command-line.ts';
import { loadGateway } from '../../src/config/load.ts';
import { OperatorErrors } from '../../src/errors.ts';
import { staticKeyText } from '../support/keys.ts';
import { tempDir } from '../support/temp-dir.ts';

const names = (lines: readonly { name: string; words: readonly { text: string }[] }[]) =>
  lines.map(({ name, words }) => [name, ...words.map(({ text }) => text)].join(' '));

describe('the words of a command line', () => {
  test('a list of words ends at the next word with --', () => {
    const words = ['--status', '/run/a b', '10', '--daemon', '--verb', '4'];
    expect(names(directiveLines(words))).toEqual(['status /run/a b 10', 'daemon', 'verb 4']);
  });

  test('positions count the words as they were typed', () => {
    const [, verb] = directiveLines(['--daemon', '--verb', 'x']);
    expect(verb.where).toEqual({ file: COMMAND_LINE, line: 1, column: 10 });
    expect(verb.words[0].where.column).toBe(17);
  });

  test.each<[string, string[], string | undefined, string[], string[]]>([
    [
      "Debian's unit",
      '--daemon ovpn-a --status /run/a 10 --cd /etc/openvpn --config /etc/openvpn/a.conf --writepid /p'.split(
        ' ',
      ),
      '/etc/openvpn/a.conf',
      ['daemon ovpn-a', 'status /run/a 10', 'cd /etc/openvpn'],
      ['writepid /p'],
    ],
    ['a name behind --cd starts from there', ['--cd', '/etc', '--config', 'a'], '/etc/a', ['cd /etc'], []],
    ['a name before --cd does not', ['--config', 'a', '--cd', '/etc'], 'a', [], ['cd /etc']],
    ['a second file is read at its place', ['--config', 'a', '--config', 'b'], 'a', [], ['config b']],
    ['no file at all', ['--verb', '3'], undefined, [], ['verb 3']],
  ])('%s', (_row, words, file, before, after) => {
    const line = readCommandLine(words);
    expect([line.file, names(line.before), names(line.after)]).toEqual([file, before, after]);
  });
});

describe('a config with a command line', () => {
  function folder() {
    const dir = tempDir();
    mkdirSync(join(dir, 'sub'));
    writeFileSync(
      join(dir, 'sub', 'static.key'),
      staticKeyText(Uint8Array.from({ length: 256 }, (_, i) => i)),
      {
        mode: 0o600,
      },
    );
    const lines = ['dev tun', 'secret static.key', 'cipher AES-256-CBC', 'verb 3', 'ping 5'];
    writeFileSync(join(dir, 'sub', 'site.conf'), `${lines.join('\n')}\n`);
    return dir;
  }
  function load(cwd: string, words: string) {
    const { file = COMMAND_LINE, ...commandLine } = readCommandLine(words.split(' '));
    return loadGateway([file], { cwd, commandLine }).config;
  }

  test('is named after the file, and lines behind the file win over its own', () => {
    const dir = folder();
    const config = load(dir, `--verb 1 --cd sub --config ${dir}/sub/site.conf --ping 7 --writepid site.pid`);
    expect(config.name).toBe('site');
    expect(config.log.verb).toBe(3);
    expect(config.peers[0].timers.pingSec).toBe(7);
    expect(config.pidFile).toBe(join(dir, 'sub', 'site.pid'));
    expect(config.scripts.directory).toBe(join(dir, 'sub'));
  });

  test('can do without a file', () => {
    const config = load(folder(), '--cd sub --dev tun7 --secret static.key --cipher AES-256-CBC --daemon');
    expect([config.name, config.device.name, config.process.daemon]).toEqual(['command-line', 'tun7', true]);
  });

  test('without `cd` scripts are run where the process is', () => {
    expect(load(join(folder(), 'sub'), '--config site.conf').scripts.directory).toBeUndefined();
  });

  test('tells which word is wrong', () => {
    const dir = folder();
    let error: unknown;
    try {
      load(dir, '--cd sub --config site.conf --nice abc');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OperatorErrors);
    const [{ what, where }] = (error as OperatorErrors).errors;
    expect([what, where]).toEqual([
      'nice: `abc` is not a number, -20 to 19',
      { file: COMMAND_LINE, line: 1, column: '--cd sub --config site.conf --nice '.length + 1 },
    ]);
  });
});
