/** bin/tsvpn as a user runs it: a child process, real files, real exit codes. */
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { acquireLock } from '../../src/control/lock.ts';
import { runTsvpn, TSVPN } from '../support/cli.ts';
import { tempDir } from '../support/temp-dir.ts';

const OPENVPN = ['/usr/sbin/openvpn', '/usr/local/sbin/openvpn'].find((path) => existsSync(path));
if (OPENVPN === undefined)
  console.warn('skipped: OpenVPN is not installed, so its key files cannot be compared');

/** A folder with the pair that `tsvpn init` writes. */
function pairDir(): string {
  const cwd = tempDir();
  const { code } = runTsvpn(['init', '--remote', '192.0.2.2', '--local', '192.0.2.1'], { cwd });
  expect(code).toBe(0);
  return cwd;
}

describe('launcher', () => {
  test('works through a symbolic link and from any directory', () => {
    const dir = tempDir();
    symlinkSync(TSVPN, join(dir, 'vpn'));
    expect(runTsvpn(['--version'], { program: join(dir, 'vpn'), cwd: '/' })).toMatchObject({
      code: 0,
      err: '',
    });
  });

  test('says what to do when it is not compiled', () => {
    const dir = tempDir();
    cpSync(dirname(TSVPN), join(dir, 'bin'), { recursive: true });
    const { code, err } = runTsvpn(['--version'], { program: join(dir, 'bin/tsvpn') });
    expect(code).toBe(1);
    expect(err).toContain('npm run build');
  });

  test('says which Node it needs', () => {
    const old = join(tempDir(), 'old.cjs');
    writeFileSync(old, `Object.defineProperty(process.versions, 'node', { value: '20.18.3' });`);
    const { code, err } = runTsvpn(['--version'], { env: { NODE_OPTIONS: `--require=${old}` } });
    expect(code).toBe(1);
    expect(err).toContain('needs Node 20.19 or newer, this is 20.18.3');
  });

  test('survives a reader that goes away', async () => {
    const child = spawn(TSVPN, ['up', '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    child.stderr.destroy();
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
  });

  test('SIGUSR1 does not open the debugger of Node', async () => {
    const dir = tempDir();
    const child = spawn(TSVPN, ['status', '--watch'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, TSVPN_RUNTIME_DIR: dir },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let err = '';
    const lines = (count: number) =>
      new Promise<void>((resolve) => {
        child.stderr.on('data', (chunk: Buffer) => {
          err += chunk.toString();
          if (err.split('\n').length > count) resolve();
        });
      });
    await lines(1);
    child.kill('SIGUSR1');
    await lines(2);
    expect(err).not.toMatch(/debugger/i);
  });

  test('colours nothing in a pipe', () => {
    const { err } = runTsvpn(['frobnicate'], { env: { TERM: 'xterm-256color' } });
    expect(err).toContain('error:');
    expect(err).not.toContain('\u001b');
  });
});

describe('init and check', () => {
  test('init writes two private configs that check finds nothing wrong with', () => {
    const cwd = pairDir();
    for (const file of ['site-a.conf', 'site-b.conf']) {
      expect(statSync(join(cwd, file)).mode & 0o777).toBe(0o600);
      const { code, out, err } = runTsvpn(['check', file, '--peer', 'tsvpn'], { cwd });
      expect(code).toBe(0);
      expect(err.split('\n').at(-2)).toBe(`${file}: 0 errors, 0 warnings, 0 remarks`);
      expect(out).toMatch(/^# The other end of site-[ab], for tsvpn; /);
    }
  });

  test('init prints the files on stdout and the next commands on stderr', () => {
    const cwd = tempDir();
    const args = [
      'init',
      '--remote',
      'gw.example.net',
      '--peer',
      'openvpn-2.6',
      '--remote-network',
      '10.1.0.0/16',
    ];
    const { code, out, err } = runTsvpn(args, { cwd });
    expect({ code, out }).toEqual({ code: 0, out: 'site-a.conf\nsite-b.conf\n' });
    for (const command of [
      'scp -p site-b.conf gw.example.net:',
      'sudo tsvpn up site-a.conf',
      'sudo openvpn --config site-b.conf',
      'ip_forward=1',
    ]) {
      expect(err).toContain(command);
    }
    expect(readFileSync(join(cwd, 'site-a.conf'), 'utf8')).toContain('route 10.1.0.0 255.255.0.0');
  });

  test('init writes both files or none', () => {
    const cwd = tempDir();
    writeFileSync(join(cwd, 'site-b.conf'), 'mine');
    const { code, err } = runTsvpn(['init', '--remote', '192.0.2.2'], { cwd });
    expect(code).toBe(1);
    expect(err).toContain('site-b.conf exists already');
    expect(existsSync(join(cwd, 'site-a.conf'))).toBe(false);
  });

  test.each<[string, string[], string]>([
    ['no address at all', [], '--remote ADDRESS'],
    ['a network with host bits', ['--remote', '192.0.2.2', '--remote-network', '10.1.2.3/16'], '10.1.0.0/16'],
    ['an unknown peer', ['--remote', '192.0.2.2', '--peer', 'openvpn'], 'openvpn-2.6'],
    ['a port out of range', ['--remote', '192.0.2.2', '--port', '70000'], 'from 1 to 65535'],
    ['one tunnel address', ['--remote', '192.0.2.2', '--tunnel', '10.0.0.1'], 'two addresses'],
  ])('init with %s is a usage error that writes nothing', (_row, args, text) => {
    const cwd = tempDir();
    const { code, err } = runTsvpn(['init', ...args], { cwd });
    expect(code).toBe(2);
    expect(err).toContain(text);
    expect(existsSync(join(cwd, 'site-a.conf'))).toBe(false);
  });

  test('check reports every error with its place and exits with 2, as text and as JSON', () => {
    const cwd = pairDir();
    const file = join(cwd, 'site-a.conf');
    writeFileSync(
      file,
      readFileSync(file, 'utf8').replace('cipher', 'cypher').replace('port 1194', 'port none'),
    );
    const text = runTsvpn(['check', 'site-a.conf'], { cwd });
    expect(text.code).toBe(2);
    expect(text.out).toContain('did you mean `cipher`?');
    expect(text.out).toContain('| cypher AES-256-CBC');
    expect(text.out).toContain('| port none');
    const json = runTsvpn(['check', 'site-a.conf', '--json'], { cwd });
    const report = JSON.parse(json.out) as { ok: boolean; findings: { code: string; severity: string }[] };
    expect({ code: json.code, ok: report.ok, schema: (report as { schema?: string }).schema }).toEqual({
      code: 2,
      ok: false,
      schema: 'tsvpn.check/1',
    });
    expect(report.findings.map(({ code }) => code)).toContain('CONFIG_UNKNOWN_DIRECTIVE');
  });

  test('check asks a peer with OpenVPN 2.7 for its extra line, and no other', () => {
    const cwd = pairDir();
    const mentions = (peer: string) =>
      runTsvpn(['check', 'site-a.conf', '--peer', peer], { cwd }).err.includes('CHECK_OPENVPN_27');
    expect(['2.4', '2.6', '2.7', 'tsvpn'].filter(mentions)).toEqual(['2.7']);
  });

  test('check writes the other end for a version of OpenVPN, and refuses one it does not know', () => {
    const cwd = pairDir();
    const { code, out } = runTsvpn(['check', 'site-a.conf', '--peer', '2.7'], { cwd });
    expect(code).toBe(0);
    expect(out).toContain('\nifconfig 10.254.0.2 10.254.0.1\n');
    expect(out).toContain('\nsetenv opt allow-deprecated-insecure-static-crypto\n');
    const unknown = runTsvpn(['check', 'site-a.conf', '--peer', '2.8'], { cwd });
    expect([unknown.code, unknown.out]).toEqual([2, '']);
    expect(unknown.err).toContain('tsvpn, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7');
    const json = JSON.parse(
      runTsvpn(['check', 'site-a.conf', '--json', '--peer', '2.2'], { cwd }).out,
    ) as object;
    expect(json).toMatchObject({ ok: true, otherEnds: [{ peer: 'site-a' }], sizes: [{ linkMtu: 1572 }] });
  });

  test('check tells the sizes of a packet', () => {
    const cwd = pairDir();
    const { out } = runTsvpn(['check', 'site-a.conf'], { cwd });
    expect(out).toContain('  a full packet (tun-mtu 1500) is a datagram of 1568 bytes: 32 HMAC (SHA256) + ');
    expect(out).toContain('\n    over IPv4: 1568 + 8 UDP + 20 IP = 1596 bytes; ');
    expect(out).toContain('\n    the peer is told link-mtu 1572\n');
  });

  test('check takes several files, and tells who lies behind which peer and what the NAT rules do', () => {
    const cwd = tempDir();
    const site = (name: string, number: number, ...lines: string[]) => {
      expect(runTsvpn(['genkey', `${name}.key`], { cwd }).code).toBe(0);
      const addresses = `ifconfig 10.8.0.1 10.8.0.${number}`;
      const text = [
        'dev tun',
        `secret ${name}.key`,
        'cipher AES-256-CBC',
        addresses,
        `port ${2000 + number}`,
      ];
      writeFileSync(join(cwd, `${name}.conf`), `${[...text, ...lines].join('\n')}\n`);
    };
    site('b', 2, 'route 10.2.0.0 255.255.0.0');
    site('c', 3, 'setenv opt nat snat 10.8.0.0/24 out eth1 masquerade');
    const { code, out } = runTsvpn(['check', 'b.conf', 'c.conf'], { cwd });
    expect([code, out.match(/^ {2}peer \S+/gm)]).toEqual([0, ['  peer b,', '  peer c,']]);
    expect(out).toContain('    10.2.0.0/16 by `route` (b.conf:6)\n');
    expect(out).toContain(
      "    10.8.0.0/24 leaves eth1 as eth1's own address, ports 61000 to 65534 (c.conf:6)\n",
    );
    const json = JSON.parse(runTsvpn(['check', 'b.conf', 'c.conf', '--json'], { cwd }).out) as object;
    expect(json).toMatchObject({ schema: 'tsvpn.check/1', files: ['b.conf', 'c.conf'], ok: true });
  });

  test('an error inside a <peer> block is shown with its line, one inside a key is not', () => {
    const cwd = pairDir();
    const block = ['<peer>', 'name b', '  foobar', '<secret>', 'not a key', '</secret>', '</peer>', ''];
    const file = join(cwd, 'site-a.conf');
    writeFileSync(file, readFileSync(file, 'utf8') + block.join('\n'));
    const { code, out } = runTsvpn(['check', 'site-a.conf'], { cwd });
    expect(code).toBe(2);
    expect(out).toContain('|   foobar\n');
    expect(out).not.toContain('not a key');
  });

  test('a damaged inline key exits with 3 and none of its lines are shown', () => {
    const cwd = pairDir();
    const file = join(cwd, 'site-a.conf');
    const text = readFileSync(file, 'utf8');
    const keyLines = text.match(/^[0-9a-f]{32}$/gm) ?? [];
    writeFileSync(file, text.replace(/^[0-9a-f]{4}/m, 'zzzz'));
    const { code, out } = runTsvpn(['check', 'site-a.conf'], { cwd });
    expect(code).toBe(3);
    for (const line of keyLines) expect(out).not.toContain(line.slice(4, 20));
  });
});

describe('up', () => {
  test('--dry-run prints the ip commands and touches nothing', () => {
    const cwd = pairDir();
    const { code, out } = runTsvpn(['up', 'site-a.conf', '--dry-run'], {
      cwd,
      env: { TSVPN_RUNTIME_DIR: join(cwd, 'run') },
    });
    expect(code).toBe(0);
    expect(out).toContain('ip address add 10.254.0.1 peer 10.254.0.2/32 dev tun0\n');
    expect(existsSync(join(cwd, 'run'))).toBe(false);
  });

  test.each<[string, string[], number, string]>([
    ['a file that does not exist', ['none.conf'], 2, 'none.conf'],
    ['a directory', ['.'], 2, 'is a directory'],
    ['a name that is a path', ['site-a.conf', '--name', 'a/b'], 2, "'a/b' cannot be the name"],
    ['an unknown log format', ['site-a.conf', '--log-format', 'xml'], 2, '--log-format=json'],
    ['a lost key file', ['lost-key.conf'], 3, 'missing.key'],
  ])('of %s fails with its exit code', (_row, args, exitCode, text) => {
    const cwd = pairDir();
    writeFileSync(
      join(cwd, 'lost-key.conf'),
      'dev tun\nifconfig 10.0.0.1 10.0.0.2\nsecret missing.key\ncipher AES-256-CBC\n',
    );
    const { code, out, err } = runTsvpn(['up', ...args], {
      cwd,
      env: { TSVPN_RUNTIME_DIR: join(cwd, 'run') },
    });
    expect({ code, out }).toEqual({ code: exitCode, out: '' });
    expect(err).toContain(text);
  });

  test('of a name that runs already fails with 5 and names the process, also from the background', () => {
    const cwd = pairDir();
    const dir = join(cwd, 'run');
    const lock = acquireLock('site-a', dir);
    onTestFinished(() => lock.release());
    for (const more of [[], ['--daemon']]) {
      const { code, err } = runTsvpn(['up', 'site-a.conf', ...more], {
        cwd,
        env: { TSVPN_RUNTIME_DIR: dir },
      });
      expect(code).toBe(5);
      expect(err).toContain(`process ${process.pid} has the name`);
    }
  });
});

describe('without privilege', () => {
  /** Not root, and able to read this clone: its owner, or else nobody. */
  const owner = statSync(TSVPN);
  const [uid, gid] = owner.uid === 0 ? [65534, 65534] : [owner.uid, owner.gid];
  const runUnprivileged = (args: readonly string[], runtimeDir: string) =>
    spawnSync(TSVPN, args, {
      encoding: 'utf8',
      uid,
      gid,
      env: { ...process.env, TSVPN_RUNTIME_DIR: runtimeDir },
    });
  const impossible = process.getuid?.() !== 0 || runUnprivileged(['--version'], '/run').status !== 0;
  const why = 'needs root, and a clone that another user may enter';

  test('up fails with 4 and says how to get it', ({ skip }) => {
    skip(impossible, why);
    const cwd = pairDir();
    const config = join(cwd, 'site-a.conf');
    chmodSync(cwd, 0o755);
    chownSync(config, uid, gid);
    const { status, stderr } = runUnprivileged(['up', config], '/run/tsvpn-test-denied');
    expect(status).toBe(4);
    expect(stderr).toContain('sudo');
  });

  test.for(['status', 'status site-a', 'down site-a', 'cleanup', 'cleanup site-a'])(
    "%s of root's tunnels fails with 4 and says how to get it",
    (words, { skip }) => {
      skip(impossible, why);
      const parent = tempDir();
      chmodSync(parent, 0o755);
      const dir = join(parent, 'run');
      mkdirSync(dir, { mode: 0o750 });
      const { status, stderr } = runUnprivileged(words.split(' '), dir);
      expect({ status, stderr }).toEqual({ status: 4, stderr: expect.stringContaining('sudo') as string });
    },
  );
});
