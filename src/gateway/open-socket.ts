/** Opens the tunnel's UDP socket; what fails is put for people. */
import { ExitCode, OperatorError } from '../errors.ts';
import { OsError } from '../ffi/libc.ts';
import { openUdpSocket, type OpenUdpSocket, type UdpSocketOptions } from '../udp/open.ts';
import { portOwner } from './port-owner.ts';

/** As openUdpSocket, but throws nothing that is not an OperatorError, and names the process that has the port. */
export function openSocket(options: UdpSocketOptions): OpenUdpSocket {
  try {
    return openUdpSocket(options);
  } catch (error) {
    if (error instanceof OsError) throw refused(error, options);
    const inUse = error instanceof OperatorError && error.code === 'UDP_PORT_IN_USE';
    const owner = inUse ? portOwner(options.localPort) : undefined;
    throw inUse && owner !== undefined ? busy(error, owner) : error;
  }
}

function busy({ code, what, exitCode }: OperatorError, owner: string): OperatorError {
  const fix = 'stop it, or choose another `port` (and `rport` at the other end)';
  return new OperatorError({ code, what, why: `${owner} has that UDP port`, fix, exitCode });
}

function refused(error: OsError, { bindDevice }: UdpSocketOptions): OperatorError {
  const noDevice = error.code === 'ENODEV' && bindDevice !== undefined;
  return new OperatorError({
    code: 'UDP_SOCKET',
    what: `cannot open the UDP socket: ${error.message}`,
    ...(noDevice ? { why: `there is no interface ${bindDevice}` } : {}),
    fix: noDevice
      ? 'correct the `bind-dev` line; `ip link` lists the interfaces'
      : 'remove the line of the config that asks for this, or make the system allow it',
    exitCode: error.code === 'EPERM' ? ExitCode.Privilege : ExitCode.Failure,
    cause: error,
  });
}
