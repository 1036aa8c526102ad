/** ICMP echo over IPv4 (RFC 792): the bytes of a request, and what an answer says. */

const ECHO_REPLY = 0;
const DESTINATION_UNREACHABLE = 3;
const ECHO_REQUEST = 8;
const TIME_EXCEEDED = 11;
const HEADER_SIZE = 8;

/** An echo request with `payloadSize` bytes behind the ICMP header. */
export function echoRequest(ident: number, sequence: number, payloadSize = 56): Uint8Array {
  const message = new Uint8Array(HEADER_SIZE + payloadSize);
  const view = new DataView(message.buffer);
  view.setUint8(0, ECHO_REQUEST);
  view.setUint16(4, ident);
  view.setUint16(6, sequence);
  for (let i = HEADER_SIZE; i < message.length; i++) message[i] = i & 0xff;
  view.setUint16(2, internetChecksum(message));
  return message;
}

export interface EchoAnswer {
  readonly kind: 'reply' | 'time-exceeded' | 'unreachable';
  /** Who answered. */
  readonly source: string;
  /** Of the request that is answered. */
  readonly ident: number;
  readonly sequence: number;
}

/** Reads an IPv4 packet with an ICMP message, as a raw socket delivers it; undefined when it answers no echo. */
export function parseAnswer(packet: Uint8Array): EchoAnswer | undefined {
  const icmp = payloadOffset(packet, 0);
  if (icmp === undefined) return undefined;
  const source = packet.subarray(12, 16).join('.');
  if (packet[icmp] === ECHO_REPLY) return { kind: 'reply', source, ...echoIds(packet, icmp) };
  const kind = errorKind(packet[icmp]);
  if (kind === undefined) return undefined;
  // The error quotes the IP header and at least 8 bytes of the packet it is about.
  const quoted = payloadOffset(packet, icmp + HEADER_SIZE);
  if (quoted === undefined || packet[quoted] !== ECHO_REQUEST) return undefined;
  return { kind, source, ...echoIds(packet, quoted) };
}

function errorKind(type: number): 'time-exceeded' | 'unreachable' | undefined {
  if (type === TIME_EXCEEDED) return 'time-exceeded';
  return type === DESTINATION_UNREACHABLE ? 'unreachable' : undefined;
}

/** Offset of the ICMP header behind the IPv4 header at `ip`; undefined when it is cut off. */
function payloadOffset(packet: Uint8Array, ip: number): number | undefined {
  const offset = ip + (packet[ip] & 0x0f) * 4;
  return offset > ip && offset + HEADER_SIZE <= packet.length ? offset : undefined;
}

function echoIds(packet: Uint8Array, icmp: number): { ident: number; sequence: number } {
  const view = new DataView(packet.buffer, packet.byteOffset);
  return { ident: view.getUint16(icmp + 4), sequence: view.getUint16(icmp + 6) };
}

/** RFC 1071, over bytes whose checksum field is zero. */
function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
