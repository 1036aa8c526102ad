/**
 * Opens the kernel's TUN or TAP device. The interface belongs to the descriptor and vanishes with it, also when the process
 * is killed, unless somebody made it persistent. Runs on the main thread; the worker then owns the descriptor.
 */
import { ExitCode, OperatorError } from '../errors.ts';
import {
  EACCES,
  EBUSY,
  EINVAL,
  ENODEV,
  ENOENT,
  EPERM,
  IFF_NO_PI,
  IFF_TAP,
  IFF_TUN,
  IFF_VNET_HDR,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  TUNSETIFF,
  TUNSETOFFLOAD,
} from '../ffi/constants.ts';
import { IFREQ } from '../ffi/layout.ts';
import { close, errno, errnoName, ioctl, ioctlValue, open } from '../ffi/libc.ts';
import type { DeviceType } from '../packet/ethernet.ts';

/** What the kernel hands over and takes in one piece; each depends on the one before. */
export type TunOffload = 'none' | 'checksum' | 'tso' | 'tso+uso';

export interface OpenTun {
  readonly fd: number;
  readonly name: string;
  readonly type: DeviceType;
  /** Anything but `none` puts a virtio_net_hdr in front of every packet. */
  readonly offload: TunOffload;
}

export interface OpenTunOptions {
  readonly type: DeviceType;
  /** Undefined takes the kernel's next free `tunN` or `tapN`. */
  readonly name: string | undefined;
  /** `/dev/net/tun`, but for exotic set-ups. */
  readonly node: string;
  /** Ask for what this kernel can do. */
  readonly offload: boolean;
}

/**
 * Opens a device. A persistent one (`ip tuntap add`) that nobody holds is attached to; one that is held is EBUSY. The caller
 * owns the descriptor. Throws OperatorError: no device node (4), no privilege (4), name in use (5).
 */
export function openTun(options: OpenTunOptions): OpenTun {
  const { type, node } = options;
  const name = options.name ?? `${type}%d`;
  const fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) throw nodeError(node, errno());
  const request = new Uint8Array(IFREQ.size);
  new TextEncoder().encodeInto(name, request);
  const flags = (type === 'tap' ? IFF_TAP : IFF_TUN) | IFF_NO_PI | (options.offload ? IFF_VNET_HDR : 0);
  new DataView(request.buffer).setUint16(IFREQ.flags, flags, true);
  if (ioctl(fd, TUNSETIFF, request) < 0) {
    const failure = errno();
    close(fd);
    throw attachError(type, name, failure);
  }
  const nul = request.indexOf(0);
  return {
    fd,
    name: new TextDecoder().decode(request.subarray(0, Math.min(nul, IFREQ.nameSize))),
    type,
    offload: options.offload ? enableOffload(fd) : 'none',
  };
}

/** TSO needs Linux 2.6.27, USO 6.2: asks for the most first. */
function enableOffload(fd: number): TunOffload {
  const tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  if (ioctlValue(fd, TUNSETOFFLOAD, tso | TUN_F_USO4 | TUN_F_USO6) === 0) return 'tso+uso';
  return ioctlValue(fd, TUNSETOFFLOAD, tso) === 0 ? 'tso' : 'checksum';
}

/** Closes a device no LinuxTun has taken over, or whose owner is gone. */
export function closeTun(device: OpenTun): void {
  close(device.fd);
}

const CONTAINER_FIX =
  'in a container, start it with `--device /dev/net/tun --cap-add NET_ADMIN`; on a host, `modprobe tun` and run as root';

function nodeError(node: string, failure: number): OperatorError {
  const missing = failure === ENOENT || failure === ENODEV;
  return new OperatorError({
    code: missing ? 'TUN_NO_DEVICE_NODE' : 'TUN_NODE_UNREADABLE',
    what: `cannot open ${node}: ${errnoName(failure)}`,
    why: missing
      ? 'the kernel has no TUN driver here, or the container was not given the device'
      : 'this user may not open it',
    fix: missing
      ? CONTAINER_FIX
      : 'run as root (sudo), or give the process CAP_NET_ADMIN and access to the device node',
    directives: ['dev-node'],
    exitCode: ExitCode.Privilege,
  });
}

function attachError(type: DeviceType, name: string, failure: number): OperatorError {
  const device = type.toUpperCase();
  if (failure === EBUSY) {
    return new OperatorError({
      code: 'TUN_NAME_IN_USE',
      what: `cannot create the ${device} device ${name}: the name is in use`,
      why: 'another program (a running tsvpn or openvpn?) holds an interface of that name',
      fix: `stop it, or choose another \`dev\` name; \`ip link show ${name}\` and \`tsvpn status\` show who it is`,
      directives: ['dev'],
      exitCode: ExitCode.Busy,
    });
  }
  if (failure === EPERM || failure === EACCES) {
    return new OperatorError({
      code: 'TUN_NO_PRIVILEGE',
      what: `not allowed to create the ${device} device ${name}: ${errnoName(failure)}`,
      why: 'creating a network interface needs CAP_NET_ADMIN',
      fix: `run as root (sudo); ${CONTAINER_FIX}`,
      exitCode: ExitCode.Privilege,
    });
  }
  return new OperatorError({
    code: 'TUN_ATTACH_FAILED',
    what: `cannot create the ${device} device ${name}: ${errnoName(failure)}`,
    why:
      failure === EINVAL
        ? `an interface of that name exists and is not a ${device} device, or the name is not valid`
        : undefined,
    fix: 'choose another `dev` name',
    directives: ['dev'],
    exitCode: failure === EINVAL ? ExitCode.Busy : ExitCode.Failure,
  });
}
