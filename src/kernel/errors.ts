/** The failures of kernel set-up, put for people. */
import { getSystemErrorMap } from 'node:util';
import { ExitCode, OperatorError } from '../errors.ts';
import { NetlinkError } from '../ffi/netlink.ts';
import { renderIp, type KernelChange } from './change.ts';

/** The kernel refused `change`. */
export function changeFailed(change: KernelChange, error: NodeJS.ErrnoException): OperatorError {
  const explanation = error instanceof NetlinkError ? error.explanation : '';
  const reason = explanation === '' ? describe(error) : `${explanation} (${describe(error)})`;
  const privilege = error.code === 'EPERM' || error.code === 'EACCES';
  return new OperatorError({
    code: privilege ? 'KERNEL_PRIVILEGE' : 'KERNEL_CHANGE',
    what: `the kernel refused: ${renderIp(change)}`,
    why: reason,
    fix: fixFor(change, error.code ?? ''),
    where: change.kind === 'route' ? change.where : undefined,
    directives: directivesOf(change),
    exitCode: privilege ? ExitCode.Privilege : ExitCode.Failure,
    cause: error,
  });
}

/** Those that ask for such a change. */
function directivesOf(change: KernelChange): readonly string[] {
  switch (change.kind) {
    case 'mtu':
      return ['tun-mtu'];
    case 'txqueuelen':
      return ['txqueuelen'];
    case 'link-address':
      return ['lladdr'];
    case 'master':
      return ['bridge'];
    case 'address':
      return [change.family === 6 ? 'ifconfig-ipv6' : 'ifconfig'];
    case 'displaced-route':
    case 'route':
      return ['redirect-gateway', 'redirect-private'];
    case 'rule':
    case 'local-rule-last':
    case 'sysctl':
    case 'proxy-neighbour':
      return ['nat', 'redirect-gateway'];
    case 'up':
      return [];
  }
}

/** Node's own errors have a negative errno, system calls a positive one. */
function describe({ errno, code, message }: NodeJS.ErrnoException): string {
  return getSystemErrorMap().get(-Math.abs(errno ?? 0))?.[1] ?? code ?? message;
}

function fixFor(change: KernelChange, code: string): string {
  if (code === 'EPERM' || code === 'EACCES') {
    return change.kind === 'address' && change.family === 6 && code === 'EACCES'
      ? `IPv6 is switched off: sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0`
      : 'run tsvpn as root, or give it CAP_NET_ADMIN (docker run --cap-add NET_ADMIN, AmbientCapabilities= in systemd)';
  }
  if (change.kind === 'route' && (code === 'ENETUNREACH' || code === 'EHOSTUNREACH')) {
    return `gateway ${change.gateway ?? ''} is on no connected network: correct the route line, or the ifconfig line that should make it reachable`;
  }
  if (code === 'ENETDOWN') return 'the device is down: a route needs an ifconfig or ifconfig-ipv6 line';
  if (code === 'EINVAL' && change.kind === 'mtu') return 'choose another tun-mtu';
  if (change.kind === 'master')
    return `${change.master} is no bridge that takes it: ip -d link show ${change.master}`;
  return `try the same by hand to see what is wrong: ${renderIp(change)}`;
}

export function deviceGone(change: KernelChange, device: string): OperatorError {
  return new OperatorError({
    code: 'KERNEL_DEVICE_GONE',
    what: `there is no device ${device}: ${renderIp(change)}`,
    why: 'it was renamed, removed or moved to another network namespace while tsvpn was starting',
    fix: 'find what manages network devices here and tell it to leave tun devices alone, then start again',
    exitCode: ExitCode.Failure,
  });
}

export function noBridge(change: Extract<KernelChange, { kind: 'master' }>): OperatorError {
  const { master } = change;
  return new OperatorError({
    code: 'KERNEL_NO_BRIDGE',
    what: `there is no bridge ${master}: ${renderIp(change)}`,
    why: 'the bridge belongs to the network configuration of this host, and outlives the tunnel',
    fix: `ip link add ${master} type bridge && ip link set ${master} up && ip link set eth1 master ${master}\n(eth1: the LAN), or correct the \`bridge\` line`,
    directives: ['bridge'],
    exitCode: ExitCode.Failure,
  });
}

/** Nothing is changed that cannot be written down first. */
export function journalFailed(path: string, error: unknown): OperatorError {
  return new OperatorError({
    code: 'JOURNAL_WRITE',
    what: `cannot write the undo journal ${path}`,
    why: error instanceof Error ? error.message : String(error),
    fix: 'make its directory writable and free some space there; tsvpn changes nothing that it could not undo later',
    exitCode: ExitCode.Failure,
    cause: error,
  });
}

export function journalLeftOver(path: string): OperatorError {
  return new OperatorError({
    code: 'JOURNAL_EXISTS',
    what: `the undo journal ${path} is of an earlier run that is not cleaned up, or still running`,
    why: 'its changes would no longer be undone if this run took the file over',
    fix: 'tsvpn cleanup says what is left and undoes it; run it in the network namespace the earlier run was in',
    exitCode: ExitCode.Busy,
  });
}

export function cleanupForbidden(path: string, error: unknown): OperatorError {
  return new OperatorError({
    code: 'CLEANUP_PRIVILEGE',
    what: `no permission to look for undo journals: ${path}`,
    why: 'it belongs to the user who started the tunnel',
    fix: 'run the command as root (sudo)',
    exitCode: ExitCode.Privilege,
    cause: error,
  });
}
