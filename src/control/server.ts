/**
 * Control socket of one tunnel: NAME.sock, 0660, inside the runtime directory (0750). Whoever may open it may stop
 * the tunnel. A client can hold one connection's worth of memory for five seconds, whatever it sends or fails to read.
 */
import { chmodSync, unlinkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { ExitCode, OperatorError, operatorErrors } from '../errors.ts';
import {
  parseRequest,
  REQUEST_MAX,
  TIMEOUT_MS,
  type Answer,
  type Method,
  type Params,
  type Request,
  type Results,
} from './messages.ts';
import { runtimePath } from './runtime-dir.ts';
import { removeOwn } from '../kernel/remove-own.ts';

const SOCKET_MODE = 0o660;
const MAX_CLIENTS = 16;
const LINE_FEED = 0x0a;

/** Throws or rejects with OperatorError or OperatorErrors, which the client's operator then reads. */
export type Handlers = { readonly [M in Method]: (params: Params[M]) => Results[M] | Promise<Results[M]> };

export interface ControlServer {
  readonly path: string;
  /** Stops listening, drops all clients and removes the socket. */
  close(): void;
}

/**
 * Serves `handlers` on NAME.sock. The caller holds the name's lock, so a socket found there is a dead process's
 * and is replaced. Throws OperatorError when the socket cannot be made.
 */
export async function startControlServer(
  dir: string,
  name: string,
  handlers: Handlers,
): Promise<ControlServer> {
  const path = runtimePath(dir, name, 'sock');
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
    serve(client, handlers);
  });
  server.maxConnections = MAX_CLIENTS;
  removeIfThere(path);
  await listen(server, path);
  chmodSync(path, SOCKET_MODE);
  server.unref();
  return {
    path,
    close() {
      server.close();
      for (const client of clients) client.destroy();
      removeOwn(path);
    },
  };
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on('error', (cause) =>
      reject(
        new OperatorError({
          code: 'CONTROL_SOCKET',
          what: `cannot make the control socket ${path}`,
          why: cause.message,
          fix: 'check that the directory is writable, or set TSVPN_RUNTIME_DIR to another one',
          exitCode: ExitCode.Failure,
          cause,
        }),
      ),
    );
    server.listen(path, () => resolve());
  });
}

/** Reads requests from one client until it goes, lingers, or asks for too much; answers one after the other. */
function serve(client: Socket, handlers: Handlers): void {
  let received: Buffer = Buffer.alloc(0);
  let deadline: NodeJS.Timeout | undefined;
  let answered = Promise.resolve();
  let waiting = 0;
  const restartDeadline = () => {
    clearTimeout(deadline);
    if (waiting === 0) deadline = setTimeout(() => client.destroy(), TIMEOUT_MS);
  };
  const handle = async (line: string) => {
    const reply = encode(await answer(line, handlers));
    waiting--;
    // Answers pile up: this client asks and does not read.
    if (client.writableLength > REQUEST_MAX) return void client.destroy();
    client.write(reply, restartDeadline);
    restartDeadline();
  };
  client.on('error', () => client.destroy());
  client.on('close', () => clearTimeout(deadline));
  client.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (let end = received.indexOf(LINE_FEED); end >= 0; end = received.indexOf(LINE_FEED)) {
      if (end > REQUEST_MAX) break;
      const line = received.toString('utf8', 0, end);
      received = received.subarray(end + 1);
      waiting++;
      clearTimeout(deadline);
      answered = answered.then(() => handle(line));
    }
    if (received.length > REQUEST_MAX) {
      client.pause();
      client.end(encode(TOO_LONG));
    }
  });
  restartDeadline();
}

const TOO_LONG: Answer = {
  ok: false,
  error: { code: 'REQUEST_TOO_LONG', what: `a request has at most ${REQUEST_MAX} bytes` },
};

const encode = (reply: Answer) => `${JSON.stringify(reply)}\n`;

/** A handler that throws anything but an operator's error is our bug, and no reason for the tunnel to end. */
async function answer(line: string, handlers: Handlers): Promise<Answer> {
  const request = parseRequest(line);
  if (!('method' in request)) return { ok: false, error: request };
  try {
    return { ok: true, result: await call(handlers, request) };
  } catch (error) {
    const errors = operatorErrors(error);
    if (errors !== undefined) return { ok: false, errors: errors.map(({ detail }) => detail) };
    return { ok: false, error: { code: 'INTERNAL', what: String(error) } };
  }
}

function call<M extends Method>(
  handlers: Handlers,
  { method, params }: Request<M>,
): Results[M] | Promise<Results[M]> {
  return handlers[method](params);
}
