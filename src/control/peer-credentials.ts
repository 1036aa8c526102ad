/** Whose process is at the other end of a unix socket (unix(7), SO_PEERCRED). */
import type { Socket } from 'node:net';
import { SOL_SOCKET } from '../ffi/constants.ts';
import { check, getsockopt } from '../ffi/libc.ts';

const SO_PEERCRED = 17;
/** struct ucred: pid, uid, gid. */
const UCRED_SIZE = 12;

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
}

/** Throws OsError; an Error when the socket is closed already. */
export function peerCredentials(socket: Socket): Credentials {
  // Node has no public name for the descriptor of a socket.
  const { fd } = (socket as unknown as { _handle: { fd: number } | null })._handle ?? { fd: -1 };
  const ucred = Buffer.alloc(UCRED_SIZE);
  const length = Buffer.from(Uint32Array.of(UCRED_SIZE).buffer);
  check('getsockopt', getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ucred, length));
  return { uid: ucred.readUInt32LE(4), gid: ucred.readUInt32LE(8) };
}
