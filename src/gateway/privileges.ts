/**
 * `user` and `group`: the process gives up being root, and keeps what it needs to look after the network and to take its changes
 * back (docs/adr/0019): CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE, and these for the main thread only. The data
 * plane has its descriptors and needs no rights; a thread's rights are its own.
 */
import { readFileSync } from 'node:fs';
import { ExitCode, OperatorError } from '../errors.ts';
import { capset, check, getgrnamR, getpwnamR, prctl } from '../ffi/libc.ts';

/** linux/prctl.h, linux/capability.h */
const PR_SET_KEEPCAPS = 8;
const CAPABILITY_VERSION_3 = 0x20080522;
const KEPT = { CAP_NET_BIND_SERVICE: 10, CAP_NET_ADMIN: 12, CAP_NET_RAW: 13 } as const;

/** struct passwd: name, password (pointers), uid, gid; struct group: the same without uid. */
const UID_AT = 16;
const GID_AT = 20;
const GROUP_GID_AT = 16;
const STRUCT_SIZE = 64;
const STRINGS_SIZE = 1 << 16;

/** Whom to become. */
export interface Identity {
  /** Undefined to stay. */
  readonly user: { readonly name: string; readonly uid: number } | undefined;
  readonly group: { readonly name: string; readonly gid: number };
}

/** Undefined when the config asks for neither. Throws OperatorError for a name that nobody has. */
export function findIdentity(user: string | undefined, group: string | undefined): Identity | undefined {
  if (user === undefined && group === undefined) return undefined;
  const account = user === undefined ? undefined : lookUp(getpwnamR, user, 'user');
  const gid =
    group === undefined
      ? account!.readUInt32LE(GID_AT)
      : lookUp(getgrnamR, group, 'group').readUInt32LE(GROUP_GID_AT);
  return {
    user: account && { name: user!, uid: account.readUInt32LE(UID_AT) },
    group: { name: group ?? `${gid}`, gid },
  };
}

function lookUp(find: typeof getpwnamR, name: string, directive: 'user' | 'group'): Buffer {
  const struct = Buffer.alloc(STRUCT_SIZE);
  const strings = new Uint8Array(STRINGS_SIZE);
  const result = new Uint8Array(8);
  find(name, struct, strings, strings.length, result);
  if (result.some((byte) => byte !== 0)) return struct;
  throw new OperatorError({
    code: 'PRIVILEGE_NAME',
    what: `there is no ${directive} '${name}'`,
    why: `the config has \`${directive} ${name}\``,
    fix: directive === 'user' ? 'user nobody' : 'group nogroup\n(or nobody, on some systems)',
    exitCode: ExitCode.Usage,
  });
}

/**
 * Becomes somebody else for good. Returns the names of the capabilities that are kept. To be called from the main thread. Throws
 * OperatorError when the kernel does not let us.
 */
export function dropPrivileges({ user, group }: Identity): string[] {
  const kept = Object.entries(KEPT).filter(([, bit]) => (permittedCapabilities() >> BigInt(bit)) & 1n);
  try {
    check('prctl', prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
    process.setgroups?.([group.gid]);
    process.setgid?.(group.gid);
    if (user !== undefined) process.setuid?.(user.uid);
    keepCapabilities(kept.map(([, bit]) => bit));
    check('prctl', prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0));
  } catch (cause) {
    throw new OperatorError({
      code: 'PRIVILEGE_DROP',
      what: `cannot become ${user === undefined ? `group ${group.name}` : `user ${user.name}`}`,
      why: (cause as Error).message,
      fix: 'start tsvpn as root, or remove `user` and `group` and let the service manager choose (User=, AmbientCapabilities=)',
      exitCode: ExitCode.Privilege,
      cause,
    });
  }
  return kept.map(([name]) => name);
}

function permittedCapabilities(): bigint {
  const status = readFileSync('/proc/thread-self/status', 'utf8');
  return BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
}

/**
 * struct __user_cap_header_struct { u32 version; int pid; }, then twice (capabilities 0..31, 32..63)
 * struct __user_cap_data_struct { u32 effective, permitted, inheritable; }.
 */
function keepCapabilities(bits: readonly number[]): void {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  const data = Buffer.alloc(24);
  const set = bits.reduce((sum, bit) => sum + 2 ** bit, 0);
  data.writeUInt32LE(set, 0);
  data.writeUInt32LE(set, 4);
  check('capset', capset(header, data));
}
