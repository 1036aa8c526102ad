/**
 * Raw sockets (raw(7)) beside a UDP socket, for probes: datagrams in IP packets of an exact length that nobody may
 * fragment (packet/surplus.ts). What the kernel believes of the path does not matter to it here, only the device's MTU.
 */
import * as c from '../ffi/constants.ts';
import {
  close,
  connect,
  errno,
  getsockname,
  getsockopt,
  sendtoAddress,
  setsockopt,
  socket,
} from '../ffi/libc.ts';
import { int32 } from '../ffi/socket.ts';
import type { Arena } from '../packet/arena.ts';
import { ENDPOINT_SIZE, MAX_PACKET } from '../packet/batch.ts';
import { fitsSurplus, udpHeaders, writeSurplusPacket, type UdpEnd } from '../packet/surplus.ts';
import { writeFragment } from '../packet/udp-fragments.ts';
import {
  AF_INET,
  endpointAddress,
  endpointLength,
  endpointPort,
  localAddress,
} from '../transport/endpoint.ts';
import type { SizedSend } from '../transport/port.ts';

/** Bytes a fragment that is sent for the sake of it may have. */
const FRAGMENT_ROOM = 2048;

/** Raw sockets of both families, -1 for none. */
export interface RawSockets {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** Where the packets are written, one for each data plane. */
export interface RawBuffer {
  readonly arena: Arena;
  readonly packet: number;
  readonly fragment: number;
  readonly target: number;
}

/** What a UDP port needs to send probes. */
export interface RawDoor {
  readonly sockets: RawSockets;
  readonly buffer: RawBuffer;
}

export function rawBuffer(arena: Arena): RawBuffer {
  return {
    arena,
    packet: arena.take(MAX_PACKET),
    fragment: arena.take(FRAGMENT_ROOM),
    target: arena.take(ENDPOINT_SIZE),
  };
}

export const RAW_BUFFER_SIZE = MAX_PACKET + FRAGMENT_ROOM + ENDPOINT_SIZE + 3 * 64;

/** Needs CAP_NET_RAW; a socket that cannot be had is -1. To be opened on the main thread, which keeps the right to (docs/adr/0019). */
export function openRawSockets(mark: number | undefined, bindDevice: string | undefined): RawSockets {
  return {
    ipv4: openRaw(c.AF_INET, mark, bindDevice),
    ipv6: openRaw(c.AF_INET6, mark, bindDevice),
  };
}

export function closeRawSockets({ ipv4, ipv6 }: RawSockets): void {
  for (const fd of [ipv4, ipv6]) if (fd >= 0) close(fd);
}

/** IPPROTO_RAW: the caller writes the IP header, and nothing is received. */
function openRaw(family: number, mark: number | undefined, bindDevice: string | undefined): number {
  const fd = socket(family, c.SOCK_RAW | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, c.IPPROTO_RAW);
  if (fd < 0) return -1;
  if (ignorePathMtu(fd, family) && applyRouting(fd, mark, bindDevice)) return fd;
  close(fd);
  return -1;
}

/** Else the kernel sends nothing longer than what routers once told it. */
function ignorePathMtu(fd: number, family: number): boolean {
  const probe = int32(c.IP_PMTUDISC_PROBE);
  return family === c.AF_INET
    ? setsockopt(fd, c.IPPROTO_IP, c.IP_MTU_DISCOVER, probe, 4) >= 0
    : setsockopt(fd, c.IPPROTO_IPV6, c.IPV6_MTU_DISCOVER, probe, 4) >= 0;
}

/** The lines of the config that decide which way a packet goes. */
function applyRouting(fd: number, mark: number | undefined, bindDevice: string | undefined): boolean {
  if (mark !== undefined && setsockopt(fd, c.SOL_SOCKET, c.SO_MARK, int32(mark), 4) < 0) return false;
  if (bindDevice === undefined) return true;
  const name = new TextEncoder().encode(`${bindDevice}\0`);
  return setsockopt(fd, c.SOL_SOCKET, c.SO_BINDTODEVICE, name, name.length) >= 0;
}

/** What is to be sent, and from which UDP socket. */
export interface Datagram {
  readonly fd: number;
  /** Arena offset and bytes. */
  readonly start: number;
  readonly length: number;
  /** Arena offset of the socket address it goes to. */
  readonly target: number;
}

/** Sends the datagram in an IP packet of `total` bytes. A few system calls; for probes, not for traffic. */
export function sendSized(door: RawDoor, datagram: Datagram, total: number): SizedSend {
  const { packet } = door.buffer;
  return writePacket(door, datagram, total) ? transmit(door, packet, total, datagram.target) : 'unable';
}

/** Sends the datagram in two IP fragments; `identification` is 1 to 65535. */
export function sendFragments(door: RawDoor, datagram: Datagram, identification: number): SizedSend {
  const { arena, packet, fragment } = door.buffer;
  const { length, target } = datagram;
  const total = udpHeaders(endpointAddress(arena.bytes, target)) + length;
  if (total > FRAGMENT_ROOM || !writePacket(door, datagram, total)) return 'unable';
  for (const which of ['first', 'second'] as const) {
    const written = writeFragment(arena, packet, total, fragment, which, identification);
    const sent = transmit(door, fragment, written, target);
    if (sent !== 'sent') return sent;
  }
  return 'sent';
}

/** False when it cannot be had. */
function writePacket({ buffer }: RawDoor, { fd, start, length, target }: Datagram, total: number): boolean {
  const { arena, packet } = buffer;
  const to = endOf(arena.bytes, target);
  if (total > MAX_PACKET || !fitsSurplus(to.address, length, total)) return false;
  const from = localEnd(fd, arena.bytes.slice(target, target + ENDPOINT_SIZE), to.address.length);
  if (from === undefined) return false;
  arena.bytes.copyWithin(packet + udpHeaders(to.address), start, start + length);
  writeSurplusPacket(arena, packet, length, total, from, to);
  return true;
}

/** The IP packet of `length` bytes at `packet`, to the address of the peer in the row at `peer`. */
function transmit({ sockets, buffer }: RawDoor, packet: number, length: number, peer: number): SizedSend {
  const { arena, target } = buffer;
  const { bytes } = arena;
  const address = endpointAddress(bytes, peer);
  bytes.fill(0, target, target + ENDPOINT_SIZE);
  if (address.length === 4) {
    bytes[target] = AF_INET;
    bytes.set(address, target + 4);
  } else {
    bytes.copyWithin(target, peer, peer + ENDPOINT_SIZE);
    // ipv6(7): with a raw socket the port is a protocol.
    bytes.fill(0, target + 2, target + 4);
  }
  const raw = address.length === 4 ? sockets.ipv4 : sockets.ipv6;
  const base = arena.address;
  const size = endpointLength(bytes, target);
  if (sendtoAddress(raw, base + packet, length, c.MSG_DONTWAIT, base + target, size) >= 0) return 'sent';
  return errno() === c.EMSGSIZE ? 'too-big' : 'unable';
}

/** The address that the kernel would send from, and the port that the socket is bound to. */
function localEnd(fd: number, target: Uint8Array, addressLength: number): UdpEnd | undefined {
  const bound = new Uint8Array(ENDPOINT_SIZE);
  const address = localAddress(target, 0);
  if (getsockname(fd, bound, int32(ENDPOINT_SIZE)) < 0) return undefined;
  const own = endOf(bound, 0);
  if (address !== undefined) return { address, port: own.port };
  const fixed = own.address.length === addressLength && own.address.some((byte) => byte !== 0);
  return fixed ? own : { address: sourceTowards(fd, target, addressLength) ?? own.address, port: own.port };
}

/** By a socket that is connected for the moment: nothing is sent. */
function sourceTowards(fd: number, target: Uint8Array, addressLength: number): Uint8Array | undefined {
  const asker = socket(target[0], c.SOCK_DGRAM | c.SOCK_CLOEXEC, 0);
  if (asker < 0) return undefined;
  const mark = int32(0);
  if (getsockopt(fd, c.SOL_SOCKET, c.SO_MARK, mark, int32(4)) >= 0)
    setsockopt(asker, c.SOL_SOCKET, c.SO_MARK, mark, 4);
  const local = new Uint8Array(ENDPOINT_SIZE);
  const known =
    connect(asker, target, endpointLength(target, 0)) >= 0 &&
    getsockname(asker, local, int32(ENDPOINT_SIZE)) >= 0;
  close(asker);
  const { address } = endOf(local, 0);
  return known && address.length === addressLength ? address : undefined;
}

function endOf(row: Uint8Array, offset: number): UdpEnd {
  return { address: endpointAddress(row, offset), port: endpointPort(row, offset) };
}
