/** Which network namespace this is, in a form that outlives the process. */
import { readdirSync, readFileSync, statSync } from 'node:fs';

/** The calling thread's network namespace: the inode number of its nsfs file, unique while it exists. */
export function networkNamespaceId(): number {
  return statSync('/proc/thread-self/ns/net').ino;
}

/** Changes with every boot: what a journal of another boot describes is gone. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Path under which a namespace can be entered (`nsenter --net=PATH`), or undefined when none is visible. */
export function findNetworkNamespace(id: number): string | undefined {
  const named = list('/run/netns').map((name) => `/run/netns/${name}`);
  const owned = list('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? [`/proc/${entry}/ns/net`] : []));
  return [...named, ...owned].find((path) => inodeOf(path) === id);
}

/** Undefined for what is gone by now and for other users' processes. */
function inodeOf(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
