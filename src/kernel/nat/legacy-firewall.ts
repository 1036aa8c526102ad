/**
 * The FORWARD chain of legacy iptables, which nft(8) does not show: its policy as the kernel tells it to iptables-legacy(8),
 * by socket options (linux/netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h).
 */
import { readFileSync } from 'node:fs';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IP,
  IPPROTO_IPV6,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
} from '../../ffi/constants.ts';
import { check, close, getsockopt, socket } from '../../ffi/libc.ts';
import { int32 } from '../../ffi/socket.ts';

const TABLE = 'filter';
/** IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES; the same for IPv6. */
const GET_INFO = 64;
const GET_ENTRIES = 65;
/** struct ipt_getinfo: `underflow` holds the offset of the rule that is a chain's policy, NF_INET_FORWARD third. */
const INFO = { size: 84, forwardPolicy: 56 + 2 * 4, entriesSize: 80 } as const;
/** struct ipt_get_entries: name, size, and from here on the rules. */
const ENTRIES = { size: 32, rules: 40 } as const;
/** struct xt_standard_target. */
const VERDICT = 32;
/** -NF_DROP - 1. */
const DROP = -1;

const FAMILIES = [
  {
    tool: 'iptables-legacy',
    names: '/proc/net/ip_tables_names',
    domain: AF_INET,
    level: IPPROTO_IP,
    /** Of struct ipt_entry. */
    targetOffset: 88,
  },
  {
    tool: 'ip6tables-legacy',
    names: '/proc/net/ip6_tables_names',
    domain: AF_INET6,
    level: IPPROTO_IPV6,
    targetOffset: 140,
  },
] as const;

/** The tools whose FORWARD chain has policy DROP. */
export function droppingTools(): string[] {
  return FAMILIES.filter((family) => hasTable(family.names) && dropsForwarded(family)).map(
    ({ tool }) => tool,
  );
}

/** To ask the kernel for a table makes it: only one that is there is asked for. */
function hasTable(names: string): boolean {
  try {
    return readFileSync(names, 'utf8').split('\n').includes(TABLE);
  } catch {
    return false;
  }
}

function dropsForwarded({ domain, level, targetOffset }: (typeof FAMILIES)[number]): boolean {
  const fd = check('socket', socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    const info = asked(fd, level, GET_INFO, INFO.size);
    const size = info?.getUint32(INFO.entriesSize, true) ?? 0;
    const table = info && asked(fd, level, GET_ENTRIES, ENTRIES.rules + size, size);
    if (table === undefined) return false;
    const policy = ENTRIES.rules + info!.getUint32(INFO.forwardPolicy, true);
    const target = policy + table.getUint16(policy + targetOffset, true);
    return table.getInt32(target + VERDICT, true) === DROP;
  } finally {
    close(fd);
  }
}

/** What the kernel says about the table; undefined where it says nothing, or the table has just changed. */
function asked(fd: number, level: number, option: number, length: number, size = 0): DataView | undefined {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(TABLE));
  if (option === GET_ENTRIES) view.setUint32(ENTRIES.size, size, true);
  return getsockopt(fd, level, option, bytes, int32(length)) < 0 ? undefined : view;
}
