/**
 * The C library, reached through koffi. Only src/ffi imports koffi; everything else calls these functions.
 *
 * Two shapes of pointer argument: cold calls take a Uint8Array (`void *`); calls on the data path take a number,
 * the machine address of something in a native arena (ffi/memory.ts), which allocates nothing.
 * Return values are C's: -1 means failure and `errno()` says why; `check()` turns that into an OsError.
 */
import { constants } from 'node:os';
import koffi from 'koffi';

/** Symbols of the running process: libc is linked into every Node binary, glibc and musl alike. */
const process_ = koffi.load(null);

/** A failed system call. EAGAIN is a value on the data path and never becomes one of these. */
export class OsError extends Error {
  readonly syscall: string;
  readonly errno: number;
  /** Symbolic name, for example `EBUSY`. */
  readonly code: string;

  constructor(syscall: string, errnoValue: number) {
    super(`${syscall}: ${errnoName(errnoValue)} (errno ${errnoValue})`);
    this.name = 'OsError';
    this.syscall = syscall;
    this.errno = errnoValue;
    this.code = errnoName(errnoValue);
  }
}

/** Reversed, so that the first of two names for one value wins: EAGAIN, not EWOULDBLOCK. */
const errnoNames = new Map(
  Object.entries(constants.errno)
    .toReversed()
    .map(([name, value]) => [value, name]),
);

export function errnoName(value: number): string {
  return errnoNames.get(value) ?? `E${value}`;
}

/** errno of the last libc call made on this thread. */
export function errno(): number {
  return koffi.errno();
}

/** Returns `result` unless it is negative: then throws OsError for `syscall` with the current errno. */
export function check(syscall: string, result: number): number {
  if (result < 0) throw new OsError(syscall, koffi.errno());
  return result;
}

type Fn<A extends unknown[], R = number> = (...args: A) => R;

function declare<F>(prototype: string): F {
  return process_.func(prototype) as unknown as F;
}

// Files and descriptors
export const open: Fn<[path: string, flags: number, mode: number]> = declare(
  'int open(const char *path, int flags, unsigned int mode)',
);
export const close: Fn<[fd: number]> = declare('int close(int fd)');
/** Data path: `address` is the machine address of the buffer. */
export const read: Fn<[fd: number, address: number, length: number]> = declare(
  'long read(int fd, uintptr_t buffer, size_t length)',
);
/** Data path: `address` is the machine address of the buffer. */
export const write: Fn<[fd: number, address: number, length: number]> = declare(
  'long write(int fd, uintptr_t buffer, size_t length)',
);
/** Data path: `vectors` is the machine address of the iovec array. */
export const writev: Fn<[fd: number, vectors: number, count: number]> = declare(
  'long writev(int fd, uintptr_t vectors, int count)',
);
export const ioctl: Fn<[fd: number, request: number, argument: Uint8Array]> = declare(
  'int ioctl(int fd, unsigned long request, void *argument)',
);
/** ioctl whose argument is a number, not a pointer. */
export const ioctlValue: Fn<[fd: number, request: number, value: number]> = declare(
  'int ioctl(int fd, unsigned long request, unsigned long value)',
);
export const flock: Fn<[fd: number, operation: number]> = declare('int flock(int fd, int operation)');

/** Operations whose argument is a number. */
export const fcntl: Fn<[fd: number, operation: number, value: number]> = declare(
  'int fcntl(int fd, int operation, int value)',
);
export const dup2: Fn<[fd: number, target: number]> = declare('int dup2(int fd, int target)');

/** Both lists end with null. Returns only on failure. */
export const execve: Fn<
  [path: string, words: readonly (string | null)[], variables: readonly (string | null)[]]
> = declare('int execve(const char *path, const char **argv, const char **envp)');

// Users and rights
/** Integer arguments only; those that the operation does not use are 0. */
export const prctl: Fn<[operation: number, a: number, b: number, c: number, d: number]> = declare(
  'int prctl(int operation, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
);
export const capset: Fn<[header: Uint8Array, data: Uint8Array]> = declare(
  'int capset(void *header, void *data)',
);
/** Returns an errno value; `result` gets the address of the struct, or 0 when there is no such user. */
export const getpwnamR: Fn<
  [name: string, struct: Uint8Array, buffer: Uint8Array, length: number, result: Uint8Array]
