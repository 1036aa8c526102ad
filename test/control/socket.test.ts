import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { instances, request, socketNames } from '../../src/control/client.ts';
import { REQUEST_MAX, type Answer } from '../../src/control/messages.ts';
import { startControlServer, type Handlers } from '../../src/control/server.ts';
import { OperatorError, OperatorErrors } from '../../src/errors.ts';
import { SAMPLE_HANDLERS } from '../support/handlers.ts';
import { SAMPLE_STATUS } from '../support/status.ts';
import { tempDir } from '../support/temp-dir.ts';

async function serve(handlers: Partial<Handlers> = {}) {
  const dir = tempDir();
  const server = await startControlServer(dir, 'site-a', { ...SAMPLE_HANDLERS, ...handlers });
  onTestFinished(() => server.close());
  return { dir, server };
}

/** A raw client: what it received, and a promise of its end. */
function connect(path: string) {
  const socket: Socket = createConnection(path);
  onTestFinished(() => void socket.destroy());
  let text = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => (text += chunk));
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const answers = () =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Answer);
  const received = async (count: number) => {
    while (answers().length < count) await new Promise((resolve) => socket.once('data', resolve));
    return answers();
  };
  return { socket, closed, answers, received };
}

describe('control socket', () => {
  test('is for root and its group only', async () => {
    const { server } = await serve();
    expect(statSync(server.path).mode & 0o777).toBe(0o660);
  });

  test('answers status and hands stop and restart on', async () => {
    const calls: string[] = [];
    const note = (name: string) => () => {
      calls.push(name);
      return { pid: 7 };
    };
    const { dir } = await serve({ stop: note('stop'), restart: note('restart') });
    expect(await request(dir, 'site-a', 'status')).toEqual(SAMPLE_STATUS);
    expect(await request(dir, 'site-a', 'restart', {})).toEqual({ pid: 7 });
    expect(await request(dir, 'site-a', 'stop')).toEqual({ pid: 7 });
    expect(calls).toEqual(['restart', 'stop']);
  });

  test('answers several requests of one connection in order, however they are cut', async () => {
    const { server } = await serve();
    const client = connect(server.path);
    client.socket.write('{"method":"sta');
    client.socket.write('tus"}\n{"method":"stop"}\n{"method":');
    client.socket.write('"status"}\n');
    const answers = await client.received(3);
    expect(answers.map((answer) => answer.ok && 'schema' in answer.result)).toEqual([true, false, true]);
  });

  test.each([
    ['garbage', '\u0000\u0001 not json', 'REQUEST_SYNTAX'],
    ['an empty line', '', 'REQUEST_SYNTAX'],
    ['null', 'null', 'REQUEST_METHOD'],
    ['a number', '7', 'REQUEST_METHOD'],
    ['an unknown method', '{"method":"explode"}', 'REQUEST_METHOD'],
    ['an inherited name', '{"method":"constructor"}', 'REQUEST_METHOD'],
    ['a method that is no string', '{"method":["status"]}', 'REQUEST_METHOD'],
    ['parameters that are no object', '{"method":"status","params":1}', 'REQUEST_PARAMS'],
    ['a parameter of a newer version', '{"method":"nat-flush","params":{"zone":"tun"}}', 'REQUEST_PARAMS'],
    ['a parameter where there is none', '{"method":"reload","params":{"peer":"b"}}', 'REQUEST_PARAMS'],
    ['an inherited parameter', '{"method":"mtu","params":{"toString":1}}', 'REQUEST_PARAMS'],
  ])('answers %s with an error and goes on', async (_row, line, code) => {
    const { server } = await serve();
    const client = connect(server.path);
    client.socket.write(`${line}\n{"method":"status"}\n`);
    const [error, status] = await client.received(2);
    expect(error).toMatchObject({ ok: false, error: { code } });
    expect(status.ok).toBe(true);
  });

  test('refuses a request longer than 64 KiB and closes', async () => {
    const { server } = await serve();
    const client = connect(server.path);
    client.socket.write('x'.repeat(REQUEST_MAX + 1));
    await client.closed;
    expect(client.answers()).toMatchObject([{ ok: false, error: { code: 'REQUEST_TOO_LONG' } }]);
  });

  test('closes a client that does not finish its request', async () => {
    const { server } = await serve();
    const client = connect(server.path);
    client.socket.write('{"method":');
    await client.closed;
    expect(client.answers()).toEqual([]);
  });

  test('closes a client that asks and never reads, and serves others meanwhile', async () => {
    const { dir, server } = await serve();
    const deaf = createConnection(server.path);
    onTestFinished(() => void deaf.destroy());
    deaf.on('error', () => {});
    const closed = new Promise((resolve) => deaf.on('close', resolve));
    deaf.pause();
    deaf.write('{"method":"status"}\n'.repeat(5000));
    expect(await request(dir, 'site-a', 'status')).toEqual(SAMPLE_STATUS);
    deaf.resume();
    await closed;
    expect(await request(dir, 'site-a', 'status')).toEqual(SAMPLE_STATUS);
  });

  test('a handler that throws is answered, not fatal', async () => {
    const { dir } = await serve({
      status: () => {
        throw new Error('no such thing');
      },
    });
    await expect(request(dir, 'site-a', 'status')).rejects.toMatchObject({ code: 'CONTROL_REFUSED' });
    expect(await request(dir, 'site-a', 'stop')).toEqual({ pid: 1 });
  });

  test('hands parameters on, and waits for answers that take time, in order', async () => {
    let ask: (answer: () => void) => void = () => undefined;
    const asked = new Promise<() => void>((resolve) => (ask = resolve));
    const { server } = await serve({
      'route-add': ({ prefix, metric }) =>
        new Promise((resolve) => ask(() => resolve({ added: `${prefix} ${metric}` }))),
    });
    const client = connect(server.path);
    client.socket.write(
      '{"method":"route-add","params":{"prefix":"10.1.0.0/16","kind":"blackhole","metric":7}}\n',
    );
    client.socket.write('{"method":"stop"}\n');
    const answer = await asked;
    expect(client.answers()).toEqual([]);
    answer();
    expect(await client.received(2)).toEqual([
      { ok: true, result: { added: '10.1.0.0/16 7' } },
      { ok: true, result: { pid: 1 } },
    ]);
  });

  test("an operator's error arrives as it was thrown, with its place", async () => {
    const error = new OperatorError({
      code: 'ROUTE_CONFLICT',
      what: 'two ways',
      why: 'because',
      fix: 'remove one',
      where: { file: 'gw.conf', line: 3, column: 1 },
      exitCode: 2,
    });
    const { dir } = await serve({
      reload: () => Promise.reject(new OperatorErrors([error, error])),
      'nat-list': () => {
        throw error;
      },
    });
    const { code, what, why, fix, where, exitCode } = error;
    const shape = { code, what, why, fix, where, exitCode };
    await expect(request(dir, 'site-a', 'reload')).rejects.toMatchObject({
      errors: [shape, shape],
      exitCode: 2,
    });
    await expect(request(dir, 'site-a', 'nat-list', {})).rejects.toMatchObject({ errors: [shape] });
  });

  test('an answer may be long', async () => {
    const source = { kind: 'operator' } as const;
    const route = {
      prefix: '10.0.0.0/8',
      kind: 'peer',
      peer: 'a',
      metric: 0,
      source,
      state: 'active',
      traffic: null,
    } as const;
    const list = {
      schema: 'tsvpn.routes/1',
      routes: Array.from({ length: 20_000 }, () => route),
      pointToPoint: null,
      more: false,
    } as const;
    const { dir } = await serve({ 'route-list': () => list });
    expect(await request(dir, 'site-a', 'route-list', {})).toEqual(list);
  });

  test('is removed when the server closes, and with it every client', async () => {
    const { server } = await serve();
    const client = connect(server.path);
    client.socket.write('{"method":"status"}\n');
    await client.received(1);
    server.close();
    await client.closed;
    expect(existsSync(server.path)).toBe(false);
  });

  test('replaces the socket of a dead process', async () => {
    const dir = tempDir();
    leaveStaleSocket(dir);
    const server = await startControlServer(dir, 'site-a', SAMPLE_HANDLERS);
    onTestFinished(() => server.close());
    expect(await request(dir, 'site-a', 'status')).toEqual(SAMPLE_STATUS);
  });
});

