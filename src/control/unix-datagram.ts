/** Messages to a datagram socket of the local system, which Node's own modules do not know: syslog, systemd. */
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from '../ffi/constants.ts';
import { check, close, sendto, socket } from '../ffi/libc.ts';

/** struct sockaddr_un: family (u16), path. */
const MAX_PATH = 107;

export interface UnixDatagrams {
  /** False when the message could not be delivered, or not at once. */
  send(text: string): boolean;
  close(): void;
}

/** A leading `@` stands for the abstract namespace, as in NOTIFY_SOCKET. Throws OsError. */
export function openUnixDatagrams(path: string): UnixDatagrams {
  const name = Buffer.from(path.replace(/^@/, '\0'));
  if (name.length > MAX_PATH) throw new RangeError(`the socket's path is too long: ${path}`);
  const address = Buffer.concat([Buffer.of(AF_UNIX, 0), name, Buffer.alloc(path.startsWith('@') ? 0 : 1)]);
  const fd = check('socket', socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return {
    send: (text) => {
      const bytes = Buffer.from(text);
      return sendto(fd, bytes, bytes.length, 0, address, address.length) === bytes.length;
    },
    close: () => void close(fd),
  };
}
