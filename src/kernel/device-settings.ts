/** Settings of network devices under /proc/sys/net/ipv{4,6}/conf, in the calling thread's network namespace. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Netlink } from '../ffi/netlink.ts';
import type { SysctlChange } from './change.ts';
import { linkByName, setDeviceConf } from './rtnetlink.ts';

type Setting = Pick<SysctlChange, 'family' | 'device' | 'name'>;

/** Numbers of the settings in rtnetlink's IFLA_INET_CONF (linux/ip.h). */
const IPV4_DEVCONF: Partial<Record<SysctlChange['name'], number>> = { forwarding: 1, rp_filter: 8 };

/** Undefined when there is no such device, or this kernel has no such setting. */
export function readSetting({ family, device, name }: Setting): number | undefined {
  try {
    return Number(readFileSync(settingPath({ family, device, name }), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * By /proc/sys, which does more than setting the value: forwarding ends LRO. Containers may have it read-only; rtnetlink then
 * does for IPv4. Throws the error of the write.
 */
export function writeSetting(netlink: Netlink, setting: Setting, value: number): void {
  try {
    writeFileSync(settingPath(setting), String(value));
  } catch (error) {
    const number = setting.family === 4 ? IPV4_DEVCONF[setting.name] : undefined;
    const link = linkByName(netlink, setting.device);
    if (number === undefined || link === undefined || !isReadOnly(error)) throw error;
    setDeviceConf(netlink, link.index, number, value);
  }
}

function isReadOnly(error: unknown): boolean {
  return ['EROFS', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function settingPath({ family, device, name }: Setting): string {
  return `/proc/sys/net/ipv${family}/conf/${device}/${name}`;
}
