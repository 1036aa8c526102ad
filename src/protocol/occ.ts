/**
 * OCC, OpenVPN's option consistency check: messages by which two ends compare options, measure the MTU and say
 * goodbye. A message is a 16-byte magic, an opcode and a body; it travels as an ordinary payload.
 */
import { OCC_MAGIC, OccOpcode } from './constants.ts';
import { hasMagic } from './magic.ts';

const OCC_HEADER_SIZE = OCC_MAGIC.length + 1;

/** True for a payload that starts with the OCC magic, complete or not. */
export function isOcc(bytes: Uint8Array, offset: number, length: number): boolean {
  return length >= OCC_MAGIC.length && hasMagic(bytes, offset, OCC_MAGIC);
}

/** Opcode of an OCC payload; -1 when it ends after the magic. */
export function occOpcode(bytes: Uint8Array, offset: number, length: number): number {
  return length < OCC_HEADER_SIZE ? -1 : bytes[offset + OCC_MAGIC.length];
}

/**
 * Option string of a reply: the body up to its NUL. The peer's text, unescaped; call `escapePeerText` before showing
 * it. Allocates; replies are rare.
 */
export function readOccOptions(bytes: Uint8Array, offset: number, length: number): string {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).subarray(OCC_HEADER_SIZE);
  const end = body.indexOf(0);
  return body.toString('latin1', 0, end < 0 ? body.length : end);
}

/** Size that an MTU load request asks for; -1 when the body is cut off. */
export function readOccLoadSize(bytes: Uint8Array, offset: number, length: number): number {
  if (length < OCC_HEADER_SIZE + 2) return -1;
  return (bytes[offset + OCC_HEADER_SIZE] << 8) | bytes[offset + OCC_HEADER_SIZE + 1];
}

/** Writes a message without a body (request, MTU request, exit); returns its length. */
export function writeOcc(bytes: Uint8Array, offset: number, opcode: OccOpcode): number {
  bytes.set(OCC_MAGIC, offset);
  bytes[offset + OCC_MAGIC.length] = opcode;
  return OCC_HEADER_SIZE;
}

/** Writes a reply with our option string (ASCII) and its NUL; returns its length, at most 273. */
export function writeOccReply(bytes: Uint8Array, offset: number, options: string): number {
  let end = offset + writeOcc(bytes, offset, OccOpcode.Reply);
  for (let i = 0; i < options.length; i++) bytes[end++] = options.charCodeAt(i);
  bytes[end++] = 0;
  return end - offset;
}

/** Writes the answer to an MTU request: largest datagrams received and sent so far, bytes. Returns its length. */
export function writeOccMtuReply(bytes: Uint8Array, offset: number, received: number, sent: number): number {
  const body = offset + writeOcc(bytes, offset, OccOpcode.MtuReply);
  bytes[body] = received >>> 8;
  bytes[body + 1] = received;
  bytes[body + 2] = sent >>> 8;
  bytes[body + 3] = sent;
  return OCC_HEADER_SIZE + 4;
}

/**
 * Writes the answer to an MTU load request, filled with bytes from `random` up to `length` in all (incompressible, so
 * that the datagram has the size under test). Returns its length.
 */
export function writeOccLoad(
  bytes: Uint8Array,
  offset: number,
  length: number,
  random: (bytes: Uint8Array, offset: number, length: number) => void,
): number {
  const header = writeOcc(bytes, offset, OccOpcode.MtuLoad);
  if (length <= header) return header;
  random(bytes, offset + header, length - header);
  return length;
}
