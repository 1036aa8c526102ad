/** Which process has a port; for error messages only. */
import { localSockets, socketOwner } from '../kernel/sockets.ts';

/** `process 4711 (openvpn)`, or undefined when nobody has the port or it cannot be told. */
export function portOwner(transport: 'udp' | 'tcp', port: number): string | undefined {
  const sockets = localSockets().filter((socket) => socket.transport === transport && socket.port === port);
  return sockets.length === 0 ? undefined : socketOwner(new Set(sockets.map(({ inode }) => inode)));
}
