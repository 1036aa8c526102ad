import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { examineFiles, loadGateway } from '../../src/config/load.ts';
import { readAndKeep, readKept, type KeptTexts } from '../../src/config/pipes.ts';
import { OperatorErrors } from '../../src/errors.ts';
import { staticKeyText } from '../support/keys.ts';
import { tempDir } from '../support/temp-dir.ts';

const KEY = Uint8Array.from({ length: 256 }, (_, i) => i);
const LINES = ['dev tun', 'cipher AES-256-CBC', 'auth SHA256', 'ifconfig 10.254.0.1 10.254.0.2'];

function write(path: string, text: string, mode = 0o600): void {
  writeFileSync(path, text);
  chmodSync(path, mode);
}

/** A directory with peer.conf (LINES and `lines`) and static.key. */
function site(lines: readonly string[], options: { keyMode?: number; confMode?: number } = {}): string {
  const dir = tempDir();
  write(join(dir, 'static.key'), staticKeyText(KEY), options.keyMode);
  write(join(dir, 'peer.conf'), [...LINES, ...lines, ''].join('\n'), options.confMode);
  return dir;
}

function failure(dir: string): OperatorErrors {
  try {
    loadGateway(['peer.conf'], { cwd: dir });
  } catch (error) {
    if (error instanceof OperatorErrors) return error;
    throw error;
  }
  throw new Error('the config loaded');
}

const inline = ['<secret>', staticKeyText(KEY).trimEnd(), '</secret>'];

describe('loadGateway', () => {
  it('reads the key beside the config', () => {
    const dir = site(['secret static.key 1']);
    const { config, keys } = loadGateway(['peer.conf'], { cwd: dir });
    expect(keys).toEqual([KEY]);
    expect(config.peers[0].key).toMatchObject({
      source: { kind: 'file', path: join(dir, 'static.key') },
      direction: 1,
    });
    expect(config.warnings).toEqual([]);
  });

  it('reads an inline key, CRLF included', () => {
    const dir = site([]);
    write(join(dir, 'peer.conf'), [...LINES, ...inline, ''].join('\n').replaceAll('\n', '\r\n'));
    expect(loadGateway(['peer.conf'], { cwd: dir }).keys).toEqual([KEY]);
  });

  it('takes the direction from `secret [inline] 1` and the key from the block after it', () => {
    const dir = site(['secret [inline] 1', ...inline]);
    const { config, keys } = loadGateway(['peer.conf'], { cwd: dir });
    expect([config.peers[0].key.direction, keys]).toEqual([1, [KEY]]);
  });

  it('keeps the key out of the config', () => {
    const dir = site(inline);
    const printed = JSON.stringify(loadGateway(['peer.conf'], { cwd: dir }).config);
    expect(printed).not.toContain('00010203');
    expect(printed).not.toContain('BEGIN');
  });

  it('starts relative paths from the directory of `cd`, also those of earlier lines, as stock', () => {
    const dir = site(['secret k', 'cd sub', 'status st']);
    mkdirSync(join(dir, 'sub'));
    write(join(dir, 'sub', 'k'), staticKeyText(KEY));
    const { config } = loadGateway(['peer.conf'], { cwd: dir });
    expect(config.statusFile?.path).toBe(join(dir, 'sub', 'st'));
  });

  it('starts relative paths of an included file from the working directory, as stock', () => {
    const dir = site(['config sub/more.conf']);
    mkdirSync(join(dir, 'sub'));
    write(join(dir, 'sub', 'more.conf'), 'secret static.key\n');
    expect(loadGateway(['peer.conf'], { cwd: dir }).keys).toEqual([KEY]);
  });

  it('names the included file in errors', () => {
    const dir = site(['secret static.key', 'config more.conf']);
    write(join(dir, 'more.conf'), '\n  foobar\n');
    expect(failure(dir).errors[0].where).toEqual({ file: 'more.conf', line: 2, column: 3 });
  });

  it('refuses a file that includes itself', () => {
    const dir = site(['secret static.key', 'config peer.conf', 'config peer.conf']);
    const { errors } = failure(dir);
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['CONFIG_INCLUDE']));
  });

  it('refuses a config file that does not exist, with exit code 2', () => {
    const error = failure(tempDir());
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain('does not exist');
  });

  it.each([
    ['NUL bytes', Buffer.from('dev tun\0'), /not a text file/],
    ['UTF-16', Buffer.from('\ufeffdev tun\n', 'utf16le'), /UTF-16/],
  ])('refuses a config of %s with that one error', (_row, bytes, what) => {
    const dir = tempDir();
    writeFileSync(join(dir, 'peer.conf'), bytes);
    const { errors } = failure(dir);
    expect(errors).toHaveLength(1);
    expect(errors[0].what).toMatch(what);
  });

  it.each<[string, string | undefined, RegExp]>([
    ['that does not exist', undefined, /does not exist/],
    ['without a first line', '\nsecret\n', /is empty/],
  ])('refuses a password file %s', (_row, text, what) => {
    const dir = site(['secret static.key', 'management 127.0.0.1 7505 pw']);
    if (text !== undefined) write(join(dir, 'pw'), text);
    const { errors } = failure(dir);
    expect(errors.map((error) => [error.code, error.exitCode])).toEqual([['CONFIG_MANAGEMENT', 2]]);
    expect(errors[0].what).toMatch(what);
  });

  it('reads a password file beside the config, and warns when others may', () => {
    const dir = site(['secret static.key', 'management m.sock unix pw', 'management-log-cache 99999']);
    write(join(dir, 'pw'), 'open sesame\n', 0o644);
    const { config } = loadGateway(['peer.conf'], { cwd: dir });
    const place = { kind: 'unix', path: join(dir, 'm.sock') };
    expect(config.management).toMatchObject({ place, passwordFile: join(dir, 'pw'), logCache: 5000 });
    expect(config.warnings.map(({ what }) => what)).toContainEqual(expect.stringContaining('is not private'));
    expect(JSON.stringify(config)).not.toContain('sesame');
  });

  it.each(['status', 'writepid', 'log', 'log-append'])(
    'refuses the line of a %s file whose directory does not exist, unless the tunnel runs',
    (name) => {
      const dir = site(['secret static.key', `${name} no/where`]);
      const [{ what, where, fix }] = failure(dir).errors;
      expect(what).toContain('no/where does not exist');
      expect(where).toEqual({ file: 'peer.conf', line: 6, column: 1 });
      expect(fix).toContain(`mkdir -p ${join(dir, 'no')}, or`);
      expect(loadGateway(['peer.conf'], { cwd: dir, running: true }).keys).toEqual([KEY]);
    },
  );

  it.each([
    ['127.0.0.1', 'every user of this host can'],
    ['0.0.0.0', 'every user of every host that reaches the port can'],
  ])('warns of management at %s without a password: %s', (address, whom) => {
    const dir = site(['secret static.key', `management ${address} 7505`]);
    const { warnings } = loadGateway(['peer.conf'], { cwd: dir }).config;
    expect(warnings.map(({ why }) => why)).toEqual([expect.stringContaining(whom)]);
  });
});

