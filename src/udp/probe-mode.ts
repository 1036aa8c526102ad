/** A UDP socket for a moment in the mode for probes: nothing is cut, and what routers said before does not matter (ip(7)). */
import * as c from '../ffi/constants.ts';
import { getsockopt, setsockopt } from '../ffi/libc.ts';
import { int32 } from '../ffi/socket.ts';

const OPTIONS = [
  [c.IPPROTO_IP, c.IP_MTU_DISCOVER],
  [c.IPPROTO_IPV6, c.IPV6_MTU_DISCOVER],
] as const;

/** Returns what makes it the mode that it was. An IPv4 socket has no option of IPv6. */
export function probeMode(fd: number): () => void {
  const undo = OPTIONS.flatMap(([level, name]) => {
    const before = int32(0);
    if (getsockopt(fd, level, name, before, int32(4)) < 0) return [];
    setsockopt(fd, level, name, int32(c.IP_PMTUDISC_PROBE), 4);
    return [() => setsockopt(fd, level, name, before, 4)];
  });
  return () => {
    for (const restore of undo) restore();
  };
}
