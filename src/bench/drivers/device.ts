/** Waiting for a tunnel's device, which its daemon creates some time after its start. */
import { setTimeout as pause } from 'node:timers/promises';
import { linkByName } from '../../kernel/rtnetlink.ts';
import type { NetworkNamespace } from '../../lab/namespaces.ts';
import { withNetlinkOf } from '../../lab/network.ts';

const TIMEOUT_MS = 5000;
const POLL_MS = 20;

/** Resolves when the device is there, or has not come in time: what needs it then says so. */
export async function untilDevice(namespace: NetworkNamespace, device: string): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  const exists = () => withNetlinkOf(namespace, (netlink) => linkByName(netlink, device)) !== undefined;
  while (!exists() && performance.now() < deadline) await pause(POLL_MS);
}
