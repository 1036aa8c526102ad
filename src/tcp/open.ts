/**
 * TCP sockets the way a config asks for them: opened, connected or listening, without ever waiting. Runs on the main
 * thread; the worker then owns the descriptor of the connection.
 */
import * as c from '../ffi/constants.ts';
import { accept4, bind, check, close, connect, errno, getsockname, listen, socket } from '../ffi/libc.ts';
import { bindError, bindToDevice, getInt, int32, setInt } from '../ffi/socket.ts';
import { ENDPOINT_SIZE } from '../packet/batch.ts';
import {
  AF_INET6,
  encodeEndpoint,
  endpointLength,
  endpointPort,
  formatEndpoint,
  type EndpointFamily,
} from '../transport/endpoint.ts';
import type { UdpOffload } from '../transport/port.ts';

/** What has been connected but not yet accepted; a second peer is refused. */
const BACKLOG = 1;

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
    if (options.local !== undefined) bindTo(fd, options.family, options.local);
    if (listens) listenOn(fd);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

function setOptions(fd: number, options: TcpSocketOptions): void {
  if (options.family === AF_INET6) setInt(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, options.ipv6Only ? 1 : 0);
  // The port of a connection that has just ended is not free for a minute otherwise.
  setInt(fd, c.SOL_SOCKET, c.SO_REUSEADDR, 1);
  // A batch is one write: there is nothing to wait for. Connections that are accepted inherit it, and the buffers.
  setInt(fd, c.IPPROTO_TCP, c.TCP_NODELAY, 1);
  if (options.receiveBufferBytes !== undefined)
    setInt(fd, c.SOL_SOCKET, c.SO_RCVBUF, options.receiveBufferBytes);
  if (options.sendBufferBytes !== undefined) setInt(fd, c.SOL_SOCKET, c.SO_SNDBUF, options.sendBufferBytes);
  if (options.mark !== undefined) setInt(fd, c.SOL_SOCKET, c.SO_MARK, options.mark);
  if (options.bindDevice !== undefined) bindToDevice(fd, options.bindDevice);
}

function bindTo(fd: number, family: EndpointFamily, local: NonNullable<TcpSocketOptions['local']>): void {
  const wildcard = family === AF_INET6 ? '::' : '0.0.0.0';
  const address = encodeEndpoint(local.host ?? wildcard, local.port, family);
  if (bind(fd, address, endpointLength(address, 0)) < 0)
    throw bindError('TCP', formatEndpoint(address, 0), errno());
}

function listenOn(fd: number): void {
  if (listen(fd, BACKLOG) >= 0) return;
  const failure = errno();
  throw bindError('TCP', localAddress(fd).text, failure);
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
  const { text, port } = localAddress(fd);
  return {
    fd,
    family,
    local: text,
    localPort: port,
    receiveBufferBytes: getInt(fd, c.SOL_SOCKET, c.SO_RCVBUF),
    sendBufferBytes: getInt(fd, c.SOL_SOCKET, c.SO_SNDBUF),
    offload: { segment: false, receive: false },
  };
}

function localAddress(fd: number): { readonly text: string; readonly port: number } {
  const row = new Uint8Array(ENDPOINT_SIZE);
  check('getsockname', getsockname(fd, row, int32(ENDPOINT_SIZE)));
  return { text: formatEndpoint(row, 0), port: endpointPort(row, 0) };
}

export function closeTcpSocket(fd: number): void {
  close(fd);
}
