/** Which local ports the sockets of this network namespace have, and who has them, from proc(5). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface LocalSocket {
  readonly transport: 'tcp' | 'udp';
  /** 4 or 16 bytes; all zero is any address. */
  readonly address: Uint8Array;
  readonly port: number;
  readonly inode: string;
}

const TABLES = [
  ['tcp', 'tcp'],
  ['tcp6', 'tcp'],
  ['udp', 'udp'],
  ['udp6', 'udp'],
] as const;
/** Nobody has a TCP socket in TIME_WAIT any more. */
const TIME_WAIT = '06';

export function localSockets(): LocalSocket[] {
  return TABLES.flatMap(([table, transport]) =>
    read(`/proc/thread-self/net/${table}`)
      .split('\n')
      .slice(1)
      .flatMap((row) => parseRow(transport, row)),
  );
}

/** proc(5): 0 number  1 local address  2 remote address  3 state ... 9 inode */
export function parseRow(transport: 'tcp' | 'udp', row: string): LocalSocket[] {
  const fields = row.trim().split(/\s+/);
  const [address, port] = (fields[1] ?? '').split(':');
  if (port === undefined || (transport === 'tcp' && fields[3] === TIME_WAIT)) return [];
  return [{ transport, address: parseHex(address), port: Number.parseInt(port, 16), inode: fields[9] }];
}

/** Words of 32 bits in host order (little-endian); an IPv4-mapped address becomes the IPv4 address. */
function parseHex(text: string): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(text, 'hex'));
  for (let word = 0; word < bytes.length; word += 4) bytes.subarray(word, word + 4).reverse();
  const mapped = bytes.length === 16 && Buffer.from(bytes.subarray(0, 12)).toString('hex') === MAPPED_PREFIX;
  return mapped ? bytes.slice(12) : bytes;
}

const MAPPED_PREFIX = '00000000000000000000ffff';

/** Does a packet to `address` reach the socket? */
export function listensOn(socket: LocalSocket, address: Uint8Array): boolean {
  if (socket.address.every((byte) => byte === 0)) return true;
  return Buffer.from(socket.address).equals(Buffer.from(address));
}

/** `process 4711 (openvpn)`, or undefined when it cannot be told. */
export function socketOwner(inodes: ReadonlySet<string>): string | undefined {
  const pid = list('/proc').find(
    (name) =>
      /^\d+$/.test(name) && list(`/proc/${name}/fd`).some((fd) => holds(`/proc/${name}/fd/${fd}`, inodes)),
  );
  return pid === undefined ? undefined : `process ${pid} (${read(`/proc/${pid}/comm`).trim()})`;
}

/** Inode numbers of this process's sockets. */
export function ownSockets(): Set<string> {
  const inodes = list('/proc/self/fd').map((fd) => socketInode(`/proc/self/fd/${fd}`));
  return new Set(inodes.filter((inode) => inode !== undefined));
}

function holds(descriptor: string, inodes: ReadonlySet<string>): boolean {
  const inode = socketInode(descriptor);
  return inode !== undefined && inodes.has(inode);
}

function socketInode(descriptor: string): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(descriptor))?.[1];
  } catch {
    return undefined;
  }
}

/** Processes come and go while we look, and those of other users show nothing. */
function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
