/** How clients come in: by a port, by a unix socket, or because we connect to them (`management-client`). */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, isIPv6, type ListenOptions, type Server, type Socket } from 'node:net';
import type { ManagementConfig, ManagementPlace } from '../config/model.ts';
import type { Logger } from '../control/log.ts';
import { peerCredentials } from '../control/peer-credentials.ts';
import { ExitCode, OperatorError } from '../errors.ts';

/** As stock: the rights of the file do not matter, `management-client-user` and `-group` do. */
const SOCKET_MODE = 0o777;

/** Of a unix socket: the only user and group that are let in, as numbers. */
export interface Allowed {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

export interface DoorOptions {
  readonly config: ManagementConfig;
  readonly allowed: Allowed;
  readonly log: Logger;
  /** The socket is paused. */
  readonly onClient: (socket: Socket, from: string) => void;
}

export interface Door {
  /** Nobody else comes in; those who are in stay. */
  close(): void;
}

/** Throws OperatorError when the place cannot be had, or not be reached. */
export async function openDoor(options: DoorOptions): Promise<Door> {
  const { config, log } = options;
  if (config.connects) return connectOut(options);
  const { place } = config;
  if (place.kind === 'unix') removeLeftover(place.path);
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => admit(options, socket));
  await listen(server, place);
  log.detail(
    `MANAGEMENT: ${place.kind === 'unix' ? 'unix domain' : 'TCP'} socket listening on ${nameOf(place)}`,
  );
  return {
    close() {
      // Node removes the file of a unix socket.
      server.close();
    },
  };
}

function admit({ config, allowed, log, onClient }: DoorOptions, socket: Socket): void {
  if (config.place.kind === 'tcp') return onClient(socket, nameOf(remoteOf(socket)));
  const problem = strangerProblem(socket, allowed);
  if (problem === undefined) return onClient(socket, config.place.path);
  log.warn(`MANAGEMENT: Client of ${config.place.path} rejected: ${problem}`);
  socket.on('error', () => undefined);
  socket.destroy();
}

function strangerProblem(socket: Socket, allowed: Allowed): string | undefined {
  if (allowed.uid === undefined && allowed.gid === undefined) return undefined;
  try {
    const { uid, gid } = peerCredentials(socket);
    if (allowed.uid !== undefined && uid !== allowed.uid) return `its user is ${uid}, not ${allowed.uid}`;
    if (allowed.gid !== undefined && gid !== allowed.gid) return `its group is ${gid}, not ${allowed.gid}`;
    return undefined;
  } catch (error) {
    return `its user is not known: ${(error as Error).message}`;
  }
}

function listen(server: Server, place: ManagementPlace): Promise<void> {
  const options: ListenOptions =
    place.kind === 'unix' ? { path: place.path } : { host: place.host, port: place.port };
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(cannotListen(place, cause)));
    server.listen(options, () => {
      if (place.kind === 'unix') chmodSync(place.path, SOCKET_MODE);
      resolve();
    });
  });
}

/** A socket that a process of before has left behind; what is something else is not ours to remove. */
function removeLeftover(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // There is none, or listening will tell what is wrong.
  }
}

async function connectOut({ config, allowed, log, onClient }: DoorOptions): Promise<Door> {
  const { place } = config;
  const socket =
    place.kind === 'unix'
      ? connect(place.path)
      : connect({ host: place.host, port: place.port, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (cause) => reject(cannotConnect(place, cause)));
    socket.once('connect', resolve);
  });
  const problem = place.kind === 'unix' ? strangerProblem(socket, allowed) : undefined;
  if (problem !== undefined) {
    socket.destroy();
    throw cannotConnect(place, new Error(problem));
  }
  log.detail(`MANAGEMENT: Connected to management server at ${nameOf(place)}`);
  onClient(socket, nameOf(place));
  return { close: () => undefined };
}

function remoteOf({ remoteAddress = '', remotePort = 0 }: Socket): ManagementPlace {
  return { kind: 'tcp', host: remoteAddress, port: remotePort };
}

function nameOf(place: ManagementPlace): string {
  if (place.kind === 'unix') return place.path;
  return `[${isIPv6(place.host) ? 'AF_INET6' : 'AF_INET'}]${place.host}:${place.port}`;
}

function cannotListen(place: ManagementPlace, cause: NodeJS.ErrnoException): OperatorError {
  const busy = cause.code === 'EADDRINUSE';
  return new OperatorError({
    code: 'MANAGEMENT_LISTEN',
    what: `the management interface cannot listen on ${nameOf(place)}`,
    why: busy && place.kind === 'tcp' ? 'another process has the port' : cause.message,
    fix: 'change the `management` line of the config, or end what is there',
    directives: ['management'],
    exitCode: busy ? ExitCode.Busy : ExitCode.Failure,
    cause,
  });
}

function cannotConnect(place: ManagementPlace, cause: Error): OperatorError {
  return new OperatorError({
    code: 'MANAGEMENT_CONNECT',
    what: `cannot connect to the management client at ${nameOf(place)}`,
    why: cause.message,
    fix: 'start the program that is to manage the tunnel first, or remove `management-client` to let it connect to us',
    directives: ['management'],
    exitCode: ExitCode.Failure,
    cause,
  });
}
