/** Which process has a UDP port, from /proc; for error messages only. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Inode numbers of this network namespace's sockets bound to local UDP port `port`. */
function socketInodes(port: number): Set<string> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = ['/proc/net/udp', '/proc/net/udp6'].flatMap((table) => read(table).split('\n').slice(1));
  // proc(5): 1 local address  9 inode
  const fields = rows.map((row) => row.trim().split(/\s+/));
  return new Set(fields.filter(([, local]) => local?.endsWith(suffix)).map((field) => field[9]));
}

/** `process 4711 (openvpn)`, or undefined when nobody has the port or it cannot be told. */
export function portOwner(port: number): string | undefined {
  const inodes = socketInodes(port);
  if (inodes.size === 0) return undefined;
  const pid = list('/proc').find(
    (name) =>
      /^\d+$/.test(name) && list(`/proc/${name}/fd`).some((fd) => holds(`/proc/${name}/fd/${fd}`, inodes)),
  );
  return pid === undefined ? undefined : `process ${pid} (${read(`/proc/${pid}/comm`).trim()})`;
}

function holds(descriptor: string, inodes: ReadonlySet<string>): boolean {
  try {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(descriptor)) ?? [];
    return inode !== undefined && inodes.has(inode);
  } catch {
    return false;
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