describe('a config from a pipe', () => {
  it('is read to its end, once, and kept', () => {
    const dir = site([]);
    const pipe = join(dir, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const writer = spawn('sh', ['-c', '(cat peer.conf; sleep 0.1; echo secret static.key) > pipe'], {
      cwd: dir,
    });
    onTestFinished(() => void writer.kill());
    const kept: KeptTexts = new Map();
    const read = (path: string) => readAndKeep(path, kept);
    expect(loadGateway(['pipe'], { cwd: dir, read }).keys).toEqual([KEY]);
    const again = loadGateway(['pipe'], { cwd: dir, read: (path) => readKept(path, kept) });
    expect(again.keys).toEqual([KEY]);
  });

  it('is refused without waiting when it was not read at the start', () => {
    const dir = site([]);
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    const read = (path: string) => readKept(path, new Map());
    expect(() => loadGateway(['pipe'], { cwd: dir, read })).toThrow('a pipe');
  });
});

describe('a key file, with exit code 3 and its line in the config,', () => {
  const rows: readonly [rule: string, make: (path: string) => void, what: RegExp][] = [
    ['when it does not exist', () => undefined, /does not exist/],
    ['when it is a directory', (path) => mkdirSync(path), /is a directory/],
    ['when it is a pipe, without waiting for a writer', (path) => execFileSync('mkfifo', [path]), /a pipe/],
    ['when it is a device', (path) => symlinkSync('/dev/zero', path), /not a regular file/],
    ['when its links lead in circles', (path) => symlinkSync(path, path), /circles/],
    [
      'when it is huge, without reading it',
      (path) => {
        write(path, '');
        truncateSync(path, 10 * 2 ** 30);
      },
      /too large/,
    ],
  ];
  for (const [rule, make, what] of rows) {
    it(`is refused ${rule}`, () => {
      const dir = site(['secret other.key']);
      make(join(dir, 'other.key'));
      const error = failure(dir);
      expect(error.exitCode).toBe(3);
      expect(error.errors[0].what).toMatch(what);
      expect(error.errors[0].where).toEqual({ file: 'peer.conf', line: 5, column: 1 });
    });
  }
});

it('a key file beside the config, which was named for another working directory, is pointed out', () => {
  const dir = site(['secret static.key']);
  const elsewhere = tempDir();
  const file = join(dir, 'peer.conf');
  const { findings } = examineFiles([file], { cwd: elsewhere });
  expect(findings.errors[0]).toMatchObject({
    code: 'KEY_FILE',
    fix: expect.stringContaining(`write \`secret ${join(dir, 'static.key')}\``) as string,
  });
});

describe('a key is refused', () => {
  it('with the line in its own file', () => {
    const dir = site(['secret static.key']);
    write(join(dir, 'static.key'), staticKeyText(KEY).replace('00010203', '0001020x'));
    const error = failure(dir);
    expect(error.exitCode).toBe(3);
    expect(error.errors[0].where).toEqual({ file: join(dir, 'static.key'), line: 5, column: 8 });
  });

  it('with the line in the config when it is inline', () => {
    const dir = site(inline.map((line) => line.replace('00010203', '0001020x')));
    expect(failure(dir).errors[0].where).toEqual({ file: 'peer.conf', line: 10, column: 8 });
  });

  it('when its used bytes are zero', () => {
    const dir = site(['secret static.key']);
    write(join(dir, 'static.key'), staticKeyText(new Uint8Array(256)));
    expect(failure(dir).errors.map(({ code }) => code)).toEqual(['KEY_ZERO']);
  });

  it('together with the errors of the config', () => {
    const error = failure(site(['secret other.key', 'foobar']));
    expect(error.errors.map(({ code }) => code)).toEqual(['CONFIG_UNKNOWN_DIRECTIVE', 'KEY_FILE']);
    expect(error.exitCode).toBe(2);
  });
});

describe('a key others can read', () => {
  const rows: readonly [string, number, RegExp | undefined][] = [
    ['by nobody else', 0o600, undefined],
    ['by its group', 0o640, /group or others/],
    ['by everybody', 0o644, /EVERYBODY/],
  ];
  for (const [reader, mode, what] of rows) {
    it(`${reader}, in a file of its own: ${what === undefined ? 'no warning' : 'a warning with the chmod to run'}`, () => {
      const dir = site(['secret static.key'], { keyMode: mode });
      const { warnings } = loadGateway(['peer.conf'], { cwd: dir }).config;
      expect(warnings.map(({ fix }) => fix)).toEqual(
        what === undefined ? [] : [`chmod 600 ${join(dir, 'static.key')}`],
      );
      if (what !== undefined) expect(warnings[0].what).toMatch(what);
    });
  }

  it('inside the config: a warning', () => {
    const dir = site(inline, { confMode: 0o644 });
    const { warnings } = loadGateway(['peer.conf'], { cwd: dir }).config;
    expect(warnings.map(({ fix }) => fix)).toEqual(['chmod 600 peer.conf']);
  });
});

describe('several files', () => {
  const OTHER = Uint8Array.from({ length: 256 }, (_, i) => 255 - i);
  const SECOND = [
    'dev tun',
    'cipher AES-256-CBC',
    'ifconfig 10.254.0.1 10.254.0.3',
    'port 1195',
    'secret b.key',
  ];

  function sites(first: readonly string[], key: Uint8Array): string {
    const dir = site(first);
    write(join(dir, 'b.key'), staticKeyText(key));
    write(join(dir, 'b.conf'), SECOND.join('\n'));
    return dir;
  }

  it('come with the keys of their peers, in the same order', () => {
    const dir = sites(['secret static.key'], OTHER);
    const { config, keys } = loadGateway(['b.conf', 'peer.conf'], { cwd: dir });
    expect(config.peers.map(({ name }) => name)).toEqual(['b', 'peer']);
    expect(keys).toEqual([OTHER, KEY]);
  });

  it('with one key for two links are refused, naming both lines and not the key', () => {
    const dir = sites(['secret static.key'], KEY);
    const { errors } = examineFiles(['peer.conf', 'b.conf'], { cwd: dir }).findings;
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({
      code: 'KEY_TWICE',
      exitCode: 3,
      what: 'peer and b have the same key',
      where: { file: 'b.conf', line: 5 },
    });
    expect(errors[0].why).toContain('peer.conf:5:1');
    expect(JSON.stringify(errors[0])).not.toContain('00010203');
  });

  it('may hold their keys inline, in blocks too', () => {
    const block = ['<peer>', 'name b', 'lport 1195', 'ifconfig 10.254.0.1 10.254.0.3', '<secret>'];
    const text = [...block, staticKeyText(OTHER).trimEnd(), '</secret>', '</peer>'];
    const { config, keys } = loadGateway(['peer.conf'], { cwd: site([...inline, ...text]) });
    expect(config.peers.map(({ name }) => name)).toEqual(['peer', 'b']);
    expect(keys).toEqual([KEY, OTHER]);
  });

  it('of which one does not exist are refused', () => {
    const dir = site(['secret static.key']);
    expect(examineFiles(['peer.conf', 'no.conf'], { cwd: dir }).findings.errors[0].what).toContain('no.conf');
  });
});

describe('examineFiles', () => {
  it('returns what loadGateway would throw, and the warnings too', () => {
    const dir = site(['secret other.key', 'comp-lzo', 'port 0']);
    const { config, findings } = examineFiles(['peer.conf'], { cwd: dir });
    expect(config).toBeUndefined();
    expect(findings.errors.map(({ code }) => code)).toEqual(['CONFIG_ARGUMENT', 'KEY_FILE']);
    expect(findings.warnings.map(({ code }) => code)).toEqual(['CONFIG_DECOMPRESS_ONLY']);
  });

  it('returns a missing file as a finding', () => {
    expect(examineFiles(['peer.conf'], { cwd: tempDir() }).findings.errors).toHaveLength(1);
  });
});
