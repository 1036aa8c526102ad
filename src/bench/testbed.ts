/**
 * Where everything is measured: two network namespaces, `a` and `b`, joined by one cable (veth, MTU 1500).
 *
 *     a 192.0.2.1 ─────────── cable ─────────── 192.0.2.2 b
 *       10.90.N.1 ═════════ tunnel N ═════════ 10.90.N.2        one for each contender
 *
 * The lab's reaper removes all of it when this process ends, however that happens.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addAddress, addVeth } from '../kernel/rtnetlink.ts';
import { interrupted } from '../lab/errors.ts';
import { createNamespace, unmountName, type NetworkNamespace } from '../lab/namespaces.ts';
import { closeNamespaces, upDevice, withNetlinkOf } from '../lab/network.ts';
import { startReaper, type Reaper } from '../lab/reaper.ts';
import { checkRequirements, checkTun } from '../lab/requirements.ts';

export type EndName = 'a' | 'b';
export const ENDS: readonly EndName[] = ['a', 'b'];

export const CABLE = 'cable';
export const OUTER: Readonly<Record<EndName, string>> = { a: '192.0.2.1', b: '192.0.2.2' };

export function otherEnd(end: EndName): EndName {
  return end === 'a' ? 'b' : 'a';
}

export interface Testbed {
  readonly a: NetworkNamespace;
  readonly b: NetworkNamespace;
  /** Where the ends find each other. */
  readonly outer: Readonly<Record<EndName, string>>;
  /** Configs, keys and logs; removed with the rest. */
  readonly folder: string;
  readonly reaper: Reaper;
  /** One more namespace, removed with the rest. */
  addHost(name: string): NetworkNamespace;
  /** Removes it before the rest; nothing may run there any more. */
  removeHost(host: NetworkNamespace): void;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
}

/**
 * Builds the testbed, uses it, and removes it. Throws OperatorError without root, without TUN devices, and when
 * `signal` is aborted.
 */
export async function withTestbed<Result>(
  signal: AbortSignal,
  use: (testbed: Testbed) => Promise<Result>,
): Promise<Result> {
  checkRequirements('bench');
  const prefix = `tsvpn-${randomBytes(3).toString('hex')}`;
  const folder = mkdtempSync(join(tmpdir(), `${prefix}-`));
  const reaper = startReaper();
  reaper.tell(`folder ${folder}`);
  const namespaces = new Set<NetworkNamespace>();
  try {
    const addHost = (name: string) => {
      const namespace = createNamespace(`${prefix}-${name}`);
      namespaces.add(namespace);
      reaper.tell(`name ${namespace.name}`);
      return namespace;
    };
    const removeHost = (host: NetworkNamespace) => {
      unmountName(host.name);
      namespaces.delete(host);
      closeNamespaces([host]);
    };
    const [a, b] = ENDS.map(addHost);
    layCable(CABLE, [a, OUTER.a], [b, OUTER.b]);
    checkTun(a);
    return await use({ a, b, outer: OUTER, folder, reaper, addHost, removeHost, signal });
  } catch (error) {
    throw signal.aborted ? interrupted('bench') : error;
  } finally {
    await reaper.finish();
    closeNamespaces([...namespaces]);
  }
}

type HostAddress = readonly [host: NetworkNamespace, address: string];

/** Joins two hosts by devices of the same name, in a network of 24 bits. */
export function layCable(device: string, near: HostAddress, far: HostAddress): void {
  withNetlinkOf(near[0], (netlink) => addVeth(netlink, device, { name: device, namespaceFd: far[0].fd }));
  for (const [namespace, local] of [near, far]) {
    withNetlinkOf(namespace, (netlink) => {
      upDevice(netlink, 'lo');
      const index = upDevice(netlink, device);
      addAddress(netlink, index, { family: 4, local, peer: undefined, prefixLength: 24 });
    });
  }
}
