/** Clients: who comes in, what a line is, what they are told, and what they may not do. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as soon, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lineReader, MAX_LINE } from '../../src/management/line-reader.ts';
import { openDoor } from '../../src/management/listener.ts';
import { ManagementClient } from '../support/management-client.ts';
import { managementConfig, openManagement } from '../support/management.ts';
import { testLog } from '../support/log.ts';

const tooLong = 'x'.repeat(MAX_LINE + 1);

describe('a line', () => {
  it.each<[string, string[], string[]]>([
    ['ends with LF', ['pid\nstate\n'], ['pid', 'state']],
    ['ends with CRLF', ['pid\r\n'], ['pid']],
    ['may come in pieces', ['p', 'id', '\n'], ['pid']],
    ['may be empty', ['\n\r\n'], ['', '']],
    ['is not there before its end', ['pid'], []],
    ['loses control characters but tabs', ['\u0001p\u0000i\u001bd\t\u007f1\n'], ['pid\t1']],
    ['has as many bytes as the limit', [`${tooLong.slice(1)}\n`], [tooLong.slice(1)]],
    ['of more bytes is none', [`${tooLong}\npid\n`], ['too-long', 'pid']],
    ['of more bytes in pieces is none', [tooLong, tooLong, 'x\npid\n'], ['too-long', 'pid']],
  ])('%s', (_row, chunks, lines) => {
    const read = lineReader();
    const found = chunks.flatMap((chunk) => read(Buffer.from(chunk)));
    expect(found.map((line) => (line === 'too-long' ? line : line.text))).toEqual(lines);
  });
});

describe('the password', () => {
  it('is asked for again, and at the third wrong one the session ends', async () => {
    const { client, log } = await openManagement({}, { password: 'secret' });
    const wrong = await client();
    wrong.write('secre\nsecret1\n\nsecret\npid\n');
    await wrong.closed();
    expect(wrong.received).toBe('ENTER PASSWORD:'.repeat(3));
    expect(log.some((line) => line.includes('3 wrong passwords'))).toBe(true);
  });

  it('opens the session, and nothing is told before', async () => {
    const { client, management } = await openManagement({ hold: true }, { password: 'secret' });
    void management.holdStart(new AbortController().signal);
    management.logged({ timeMs: 0, level: 'fatal', text: 'private' });
    const right = await client();
    await right.prompted('ENTER PASSWORD:');
    right.write('second line\r\nsecret\r\n');
    expect(await right.until(/>HOLD.*/)).toMatch(
      /^ENTER PASSWORD:ENTER PASSWORD:SUCCESS: password is correct\r\n>INFO:.*\r\n>HOLD:.*\r\n$/,
    );
  });

  it('does not stand in the log', async () => {
    const { client, log } = await openManagement({}, { password: 'secret' });
    const right = await client();
    right.write('secret\npassword Auth hunter2\n');
    await right.until(/no password is/);
    expect(log.join('\n')).not.toMatch(/secret|hunter2/);
  });

  it('is not needed to restart the tunnel by leaving, unless it was given', async () => {
    const { client, fake, log } = await openManagement({ signal: true }, { password: 'secret' });
    const stranger = await client();
    await stranger.prompted('ENTER PASSWORD:');
    stranger.destroy();
    while (!log.some((line) => line.includes('disconnected'))) await sleep(5);
    const friend = await client();
    friend.write('secret\nexit\n');
    await friend.closed();
    while (fake.raised.length === 0) await sleep(5);
    expect(fake.raised).toEqual(['SIGUSR1']);
  });
});

describe('clients', () => {
  it('come one after the other; of those who wait some are turned away', async () => {
    const { client, path } = await openManagement();
    const first = await client();
    const waiting: ManagementClient[] = [];
    for (let i = 0; i < 5; i++) waiting.push(await ManagementClient.connect(path));
    onTestFinished(() => {
      for (const each of waiting) each.destroy();
    });
    await waiting[4].closed();
    expect(waiting.map(({ received }) => received)).toEqual(['', '', '', '', '']);
    first.write('exit\n');
    await waiting[0].until(/>INFO/);
    waiting[0].destroy();
    await waiting[1].until(/>INFO/);
  });

  it('start with everything switched off', async () => {
    const { client, management } = await openManagement();
    const first = await client();
    for (const word of ['state on', 'log on', 'echo on', 'bytecount 1']) await first.ask(word);
    first.write('exit\n');
    await first.closed();
    const second = await client();
    management.state({ name: 'RESOLVE' });
    management.logged({ timeMs: 0, level: 'info', text: 'hello' });
    expect(await second.ask('hold')).toEqual(['SUCCESS: hold=0']);
  });

  it('that do not read are cut off by name', async () => {
    const { client, management, log } = await openManagement();
    const lazy = await client();
    await lazy.ask('log on');
    lazy.pause();
    const line = { timeMs: 0, level: 'info', text: 'x'.repeat(990) } as const;
    for (let i = 0; i < 20_000; i++) management.logged(line);
    expect(log.filter((text) => text.includes('cut off'))).toHaveLength(1);
    const next = await client();
    expect(await next.ask('hold')).toEqual(['SUCCESS: hold=0']);
  });

  it('that ask and do not read are not obeyed any further', async () => {
    const { client, fake, log } = await openManagement();
    const greedy = await client();
    greedy.pause();
    greedy.write(`${'test 10000\n'.repeat(50)}signal SIGTERM\n`);
    for (let turn = 0; turn < 2000; turn++) await soon();
    expect(fake.raised).toEqual([]);
    expect(log.filter((text) => text.includes('cut off'))).toEqual([]);
    greedy.resume();
    await greedy.until(/SIGTERM thrown/);
    expect(fake.raised).toEqual(['SIGTERM']);
  });

  it('get an error for a line without end', async () => {
    const { client } = await openManagement();
    const asking = await client();
    expect(await asking.ask('x'.repeat(100_000))).toEqual(['ERROR: a line has at most 1024 bytes']);
  });
});

