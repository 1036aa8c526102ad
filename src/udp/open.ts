/** Opens a UDP socket the way a config asks for it. Runs on the main thread; the worker then owns the descriptor. */
import * as c from '../ffi/constants.ts';
import { check, close, setsockopt, socket } from '../ffi/libc.ts';
import { getInt, int32, setInt } from '../ffi/socket.ts';
import { AF_INET6, type EndpointFamily } from '../transport/endpoint.ts';
import type { UdpOffload } from '../transport/port.ts';
import { bindSocket, boundTo, setCommonOptions } from '../transport/socket.ts';

/** Bytes of socket buffer we ask for: some milliseconds at several Gbit/s. */
const DEFAULT_BUFFER = 4 << 20;

export interface UdpSocketOptions {
  readonly family: EndpointFamily;
  /** Local address, or undefined for the wildcard. */
  readonly localHost: string | undefined;
  /** 0 lets the kernel choose. */
  readonly localPort: number;
  readonly ipv6Only: boolean;
  readonly sendBufferBytes: number | undefined;
  readonly receiveBufferBytes: number | undefined;
  readonly mark: number | undefined;
  readonly bindDevice: string | undefined;
  readonly mtuDiscovery: 'yes' | 'maybe' | 'no' | undefined;
  /** Tell of each datagram the address it was sent to, and the interface. */
  readonly multihome: boolean;
  /** Tell of each datagram its TOS or traffic class. */
  readonly trafficClass: boolean;
  /** Ask for UDP_SEGMENT and UDP_GRO. */
  readonly offload: boolean;
}

export interface OpenUdpSocket {
  readonly fd: number;
  readonly family: EndpointFamily;
  /** As OpenVPN prints it, for example `[AF_INET]0.0.0.0:1194`. */
  readonly local: string;
  readonly localPort: number;
  /** Bytes the kernel granted; it counts its own bookkeeping, so about twice what was asked. */
  readonly receiveBufferBytes: number;
  readonly sendBufferBytes: number;
  /** What they were before we asked. */
  readonly systemBuffers: { readonly receive: number; readonly send: number };
  readonly offload: UdpOffload;
}

/** Throws OperatorError: port in use (5), address not ours (1), no privilege (4). */
export function openUdpSocket(options: UdpSocketOptions): OpenUdpSocket {
  const type = c.SOCK_DGRAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
  const fd = check('socket', socket(options.family, type, 0));
  try {
    const systemBuffers = { receive: receiveBufferOf(fd), send: sendBufferOf(fd) };
    setOptions(fd, options);
    bindSocket(fd, 'UDP', options.family, { host: options.localHost, port: options.localPort });
    return {
      fd,
      family: options.family,
      ...boundTo(fd),
      receiveBufferBytes: receiveBufferOf(fd),
      sendBufferBytes: sendBufferOf(fd),
      systemBuffers,
      offload: options.offload ? enableOffload(fd) : { segment: false, receive: false },
    };
  } catch (error) {
    close(fd);
    throw error;
  }
}

function setOptions(fd: number, options: UdpSocketOptions): void {
  setCommonOptions(fd, options);
  setBuffer(fd, options.receiveBufferBytes, c.SO_RCVBUF, c.SO_RCVBUFFORCE);
  setBuffer(fd, options.sendBufferBytes, c.SO_SNDBUF, c.SO_SNDBUFFORCE);
  if (options.multihome) tellLocal(fd, options.family);
  if (options.trafficClass) tellTrafficClass(fd, options.family);
  tellErrors(fd, options.family);
  if (options.mtuDiscovery !== undefined) {
    const mode = { yes: c.IP_PMTUDISC_DO, maybe: c.IP_PMTUDISC_WANT, no: c.IP_PMTUDISC_DONT }[
      options.mtuDiscovery
    ];
    if (options.family === AF_INET6) setInt(fd, c.IPPROTO_IPV6, c.IPV6_MTU_DISCOVER, mode);
    else setInt(fd, c.IPPROTO_IP, c.IP_MTU_DISCOVER, mode);
  }
}

/** An IPv6 socket tells of IPv4-mapped senders by the same message. */
function tellLocal(fd: number, family: EndpointFamily): void {
  if (family === AF_INET6) setInt(fd, c.IPPROTO_IPV6, c.IPV6_RECVPKTINFO, 1);
  else setInt(fd, c.IPPROTO_IP, c.IP_PKTINFO, 1);
}

/** What routers say of datagrams that are too long, and which datagrams came in fragments. */
function tellErrors(fd: number, family: EndpointFamily): void {
  setInt(fd, c.IPPROTO_IP, c.IP_RECVERR, 1);
  setInt(fd, c.IPPROTO_IP, c.IP_RECVFRAGSIZE, 1);
  if (family !== AF_INET6) return;
  setInt(fd, c.IPPROTO_IPV6, c.IPV6_RECVERR, 1);
  setInt(fd, c.IPPROTO_IPV6, c.IPV6_RECVFRAGSIZE, 1);
}

function tellTrafficClass(fd: number, family: EndpointFamily): void {
  setInt(fd, c.IPPROTO_IP, c.IP_RECVTOS, 1);
  if (family === AF_INET6) setInt(fd, c.IPPROTO_IPV6, c.IPV6_RECVTCLASS, 1);
}

/** What the config says, or enough for a burst; beyond the system's limit (net.core.rmem_max) where privilege allows. */
function setBuffer(fd: number, wanted: number | undefined, option: number, force: number): void {
  const bytes = wanted ?? DEFAULT_BUFFER;
  if (setsockopt(fd, c.SOL_SOCKET, force, int32(bytes), 4) < 0) setInt(fd, c.SOL_SOCKET, option, bytes);
}

function receiveBufferOf(fd: number): number {
  return getInt(fd, c.SOL_SOCKET, c.SO_RCVBUF);
}

function sendBufferOf(fd: number): number {
  return getInt(fd, c.SOL_SOCKET, c.SO_SNDBUF);
}

/** UDP_SEGMENT needs Linux 4.18, UDP_GRO 5.0; a size of 0 leaves segmentation to each message. */
function enableOffload(fd: number): UdpOffload {
  return {
    segment: setsockopt(fd, c.SOL_UDP, c.UDP_SEGMENT, int32(0), 4) === 0,
    receive: setsockopt(fd, c.SOL_UDP, c.UDP_GRO, int32(1), 4) === 0,
  };
}
