/** What sockets of every protocol are told, bound to and asked. Runs on the main thread. */
import { IPPROTO_IPV6, IPV6_V6ONLY, SO_MARK, SOL_SOCKET } from '../ffi/constants.ts';
import { bind, check, errno, getsockname } from '../ffi/libc.ts';
import { bindError, bindToDevice, int32, setInt } from '../ffi/socket.ts';
import { ENDPOINT_SIZE } from '../packet/batch.ts';
import {
  AF_INET6,
  encodeEndpoint,
  endpointLength,
  endpointPort,
  formatEndpoint,
  type EndpointFamily,
} from './endpoint.ts';

export interface CommonOptions {
  readonly family: EndpointFamily;
  readonly ipv6Only: boolean;
  readonly mark: number | undefined;
  readonly bindDevice: string | undefined;
}

/** Throws OsError. */
export function setCommonOptions(fd: number, { family, ipv6Only, mark, bindDevice }: CommonOptions): void {
  if (family === AF_INET6) setInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, ipv6Only ? 1 : 0);
  if (mark !== undefined) setInt(fd, SOL_SOCKET, SO_MARK, mark);
  if (bindDevice !== undefined) bindToDevice(fd, bindDevice);
}

/** `host` undefined is every address, port 0 any. Throws OperatorError: in use (5), not ours (1), no privilege (4). */
export function bindSocket(
  fd: number,
  protocol: 'UDP' | 'TCP',
  family: EndpointFamily,
  { host, port }: { readonly host: string | undefined; readonly port: number },
): void {
  const wildcard = family === AF_INET6 ? '::' : '0.0.0.0';
  const address = encodeEndpoint(host ?? wildcard, port, family);
  if (bind(fd, address, endpointLength(address, 0)) < 0)
    throw bindError(protocol, formatEndpoint(address, 0), errno());
}

/** Where the socket is, as OpenVPN prints it, for example `[AF_INET]0.0.0.0:1194`. Throws OsError. */
export function boundTo(fd: number): { readonly local: string; readonly localPort: number } {
  const row = new Uint8Array(ENDPOINT_SIZE);
  check('getsockname', getsockname(fd, row, int32(ENDPOINT_SIZE)));
  return { local: formatEndpoint(row, 0), localPort: endpointPort(row, 0) };
}
