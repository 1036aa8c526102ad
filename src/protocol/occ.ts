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

/**
 * Our extension of MTU loads, behind what OpenVPN defines: a mark, and 16 bits of IP packet length. In a request: send the
 * load in an IP packet of exactly this length, 0 for whatever comes of it. In a load: so it was sent, 0 for the opposite.
 * OpenVPN ignores what follows the size in a request, and its loads are random.
 */
const SIZED_MARK = new Uint8Array([0x74, 0x73, 0x76, 0x70, 0x6e, 0x9d, 0x51, 0xe4]);
/** In place of 0 in a load that was asked for as it comes: the peer can send others. */
export const EXACT_LOADS = 1;
const SIZED_EXTENSION = SIZED_MARK.length + 2;
/** An MTU load request with our extension. */
export const LOAD_REQUEST_SIZE = OCC_HEADER_SIZE + 2 + SIZED_EXTENSION;
/** The shortest load with our extension. */
export const MIN_SIZED_LOAD = OCC_HEADER_SIZE + SIZED_EXTENSION;

function writeSized(bytes: Uint8Array, offset: number, total: number): void {
  bytes.set(SIZED_MARK, offset);
  bytes[offset + SIZED_MARK.length] = total >>> 8;
  bytes[offset + SIZED_MARK.length + 1] = total;
}

/** IP packet length in the extension at `offset`; -1 without extension. */
function readSized(bytes: Uint8Array, offset: number, length: number): number {
  if (length < SIZED_EXTENSION) return -1;
  for (let i = 0; i < SIZED_MARK.length; i++) if (bytes[offset + i] !== SIZED_MARK[i]) return -1;
  return (bytes[offset + SIZED_MARK.length] << 8) | bytes[offset + SIZED_MARK.length + 1];
}

/** IP packet length that a load request asks for; 0 for none, -1 when the peer knows nothing of it. */
export function readRequestedTotal(bytes: Uint8Array, offset: number, length: number): number {
  return readSized(bytes, offset + OCC_HEADER_SIZE + 2, length - OCC_HEADER_SIZE - 2);
}

/** IP packet length that a load says it was sent in; 0 for as it is, -1 when it says nothing. */
export function readLoadTotal(bytes: Uint8Array, offset: number, length: number): number {
  return readSized(bytes, offset + OCC_HEADER_SIZE, length - OCC_HEADER_SIZE);
}

/**
 * Writes a request for a load of `size` bytes, as the peer counts, in an IP packet of `total` bytes (0: as it is). Returns
 * its length, `length` or what is needed; what is behind the extension is zero.
 */
export function writeOccLoadRequest(
  bytes: Uint8Array,
  offset: number,
  size: number,
  total: number,
  length = LOAD_REQUEST_SIZE,
): number {
  const body = offset + writeOcc(bytes, offset, OccOpcode.MtuLoadRequest);
  bytes[body] = size >>> 8;
  bytes[body + 1] = size;
  writeSized(bytes, body + 2, total);
  const end = offset + Math.max(length, LOAD_REQUEST_SIZE);
  bytes.fill(0, offset + LOAD_REQUEST_SIZE, end);
  return end - offset;
}

/** Marks the load of at least MIN_SIZED_LOAD bytes at `offset` as one sent in an IP packet of `total` bytes. */
export function markOccLoad(bytes: Uint8Array, offset: number, total: number): void {
  writeSized(bytes, offset + OCC_HEADER_SIZE, total);
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
