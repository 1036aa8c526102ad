/** A raw ICMP socket with IP_HDRINCL (raw(7)): what is read and written are whole IPv4 packets. */
import { AF_INET, EINTR, EMSGSIZE, IP_MTU, IPPROTO_IP, SOCK_CLOEXEC, SOCK_DGRAM } from '../ffi/constants.ts';
import { close, connect, errno, getsockopt, read, sendtoAddress, socket } from '../ffi/libc.ts';
import { readU32, u32 } from '../ffi/netlink.ts';
import type { Arena } from '../packet/arena.ts';
import { ENDPOINT_SIZE, MAX_PACKET, type Batch } from '../packet/batch.ts';
import { IPV4_DESTINATION } from '../packet/ipv4.ts';
import { REFUSED, SENT, type IcmpPort } from './port.ts';

const SOCKADDR_IN_SIZE = 16;
const SOCKADDR_IN_ADDRESS = 4;

/** Owns and closes the descriptor. Batches must lie in the native arena the port was built on. */
export class LinuxIcmpPort implements IcmpPort {
  readonly fd: number;
  private readonly arena: Arena;
  private readonly target: number;

  constructor(fd: number, arena: Arena, targetRow: number) {
    this.fd = fd;
    this.arena = arena;
    this.target = targetRow;
    arena.bytes.fill(0, targetRow, targetRow + ENDPOINT_SIZE);
    arena.bytes[targetRow] = AF_INET;
  }

  recvBatch(batch: Batch): number {
    const first = batch.count;
    while (batch.count < batch.slots) {
      const slot = batch.count;
      const address = this.arena.address + batch.packetOffset(slot);
      let length = read(this.fd, address, MAX_PACKET);
      while (length < 0 && errno() === EINTR) length = read(this.fd, address, MAX_PACKET);
      if (length <= 0) break;
      batch.commit(batch.count++, length);
    }
    return batch.count - first;
  }

  send(batch: Batch, slot: number): number {
    const { bytes, address } = this.arena;
    const start = batch.start[slot];
    const destination = start + IPV4_DESTINATION;
    bytes.copyWithin(this.target + SOCKADDR_IN_ADDRESS, destination, destination + 4);
    const target = address + this.target;
    const length = batch.length[slot];
    if (sendtoAddress(this.fd, address + start, length, 0, target, SOCKADDR_IN_SIZE) >= 0) return SENT;
    const mtu = errno() === EMSGSIZE ? pathMtu(bytes.slice(this.target, this.target + SOCKADDR_IN_SIZE)) : 0;
    return mtu > 0 && mtu < length ? mtu : REFUSED;
  }

  close(): void {
    close(this.fd);
  }
}

/** What the kernel knows of the way to an address (struct sockaddr_in), bytes; 0 when it knows none. Four system calls. */
function pathMtu(address: Uint8Array): number {
  const fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  const value = u32(0);
  const known =
    connect(fd, address, address.length) >= 0 &&
    getsockopt(fd, IPPROTO_IP, IP_MTU, value, u32(value.length)) >= 0;
  close(fd);
  return known ? readU32(value) : 0;
}
