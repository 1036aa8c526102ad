/**
 * struct virtio_net_hdr (linux/virtio_net.h), which stands in front of every packet on a TUN or TAP device opened with
 * IFF_VNET_HDR: what the kernel leaves to us, or we to it. Little-endian fields, host order of x86-64 and arm64.
 *
 *     0 flags   1 gso type   2 header length   4 gso size   6 checksum start   8 checksum offset
 */
import { arenaSum } from '../packet/checksum.ts';
import type { Arena } from '../packet/arena.ts';
import type { Batch } from '../packet/batch.ts';
import { ipVersion } from '../packet/ipv4.ts';
import { TCP_CHECKSUM, tcpHeaderLength } from '../packet/tcp.ts';
import { UDP_CHECKSUM, UDP_HEADER } from '../packet/udp.ts';
import { writeUint16 } from '../packet/word.ts';

export const VIRTIO_NET_HEADER = 10;

const NEEDS_CHECKSUM = 1;
const GSO_NONE = 0;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_UDP_L4 = 5;
/** Set beside the type when the first segment carries CWR. */
const GSO_ECN = 0x80;

function readLittle(bytes: Uint8Array, offset: number): number {
  return bytes[offset] | (bytes[offset + 1] << 8);
}

function writeLittle(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

/**
 * Takes over what the header at `header` says of the packet just committed to `slot`: marks a super-packet, completes
 * the checksum of an ordinary one. Returns false for a kind of offload we did not ask for.
 */
export function readVirtioHeader(batch: Batch, slot: number, header: number): boolean {
  const { bytes } = batch;
  const type = bytes[header + 1] & ~GSO_ECN;
  const checksumStart = readLittle(bytes, header + 6);
  if (type === GSO_NONE) {
    if ((bytes[header] & NEEDS_CHECKSUM) === 0) return true;
    const offset = readLittle(bytes, header + 8);
    return completeChecksum(batch.arena, batch.start[slot], batch.length[slot], checksumStart, offset);
  }
  if (type !== GSO_TCPV4 && type !== GSO_TCPV6 && type !== GSO_UDP_L4) return false;
  if (checksumStart + 8 > batch.length[slot]) return false;
  batch.gsoSize[slot] = readLittle(bytes, header + 4);
  batch.transport[slot] = checksumStart;
  batch.udp[slot] = type === GSO_UDP_L4 ? 1 : 0;
  return batch.gsoSize[slot] > 0;
}

/** The field holds the pseudo-header's sum: summing all from `start` on gives the checksum (CHECKSUM_PARTIAL). */
function completeChecksum(
  arena: Arena,
  packet: number,
  length: number,
  start: number,
  offset: number,
): boolean {
  if (start + offset + 2 > length) return false;
  const checksum = ~arenaSum(arena, packet + start, length - start) & 0xffff;
  // Zero means "none" in UDP; as one's complement numbers both are zero, so all ones serves TCP as well.
  writeUint16(arena.bytes, packet + start + offset, checksum === 0 ? 0xffff : checksum);
  return true;
}

/** Writes the header for the coalesced super-packet in `slot`. */
export function writeVirtioHeader(batch: Batch, slot: number, header: number): void {
  const { bytes } = batch;
  const start = batch.start[slot];
  const transport = batch.transport[slot];
  const packet = start + batch.network[slot];
  bytes[header] = NEEDS_CHECKSUM;
  const udp = batch.udp[slot] === 1;
  const tcpType = ipVersion(bytes, packet) === 4 ? GSO_TCPV4 : GSO_TCPV6;
  bytes[header + 1] = udp ? GSO_UDP_L4 : tcpType;
  writeLittle(bytes, header + 2, transport + (udp ? UDP_HEADER : tcpHeaderLength(bytes, start + transport)));
  writeLittle(bytes, header + 4, batch.gsoSize[slot]);
  writeLittle(bytes, header + 6, transport);
  writeLittle(bytes, header + 8, udp ? UDP_CHECKSUM : TCP_CHECKSUM);
}