describe('what a client is told', () => {
  it('states, log lines with their flags, faults that end the process', async () => {
    const { client, management } = await openManagement();
    const asking = await client();
    await asking.ask('state on');
    await asking.ask('log on');
    management.state({ name: 'RECONNECTING', detail: 'ping-restart' });
    const local = { address: '192.0.2.1', port: 1194 };
    const remote = { address: '192.0.2.2', port: 1195 };
    management.state({
      name: 'CONNECTED',
      detail: 'SUCCESS',
      ipv4: '10.4.0.1',
      ipv6: 'fd00::1',
      remote,
      local,
    });
    for (const level of ['fatal', 'error', 'warn', 'info', 'debug'] as const) {
      management.logged({ timeMs: 1_800_000_000_999, level, text: `${level}, text\nmore` });
    }
    management.upDown('UP', { a: 'b' });
    const told = (await asking.ask('hold')).map((line) => line.replace(/^>STATE:\d{10}/, '>STATE:T'));
    expect(told).toEqual([
      '>STATE:T,RECONNECTING,ping-restart,,,,,',
      '>STATE:T,CONNECTED,SUCCESS,10.4.0.1,192.0.2.2,1195,192.0.2.1,1194,fd00::1',
      '>LOG:1800000000,F,fatal, text',
      '>LOG:1800000000,F,more',
      '>FATAL:fatal, text',
      ...[
        ['N', 'error'],
        ['W', 'warn'],
        ['I', 'info'],
        ['D', 'debug'],
      ].flatMap(([flag, level]) => [
        `>LOG:1800000000,${flag},${level}, text`,
        `>LOG:1800000000,${flag},more`,
      ]),
      'SUCCESS: hold=0',
    ]);
  });

  it('up and down with the environment, when the config says so', async () => {
    const { client, management } = await openManagement({ upDown: true });
    const asking = await client();
    management.upDown('DOWN', { dev: 'tun0', note: 'two\nlines' });
    expect(await asking.ask('hold')).toEqual([
      '>UPDOWN:DOWN',
      '>UPDOWN:ENV,dev=tun0',
      '>UPDOWN:ENV,note=two lines',
      '>UPDOWN:ENV,END',
      'SUCCESS: hold=0',
    ]);
  });

  it('the log as far as it is kept', async () => {
    const { client, management } = await openManagement({ logCache: 3 });
    for (let i = 1; i <= 100; i++) management.logged({ timeMs: 0, level: 'info', text: `line ${i}` });
    const asking = await client();
    for (const command of ['log all', 'log 100']) {
      expect(await asking.ask(command)).toEqual(['0,I,line 98', '0,I,line 99', '0,I,line 100', 'END']);
    }
  });
});

describe('the door', () => {
  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'tsvpn-door-'));
    onTestFinished(() => rmSync(path, { recursive: true }));
    return path;
  }

  function door(place: Parameters<typeof managementConfig>[0]) {
    const allowed = { uid: undefined, gid: undefined };
    const log = testLog();
    return openDoor({
      config: managementConfig(place),
      allowed,
      log,
      onClient: (socket) => socket.destroy(),
    });
  }

  it('is refused, with exit code 5, when the port is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    onTestFinished(() => void holder.close());
    const { port } = holder.address() as AddressInfo;
    await expect(door({ place: { kind: 'tcp', host: '127.0.0.1', port } })).rejects.toMatchObject({
      code: 'MANAGEMENT_LISTEN',
      exitCode: 5,
    });
  });

  it('takes the place of a socket that was left behind, and goes when it is closed', async () => {
    const path = join(folder(), 'm.sock');
    const left = createServer().listen(path);
    await new Promise((resolve) => left.once('listening', resolve));
    const opened = await door({ place: { kind: 'unix', path } });
    left.close();
    opened.close();
    expect(existsSync(path)).toBe(false);
  });

  it('does not remove a file that is something else', async () => {
    const path = join(folder(), 'precious');
    writeFileSync(path, 'text');
    await expect(door({ place: { kind: 'unix', path } })).rejects.toMatchObject({
      code: 'MANAGEMENT_LISTEN',
    });
    expect(existsSync(path)).toBe(true);
  });

  it('that we connect to has to be there', async () => {
    const path = join(folder(), 'nobody');
    const place = { place: { kind: 'unix', path }, connects: true } as const;
    await expect(door(place)).rejects.toMatchObject({ code: 'MANAGEMENT_CONNECT', exitCode: 1 });
  });
});
