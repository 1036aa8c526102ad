/** Struct layouts of the 64-bit Linux ABI (x86-64 and arm64 agree), in bytes. */

/** struct iovec { void *base; size_t length; } */
export const IOVEC = { size: 16, base: 0, length: 8 } as const;

/** struct mmsghdr { struct msghdr header; unsigned int length; } */
export const MMSGHDR = {
  size: 64,
  name: 0,
  nameLength: 8,
  iov: 16,
  iovLength: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  /** Filled in by the kernel: bytes received or sent. */
  length: 56,
} as const;

/** struct cmsghdr { size_t length; int level; int type; } and data; each begins at a multiple of `alignment`. */
export const CMSG = { header: 16, level: 8, type: 12, alignment: 8 } as const;

/** struct in_pktinfo { int ifindex; struct in_addr spec_dst; struct in_addr addr; } */
export const IN_PKTINFO = { size: 12, interface: 0, address: 4 } as const;

/** struct in6_pktinfo { struct in6_addr addr; unsigned int ifindex; } */
export const IN6_PKTINFO = { size: 20, address: 0, interface: 16 } as const;

/** struct sock_extended_err (linux/errqueue.h), a socket address behind it. */
export const SOCK_EXTENDED_ERR = { error: 0, info: 8, size: 16 } as const;

/** struct epoll_event is packed on x86-64 only (linux/eventpoll.h, EPOLL_PACKED). */
export const EPOLL_EVENT =
  process.arch === 'x64'
    ? ({ size: 12, events: 0, data: 4 } as const)
    : ({ size: 16, events: 0, data: 8 } as const);

/** struct ifreq: name, then a union. */
export const IFREQ = { size: 40, name: 0, nameSize: 16, flags: 16 } as const;
