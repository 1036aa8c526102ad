/** What a datagram is made of: the arithmetic behind datagramSize(), for people. */
import { datagramSize, type ChannelShape } from './mtu.ts';
import { FRAGMENT_HEADER_SIZE } from './fragmentation.ts';
import { framingSize } from './framing.ts';
import { PACKET_ID_SIZE } from './packet-id.ts';

/** Sizes in bytes, in the order of the wire; what the config does not add is 0. */
export interface PacketParts {
  readonly hmac: number;
  readonly iv: number;
  readonly packetId: number;
  readonly fragmentHeader: number;
  /** Compression marker. */
  readonly marker: number;
  readonly packet: number;
  readonly padding: number;
  /** Sum: the payload of a UDP datagram. */
  readonly total: number;
}

/** Parts of the datagram that carries a packet, or one fragment, of `packet` bytes. */
export function packetParts(shape: ChannelShape, packet: number): PacketParts {
  const parts = {
    hmac: shape.hmacSize,
    iv: shape.blockSize,
    packetId: shape.replay ? PACKET_ID_SIZE : 0,
    fragmentHeader: shape.fragment > 0 ? FRAGMENT_HEADER_SIZE : 0,
    marker: framingSize(shape.framing),
    packet,
  };
  const total = datagramSize(shape, packet);
  const padding = total - Object.values(parts).reduce((sum, size) => sum + size, 0);
  return { ...parts, padding, total };
}