/** NAME.sock of a process that was killed. */
function leaveStaleSocket(dir: string): void {
  const program = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', program, join(dir, 'site-a.sock')]);
  expect(socketNames(dir)).toEqual(['site-a']);
}

describe('control client', () => {
  test('says that a tunnel is not running when there is no socket', async () => {
    await expect(request(tempDir(), 'site-a', 'status')).rejects.toMatchObject({
      code: 'NOT_RUNNING',
      why: expect.stringContaining('does not exist') as string,
    });
  });

  test('says so when the socket is left over from a dead process', async () => {
    const dir = tempDir();
    leaveStaleSocket(dir);
    await expect(request(dir, 'site-a', 'status')).rejects.toMatchObject({
      code: 'NOT_RUNNING',
      why: expect.stringContaining('left behind') as string,
    });
    expect(await instances(dir)).toEqual([]);
  });

  test('gives up on a tunnel that does not answer, and still lists the others', async () => {
    const { dir } = await serve();
    const mute = createServer().listen(join(dir, 'mute.sock'));
    onTestFinished(() => void mute.close());
    const found = await instances(dir);
    expect(found.map(({ name }) => name)).toEqual(['mute', 'site-a']);
    expect(found).toMatchObject([{ error: { code: 'CONTROL_TIMEOUT' } }, { status: { name: 'site-a' } }]);
  });

  test('lists nothing when the runtime directory does not exist, and ignores other files in it', () => {
    expect(socketNames('/nonexistent/tsvpn')).toEqual([]);
    const dir = tempDir();
    for (const file of ['site-a.lock', 'site-a.journal', 'bad name.sock']) writeFileSync(join(dir, file), '');
    expect(socketNames(dir)).toEqual([]);
  });
});
