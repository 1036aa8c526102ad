/** Packets as an old peer compresses them. */
import type { writeLzo } from '../oracles/lz-writer.ts';
import { ipv4Packet } from './pair.ts';

/** Length after which the content of `repetitivePacket` repeats. */
const PERIOD = 60;

/** An IPv4 packet that compresses well. */
export function repetitivePacket(length: number): Uint8Array {
  const packet = ipv4Packet(length, 7);
  for (let i = PERIOD; i < length; i++) packet[i] = packet[i - PERIOD];
  return packet;
}

/** What a `repetitivePacket` is compressed to. */
export function compressed(write: typeof writeLzo, packet: Uint8Array): Uint8Array {
  const first = { literals: packet.subarray(0, PERIOD), back: 1, length: packet.length - PERIOD };
  return write([first, { literals: new Uint8Array(0), back: 0, length: 0 }]).stream;
}
