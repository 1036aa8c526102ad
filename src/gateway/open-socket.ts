/** Opens the tunnel's sockets; what fails is put for people. */
import { ExitCode, OperatorError } from '../errors.ts';
import { OsError } from '../ffi/libc.ts';
import { openTcpSocket, type TcpSocketOptions } from '../tcp/open.ts';
import { openUdpSocket, type OpenUdpSocket, type UdpSocketOptions } from '../udp/open.ts';
import { portOwner } from './port-owner.ts';

/** As openUdpSocket, but throws nothing that is not an OperatorError, and names the process that has the port. */
export function openSocket(options: UdpSocketOptions): OpenUdpSocket {
  try {
    return openUdpSocket(options);
  } catch (error) {
    throw forPeople(error, 'UDP', options.localPort, options.bindDevice);
  }
}

/** The same for TCP; the socket listens, or is to be connected. */
export function openStreamSocket(options: TcpSocketOptions, listens: boolean): number {
  try {
    return openTcpSocket(options, listens);
  } catch (error) {
    throw forPeople(error, 'TCP', options.local?.port ?? 0, options.bindDevice);
  }
}

/** As OpenVPN prints it: an address nobody has chosen is `[undef]`. */
export function boundText({ local }: { readonly local: string }, localHost: string | undefined): string {
  return localHost === undefined ? local.replace(/\](.*):(\d+)$/, '][undef]:$2') : local;
}

function forPeople(
  error: unknown,
  protocol: 'UDP' | 'TCP',
  port: number,
  device: string | undefined,
): unknown {
  if (error instanceof OsError) return refused(error, protocol, device);
  if (!(error instanceof OperatorError) || error.code !== `${protocol}_PORT_IN_USE`) return error;
  const owner = portOwner(protocol === 'UDP' ? 'udp' : 'tcp', port);
  if (owner === undefined) return error;
  const fix = 'stop it, or choose another `port` (and `rport` at the other end)';
  return new OperatorError({ ...error.detail, why: `${owner} has that ${protocol} port`, fix });
}

function refused(error: OsError, protocol: 'UDP' | 'TCP', bindDevice: string | undefined): OperatorError {
  const noDevice = error.code === 'ENODEV' && bindDevice !== undefined;
  return new OperatorError({
    code: `${protocol}_SOCKET`,
    what: `cannot open the ${protocol} socket: ${error.message}`,
    why: noDevice ? `there is no interface ${bindDevice}` : undefined,
    fix: noDevice
      ? 'correct the `bind-dev` line; `ip link` lists the interfaces'
      : 'remove the line of the config that asks for this, or make the system allow it',
    directives: noDevice ? ['bind-dev'] : ['mark', 'bind-dev', 'sndbuf', 'rcvbuf'],
    exitCode: error.code === 'EPERM' ? ExitCode.Privilege : ExitCode.Failure,
    cause: error,
  });
}
