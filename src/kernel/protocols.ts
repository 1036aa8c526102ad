/** Who made a route, by the names `ip route` shows (linux/rtnetlink.h, RTPROT_*; iproute2's rt_protos). */

export const RTPROT_KERNEL = 2;

const NAMES: Readonly<Record<number, string>> = {
  0: 'unspec',
  1: 'redirect',
  [RTPROT_KERNEL]: 'kernel',
  3: 'boot',
  4: 'static',
  8: 'gated',
  9: 'ra',
  10: 'mrt',
  11: 'zebra',
  12: 'bird',
  13: 'dnrouted',
  14: 'xorp',
  15: 'ntk',
  16: 'dhcp',
  17: 'mrouted',
  18: 'keepalived',
  42: 'babel',
  84: 'ovn',
  99: 'openr',
  186: 'bgp',
  187: 'isis',
  188: 'ospf',
  189: 'rip',
  192: 'eigrp',
};

/** `bird`, `static`; the number for one without a name. */
export function protocolName(protocol: number): string {
  return NAMES[protocol] ?? String(protocol);
}
