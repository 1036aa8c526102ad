/**
 * The checksum of a super-packet: the field holds the sum of the pseudo-header only, and whoever cuts it into segments
 * completes it (the kernel's CHECKSUM_PARTIAL, virtio_net_hdr's NEEDS_CSUM).
 */
import type { Batch } from './batch.ts';
import { addSums } from './checksum.ts';
import { addressSum } from './pseudo-header.ts';
import { PROTOCOL_TCP, setTcpChecksum } from './tcp.ts';
import { PROTOCOL_UDP, setPartialUdpChecksum } from './udp.ts';

/** Sets it for the super-packet in `slot`, all of which lies in one piece, after its addresses have changed. */
export function setPartialChecksum(batch: Batch, slot: number): void {
  const start = batch.start[slot];
  const transport = start + batch.transport[slot];
  const covered = batch.length[slot] - batch.transport[slot];
  const udp = batch.udp[slot] === 1;
  const sum = addSums(addressSum(batch.arena, start, udp ? PROTOCOL_UDP : PROTOCOL_TCP), covered);
  if (udp) setPartialUdpChecksum(batch.bytes, transport, sum);
  else setTcpChecksum(batch.bytes, transport, sum);
}
