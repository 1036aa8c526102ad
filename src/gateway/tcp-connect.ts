/** How a TCP connection to a peer comes about: a client calls it, a server waits to be called (tcp-listener.ts). */
import { connectionSettings } from '../config/connection-settings.ts';
import type { PeerConfig } from '../config/model.ts';
import { bindsPort } from '../config/protocols.ts';
import type { Logger } from '../control/log.ts';
import { ETIMEDOUT } from '../ffi/constants.ts';
import type { TransportProtocol } from '../protocol/constants.ts';
import {
  closeTcpSocket,
  describeTcpSocket,
  pendingError,
  startConnect,
  type OpenTcpSocket,
} from '../tcp/open.ts';
import { encodeEndpoint, formatEndpoint, type EndpointFamily } from '../transport/endpoint.ts';
import { errnoText } from './errno-text.ts';
import { boundText, openStreamSocket } from './open-socket.ts';
import type { ResolvedRemote } from './remotes.ts';
import { TcpListener } from './tcp-listener.ts';
import type { Watcher } from './watcher.ts';
import { withNumericZone } from './zone.ts';

/** A connection, which the data plane may take over. */
export interface TcpConnection {
  readonly socket: OpenTcpSocket;
  /** Socket address of the other end. */
  readonly remote: Uint8Array;
  /** Of a server: who else calls may be the peer in truth, until somebody has proved to be. */
  readonly listener?: TcpListener;
}

/** What is about to be tried. */
export interface TcpAttempt {
  readonly protocol: TransportProtocol;
  /** Of a server: the socket that listens. */
  readonly socket: OpenTcpSocket | undefined;
  readonly remote: ResolvedRemote | undefined;
  /** Clamp, as for the connection; 0 is off. */
  readonly mss: number;
}

export interface TcpSurroundings {
  readonly watcher: Watcher;
  readonly log: Logger;
  /** The peer ends. */
  readonly signal: AbortSignal;
  /** Resolves when the way to the remote is free. */
  readonly trying: (attempt: TcpAttempt) => Promise<void>;
}

/** Between which addresses, and who calls. */
export interface TcpWay {
  readonly protocol: TransportProtocol;
  readonly family: EndpointFamily;
  /** Address to bind to; undefined for all. */
  readonly localHost: string | undefined;
  readonly remote: ResolvedRemote | undefined;
  readonly mss: number;
}

/** Undefined when the call was in vain, or the peer ended. */
export type TcpCall = () => Promise<TcpConnection | undefined>;

/** Opens the socket; the connection comes about when the result is called. Throws OperatorError. */
export function prepareCall(
  { transport, digest }: PeerConfig,
  { protocol, family, localHost, remote, mss }: TcpWay,
  surroundings: TcpSurroundings,
): TcpCall {
  const settings = connectionSettings(transport, remote?.remote);
  const bound = bindsPort(settings, protocol);
  const listens = protocol === 'tcp-server';
  const options = {
    ...transport,
    ...settings,
    family,
    local: bound ? { host: localHost, port: settings.localPort } : undefined,
  };
  if (!listens) {
    const row = encodeEndpoint(withNumericZone(remote!.addresses[0], 'remote'), remote!.remote.port, family);
    const fd = openStreamSocket(options, false);
    return async () => {
      await surroundings.trying({ protocol, socket: undefined, remote, mss });
      return callPeer(fd, family, row, settings.connectTimeoutSec, surroundings);
    };
  }
  const fd = openStreamSocket(options, true);
  const listener = new TcpListener(fd, family, remote?.addresses ?? [], surroundings);
  return async () => {
    const socket = describeTcpSocket(fd, family);
    surroundings.log.info(
      `Listening for incoming TCP connection on ${boundText(socket, settings.localHost)}`,
    );
    await surroundings.trying({ protocol, socket, remote, mss });
    const first = await listener.next();
    // Nobody can prove anything without an HMAC.
    if (digest.size === 0) listener.close();
    return first && { ...first, listener };
  };
}

/** `fd` is neither connected nor listening yet, and closed when nothing comes of it: undefined then. */
async function callPeer(
  fd: number,
  family: EndpointFamily,
  remote: Uint8Array,
  timeoutSec: number,
  { watcher, log, signal }: TcpSurroundings,
): Promise<TcpConnection | undefined> {
  const name = formatEndpoint(remote, 0);
  log.info(`Attempting to establish TCP connection with ${name}`);
  let failure = startConnect(fd, remote);
  if (failure === 0) {
    const decided = await watcher.ready({ fd, writable: true, timeoutMs: timeoutSec * 1000, signal });
    failure = decided ? pendingError(fd) : ETIMEDOUT;
  }
  if (failure === 0 && !signal.aborted) {
    log.info(`TCP connection established with ${name}`);
    return { socket: describeTcpSocket(fd, family), remote };
  }
  closeTcpSocket(fd);
  if (!signal.aborted) log.warn(`TCP: connect to ${name} failed: ${errnoText(failure)}`);
  return undefined;
}
