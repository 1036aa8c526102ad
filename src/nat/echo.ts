/** Pings to an alias address, which nobody but us can answer. */
import { updateChecksum } from '../packet/checksum.ts';
import { IcmpType } from '../packet/icmp.ts';
import { IPV4_CHECKSUM, IPV4_TTL } from '../packet/ipv4.ts';
import { readUint16, writeUint16 } from '../packet/word.ts';
import type { PacketView } from './packet-view.ts';

const ADDRESS_SIZE = 4;
const OUR_TTL = 64;

export function isEchoRequest(view: PacketView): boolean {
  return view.kind === 'icmp-query' && view.icmpType === IcmpType.Echo && !view.isFragment;
}

/** Turns the echo request into its reply (RFC 792), in place. */
export function answerEcho(bytes: Uint8Array, view: PacketView): void {
  const { start, source, destination, transport, checksum } = view;
  for (let i = 0; i < ADDRESS_SIZE; i++) {
    const byte = bytes[source + i];
    bytes[source + i] = bytes[destination + i];
    bytes[destination + i] = byte;
  }
  const lifetime = readUint16(bytes, start + IPV4_TTL);
  bytes[start + IPV4_TTL] = OUR_TTL;
  update(bytes, start + IPV4_CHECKSUM, lifetime, readUint16(bytes, start + IPV4_TTL));
  const type = readUint16(bytes, transport);
  bytes[transport] = IcmpType.EchoReply;
  update(bytes, checksum, type, readUint16(bytes, transport));
}

function update(bytes: Uint8Array, checksum: number, before: number, after: number): void {
  writeUint16(bytes, checksum, updateChecksum(readUint16(bytes, checksum), before, after));
}
