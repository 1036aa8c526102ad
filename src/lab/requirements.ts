/** What the lab needs from the machine, checked before anything is made. */
import { readFileSync } from 'node:fs';
import { close } from '../ffi/libc.ts';
import { openTun } from '../tun/open.ts';
import { noPrivilege, type LabCommand } from './errors.ts';
import { inNamespace, type NetworkNamespace } from './namespaces.ts';

/** linux/capability.h */
const CAPABILITIES = [
  ['CAP_SYS_ADMIN', 21],
  ['CAP_NET_ADMIN', 12],
  ['CAP_NET_RAW', 13],
] as const;

/** Throws OperatorError (exit code 4) that names the capabilities this process lacks. */
export function checkRequirements(command: LabCommand): void {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const missing = CAPABILITIES.filter(([, bit]) => ((effective >> BigInt(bit)) & 1n) === 0n);
  if (missing.length > 0)
    throw noPrivilege(
      missing.map(([name]) => name),
      command,
    );
}

/** Opens and closes a TUN device inside the lab. Throws OperatorError (exit code 4) when there are none here. */
export function checkTun(namespace: NetworkNamespace): void {
  inNamespace(namespace, () =>
    close(openTun({ type: 'tun', name: undefined, node: '/dev/net/tun', offload: false }).fd),
  );
}