> = declare('int getpwnam_r(const char *name, void *pwd, void *buffer, size_t length, void *result)');
export const getgrnamR: Fn<
  [name: string, struct: Uint8Array, buffer: Uint8Array, length: number, result: Uint8Array]
> = declare('int getgrnam_r(const char *name, void *grp, void *buffer, size_t length, void *result)');

// Events
export const epollCreate1: Fn<[flags: number]> = declare('int epoll_create1(int flags)');
export const epollCtl: Fn<[epfd: number, op: number, fd: number, event: Uint8Array]> = declare(
  'int epoll_ctl(int epfd, int op, int fd, void *event)',
);
/** Data path: `events` is the machine address of the event array. */
export const epollWait: Fn<[epfd: number, events: number, maxEvents: number, timeoutMs: number]> = declare(
  'int epoll_wait(int epfd, uintptr_t events, int maxevents, int timeout)',
);
export const eventfd: Fn<[initial: number, flags: number]> = declare(
  'int eventfd(unsigned int initial, int flags)',
);

// Sockets
export const socket: Fn<[domain: number, type: number, protocol: number]> = declare(
  'int socket(int domain, int type, int protocol)',
);
export const bind: Fn<[fd: number, address: Uint8Array, length: number]> = declare(
  'int bind(int fd, const void *address, unsigned int length)',
);
export const connect: Fn<[fd: number, address: Uint8Array, length: number]> = declare(
  'int connect(int fd, const void *address, unsigned int length)',
);
export const listen: Fn<[fd: number, backlog: number]> = declare('int listen(int fd, int backlog)');
export const accept4: Fn<[fd: number, address: Uint8Array, length: Uint8Array, flags: number]> = declare(
  'int accept4(int fd, void *address, void *length, int flags)',
);
export const setsockopt: Fn<[fd: number, level: number, name: number, value: Uint8Array, length: number]> =
  declare('int setsockopt(int fd, int level, int name, const void *value, unsigned int length)');
export const getsockopt: Fn<
  [fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array]
> = declare('int getsockopt(int fd, int level, int name, void *value, void *length)');
export const getsockname: Fn<[fd: number, address: Uint8Array, length: Uint8Array]> = declare(
  'int getsockname(int fd, void *address, void *length)',
);
export const sendto: Fn<
  [
    fd: number,
    buffer: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array | null,
    addressLength: number,
  ]
> = declare(
  'long sendto(int fd, const void *buffer, size_t length, int flags, const void *address, unsigned int address_length)',
);
/** Data path: buffer and socket address by their machine addresses. */
export const sendtoAddress: Fn<
  [fd: number, buffer: number, length: number, flags: number, address: number, addressLength: number]
> = declare(
  'long sendto(int fd, uintptr_t buffer, size_t length, int flags, uintptr_t address, unsigned int address_length)',
);
export const recv: Fn<[fd: number, buffer: Uint8Array, length: number, flags: number]> = declare(
  'long recv(int fd, void *buffer, size_t length, int flags)',
);
/** Data path: `messages` is the machine address of the mmsghdr array. */
export const sendmmsg: Fn<[fd: number, messages: number, count: number, flags: number]> = declare(
  'int sendmmsg(int fd, uintptr_t messages, unsigned int count, int flags)',
);
/** Data path: `messages` is the machine address of the mmsghdr array; never waits for a full vector. */
export const recvmmsg: Fn<[fd: number, messages: number, count: number, flags: number, timeout: number]> =
  declare('int recvmmsg(int fd, uintptr_t messages, unsigned int count, int flags, uintptr_t timeout)');

// Namespaces and mounts (lab)
export const unshare: Fn<[flags: number]> = declare('int unshare(int flags)');
export const setns: Fn<[fd: number, type: number]> = declare('int setns(int fd, int type)');
export const mount: Fn<[source: string, target: string, type: string | null, flags: number, data: null]> =
  declare(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
  );
export const umount2: Fn<[target: string, flags: number]> = declare(
  'int umount2(const char *target, int flags)',
);
