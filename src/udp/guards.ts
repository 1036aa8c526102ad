/**
 * Guard sockets. Datagrams to a translated port of this host's own address are diverted to the TUN device by a rule
 * that looks at ports; fragments have none (but the first), so they reach this host, are reassembled and delivered
 * here. A guard is bound to each such port: it keeps local programs off the port and the kernel from answering "port
 * unreachable", and hands over the whole datagrams.
 */
import { SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, EINTR, MSG_DONTWAIT } from '../ffi/constants.ts';
import { bind, close, errno, recvmmsg, socket } from '../ffi/libc.ts';
import type { Arena } from '../packet/arena.ts';
import { ENDPOINT_SIZE, MAX_PACKET, type Batch } from '../packet/batch.ts';
import { formatAddress } from '../packet/address.ts';
import { addSums, arenaSum } from '../packet/checksum.ts';
import { IPV4_DESTINATION, IPV4_MIN_HEADER, IPV4_SOURCE, writeIpv4Header } from '../packet/ipv4.ts';
import { addressSum } from '../packet/pseudo-header.ts';
import { clearUdpChecksum, PROTOCOL_UDP, setUdpChecksum, setUdpLength, UDP_HEADER } from '../packet/udp.ts';
import { writeUint16 } from '../packet/word.ts';
import { AF_INET, encodeEndpoint, endpointLength, endpointPort } from '../transport/endpoint.ts';
import { MessageTable } from './message-table.ts';

const IPV4_UDP_HEADERS = IPV4_MIN_HEADER + UDP_HEADER;
/** TTL of a datagram whose own is not known any more. */
const HOPS_LEFT = 64;
const SOCKADDR_IN_ADDRESS = 4;

interface Guard {
  readonly fd: number;
  /** 4 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
}

export class GuardSockets {
  private readonly table: MessageTable;
  private readonly arena: Arena;
  private readonly sender: number;
  private readonly guards = new Map<string, Guard>();

  constructor(arena: Arena) {
    this.arena = arena;
    this.table = new MessageTable(arena, 1, 1);
    this.sender = arena.take(ENDPOINT_SIZE);
  }

  static arenaSize(): number {
    return MessageTable.arenaSize(1, 1) + ENDPOINT_SIZE + 64;
  }

  /** Binds the port and returns the descriptor; undefined when somebody has it, or no descriptor is left. */
  open(address: Uint8Array, port: number): number | undefined {
    const fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return undefined;
    const endpoint = encodeEndpoint(formatAddress(address), port);
    if (bind(fd, endpoint, endpointLength(endpoint, 0)) < 0) {
      close(fd);
      return undefined;
    }
    this.guards.set(keyOf(address, port), { fd, address: address.slice(), port });
    return fd;
  }

  close(address: Uint8Array, port: number): void {
    const guard = this.guards.get(keyOf(address, port));
    if (guard === undefined) return;
    this.guards.delete(keyOf(address, port));
    close(guard.fd);
  }

  /**
   * Appends the datagrams that wait at any guard, each as the whole IPv4 packet it was. Looks at all of them: fragments to
   * translated ports are rare.
   */
  recvBatch(batch: Batch): number {
    const first = batch.count;
    for (const guard of this.guards.values()) {
      while (batch.count < batch.slots) {
        const at = batch.packetOffset(batch.count);
        const length = this.receive(guard.fd, at + IPV4_UDP_HEADERS);
        if (length < 0) break;
        this.writeHeaders(guard, at, length);
        batch.commit(batch.count++, IPV4_UDP_HEADERS + length);
      }
    }
    return batch.count - first;
  }

  /** The headers of the datagram before it was cut. The kernel has checked its checksum, and it gets a new one. */
  private writeHeaders(guard: Guard, at: number, payload: number): void {
    const { bytes } = this.arena;
    const udp = at + IPV4_MIN_HEADER;
    const length = UDP_HEADER + payload;
    const sender = this.sender + SOCKADDR_IN_ADDRESS;
    bytes.copyWithin(at + IPV4_SOURCE, sender, sender + 4);
    bytes.set(guard.address, at + IPV4_DESTINATION);
    writeIpv4Header(bytes, at, IPV4_MIN_HEADER + length, 0, 0, 0, HOPS_LEFT, PROTOCOL_UDP);
    writeUint16(bytes, udp, endpointPort(bytes, this.sender));
    writeUint16(bytes, udp + 2, guard.port);
    setUdpLength(bytes, udp, length);
    clearUdpChecksum(bytes, udp);
    const sum = addSums(
      addSums(addressSum(this.arena, at, PROTOCOL_UDP), length),
      arenaSum(this.arena, udp, length),
    );
    setUdpChecksum(bytes, udp, ~sum & 0xffff);
  }

  private receive(fd: number, at: number): number {
    this.table.setVector(0, at, MAX_PACKET - IPV4_UDP_HEADERS);
    this.table.setMessage(0, this.sender, ENDPOINT_SIZE, 0, 1);
    let received = recvmmsg(fd, this.table.address, 1, MSG_DONTWAIT, 0);
    while (received < 0 && errno() === EINTR) received = recvmmsg(fd, this.table.address, 1, MSG_DONTWAIT, 0);
    return received === 1 ? this.table.length(0) : -1;
  }
}

function keyOf(address: Uint8Array, port: number): string {
  return `${formatAddress(address)}:${port}`;
}
