/** Hears of changes to links, addresses, routes and rules, whoever makes them. */
import { NetlinkListener } from '../ffi/netlink.ts';

/** RTNLGRP_* of linux/rtnetlink.h. */
const GROUPS = {
  link: 1,
  ipv4Address: 5,
  ipv4Route: 7,
  ipv4Rule: 8,
  ipv6Address: 9,
  ipv6Route: 11,
  ipv6Rule: 19,
};

/** Looking costs one system call. */
const POLL_MS = 100;
/** A handler that took t ms is not called again for SPARE * t: a routing daemon at work must not fill the main thread. */
const SPARE = 9;

export interface Monitor {
  close(): void;
}

/**
 * Calls `onChange` on the next tick of the poll that finds the kernel quiet, and at the latest after ten of them: a change
 * seldom comes alone. What changed is not told: look at the host again. Messages that were lost to an overrun
 * count as a change, too.
 */
export function startMonitor(onChange: () => void): Monitor {
  const listener = new NetlinkListener(Object.values(GROUPS));
  let waited = 0;
  let notBefore = 0;
  const timer = setInterval(() => {
    const heard = listener.drain();
    if (!heard && waited === 0) return;
    waited++;
    const now = performance.now();
    if ((heard && waited < 10) || now < notBefore) return;
    waited = 0;
    onChange();
    const end = performance.now();
    notBefore = end + SPARE * (end - now);
  }, POLL_MS);
  timer.unref();
  return {
    close: () => {
      clearInterval(timer);
      listener.close();
    },
  };
}
