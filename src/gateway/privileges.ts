/**
 * `user` and `group`: the process gives up being root, and keeps what it needs to look after the network and to take its changes
 * back (docs/adr/0019): CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE in the main thread. The data plane has its descriptors
 * and keeps CAP_NET_BIND_SERVICE alone, for the guards of translated ports below 1024; no other thread keeps anything.
 */
import { ExitCode, OperatorError } from '../errors.ts';
import { Capability, isPermitted, keepOverUserChange, limitCapabilities } from '../ffi/capabilities.ts';
import { getgrnamR, getpwnamR } from '../ffi/libc.ts';

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

/** `prefix`: what the names of the directives begin with. Undefined when the config asks for neither. Throws OperatorError for a name that nobody has. */
export function findIdentity(
  user: string | undefined,
  group: string | undefined,
  prefix = '',
): Identity | undefined {
  if (user === undefined && group === undefined) return undefined;
  const account = user === undefined ? undefined : lookUp(getpwnamR, user, 'user', prefix);
  const gid =
    group === undefined
      ? account!.readUInt32LE(GID_AT)
      : lookUp(getgrnamR, group, 'group', prefix).readUInt32LE(GROUP_GID_AT);
  return {
    user: account && { name: user!, uid: account.readUInt32LE(UID_AT) },
    group: { name: group ?? `${gid}`, gid },
  };
}

function lookUp(find: typeof getpwnamR, name: string, directive: 'user' | 'group', prefix: string): Buffer {
  const struct = Buffer.alloc(STRUCT_SIZE);
  const strings = new Uint8Array(STRINGS_SIZE);
  const result = new Uint8Array(8);
  find(name, struct, strings, strings.length, result);
  if (result.some((byte) => byte !== 0)) return struct;
  throw new OperatorError({
    code: 'PRIVILEGE_NAME',
    what: `there is no ${directive} '${name}'`,
    directives: [`${prefix}${directive}`],
    why: `the config has \`${prefix}${directive} ${name}\`, and this host does not know the name (getent ${directive === 'user' ? 'passwd' : 'group'})`,
    fix: `${prefix}${directive === 'user' ? 'user nobody' : 'group nogroup\n(or nobody, on some systems)'}`,
    exitCode: ExitCode.Usage,
  });
}

/**
 * Becomes somebody else for good, unless a service manager has seen to it. Returns the names of the capabilities that are
 * kept. To be called from the main thread. Throws OperatorError when the kernel does not let us.
 */
export function dropPrivileges(identity: Identity): string[] {
  const { user, group } = identity;
  const kept = Object.entries(Capability).filter(([, bit]) => isPermitted(bit));
  try {
    keepOverUserChange(true);
    if (!isAlready(identity)) become(identity);
    limitCapabilities(kept.map(([, bit]) => bit));
    keepOverUserChange(false);
  } catch (cause) {
    throw new OperatorError({
      code: 'PRIVILEGE_DROP',
      what: `cannot become ${user === undefined ? `group ${group.name}` : `user ${user.name}`}`,
      why: (cause as Error).message,
      fix: 'start tsvpn as root, or remove `user` and `group` and let the service manager choose (User=, AmbientCapabilities=)',
      directives: ['user', 'group'],
      exitCode: ExitCode.Privilege,
      cause,
    });
  }
  return kept.map(([name]) => name);
}

/** Node's functions are the C library's, which change all threads. */
function become({ user, group }: Identity): void {
  process.setgroups?.([group.gid]);
  process.setgid?.(group.gid);
  if (user !== undefined) process.setuid?.(user.uid);
}

function isAlready({ user, group }: Identity): boolean {
  return (
    process.getuid?.() !== 0 &&
    process.getgid?.() === group.gid &&
    (user?.uid ?? process.getuid?.()) === process.getuid?.()
  );
}
