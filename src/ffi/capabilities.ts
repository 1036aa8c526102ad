/** capabilities(7). They belong to a thread: each gives up its own. */
import { readFileSync } from 'node:fs';
import { capset, check, prctl } from './libc.ts';

/** linux/capability.h */
export const Capability = { CAP_NET_BIND_SERVICE: 10, CAP_NET_ADMIN: 12, CAP_NET_RAW: 13 } as const;

/** linux/prctl.h */
const PR_SET_KEEPCAPS = 8;
const CAPABILITY_VERSION_3 = 0x20080522;

/** Whether the thread may keep capabilities when its user changes; threads that it starts inherit the answer. Throws OsError. */
export function keepOverUserChange(keep: boolean): void {
  check('prctl', prctl(PR_SET_KEEPCAPS, keep ? 1 : 0, 0, 0, 0));
}

/** What the thread may have. */
export function isPermitted(capability: number): boolean {
  const status = readFileSync('/proc/thread-self/status', 'utf8');
  const permitted = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return ((permitted >> BigInt(capability)) & 1n) === 1n;
}

/**
 * Gives up everything else, for good. Throws OsError, also when it is not permitted one of them.
 *
 * struct __user_cap_header_struct { u32 version; int pid; }, then twice (capabilities 0..31, 32..63)
 * struct __user_cap_data_struct { u32 effective, permitted, inheritable; }.
 */
export function limitCapabilities(capabilities: readonly number[]): void {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  const data = Buffer.alloc(24);
  const set = capabilities.reduce((sum, bit) => sum + 2 ** bit, 0);
  data.writeUInt32LE(set, 0);
  data.writeUInt32LE(set, 4);
  check('capset', capset(header, data));
}
