/**
 * TCP sockets the way a config asks for them: opened, connected or listening, without ever waiting. Runs on the main
 * thread; the worker then owns the descriptor of the connection.
 */
import * as c from '../ffi/constants.ts';
import { accept4, check, close, connect, errno, listen, socket } from '../ffi/libc.ts';
import { bindError, getInt, int32, setInt } from '../ffi/socket.ts';
import { ENDPOINT_SIZE } from '../packet/batch.ts';
import { endpointLength, type EndpointFamily } from '../transport/endpoint.ts';
import type { UdpOffload } from '../transport/port.ts';
import { bindSocket, boundTo, setCommonOptions } from '../transport/socket.ts';

/** What has been connected but not yet accepted; a second peer is refused. */
const BACKLOG = 1;

/**
 * Without pings a server would hold a connection whose other end has vanished for ever, and refuse that end when it comes
 * back, as OpenVPN does: the kernel asks after a minute of silence, and gives up two minutes after the last word.
 */
export const KEEPALIVE = { idleSec: 60, intervalSec: 15, probes: 4 } as const;

export interface TcpSocketOptions {
  readonly family: EndpointFamily;
  /** Undefined: the kernel chooses address and port when it connects. */
  readonly local: { readonly host: string | undefined; readonly port: number } | undefined;
  readonly ipv6Only: boolean;
  /** Undefined leaves it to the kernel, which fits buffers to the path. */
  readonly sendBufferBytes: number | undefined;
  readonly receiveBufferBytes: number | undefined;
  readonly mark: number | undefined;
  readonly bindDevice: string | undefined;
}

/** What is known of a socket, listening or connected. */
export interface OpenTcpSocket {
  readonly fd: number;
  readonly family: EndpointFamily;
  /** As OpenVPN prints it, for example `[AF_INET]0.0.0.0:1194`. */
  readonly local: string;
  readonly localPort: number;
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;
  /** TCP needs none of it. */
  readonly offload: UdpOffload;
}

/** The socket listens, or is to be connected. Throws OsError, and OperatorError when it cannot be bound. */
export function openTcpSocket(options: TcpSocketOptions, listens: boolean): number {
  const type = c.SOCK_STREAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
  const fd = check('socket', socket(options.family, type, 0));
  try {
    setOptions(fd, options);
    if (options.local !== undefined) bindSocket(fd, 'TCP', options.family, options.local);
    if (listens) listenOn(fd);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function setOptions(fd: number, options: TcpSocketOptions): void {
  setCommonOptions(fd, options);
  // The port of a connection that has just ended is not free for a minute otherwise.
  setInt(fd, c.SOL_SOCKET, c.SO_REUSEADDR, 1);
  // A batch is one write: there is nothing to wait for. Connections that are accepted inherit it, and the buffers.
  setInt(fd, c.IPPROTO_TCP, c.TCP_NODELAY, 1);
  setKeepalive(fd);
  if (options.receiveBufferBytes !== undefined)
    setInt(fd, c.SOL_SOCKET, c.SO_RCVBUF, options.receiveBufferBytes);
  if (options.sendBufferBytes !== undefined) setInt(fd, c.SOL_SOCKET, c.SO_SNDBUF, options.sendBufferBytes);
}

/** Inherited like the rest. Once something is on its way, the kernel's retransmissions find out instead. */
function setKeepalive(fd: number): void {
  setInt(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, 1);
  setInt(fd, c.IPPROTO_TCP, c.TCP_KEEPIDLE, KEEPALIVE.idleSec);
  setInt(fd, c.IPPROTO_TCP, c.TCP_KEEPINTVL, KEEPALIVE.intervalSec);
  setInt(fd, c.IPPROTO_TCP, c.TCP_KEEPCNT, KEEPALIVE.probes);
}

function listenOn(fd: number): void {
  if (listen(fd, BACKLOG) >= 0) return;
  const failure = errno();
  throw bindError('TCP', boundTo(fd).local, failure);
}

/** The next connection in the queue of a listening socket; undefined when there is none. */
export function accept(fd: number): { readonly fd: number; readonly remote: Uint8Array } | undefined {
  const remote = new Uint8Array(ENDPOINT_SIZE);
  const accepted = accept4(fd, remote, int32(ENDPOINT_SIZE), c.SOCK_NONBLOCK | c.SOCK_CLOEXEC);
  return accepted < 0 ? undefined : { fd: accepted, remote };
}

/** Begins to connect; the socket is writable when that is decided. Returns 0, or the errno of what failed at once. */
export function startConnect(fd: number, remote: Uint8Array): number {
  if (connect(fd, remote, endpointLength(remote, 0)) === 0) return 0;
  const failure = errno();
  return failure === c.EINPROGRESS ? 0 : failure;
}

/** errno of what has failed meanwhile, or 0. */
export function pendingError(fd: number): number {
  return getInt(fd, c.SOL_SOCKET, c.SO_ERROR);
}

export function describeTcpSocket(fd: number, family: EndpointFamily): OpenTcpSocket {
  return {
    fd,
    family,
    ...boundTo(fd),
    receiveBufferBytes: getInt(fd, c.SOL_SOCKET, c.SO_RCVBUF),
    sendBufferBytes: getInt(fd, c.SOL_SOCKET, c.SO_SNDBUF),
    offload: { segment: false, receive: false },
  };
}

export function closeTcpSocket(fd: number): void {
  close(fd);
}
