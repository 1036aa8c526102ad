/**
 * A raw socket that gets copies of the ICMP messages to one address of this host. The kernel still handles them itself:
 * nothing is diverted, so that ping and path MTU discovery of the host go on as before.
 */
import {
  AF_INET,
  ICMP_FILTER,
  IP_HDRINCL,
  IPPROTO_ICMP,
  IPPROTO_IP,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_RAW,
} from '../../ffi/constants.ts';
import { bind, check, close, setsockopt, socket } from '../../ffi/libc.ts';
import { u32 } from '../../ffi/netlink.ts';

/** Echo reply, destination unreachable, time exceeded, parameter problem, timestamp reply: what answers us. */
const WANTED_TYPES = [0, 3, 11, 12, 14];

/**
 * Opens the socket for `address` (4 bytes), non-blocking; the caller owns the descriptor. Reads give whole IP packets, put
 * together from fragments; writes take whole IP packets, the header included (IP_HDRINCL), to any destination given in
 * sendto(). Throws OsError: EPERM without CAP_NET_RAW, EADDRNOTAVAIL when the address is not the host's.
 */
export function openRawIcmp(address: Uint8Array): number {
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = check('socket(SOCK_RAW, ICMP)', socket(AF_INET, type, IPPROTO_ICMP));
  try {
    const blocked = WANTED_TYPES.reduce((mask, wanted) => mask & ~(1 << wanted), -1) >>> 0;
    check('setsockopt(ICMP_FILTER)', setsockopt(fd, SOL_RAW, ICMP_FILTER, u32(blocked), 4));
    check('setsockopt(IP_HDRINCL)', setsockopt(fd, IPPROTO_IP, IP_HDRINCL, u32(1), 4));
    // struct sockaddr_in: 0 family (u16)  2 port  4 address
    const name = new Uint8Array(16);
    name[0] = AF_INET;
    name.set(address, 4);
    check('bind(SOCK_RAW, ICMP)', bind(fd, name, name.length));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
