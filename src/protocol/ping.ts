/** Keepalive pings: a payload of exactly 16 fixed bytes. */
import { PING_MAGIC } from './constants.ts';
import { hasMagic } from './magic.ts';

const PING_SIZE = PING_MAGIC.length;

/** True for a ping; a longer payload that starts like one is not a ping. */
export function isPing(bytes: Uint8Array, offset: number, length: number): boolean {
  return length === PING_SIZE && hasMagic(bytes, offset, PING_MAGIC);
}

/** Writes a ping payload at `offset`; returns its length. */
export function writePing(bytes: Uint8Array, offset: number): number {
  bytes.set(PING_MAGIC, offset);
  return PING_SIZE;
}
