import { spawnSync } from 'node:child_process';

/** Why stock OpenVPN cannot be asked here, or undefined. */
export function noStock(): string | undefined {
  if (spawnSync('openvpn', ['--version']).error !== undefined) return 'openvpn is not installed';
  return spawnSync('unshare', ['--net', 'true']).status === 0
    ? undefined
    : 'needs root for a network of its own';
}
