/** Asks a running tunnel over its control socket, and finds the tunnels that run. */
import { readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { ExitCode, OperatorError, OperatorErrors } from '../errors.ts';
import { ANSWER_TIMEOUT_MS, type Answer, type Method, type Params, type Results } from './messages.ts';
import { isName, runtimePath } from './runtime-dir.ts';
import type { TunnelStatus } from './status.ts';

/**
 * Sends one request to tunnel `name` and returns its result. Throws OperatorError: `NOT_RUNNING` when nobody
 * listens, also when the socket is a dead process's; `CONTROL_DENIED` without permission; `CONTROL_TIMEOUT` without an
 * answer in time; `CONTROL_CLOSED` when it ended meanwhile; `CONTROL_REFUSED` when the tunnel does not understand; OperatorErrors as the tunnel puts them.
 */
export async function request<M extends Method>(
  dir: string,
  name: string,
  method: M,
  ...[params]: Params[M] extends undefined ? [] : [params: Params[M]]
): Promise<Results[M]> {
  const line = await exchange(
    dir,
    name,
    `${JSON.stringify({ method, params })}\n`,
    ANSWER_TIMEOUT_MS[method],
  );
  const answer = JSON.parse(line) as Answer<M>;
  if (answer.ok) return answer.result;
  if ('errors' in answer) throw new OperatorErrors(answer.errors.map((each) => new OperatorError(each)));
  throw new OperatorError({
    code: 'CONTROL_REFUSED',
    what: `tunnel '${name}' refused the request: ${answer.error.what}`,
    why: `it answered ${answer.error.code}`,
    fix: 'if the running tsvpn is older than this command, restart it',
    exitCode: ExitCode.Failure,
  });
}

/** Writes `text` and returns the first line that comes back. */
function exchange(dir: string, name: string, text: string, timeoutMs: number): Promise<string> {
  const path = runtimePath(dir, name, 'sock');
  return new Promise((resolve, reject) => {
    const received: string[] = [];
    const socket = createConnection(path);
    socket.setEncoding('utf8');
    const timer = setTimeout(() => socket.destroy(timedOut(dir, name)), timeoutMs);
    socket.on('connect', () => socket.write(text));
    socket.on('data', (chunk: string) => {
      const end = chunk.indexOf('\n');
      received.push(end < 0 ? chunk : chunk.slice(0, end));
      if (end < 0) return;
      resolve(received.join(''));
      socket.destroy();
    });
    socket.on('error', (error) =>
      reject(error instanceof OperatorError ? error : unreachable(error, path, name)),
    );
    socket.on('close', () => {
      clearTimeout(timer);
      reject(hungUp(name));
    });
  });
}

/** It was there, and went without an answer. */
function hungUp(name: string): OperatorError {
  return new OperatorError({
    code: 'CONTROL_CLOSED',
    what: `tunnel '${name}' ended before it answered`,
    fix: 'see with `tsvpn status` whether it runs again, and start it if not: `tsvpn up FILE`',
    exitCode: ExitCode.Failure,
  });
}

function timedOut(dir: string, name: string): OperatorError {
  return new OperatorError({
    code: 'CONTROL_TIMEOUT',
    what: `tunnel '${name}' does not answer on its control socket`,
    why: 'it may be starting, ending, or stopped by a debugger or SIGSTOP',
    fix: `try again; if it stays so: kill -9 $(cat ${runtimePath(dir, name, 'lock')}); tsvpn cleanup ${name}`,
    exitCode: ExitCode.Failure,
  });
}

function unreachable(cause: NodeJS.ErrnoException, path: string, name: string): OperatorError {
  if (cause.code === 'EACCES' || cause.code === 'EPERM') return denied(path, cause);
  return new OperatorError({
    code: 'NOT_RUNNING',
    what: `no tunnel named '${name}' is running`,
    why:
      cause.code === 'ECONNREFUSED'
        ? `${path} was left behind by a process that is gone`
        : `${path} does not exist`,
    fix: 'see the running ones with `tsvpn status`; start it with `tsvpn up FILE`',
    exitCode: ExitCode.Failure,
    cause,
  });
}

function denied(path: string, cause: unknown): OperatorError {
  return new OperatorError({
    code: 'CONTROL_DENIED',
    what: `no permission to use ${path}`,
    fix: 'run the command as root (sudo)',
    exitCode: ExitCode.Privilege,
    cause,
  });
}

/** Names with a control socket, running or not. Throws OperatorError without permission to look. */
export function socketNames(dir: string): string[] {
  try {
    return readdirSync(dir)
      .filter((file) => file.endsWith('.sock'))
      .map((file) => file.slice(0, -'.sock'.length))
      .filter(isName)
      .toSorted();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return [];
    if (code === 'EACCES') throw denied(dir, error);
    throw error;
  }
}

/** A running tunnel: what it said of itself, or why it could not be asked. */
export type Instance =
  | { readonly name: string; readonly status: TunnelStatus }
  | { readonly name: string; readonly error: OperatorError };

/** The running tunnels, by name; sockets of dead processes are passed over. */
export async function instances(dir: string): Promise<Instance[]> {
  const found = await Promise.all(socketNames(dir).map((name) => ask(dir, name)));
  return found.filter((instance) => instance !== undefined);
}

async function ask(dir: string, name: string): Promise<Instance | undefined> {
  try {
    return { name, status: await request(dir, name, 'status') };
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    return error.code === 'NOT_RUNNING' ? undefined : { name, error };
  }
}
