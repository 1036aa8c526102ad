/** What sockets of every protocol have in common: options as numbers, and why they could not be bound. */
import { ExitCode, OperatorError } from '../errors.ts';
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, EPERM, SO_BINDTODEVICE, SOL_SOCKET } from './constants.ts';
import { check, errnoName, getsockopt, setsockopt } from './libc.ts';

/** An `int` in memory. */
export function int32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

/** Throws OsError. */
export function setInt(fd: number, level: number, name: number, value: number): void {
  check(`setsockopt(${level}, ${name})`, setsockopt(fd, level, name, int32(value), 4));
}

/** Throws OsError. */
export function getInt(fd: number, level: number, name: number): number {
  const value = new Int32Array(1);
  check('getsockopt', getsockopt(fd, level, name, new Uint8Array(value.buffer), int32(4)));
  return value[0];
}

/** Throws OsError. */
export function bindToDevice(fd: number, device: string): void {
  const name = new TextEncoder().encode(`${device}\0`);
  const result = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length);
  check(`setsockopt(SO_BINDTODEVICE ${device})`, result);
}

/** `local` could not be bound, for the reason that errno `failure` names. */
export function bindError(protocol: 'UDP' | 'TCP', local: string, failure: number): OperatorError {
  const what = `cannot bind the ${protocol} socket to ${local}: ${errnoName(failure)}`;
  if (failure === EADDRINUSE) {
    return new OperatorError({
      code: `${protocol}_PORT_IN_USE`,
      what,
      why: `another program is using that ${protocol} port`,
      fix: `find it with \`ss -${protocol === 'UDP' ? 'u' : 't'}lnp\`, stop it, or choose another \`port\` (and \`rport\` at the other end)`,
      directives: ['port'],
      exitCode: ExitCode.Busy,
    });
  }
  if (failure === EACCES || failure === EPERM) {
    return new OperatorError({
      code: `${protocol}_NO_PRIVILEGE`,
      what,
      why: 'ports below 1024 need CAP_NET_BIND_SERVICE',
      fix: 'run as root (sudo), or choose a `port` of 1024 or above',
      directives: ['port'],
      exitCode: ExitCode.Privilege,
    });
  }
  const notOurs = failure === EADDRNOTAVAIL;
  return new OperatorError({
    code: `${protocol}_BIND_FAILED`,
    what,
    why: notOurs ? 'no interface of this host has that address' : undefined,
    fix: notOurs
      ? 'correct the `local` line, or remove it to listen on every address'
      : 'see the error name above',
    directives: ['local', 'port'],
    exitCode: ExitCode.Failure,
  });
}
