/** Is an address in use on a LAN? And: it is ours now. Address conflict detection of RFC 5227, by a packet(7) socket. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AF_PACKET, MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM } from '../../ffi/constants.ts';
import { bind, check, close, recv, sendto, socket } from '../../ffi/libc.ts';

const ETH_P_ARP = 0x0806;
const ETH_P_IP = 0x0800;
const ARPHRD_ETHER = 1;
const REQUEST = 1;
const REPLY = 2;
const ARP_SIZE = 28;

const PROBES = 3;
/** RFC 5227 waits for seconds, so that hosts that start together do not collide; we start when they run. */
const PROBE_INTERVAL_MS = 200;
const POLL_MS = 10;
const ANNOUNCEMENTS = 2;

export interface LanInterface {
  readonly index: number;
  /** 6 bytes. */
  readonly hardwareAddress: Uint8Array;
}

/**
 * Asks the LAN who has `address` (4 bytes) and returns the hardware address of the host that answers or that asks the same;
 * undefined when nobody does within 0.6 s. Throws OsError.
 */
export async function probeAddress(lan: LanInterface, address: Uint8Array): Promise<Uint8Array | undefined> {
  const fd = openArp(lan);
  try {
    for (let probe = 0; probe < PROBES; probe++) {
      sendArp(fd, lan, new Uint8Array(4), address);
      const end = performance.now() + PROBE_INTERVAL_MS;
      while (performance.now() < end) {
        const holder = receiveHolder(fd, lan, address);
        if (holder !== undefined) return holder;
        await sleep(POLL_MS);
      }
    }
    return undefined;
  } finally {
    close(fd);
  }
}

/** Tells the LAN that `address` (4 bytes) is here, so that neighbours forget where it was before. Throws OsError. */
export function announceAddress(lan: LanInterface, address: Uint8Array): void {
  const fd = openArp(lan);
  try {
    for (let i = 0; i < ANNOUNCEMENTS; i++) sendArp(fd, lan, address, address);
  } finally {
    close(fd);
  }
}

function openArp({ index }: LanInterface): number {
  const protocol = ((ETH_P_ARP & 0xff) << 8) | (ETH_P_ARP >> 8);
  const fd = check('socket(AF_PACKET)', socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, protocol));
  const name = linkLayerAddress(index, new Uint8Array(6));
  if (bind(fd, name, name.length) < 0) {
    close(fd);
    check('bind(AF_PACKET)', -1);
  }
  return fd;
}

/**
 *     struct sockaddr_ll   0 family (u16)  2 protocol (network order)  4 interface (u32)  8 hardware type
 *                         10 packet type  11 address length  12 address
 */
function linkLayerAddress(index: number, hardwareAddress: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_ARP);
  view.setUint32(4, index, true);
  bytes[11] = hardwareAddress.length;
  bytes.set(hardwareAddress, 12);
  return bytes;
}

/**
 * A request, to everybody. An unspecified sender probes, the target's own address as sender announces.
 *
 *     RFC 826   0 hardware  2 protocol  4 lengths  6 operation  8 sender  14 its address  18 target  24 its address
 */
function sendArp(fd: number, lan: LanInterface, sender: Uint8Array, target: Uint8Array): void {
  const packet = new Uint8Array(ARP_SIZE);
  const view = new DataView(packet.buffer);
  view.setUint16(0, ARPHRD_ETHER);
  view.setUint16(2, ETH_P_IP);
  view.setUint16(4, 0x0604);
  view.setUint16(6, REQUEST);
  packet.set(lan.hardwareAddress, 8);
  packet.set(sender, 14);
  packet.set(target, 24);
  const everybody = linkLayerAddress(lan.index, new Uint8Array(6).fill(0xff));
  check('sendto(ARP)', sendto(fd, packet, packet.length, 0, everybody, everybody.length));
}

/** Who says, in what has been received so far, that the address is his, or is about to say so. */
function receiveHolder(fd: number, lan: LanInterface, address: Uint8Array): Uint8Array | undefined {
  const packet = new Uint8Array(64);
  while (recv(fd, packet, packet.length, MSG_DONTWAIT) >= ARP_SIZE) {
    const operation = packet[7];
    const from = packet.slice(8, 14);
    const claims = equal(packet.subarray(14, 18), address);
    const probes = operation === REQUEST && equal(packet.subarray(24, 28), address) && isZero(packet, 14);
    if ((operation === REQUEST || operation === REPLY) && (claims || probes)) {
      if (!equal(from, lan.hardwareAddress)) return from;
    }
  }
  return undefined;
}

function isZero(packet: Uint8Array, offset: number): boolean {
  return packet.subarray(offset, offset + 4).every((byte) => byte === 0);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a).equals(Buffer.from(b));
}
