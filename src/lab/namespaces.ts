/**
 * Network namespaces without the `ip` program. A namespace lives as long as somebody has its descriptor, runs in it
 * or has it mounted; ours are held by a descriptor and, where mounting is allowed, named in /run/netns as `ip netns`
 * does. Entering is a property of the thread: everything here runs on the main thread and is synchronous, and a
 * process spawned inside stays inside.
 */
import { closeSync, mkdirSync, openSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { check, mount, setns, umount2, unshare } from '../ffi/libc.ts';

const CLONE_NEWNET = 0x40000000;
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_SHARED = 0x100000;
const MNT_DETACH = 2;

const OWN_NAMESPACE = '/proc/thread-self/ns/net';
const NAMED_NAMESPACES = '/run/netns';

export interface NetworkNamespace {
  readonly name: string;
  readonly fd: number;
  /** Path to enter it by from outside: `nsenter --net=PATH`. */
  readonly path: string;
}

/** Creates an empty namespace; the calling thread stays where it is. Throws OsError(EPERM) without CAP_SYS_ADMIN. */
export function createNamespace(name: string): NetworkNamespace {
  const home = openSync(OWN_NAMESPACE, 'r');
  let fd: number;
  try {
    check('unshare(CLONE_NEWNET)', unshare(CLONE_NEWNET));
    fd = openSync(OWN_NAMESPACE, 'r');
  } finally {
    check('setns', setns(home, CLONE_NEWNET));
    closeSync(home);
  }
  const path = mountName(name, fd) ? join(NAMED_NAMESPACES, name) : `/proc/${process.pid}/fd/${fd}`;
  return { name, fd, path };
}

/** Runs `action`, which must be synchronous, inside the namespace. */
export function inNamespace<Result>(namespace: NetworkNamespace, action: () => Result): Result {
  const home = openSync(OWN_NAMESPACE, 'r');
  try {
    check('setns', setns(namespace.fd, CLONE_NEWNET));
    return action();
  } finally {
    check('setns', setns(home, CLONE_NEWNET));
    closeSync(home);
  }
}

/** A container may forbid mounts; then the namespace has no name and is reached through /proc. */
function mountName(name: string, fd: number): boolean {
  const target = join(NAMED_NAMESPACES, name);
  try {
    mkdirSync(NAMED_NAMESPACES, { recursive: true });
    shareMounts();
    closeSync(openSync(target, 'wx', 0o444));
  } catch {
    return false;
  }
  if (mount(`/proc/self/fd/${fd}`, target, 'none', MS_BIND, null) === 0) return true;
  unlinkSync(target);
  return false;
}

/** Makes /run/netns a shared mount, as `ip netns add` does, so that names disappear for everybody at once. */
function shareMounts(): void {
  if (mount('none', NAMED_NAMESPACES, null, MS_SHARED | MS_REC, null) === 0) return;
  check('mount', mount(NAMED_NAMESPACES, NAMED_NAMESPACES, 'none', MS_BIND | MS_REC, null));
  check('mount', mount('none', NAMED_NAMESPACES, null, MS_SHARED | MS_REC, null));
}

/** Removes the name of a namespace; nothing there is fine. /run/netns itself stays, as after `ip netns del`. */
export function unmountName(name: string): void {
  const target = join(NAMED_NAMESPACES, name);
  umount2(target, MNT_DETACH);
  rmSync(target, { force: true });
}
