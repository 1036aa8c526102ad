/**
 * The kernel's TUN device: one read or write is one IP packet (IFF_NO_PI), non-blocking. The interface belongs to
 * the descriptor and vanishes with it, also when the process is killed, unless somebody made it persistent.
 */
import { ExitCode, OperatorError } from '../errors.ts';
import {
  EACCES,
  EBUSY,
  EINTR,
  EINVAL,
  ENODEV,
  ENOENT,
  EPERM,
  IFF_NO_PI,
  IFF_TUN,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  TUNSETIFF,
} from '../ffi/constants.ts';
import { IFREQ } from '../ffi/layout.ts';
import { close, errno, errnoName, ioctl, open, read, write } from '../ffi/libc.ts';
import { MAX_DATAGRAM, type Batch } from '../packet/batch.ts';
import { DropReason, PASS } from '../packet/verdict.ts';
import type { TunDevice } from './device.ts';

export interface OpenTun {
  readonly fd: number;
  readonly name: string;
}

/**
 * Opens a TUN device called `name`, or the kernel's next free `tunN` when undefined. A persistent
 * device (`ip tuntap add`) that nobody holds is attached to; one that is held is EBUSY. The caller owns the descriptor.
 * Throws OperatorError: no device node (4), no privilege (4), name in use (5).
 */
export function openTun(name: string | undefined, node: string): OpenTun {
  const fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) throw nodeError(node, errno());
  const request = new Uint8Array(IFREQ.size);
  new TextEncoder().encodeInto(name ?? 'tun%d', request);
  new DataView(request.buffer).setUint16(IFREQ.flags, IFF_TUN | IFF_NO_PI, true);
  if (ioctl(fd, TUNSETIFF, request) < 0) {
    const failure = errno();
    close(fd);
    throw attachError(name ?? 'tun%d', failure);
  }
  const nul = request.indexOf(0);
  return { fd, name: new TextDecoder().decode(request.subarray(0, Math.min(nul, IFREQ.nameSize))) };
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
    exitCode: ExitCode.Privilege,
  });
}

function attachError(name: string, failure: number): OperatorError {
  if (failure === EBUSY) {
    return new OperatorError({
      code: 'TUN_NAME_IN_USE',
      what: `cannot create the TUN device ${name}: the name is in use`,
      why: 'another program (a running tsvpn or openvpn?) holds an interface of that name',
      fix: `stop it, or choose another \`dev\` name; \`ip link show ${name}\` and \`tsvpn status\` show who it is`,
      exitCode: ExitCode.Busy,
    });
  }
  if (failure === EPERM || failure === EACCES) {
    return new OperatorError({
      code: 'TUN_NO_PRIVILEGE',
      what: `not allowed to create the TUN device ${name}: ${errnoName(failure)}`,
      why: 'creating a network interface needs CAP_NET_ADMIN',
      fix: `run as root (sudo); ${CONTAINER_FIX}`,
      exitCode: ExitCode.Privilege,
    });
  }
  return new OperatorError({
    code: 'TUN_ATTACH_FAILED',
    what: `cannot create the TUN device ${name}: ${errnoName(failure)}`,
    ...(failure === EINVAL
      ? { why: 'an interface of that name exists and is not a TUN device, or the name is not valid' }
      : {}),
    fix: 'choose another `dev` name',
    exitCode: failure === EINVAL ? ExitCode.Busy : ExitCode.Failure,
  });
}

/** The data path's side of an open TUN descriptor; owns and closes it. Batches must lie in a native arena. */
export class LinuxTun implements TunDevice {
  readonly name: string;
  readonly fd: number;

  constructor(device: OpenTun) {
    this.name = device.name;
    this.fd = device.fd;
  }

  readBatch(batch: Batch): number {
    const first = batch.count;
    const address = batch.arena.address;
    while (batch.count < batch.slots) {
      const length = read(this.fd, address + batch.packetOffset(batch.count), MAX_DATAGRAM);
      if (length <= 0) {
        if (length < 0 && errno() === EINTR) continue;
        break;
      }
      batch.commit(batch.count, length);
      batch.count++;
    }
    return batch.count - first;
  }

  writeBatch(batch: Batch, first: number, end: number): void {
    const address = batch.arena.address;
    for (let slot = first; slot < end; slot++) {
      if (batch.verdict[slot] !== PASS) continue;
      // A write is never partial. EINVAL is a malformed packet, EIO a link that is down: neither is fatal.
      if (write(this.fd, address + batch.start[slot], batch.length[slot]) < 0)
        batch.verdict[slot] = DropReason.TunWrite;
    }
  }

  close(): void {
    close(this.fd);
  }
}
